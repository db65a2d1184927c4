import type { z } from 'zod';
import { StandbyError } from '../errors.ts';
import {
  BLOCK_BYTES,
  BODY_BYTES_MAX,
  decodeHead,
  decodeIndex,
  type End,
  endSchema,
  type Index,
  type Keys,
  keysOf,
  type Manifest,
  manifestSchema,
  openRecord,
  RECORD,
  RECORD_HEAD_BYTES,
  RECORDS_OFFSET,
  type RecordHead,
  readRecordHead,
  recordBytes,
  SLOT_OFFSETS,
  type Slot,
  slotSchema,
} from './format.ts';
import { LeafTable } from './leaf-table.ts';
import type { Medium } from './medium.ts';
import { damaged, keyWrong, notASeed, torn, versionUnknown } from './problems.ts';

/** What is known of a seed once it was opened with its key. */
export interface OpenSeed {
  readonly medium: Medium;
  readonly keys: Keys;
  readonly manifest: Manifest;
  readonly slot: Slot;
  /** How often a slot was written. */
  readonly slots: number;
}

export interface PlacedRecord {
  readonly head: RecordHead;
  readonly offset: number;
  readonly next: number;
  readonly body: Buffer;
}

/** Reads only. Throws SEED_ABSENT, SEED_VERSION, SEED_KEY_WRONG, SEED_DAMAGED or SEED_TORN. */
export async function openSeed(medium: Medium, passphrase: Buffer): Promise<OpenSeed> {
  const { path } = medium;
  const block = Buffer.alloc(BLOCK_BYTES);
  const found = decodeHead(block.subarray(0, await medium.read(block, 0)));
  if (found === 'none') throw notASeed(path);
  if (found === 'damaged') throw damaged(path, 'its head is not whole', 'Its checksum does not fit.');
  if ('version' in found) throw versionUnknown(path, found.version);
  const keys = await keysOf(passphrase, found.salt, found.cost);
  if (!keys.check.equals(found.keyCheck)) throw keyWrong(path);
  const slots = await Promise.all(SLOT_OFFSETS.map((_, index) => readSlot(medium, keys, index)));
  const newest = slots.flatMap((one) => (one ? [one] : [])).sort((a, b) => b.slots - a.slots)[0];
  if (!newest) throw damaged(path, 'neither of its two slots is whole', 'Both were spoiled.');
  const size = await medium.sizeBytes();
  if (size < newest.slot.offset) throw torn(path, size, newest.slot.offset);
  const first = await readRecord({ medium, keys }, { offset: RECORDS_OFFSET, sequence: 0 });
  const manifest = parse(medium, first, RECORD.manifest, manifestSchema);
  return { medium, keys, manifest, ...newest };
}

async function readSlot(
  medium: Medium,
  keys: Keys,
  index: number,
): Promise<{ slot: Slot; slots: number } | undefined> {
  const block = Buffer.alloc(BLOCK_BYTES);
  await medium.read(block, SLOT_OFFSETS[index] ?? 0);
  const head = readRecordHead(block);
  if (head?.type !== RECORD.slot || head.chunk !== index || recordBytes(head) > BLOCK_BYTES) return undefined;
  const body = openRecord(keys, block, head);
  return body
    ? { slot: slotSchema.parse(JSON.parse(body.toString('utf8'))), slots: head.sequence }
    : undefined;
}

/** One record whole: authenticated, and where it belongs. Throws SEED_DAMAGED. */
export async function readRecord(
  { medium, keys }: Pick<OpenSeed, 'medium' | 'keys'>,
  place: { readonly offset: number; readonly sequence?: number },
  room: Buffer = Buffer.allocUnsafe(RECORD_HEAD_BYTES + BODY_BYTES_MAX + 64),
): Promise<PlacedRecord> {
  const { offset, sequence } = place;
  const where = `at byte ${offset}`;
  const start = room.subarray(0, RECORD_HEAD_BYTES);
  const head = (await medium.read(start, offset)) === start.length ? readRecordHead(start) : undefined;
  if (!head || (sequence !== undefined && head.sequence !== sequence)) {
    throw damaged(medium.path, where, 'There is no record, or not the one that belongs there.');
  }
  const bytes = room.subarray(0, recordBytes(head));
  const rest = bytes.subarray(RECORD_HEAD_BYTES);
  if ((await medium.read(rest, offset + RECORD_HEAD_BYTES)) < rest.length) {
    throw damaged(medium.path, where, 'It ends within a record.');
  }
  const body = openRecord(keys, bytes, head);
  if (!body) throw damaged(medium.path, where, 'Its seal is broken: it was changed since it was written.');
  return { head, offset, next: offset + bytes.length, body };
}

export async function readEnd(seed: OpenSeed): Promise<End> {
  const { lastIndex } = seed.slot;
  const at =
    lastIndex === 0
      ? await readRecord(seed, { offset: RECORDS_OFFSET })
      : await readRecord(seed, { offset: lastIndex });
  const record = await readRecord(seed, { offset: at.next, sequence: at.head.sequence + 1 });
  return parseEnd(seed.medium, record);
}

export function parseEnd(medium: Medium, record: PlacedRecord): End {
  return parse(medium, record, RECORD.end, endSchema);
}

/** The leaves of all chunks up to an index, by the chain of indexes that ends there. */
export async function readLeaves(
  seed: OpenSeed,
  lastIndex: number,
): Promise<{ leaves: LeafTable; dataBytes: number }> {
  const leaves = await LeafTable.make(seed.manifest);
  let dataBytes = 0;
  for (let offset = lastIndex; offset !== 0; ) {
    const index = indexOf(seed.medium, await readRecord(seed, { offset }));
    if (offset === lastIndex) dataBytes = index.dataBytes;
    for (const leaf of index.leaves) {
      if (!leaves.add(leaf))
        throw damaged(seed.medium.path, `at byte ${offset}`, 'It names a chunk that no disk has.');
    }
    if (index.previous >= offset)
      throw damaged(seed.medium.path, `at byte ${offset}`, 'Its indexes lead nowhere.');
    offset = index.previous;
  }
  return { leaves, dataBytes };
}

export function indexOf(medium: Medium, record: PlacedRecord): Index {
  if (record.head.type === RECORD.index) return decodeIndex(record.body);
  throw damaged(medium.path, `at byte ${record.offset}`, 'There is no index where one belongs.');
}

function parse<Schema extends z.ZodType>(
  medium: Medium,
  record: PlacedRecord,
  type: number,
  schema: Schema,
): z.infer<Schema> {
  if (record.head.type !== type) {
    throw damaged(
      medium.path,
      `at byte ${record.offset}`,
      'There is another record than the one that belongs there.',
    );
  }
  const found = schema.safeParse(JSON.parse(record.body.toString('utf8')));
  if (found.success) return found.data;
  throw new StandbyError({
    code: 'SEED_VERSION',
    what: `The seed ${medium.path} holds what this version of Standby does not understand.`,
    why: found.error.message,
    kind: 'input',
  });
}
