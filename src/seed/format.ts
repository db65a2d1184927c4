import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes, scrypt } from 'node:crypto';
import { z } from 'zod';
import { CHUNK_BYTES } from '../block/chunks.ts';
import { PAGE_MAP_BYTES } from '../block/zeros.ts';

/**
 * The bytes of a seed (docs/SEED.md): a head in the clear, two slots that say how far it is durable, and records, each
 * sealed by AES-256-GCM with a nonce of its own. Pure: nothing here reads or writes a file.
 */
export const BLOCK_BYTES = 4096;
export const SLOT_OFFSETS = [BLOCK_BYTES, 2 * BLOCK_BYTES] as const;
export const RECORDS_OFFSET = 3 * BLOCK_BYTES;

export const RECORD = { slot: 1, manifest: 2, chunk: 3, index: 4, end: 5 } as const;
export const FLAG_ZSTD = 1;

const MAGIC = 'SBSEED01';
const VERSION = 1;
const RECORD_MAGIC = 0x31524453;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** What is authenticated and not encrypted: everything of a record's head before its nonce. */
const PLAIN_BYTES = 24;
export const RECORD_HEAD_BYTES = PLAIN_BYTES + NONCE_BYTES;
export const BODY_BYTES_MAX = CHUNK_BYTES + PAGE_MAP_BYTES;

// --- the head

export interface Head {
  readonly salt: Buffer;
  readonly cost: { readonly logN: number; readonly r: number; readonly p: number };
  /** Tells a wrong key from a damaged seed. */
  readonly keyCheck: Buffer;
}

export interface Keys {
  readonly seal: Buffer;
  readonly check: Buffer;
}

const COST = { logN: 17, r: 8, p: 1 } as const;
/** What a stranger's seed may make us spend: 1 GiB of memory at most. */
const COST_MAX = { logN: 20, r: 8, p: 4 } as const;
const SALT_BYTES = 32;
const CHECK_BYTES = 32;
const SUM_OFFSET = 24 + SALT_BYTES + CHECK_BYTES;

export async function newHead(
  passphrase: Buffer,
  cost: Head['cost'] = COST,
): Promise<{ head: Head; keys: Keys }> {
  const salt = randomBytes(SALT_BYTES);
  const keys = await keysOf(passphrase, salt, cost);
  return { head: { salt, cost, keyCheck: keys.check }, keys };
}

/** Slow on purpose. */
export async function keysOf(passphrase: Buffer, salt: Buffer, cost: Head['cost']): Promise<Keys> {
  const N = 2 ** cost.logN;
  const { r, p } = cost;
  const limits = { N, r, p, maxmem: 129 * N * r * p };
  const secret = await new Promise<Buffer>((resolve, reject) => {
    scrypt(passphrase, salt, 32, limits, (error, key) => (error ? reject(error) : resolve(key)));
  });
  const derive = (purpose: string) => Buffer.from(hkdfSync('sha256', secret, salt, purpose, 32));
  return { seal: derive('standby seed records'), check: derive('standby seed key check') };
}

export function encodeHead({ salt, cost, keyCheck }: Head): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(MAGIC, 'latin1');
  block.writeUInt32LE(VERSION, 8);
  block.writeUInt32LE(cost.logN, 12);
  block.writeUInt32LE(cost.r, 16);
  block.writeUInt32LE(cost.p, 20);
  salt.copy(block, 24);
  keyCheck.copy(block, 24 + SALT_BYTES);
  sumOf(block).copy(block, SUM_OFFSET);
  return block;
}

export type HeadFound = Head | 'none' | 'damaged' | { readonly version: number };

export function decodeHead(block: Buffer): HeadFound {
  if (block.length < BLOCK_BYTES || block.toString('latin1', 0, MAGIC.length) !== MAGIC) return 'none';
  if (!block.subarray(SUM_OFFSET, SUM_OFFSET + 32).equals(sumOf(block))) return 'damaged';
  const version = block.readUInt32LE(8);
  if (version !== VERSION) return { version };
  const cost = { logN: block.readUInt32LE(12), r: block.readUInt32LE(16), p: block.readUInt32LE(20) };
  const isBounded =
    cost.logN >= 10 && cost.logN <= COST_MAX.logN && cost.r >= 1 && cost.r <= COST_MAX.r && cost.p >= 1;
  if (!isBounded || cost.p > COST_MAX.p) return 'damaged';
  return {
    cost,
    salt: Buffer.from(block.subarray(24, 24 + SALT_BYTES)),
    keyCheck: Buffer.from(block.subarray(24 + SALT_BYTES, SUM_OFFSET)),
  };
}

function sumOf(block: Buffer): Buffer {
  return createHash('sha256').update(block.subarray(0, SUM_OFFSET)).digest();
}

// --- records

export interface RecordHead {
  readonly type: number;
  readonly flags: number;
  readonly disk: number;
  /** Of a chunk: which. Of a slot: which of the two. */
  readonly chunk: number;
  /** Place in the row of records; of a slot: how often one was written. */
  readonly sequence: number;
  readonly bodyBytes: number;
}

/** Nonce and key never meet twice with other content: every sealing draws a nonce, also when a record is written anew. */
export function sealRecord(
  keys: Keys,
  head: Omit<RecordHead, 'bodyBytes'>,
  body: readonly Uint8Array[],
): Buffer[] {
  const bodyBytes = body.reduce((sum, part) => sum + part.byteLength, 0);
  const bytes = Buffer.alloc(RECORD_HEAD_BYTES);
  bytes.writeUInt32LE(RECORD_MAGIC, 0);
  bytes.writeUInt8(head.type, 4);
  bytes.writeUInt8(head.flags, 5);
  bytes.writeUInt16LE(head.disk, 6);
  bytes.writeUInt32LE(head.chunk, 8);
  bytes.writeBigUInt64LE(BigInt(head.sequence), 12);
  bytes.writeUInt32LE(bodyBytes, 20);
  const nonce = randomBytes(NONCE_BYTES);
  nonce.copy(bytes, PLAIN_BYTES);
  const cipher = createCipheriv('aes-256-gcm', keys.seal, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(bytes.subarray(0, PLAIN_BYTES));
  const sealed = body.map((part) => cipher.update(part));
  cipher.final();
  return [bytes, ...sealed, cipher.getAuthTag()];
}

/** Undefined when these bytes are no record's head. */
export function readRecordHead(bytes: Buffer): RecordHead | undefined {
  if (bytes.length < RECORD_HEAD_BYTES || bytes.readUInt32LE(0) !== RECORD_MAGIC) return undefined;
  const bodyBytes = bytes.readUInt32LE(20);
  if (bodyBytes > BODY_BYTES_MAX) return undefined;
  return {
    type: bytes.readUInt8(4),
    flags: bytes.readUInt8(5),
    disk: bytes.readUInt16LE(6),
    chunk: bytes.readUInt32LE(8),
    sequence: Number(bytes.readBigUInt64LE(12)),
    bodyBytes,
  };
}

export function recordBytes({ bodyBytes }: Pick<RecordHead, 'bodyBytes'>): number {
  return RECORD_HEAD_BYTES + bodyBytes + TAG_BYTES;
}

/** The body, decrypted in place; undefined when it is not what was sealed. */
export function openRecord(keys: Keys, bytes: Buffer, { bodyBytes }: RecordHead): Buffer | undefined {
  const end = RECORD_HEAD_BYTES + bodyBytes;
  const nonce = bytes.subarray(PLAIN_BYTES, RECORD_HEAD_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', keys.seal, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(bytes.subarray(0, PLAIN_BYTES));
  decipher.setAuthTag(bytes.subarray(end, end + TAG_BYTES));
  const body = decipher.update(bytes.subarray(RECORD_HEAD_BYTES, end));
  try {
    decipher.final();
    return body;
  } catch (error) {
    if (error instanceof Error && /authenticate/.test(error.message)) return undefined;
    throw error;
  }
}

// --- what slots, manifest, indexes and the end hold

const bytes = z.int().min(0);

/** Everything before `offset` is durable. */
export const slotSchema = z.object({
  offset: bytes,
  sequence: bytes,
  /** Of the last index; 0: there is none. */
  lastIndex: bytes,
  /** The chunk to look at next. */
  disk: bytes,
  chunk: bytes,
  ended: z.boolean(),
});
export type Slot = z.infer<typeof slotSchema>;

export const manifestSchema = z.object({
  seedId: z.string(),
  createdAtMs: z.number(),
  masterId: z.string().optional(),
  hostName: z.string().optional(),
  /** Free blocks that hold something are in it too. */
  whole: z.boolean(),
  disks: z
    .array(
      z.object({
        diskId: z.string(),
        sizeBytes: bytes,
        partitionTable: z.string(),
        volumes: z.array(z.object({ offsetBytes: bytes, sizeBytes: bytes, fileSystem: z.string() })).max(256),
      }),
    )
    .min(1)
    .max(64),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const endSchema = z.object({
  dataChunks: bytes,
  dataBytes: bytes,
  /** As docs/WIRE.md defines them; what a seed leaves out counts as zeros. */
  digests: z.array(z.object({ diskId: z.string(), digest: z.string(), sizeBytes: bytes })),
  endedAtMs: z.number(),
});
export type End = z.infer<typeof endSchema>;

export interface Leaf {
  readonly disk: number;
  readonly chunk: number;
  readonly leaf: Uint8Array;
}

/** The leaves of the chunks since the index before, and where that one begins. */
export interface Index {
  readonly previous: number;
  readonly dataBytes: number;
  readonly leaves: readonly Leaf[];
}

const LEAF_ENTRY_BYTES = 6 + 32;
const INDEX_HEAD_BYTES = 16;

export function encodeIndex({ previous, dataBytes, leaves }: Index): Buffer {
  const body = Buffer.alloc(INDEX_HEAD_BYTES + leaves.length * LEAF_ENTRY_BYTES);
  body.writeBigUInt64LE(BigInt(previous), 0);
  body.writeBigUInt64LE(BigInt(dataBytes), 8);
  for (const [index, { disk, chunk, leaf }] of leaves.entries()) {
    const at = INDEX_HEAD_BYTES + index * LEAF_ENTRY_BYTES;
    body.writeUInt16LE(disk, at);
    body.writeUInt32LE(chunk, at + 2);
    body.set(leaf, at + 6);
  }
  return body;
}

export function decodeIndex(body: Buffer): Index {
  const leaves: Leaf[] = [];
  for (let at = INDEX_HEAD_BYTES; at + LEAF_ENTRY_BYTES <= body.length; at += LEAF_ENTRY_BYTES) {
    const leaf = body.subarray(at + 6, at + LEAF_ENTRY_BYTES);
    leaves.push({ disk: body.readUInt16LE(at), chunk: body.readUInt32LE(at + 2), leaf });
  }
  return { previous: Number(body.readBigUInt64LE(0)), dataBytes: Number(body.readBigUInt64LE(8)), leaves };
}
