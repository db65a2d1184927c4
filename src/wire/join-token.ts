import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { inputError } from '../errors.ts';
import type { MasterInventory } from '../model/disk.ts';
import { requestDer } from './certificates.ts';
import type { PendingJoin } from './control-session.ts';

/**
 * The text a person carries from control to the master. It names the appliance and the authority, and holds the
 * secret both control and the master know and the appliance never sees (it is told the secret's SHA-256 only).
 */
export interface JoinToken {
  readonly address: string;
  readonly port: number;
  /** Hex SHA-256 of the authority's certificate. */
  readonly caSha256: string;
  readonly tokenId: string;
  readonly secret: Buffer;
}

const PREFIX = 'standby-join-1.';
const SECRET_BYTES = 32;

const payloadSchema = z.tuple([
  z.string().min(1).max(255),
  z.int().min(1).max(65535),
  z.string().regex(/^[0-9a-f]{64}$/),
  z.string().regex(/^[0-9a-f]{16}$/),
  z.string().regex(/^[A-Za-z0-9_-]{43}$/),
]);

export function makeJoinToken(facts: { address: string; port: number; caSha256: string }): {
  text: string;
  tokenId: string;
  tokenSha256: string;
} {
  const tokenId = randomBytes(8).toString('hex');
  const secret = randomBytes(SECRET_BYTES);
  const payload = JSON.stringify([
    facts.address,
    facts.port,
    facts.caSha256.toLowerCase(),
    tokenId,
    secret.toString('base64url'),
  ]);
  const body = Buffer.from(payload, 'utf8').toString('base64url');
  return { text: `${PREFIX}${body}.${checkOf(body)}`, tokenId, tokenSha256: sha256(secret) };
}

/** Told apart: a paste that lost characters, and a text that never was a token. */
export function parseJoinToken(text: string): JoinToken {
  const clean = text.replace(/\s+/g, '');
  const next = 'Run `standby master token` and paste the whole text it prints.';
  if (!clean.startsWith(PREFIX)) throw inputError('TOKEN_INVALID', 'This is not a join token.', next);
  const [body = '', check = ''] = clean.slice(PREFIX.length).split('.');
  if (checkOf(body) !== check) {
    throw inputError(
      'TOKEN_INVALID',
      'The join token is damaged: characters are missing or were changed.',
      next,
    );
  }
  const payload = payloadSchema.safeParse(jsonOrUndefined(Buffer.from(body, 'base64url').toString('utf8')));
  if (!payload.success) throw inputError('TOKEN_INVALID', 'The join token cannot be read.', next);
  const [address, port, caSha256, tokenId, secret] = payload.data;
  return { address, port, caSha256, tokenId, secret: Buffer.from(secret, 'base64url') };
}

/** What a master adds to its request and inventory: only who holds the token can compute it. Hex HMAC-SHA-256. */
export function proofOfJoin(
  secret: Buffer,
  join: { readonly requestPem: string; readonly inventory: MasterInventory },
): string {
  const der = requestDer(join.requestPem);
  return createHmac('sha256', secret)
    .update(`standby-join-1 ${der.length}\n`)
    .update(der)
    .update(canonicalJson(join.inventory))
    .digest('hex');
}

/** The same text for the same content, in whatever order its fields travelled. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

/** Did the holder of this very token make this request, and tell this inventory? An appliance cannot forge it. */
export function verifyJoinProof(tokenText: string, pending: PendingJoin): boolean {
  const token = parseJoinToken(tokenText);
  if (token.tokenId !== pending.tokenId) return false;
  const expected = Buffer.from(proofOfJoin(token.secret, pending), 'hex');
  const given = Buffer.from(pending.proof, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function checkOf(body: string): string {
  return sha256(Buffer.from(body)).slice(0, 8);
}

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
