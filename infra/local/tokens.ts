import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  verify,
} from 'node:crypto';
import { isObject } from './arm/json.ts';
import type { State } from './state.ts';

/** Access tokens: RS256 JWTs like Entra's, signed with a key that is kept in the state, so a token outlives a restart. */
export interface Claims {
  readonly aud: string;
  readonly iss: string;
  readonly tid: string;
  readonly appid: string;
  readonly oid: string;
  readonly iat: number;
  readonly exp: number;
}

export type TokenCheck =
  | { readonly kind: 'good'; readonly claims: Claims }
  | { readonly kind: 'expired'; readonly claims: Claims }
  | { readonly kind: 'foreign'; readonly claims: Claims }
  | { readonly kind: 'bad' };

export interface TokenIssuer {
  issue(facts: {
    readonly audience: string;
    readonly applicationId: string;
    readonly objectId: string;
    readonly lifetimeSeconds: number;
  }): string;
  check(token: string): TokenCheck;
  /** The public key as the `jwks_uri` shows it. */
  readonly keys: Record<string, unknown>;
  readonly issuer: string;
}

export function makeTokenIssuer(options: {
  readonly state: State;
  readonly tenantId: string;
  readonly authorityUrl: string;
  readonly nowMs: () => number;
}): TokenIssuer {
  const { tenantId, nowMs } = options;
  const privateKey = ensureKey(options.state);
  const publicKey = createPublicKey(privateKey);
  const issuer = `${options.authorityUrl}/${tenantId}/`;
  return {
    issuer,
    keys: {
      keys: [{ ...publicKey.export({ format: 'jwk' }), use: 'sig', kid: 'local', alg: 'RS256', issuer }],
    },
    issue(facts) {
      const seconds = Math.floor(nowMs() / 1000);
      const claims: Claims & Record<string, unknown> = {
        aud: facts.audience,
        iss: issuer,
        tid: tenantId,
        appid: facts.applicationId,
        oid: facts.objectId,
        iat: seconds,
        exp: seconds + facts.lifetimeSeconds,
        nbf: seconds,
        appidacr: '1',
        idtyp: 'app',
        sub: facts.objectId,
        uti: randomUUID(),
        ver: '1.0',
      };
      const text = `${encode({ typ: 'JWT', alg: 'RS256', kid: 'local' })}.${encode(claims)}`;
      return `${text}.${sign('RSA-SHA256', Buffer.from(text), privateKey).toString('base64url')}`;
    },
    check(token) {
      const [header, payload, signature] = token.split('.');
      if (header === undefined || payload === undefined || signature === undefined) return { kind: 'bad' };
      const claims = decodeClaims(payload);
      if (claims === undefined) return { kind: 'bad' };
      const genuine = verify(
        'RSA-SHA256',
        Buffer.from(`${header}.${payload}`),
        publicKey,
        Buffer.from(signature, 'base64url'),
      );
      // A token of another tenant is signed by keys we cannot check; Azure says "wrong issuer" all the same.
      if (claims.tid !== tenantId) return { kind: 'foreign', claims };
      if (!genuine) return { kind: 'bad' };
      return { kind: claims.exp * 1000 <= nowMs() ? 'expired' : 'good', claims };
    },
  };
}

function ensureKey(state: State): KeyObject {
  const kept = state.getDocument<string>('token-key');
  if (kept !== undefined) return createPrivateKey(kept);
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  state.setDocument('token-key', privateKey.export({ type: 'pkcs8', format: 'pem' }));
  return privateKey;
}

function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}

function decodeClaims(payload: string): Claims | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (!isObject(claims)) return undefined;
    return typeof claims.exp === 'number' && typeof claims.tid === 'string'
      ? (claims as unknown as Claims)
      : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined; // not a token at all
    throw error;
  }
}
