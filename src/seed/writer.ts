import { isZero } from '../block/zeros.ts';
import { isStandbyError } from '../errors.ts';
import {
  BLOCK_BYTES,
  type End,
  encodeHead,
  encodeIndex,
  type Head,
  type Keys,
  type Leaf,
  type Manifest,
  newHead,
  RECORD,
  RECORDS_OFFSET,
  type RecordHead,
  SLOT_OFFSETS,
  type Slot,
  sealRecord,
} from './format.ts';
import type { LeafTable } from './leaf-table.ts';
import { type Medium, makeFile, openMedium, placeOf } from './medium.ts';
import { targetFull, targetInUse } from './problems.ts';
import { type OpenSeed, openSeed, readLeaves } from './reader.ts';

/**
 * Writes a seed from its start to its end. Promises: what a slot names is durable before the slot is written, and the
 * slot before it stays until then; so, killed at any byte, it goes on behind the last index whose slot is whole, and
 * writes what came after it anew. A new file appears with its head or not at all; on a device the head is last.
 */
export class SeedWriter {
  readonly manifest: Manifest;
  /** True when an earlier process had begun it. */
  readonly isResumed: boolean;
  readonly #medium: Medium;
  readonly #keys: Keys;
  #slot: Slot;
  #slots: number;
  #offset: number;
  #sequence: number;
  #dataBytes: number;
  #fresh: Leaf[] = [];
  /** Everything until the last index. */
  readonly leaves: LeafTable;

  constructor(seed: OpenSeed, known: { leaves: LeafTable; dataBytes: number }, isResumed: boolean) {
    this.manifest = seed.manifest;
    this.isResumed = isResumed;
    this.#medium = seed.medium;
    this.#keys = seed.keys;
    this.#slot = seed.slot;
    this.#slots = seed.slots;
    this.#offset = seed.slot.offset;
    this.#sequence = seed.slot.sequence;
    this.leaves = known.leaves;
    this.#dataBytes = known.dataBytes;
  }

  /** Where the export goes on. */
  get place(): Pick<Slot, 'disk' | 'chunk' | 'ended'> {
    return this.#slot;
  }

  get dataBytes(): number {
    return this.#dataBytes;
  }

  get writtenBytes(): number {
    return this.#offset;
  }

  async chunk(
    facts: Leaf & { flags: number; dataBytes: number; body: readonly Uint8Array[] },
  ): Promise<void> {
    const { disk, chunk, leaf, flags, dataBytes, body } = facts;
    await this.#append({ type: RECORD.chunk, flags, disk, chunk }, body);
    this.#fresh.push({ disk, chunk, leaf });
    this.#dataBytes += dataBytes;
  }

  get freshChunks(): number {
    return this.#fresh.length;
  }

  /** Everything until now is durable when this returns. */
  async index(next: { readonly disk: number; readonly chunk: number }): Promise<void> {
    const at = this.#offset;
    const { lastIndex } = this.#slot;
    const leaves = this.#fresh;
    const body = encodeIndex({ previous: lastIndex, dataBytes: this.#dataBytes, leaves });
    await this.#append({ type: RECORD.index, flags: 0, disk: 0, chunk: leaves.length }, [body]);
    await this.#medium.sync();
    await this.#writeSlot({ ...next, lastIndex: at, ended: false });
    for (const leaf of leaves) this.leaves.add(leaf);
    this.#fresh = [];
  }

  async end(end: End): Promise<void> {
    const { disk, chunk, lastIndex } = this.#slot;
    await this.#append({ type: RECORD.end, flags: 0, disk: 0, chunk: 0 }, [Buffer.from(JSON.stringify(end))]);
    await this.#medium.sync();
    await this.#writeSlot({ disk, chunk, lastIndex, ended: true });
    await this.#medium.sync();
  }

  close(): Promise<void> {
    return this.#medium.close();
  }

  async #append(
    head: Omit<RecordHead, 'sequence' | 'bodyBytes'>,
    body: readonly Uint8Array[],
  ): Promise<void> {
    const pieces = sealRecord(this.#keys, { ...head, sequence: this.#sequence }, body);
    const bytes = pieces.reduce((sum, piece) => sum + piece.byteLength, 0);
    const { kind, path } = this.#medium;
    if (kind === 'device' && this.#offset + bytes > (await this.#medium.sizeBytes())) {
      throw targetFull(path, undefined);
    }
    await this.#medium.write(pieces, this.#offset);
    this.#offset += bytes;
    this.#sequence++;
  }

  /** Made durable by the next sync: until then the other slot counts, or this one. */
  async #writeSlot(change: Pick<Slot, 'disk' | 'chunk' | 'lastIndex' | 'ended'>): Promise<void> {
    this.#slot = { ...change, offset: this.#offset, sequence: this.#sequence };
    this.#slots++;
    const which = this.#slots % SLOT_OFFSETS.length;
    await this.#medium.write(
      [slotBlock(this.#keys, which, this.#slots, this.#slot)],
      SLOT_OFFSETS[which] ?? 0,
    );
  }
}

interface NewSeed {
  readonly manifest: Manifest;
  readonly cost?: Head['cost'];
}

/** Goes on with what is there, or begins. Throws SEED_TARGET_IN_USE when something else is there. */
export async function openWriter(
  path: string,
  passphrase: Buffer,
  options: NewSeed & { readonly overwrite: boolean },
): Promise<SeedWriter> {
  const place = await placeOf(path);
  if (place === 'absent') {
    const { first } = await firstBytes(passphrase, options);
    await makeFile(path, first);
    return await goOn(await openMedium(path, 'write'), passphrase, false);
  }
  const medium = await openMedium(path, 'write');
  try {
    if (!options.overwrite && !(await isBlank(medium))) return await goOn(medium, passphrase, true);
    await begin(medium, passphrase, options);
    return await goOn(medium, passphrase, false);
  } catch (error) {
    await medium.close();
    throw isStandbyError(error) && error.code === 'SEED_ABSENT' ? targetInUse(path) : error;
  }
}

async function goOn(medium: Medium, passphrase: Buffer, isResumed: boolean): Promise<SeedWriter> {
  const seed = await openSeed(medium, passphrase);
  return new SeedWriter(seed, await readLeaves(seed, seed.slot.lastIndex), isResumed);
}

/** The head goes last, so that it never stands before what it promises; an old one goes first. */
async function begin(medium: Medium, passphrase: Buffer, options: NewSeed): Promise<void> {
  const { first } = await firstBytes(passphrase, options);
  const [head, ...rest] = first;
  if (!head) throw new RangeError('a seed has a head');
  await medium.write([Buffer.alloc(BLOCK_BYTES)], 0);
  await medium.sync();
  await medium.write(rest, BLOCK_BYTES);
  await medium.sync();
  await medium.write([head], 0);
  await medium.sync();
}

async function firstBytes(passphrase: Buffer, { manifest, cost }: NewSeed): Promise<{ first: Buffer[] }> {
  const { head, keys } = await newHead(passphrase, cost);
  const record = sealRecord(keys, { type: RECORD.manifest, flags: 0, disk: 0, chunk: 0, sequence: 0 }, [
    Buffer.from(JSON.stringify(manifest)),
  ]);
  const bytes = record.reduce((sum, piece) => sum + piece.byteLength, 0);
  const slot = { offset: RECORDS_OFFSET + bytes, sequence: 1, lastIndex: 0, disk: 0, chunk: 0, ended: false };
  const blocks = [slotBlock(keys, 0, 0, slot), Buffer.alloc(BLOCK_BYTES)];
  return { first: [encodeHead(head), ...blocks, ...record] };
}

function slotBlock(keys: Keys, which: number, count: number, slot: Slot): Buffer {
  const head = { type: RECORD.slot, flags: 0, disk: 0, chunk: which, sequence: count };
  const sealed = Buffer.concat(sealRecord(keys, head, [Buffer.from(JSON.stringify(slot))]));
  return Buffer.concat([sealed, Buffer.alloc(BLOCK_BYTES - sealed.length)]);
}

/** An empty file, or a device that begins with zeros as a new one does. */
async function isBlank(medium: Medium): Promise<boolean> {
  const start = Buffer.alloc(1024 * 1024);
  return isZero(start.subarray(0, await medium.read(start, 0)));
}
