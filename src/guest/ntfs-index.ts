import { number64 } from './ntfs-record.ts';
import { doubt } from './volume.ts';

/** The entries of one node of a folder's index. Nothing in it is trusted. */
export interface IndexEntry {
  readonly record: number;
  readonly sequence: number;
  /** Absent in the last entry of a node, which only leads to a child. */
  readonly name?: string;
  /** 8.3 names of files that have a longer one as well. */
  readonly isDosName: boolean;
  /** The number of the index block with the names before this one. */
  readonly child?: number;
}

const FLAG = { child: 1, last: 2 } as const;
const ENTRY_HEAD_BYTES = 16;
const NAME_AT = 0x42;
const DOS_NAMES = 2;

/** `header`: from the index header of a root or a block to the end of it. */
export function entriesOfNode(header: Buffer): IndexEntry[] {
  if (header.length < ENTRY_HEAD_BYTES) throw doubt('A folder of it is too short.');
  const [first, end] = [header.readUInt32LE(0), header.readUInt32LE(4)];
  if (end > header.length || first < ENTRY_HEAD_BYTES) throw doubt('A folder of it is longer than it is.');
  const entries: IndexEntry[] = [];
  for (let at = first; at + ENTRY_HEAD_BYTES <= end; ) {
    const length = header.readUInt16LE(at + 8);
    if (length < ENTRY_HEAD_BYTES || length % 8 !== 0 || at + length > end) break;
    const entry = header.subarray(at, at + length);
    entries.push(entryOf(entry));
    if (entry.readUInt16LE(12) & FLAG.last) return entries;
    at += length;
  }
  throw doubt('A folder of it cannot be read to its end.');
}

function entryOf(entry: Buffer): IndexEntry {
  const flags = entry.readUInt16LE(12);
  const childBytes = flags & FLAG.child ? 8 : 0;
  if (entry.length < ENTRY_HEAD_BYTES + childBytes) throw doubt('A folder of it has an entry too short.');
  const child = childBytes ? { child: number64(entry, entry.length - 8) } : {};
  const head = { record: entry.readUIntLE(0, 6), sequence: entry.readUInt16LE(6), ...child };
  if (flags & FLAG.last) return { ...head, isDosName: false };
  const key = entry.subarray(ENTRY_HEAD_BYTES, ENTRY_HEAD_BYTES + entry.readUInt16LE(10));
  const nameBytes = (key[0x40] ?? 0) * 2;
  if (key.length < NAME_AT + nameBytes) throw doubt('A folder of it has a name longer than its entry.');
  const name = key.toString('utf16le', NAME_AT, NAME_AT + nameBytes);
  return { ...head, name, isDosName: key[0x41] === DOS_NAMES };
}

/** Names in the order of an index: upper case by the volume's own table, unit by unit. */
export function compareNames(a: string, b: string, upcase: Uint16Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const [x, y] = [a.charCodeAt(at), b.charCodeAt(at)];
    const difference = (upcase[x] ?? x) - (upcase[y] ?? y);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
