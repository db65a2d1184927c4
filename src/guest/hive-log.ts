import { BASE_BYTES, isDirtyBase, isWholeBase, sealBase } from './hive-base.ts';
import { marvin32 } from './marvin32.ts';

/**
 * Brings a dirty hive to what Windows would see at its next start: applies the entries of its two logs in order, as
 * far as they are whole. Works on a copy; the hive given is not changed. Logs of the format before Windows 8.1 are not
 * replayed: the hive then stays dirty, with that reason.
 * Layout and rules: "Windows registry file format specification" by M. Suhanov.
 */
export interface RecoveredHive {
  readonly bytes: Buffer;
  readonly state: 'clean' | 'replayed' | 'dirty';
  /** Entries that were applied. */
  readonly entries: number;
  /** Why it is still dirty. */
  readonly why?: string;
}

interface HiveLog {
  readonly name: string;
  readonly bytes: Buffer;
}

const NEW_FORMAT = 6;
const BINS_AT = 4096;
const SEED = { low: 0x884def82, high: 0xc5554e7a };
const ENTRY_HEAD_BYTES = 40;
const BINS_BYTES_MAX = 512 * 1024 ** 2;

export function recoverHive(primary: Buffer, logs: readonly HiveLog[]): RecoveredHive {
  if (!isDirtyBase(primary)) return { bytes: primary, state: 'clean', entries: 0 };
  if (primary.length < BINS_AT) {
    return { bytes: primary, state: 'dirty', entries: 0, why: 'It is shorter than its base block.' };
  }
  const whole = logs.filter(({ bytes }) => isWholeBase(bytes));
  const fresh = whole
    .filter(({ bytes }) => bytes.readUInt32LE(28) === NEW_FORMAT)
    .sort((a, b) => firstSequence(a) - firstSequence(b));
  if (fresh.length === 0) {
    const why =
      whole.length > 0
        ? 'Its logs have the format before Windows 8.1, which is not replayed.'
        : logs.length > 0
          ? 'Neither of its logs has a whole base block.'
          : 'It has no logs.';
    return { bytes: primary, state: 'dirty', entries: 0, why };
  }
  const sound = isWholeBase(primary);
  // Without a base block of its own the hive takes that of the log with the latest entries, and only that log.
  const used = sound ? fresh : fresh.slice(-1);
  const bytes = Buffer.from(primary);
  if (!sound) restoreBase(bytes, used[0]?.bytes ?? primary);
  return replay(bytes, used, sound ? primary.readUInt32LE(8) : 0);
}

function firstSequence({ bytes }: HiveLog): number {
  return bytes.readUInt32LE(4);
}

function restoreBase(bytes: Buffer, log: Buffer): void {
  log.copy(bytes, 0, 0, BASE_BYTES);
  bytes.writeUInt32LE(0, 28);
}

function replay(start: Buffer, logs: readonly HiveLog[], leastSequence: number): RecoveredHive {
  let bytes = start;
  let last: number | undefined;
  let entries = 0;
  for (const log of logs) {
    let expected = last === undefined ? firstSequence(log) : last + 1;
    if (expected < leastSequence || firstSequence(log) !== expected) continue;
    for (const entry of entriesOf(log.bytes)) {
      if (entry.sequence !== expected) break;
      const grown = apply(bytes, entry);
      if (!grown) break;
      bytes = grown;
      last = expected;
      expected += 1;
      entries += 1;
    }
  }
  if (last === undefined) {
    return { bytes: start, state: 'dirty', entries: 0, why: 'Its logs hold no entry that continues it.' };
  }
  bytes.writeUInt32LE(last, 4);
  bytes.writeUInt32LE(last, 8);
  sealBase(bytes);
  return { bytes, state: 'replayed', entries };
}

interface LogEntry {
  readonly sequence: number;
  readonly flags: number;
  readonly binsBytes: number;
  readonly pages: readonly { readonly at: number; readonly bytes: Buffer }[];
}

/** Entries one behind the other, until the first that is not whole. */
function* entriesOf(log: Buffer): Generator<LogEntry> {
  let at = BASE_BYTES;
  while (at + ENTRY_HEAD_BYTES <= log.length && log.toString('latin1', at, at + 4) === 'HvLE') {
    const size = log.readUInt32LE(at + 4);
    if (size < BASE_BYTES || size % BASE_BYTES !== 0 || at + size > log.length) return;
    const entry = entryOf(log.subarray(at, at + size));
    if (!entry) return;
    yield entry;
    at += size;
  }
}

function entryOf(raw: Buffer): LogEntry | undefined {
  const binsBytes = raw.readUInt32LE(16);
  const count = raw.readUInt32LE(20);
  if (!isHash(raw, 24, raw.subarray(ENTRY_HEAD_BYTES)) || !isHash(raw, 32, raw.subarray(0, 32)))
    return undefined;
  if (binsBytes % 4096 !== 0 || binsBytes === 0 || binsBytes > BINS_BYTES_MAX) return undefined;
  let at = ENTRY_HEAD_BYTES + count * 8;
  if (at > raw.length) return undefined;
  const pages: { at: number; bytes: Buffer }[] = [];
  for (let index = 0; index < count; index++) {
    const offset = raw.readUInt32LE(ENTRY_HEAD_BYTES + index * 8);
    const bytes = raw.readUInt32LE(ENTRY_HEAD_BYTES + index * 8 + 4);
    if (at + bytes > raw.length || offset + bytes > binsBytes) return undefined;
    pages.push({ at: offset, bytes: raw.subarray(at, at + bytes) });
    at += bytes;
  }
  return { sequence: raw.readUInt32LE(12), flags: raw.readUInt32LE(8), binsBytes, pages };
}

function isHash(raw: Buffer, at: number, over: Buffer): boolean {
  const { low, high } = marvin32(SEED, over);
  return raw.readUInt32LE(at) === low && raw.readUInt32LE(at + 4) === high;
}

/** The hive with one entry applied, grown where the entry says so; undefined when the hive cannot be that long. */
function apply(hive: Buffer, { binsBytes, pages, flags }: LogEntry): Buffer | undefined {
  const length = BINS_AT + binsBytes;
  // A page is logged when it changes, so growth without pages for all of it would leave holes.
  const added = pages.filter((page) => BINS_AT + page.at + page.bytes.length > hive.length);
  const addedBytes = added.reduce((sum, page) => sum + page.bytes.length, 0);
  if (length > hive.length && addedBytes < length - hive.length) return undefined;
  const grown = length > hive.length ? Buffer.concat([hive, Buffer.alloc(length - hive.length)]) : hive;
  for (const { at, bytes } of pages) bytes.copy(grown, BINS_AT + at);
  grown.writeUInt32LE(binsBytes, 40);
  grown.writeUInt32LE((grown.readUInt32LE(144) & ~1) | (flags & 1), 144);
  return grown;
}
