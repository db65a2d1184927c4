import type { FileFolder, StoredFile } from '../block/files.ts';
import {
  decodeRecord,
  decodeSegmentHeader,
  RECORD_DATA_BYTES_MAX,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  type SpoolRecord,
} from './spool-format.ts';

/** A file of the ring while it holds records. */
export interface Segment {
  readonly slot: Slot;
  readonly header: SegmentHeader;
  /** Where the next record goes. */
  endBytes: number;
  /** Up to here it can be read: written and synced. */
  durableBytes: number;
  lastSequence: number;
  /** The newest that is no mark, or 0. */
  lastChange: number;
}

/** A file of the ring: allocated once, used again and again. */
export interface Slot {
  readonly name: string;
  readonly file: StoredFile;
}

const ZEROS = Buffer.alloc(1024 * 1024);
const NAME = /^\d{4}\.spool$/;
/** The spool never fills the disk it lies on. */
const LEFT_FREE_BYTES = 256 * 1024 * 1024;
const READ_BYTES = 1024 * 1024 + 64 * 1024;

function slotName(index: number): string {
  return `${String(index).padStart(4, '0')}.spool`;
}

/** What is on its way into one file. */
export interface Run {
  readonly file: StoredFile;
  readonly atBytes: number;
  readonly pieces: Uint8Array[];
  bytes: number;
  /** Durable before anything else is written there: until then the file's old header could vouch for new records. */
  readonly isHeader: boolean;
}

/** How far it was read. */
export interface Cursor {
  segment: Segment | undefined;
  readonly atBytes: number;
  readonly sequence: number;
}

/**
 * A new file of zeros, whole and durable, so that a later sync has no file to grow; the first free name that is not in
 * `taken`. Throws, and leaves nothing behind, when there is no space for it.
 */
export async function makeSlot(folder: FileFolder, taken: Set<string>, sizeBytes: number): Promise<Slot> {
  const freeBytes = await folder.freeBytes?.();
  if (freeBytes !== undefined && freeBytes < sizeBytes + LEFT_FREE_BYTES)
    throw new Error('the rest of its disk is left to others');
  let index = 0;
  while (taken.has(slotName(index))) index++;
  const name = slotName(index);
  taken.add(name);
  const file = await folder.open(name, 'make');
  if (!file) throw new RangeError(`${name} cannot be made`);
  try {
    for (let at = 0; at < sizeBytes; at += ZEROS.length) {
      await file.write([ZEROS.subarray(0, Math.min(ZEROS.length, sizeBytes - at))], at);
    }
    await file.sync();
    await folder.sync();
  } catch (error) {
    await file.close();
    await folder.remove(name);
    throw error;
  }
  return { name, file };
}

export interface FoundSegments {
  readonly used: Segment[];
  readonly free: Slot[];
  readonly lastSequence: number;
  readonly openSet: number;
  /** The newest sequence any header speaks of, though its records may be gone. */
  readonly mentionedSequence: number;
  readonly forgottenSequence: number;
  readonly newestNumber: number;
  readonly segmentBytes: number | undefined;
}

/** What a spool's folder holds: the longest unbroken run of records that leads up to the end. Changes nothing. */
export async function findSegments(folder: FileFolder): Promise<FoundSegments> {
  const slots: { slot: Slot; header: SegmentHeader | undefined }[] = [];
  for (const name of (await folder.list()).filter((each) => NAME.test(each))) {
    const file = await folder.open(name, 'existing');
    if (!file) continue;
    const page = Buffer.alloc(SEGMENT_HEADER_BYTES);
    const bytes = await file.read(page, 0);
    slots.push({ slot: { name, file }, header: decodeSegmentHeader(page.subarray(0, bytes)) });
  }
  const chain = chainOf(slots);
  const used: Segment[] = [];
  let lastSequence = 0;
  let openSet = 0;
  for (const { slot, header } of chain) {
    if (used.length === 0) {
      lastSequence = header.firstSequence - 1;
      openSet = header.openSet;
    } else if (header.previousSequence !== lastSequence) break;
    const scanned = await scan(slot, header, openSet);
    lastSequence = scanned.segment.lastSequence;
    openSet = scanned.openSet;
    used.push(scanned.segment);
  }
  const kept = new Set(used.map(({ slot }) => slot));
  // One that was needed when the newest began is not there: what was in it is as good as forgotten.
  const [first] = chain;
  const isCut = first !== undefined && first.header.previousNumber >= (chain.at(-1)?.header.oldest ?? 0);
  const lostSequence = isCut && first.header.previousNumber > 0 ? first.header.previousSequence : 0;
  return {
    used,
    free: slots.filter(({ slot }) => !kept.has(slot)).map(({ slot }) => slot),
    lastSequence,
    openSet,
    mentionedSequence: Math.max(0, ...slots.map(({ header }) => (header?.firstSequence ?? 1) - 1)),
    forgottenSequence: Math.max(lostSequence, ...slots.map(({ header }) => header?.forgottenSequence ?? 0)),
    newestNumber: Math.max(0, ...slots.map(({ header }) => header?.number ?? 0)),
    segmentBytes: chain[0]?.header.segmentBytes,
  };
}

/** From the newest segment back to the oldest that was needed when it began. */
function chainOf(slots: readonly { slot: Slot; header: SegmentHeader | undefined }[]) {
  const known = slots.flatMap(({ slot, header }) => (header ? [{ slot, header }] : []));
  const chain: typeof known = [];
  const newest = Math.max(0, ...known.map(({ header }) => header.number));
  let next = known.find(({ header }) => header.number === newest);
  const oldest = next?.header.oldest ?? 0;
  while (next) {
    chain.unshift(next);
    const { previousNumber } = next.header;
    next = previousNumber < oldest ? undefined : known.find(({ header }) => header.number === previousNumber);
  }
  return chain;
}

async function scan(slot: Slot, header: SegmentHeader, openSet: number) {
  const segment: Segment = {
    slot,
    header,
    endBytes: SEGMENT_HEADER_BYTES,
    durableBytes: SEGMENT_HEADER_BYTES,
    lastSequence: header.firstSequence - 1,
    lastChange: 0,
  };
  let set = openSet;
  for (;;) {
    const records = await readRecords(segment, segment.endBytes, header.segmentBytes, segment.lastSequence);
    if (records.length === 0) return { segment, openSet: set };
    for (const record of records) {
      if (record.kind === 'set-begin') set = record.set;
      if (record.kind === 'set-end') set = 0;
      segment.lastSequence = record.sequence;
      if (record.kind === 'data' || record.kind === 'zero') segment.lastChange = record.sequence;
      segment.endBytes += record.storedBytes;
    }
    segment.durableBytes = segment.endBytes;
  }
}

/** Whole records from `fromBytes` on, about 1 MiB of them; none when what lies there is not the record after `sequence`. */
export async function readRecords(
  segment: Segment,
  fromBytes: number,
  endBytes: number,
  sequence: number,
): Promise<SpoolRecord[]> {
  let wantedBytes = Math.min(READ_BYTES, endBytes - fromBytes);
  for (;;) {
    if (wantedBytes < RECORD_HEADER_BYTES) return [];
    const bytes = Buffer.allocUnsafeSlow(wantedBytes);
    const count = await segment.slot.file.read(bytes, fromBytes);
    const { records, needBytes } = parse(bytes.subarray(0, count), segment.header.salt, sequence);
    if (records.length > 0 || needBytes <= wantedBytes || count < wantedBytes) return records;
    if (needBytes > RECORD_HEADER_BYTES + RECORD_DATA_BYTES_MAX || fromBytes + needBytes > endBytes)
      return [];
    wantedBytes = needBytes;
  }
}

function parse(bytes: Buffer, salt: number, sequence: number) {
  const records: SpoolRecord[] = [];
  let expected = sequence + 1;
  let at = 0;
  for (;;) {
    const record = decodeRecord(bytes, at, salt);
    if (record === undefined) return { records, needBytes: 0 };
    if ('short' in record) return { records, needBytes: record.needBytes };
    if (record.sequence !== expected) return { records, needBytes: 0 };
    records.push(record);
    expected++;
    at += record.storedBytes;
  }
}
