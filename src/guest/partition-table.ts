import { StandbyError } from '../errors.ts';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * Reads MBR and GPT partition tables without mounting anything. Read-only, bounded memory.
 * Sources: UEFI specification 2.10 chapter 5 (GPT, protective MBR); the MBR layout as every PC firmware reads it.
 */
export interface Partition {
  /** 1-based, as the table numbers it. */
  readonly number: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  /** GPT: lower-case type GUID; MBR: two hex digits. */
  readonly type: string;
  readonly active: boolean;
  readonly label?: string;
}

export interface PartitionTable {
  readonly kind: 'gpt' | 'mbr' | 'none';
  readonly sectorBytes: number;
  readonly partitions: readonly Partition[];
  /** Where the table itself lies, its chain of small tables and its backup included. */
  readonly ownRanges: readonly { readonly offsetBytes: number; readonly sizeBytes: number }[];
}

const GPT_SIGNATURE = 'EFI PART';
const GPT_ENTRIES_MAX = 1024;
const EXTENDED_TYPES = new Set([0x05, 0x0f, 0x85]);
const LOGICAL_PARTITIONS_MAX = 128;

const NO_TABLE: PartitionTable = { kind: 'none', sectorBytes: 512, partitions: [], ownRanges: [] };

/** What the reader of one kind of table finds. */
type Found = Pick<PartitionTable, 'partitions' | 'ownRanges'>;

export async function readPartitionTable(device: BlockDevice): Promise<PartitionTable> {
  const first = Buffer.alloc(8192);
  if (device.sizeBytes < first.length) return NO_TABLE;
  await device.read(first, 0);
  for (const sectorBytes of [512, 4096]) {
    if (first.toString('latin1', sectorBytes, sectorBytes + 8) === GPT_SIGNATURE) {
      return { kind: 'gpt', sectorBytes, ...(await readGpt(device, first, sectorBytes)) };
    }
  }
  if (first.readUInt16LE(510) !== 0xaa55 || !hasMbrEntries(first)) return NO_TABLE;
  return { kind: 'mbr', sectorBytes: 512, ...(await readMbr(device, first)) };
}

/** A file system written to the whole disk also ends its first sector in 55 AA; its "table" then makes no sense. */
function hasMbrEntries(sector: Buffer): boolean {
  let used = 0;
  for (let index = 0; index < 4; index++) {
    const at = 446 + index * 16;
    const flag = sector[at];
    if (flag !== 0 && flag !== 0x80) return false;
    if (sector[at + 4] !== 0) used++;
  }
  return used > 0;
}

async function readGpt(device: BlockDevice, first: Buffer, sectorBytes: number): Promise<Found> {
  const header = first.subarray(sectorBytes);
  const entriesAt = Number(header.readBigUInt64LE(72)) * sectorBytes;
  const count = header.readUInt32LE(80);
  const entryBytes = header.readUInt32LE(84);
  if (
    count > GPT_ENTRIES_MAX ||
    entryBytes < 128 ||
    entryBytes > 4096 ||
    entriesAt + count * entryBytes > device.sizeBytes
  ) {
    throw new StandbyError({
      code: 'PARTITION_TABLE_DAMAGED',
      what: `The GPT of ${device.path} cannot be read.`,
      why: `Its header names ${count} entries of ${entryBytes} bytes at byte ${entriesAt}.`,
      next: 'Check the disk with `sgdisk --verify`.',
    });
  }
  const table = Buffer.alloc(count * entryBytes);
  await device.read(table, entriesAt);
  const partitions: Partition[] = [];
  for (let index = 0; index < count; index++) {
    const entry = table.subarray(index * entryBytes, (index + 1) * entryBytes);
    const type = guid(entry, 0);
    if (type === '00000000-0000-0000-0000-000000000000') continue;
    const from = Number(entry.readBigUInt64LE(32));
    const to = Number(entry.readBigUInt64LE(40));
    const label = entry.toString('utf16le', 56, 128).replace(/\0.*$/s, '');
    partitions.push({
      number: index + 1,
      offsetBytes: from * sectorBytes,
      sizeBytes: (to - from + 1) * sectorBytes,
      type,
      active: false,
      ...(label ? { label } : {}),
    });
  }
  const backupAt = Number(header.readBigUInt64LE(32)) * sectorBytes;
  const backupEntriesAt = backupAt - Math.ceil(table.length / sectorBytes) * sectorBytes;
  const ownRanges = [
    { offsetBytes: 0, sizeBytes: Math.max(2 * sectorBytes, entriesAt + table.length) },
    { offsetBytes: backupEntriesAt, sizeBytes: backupAt + sectorBytes - backupEntriesAt },
  ];
  return { partitions, ownRanges };
}

async function readMbr(device: BlockDevice, first: Buffer): Promise<Found> {
  const partitions: Partition[] = [];
  const ownRanges = [{ offsetBytes: 0, sizeBytes: 512 }];
  for (let index = 0; index < 4; index++) {
    const entry = mbrEntry(first, index);
    if (entry.type === 0) continue;
    if (EXTENDED_TYPES.has(entry.type)) {
      const logical = await readLogical(device, entry.firstSector * 512);
      partitions.push(...logical.partitions);
      ownRanges.push(...logical.ownRanges);
    } else {
      partitions.push(mbrPartition(index + 1, entry.firstSector * 512, entry));
    }
  }
  return { partitions, ownRanges };
}

/** Logical partitions are a chain of small tables; the chain is bounded because a damaged one may loop. */
async function readLogical(device: BlockDevice, extendedAt: number) {
  const partitions: Partition[] = [];
  const ownRanges: { offsetBytes: number; sizeBytes: number }[] = [];
  const sector = Buffer.alloc(512);
  let tableAt = extendedAt;
  for (let number = 5; number < 5 + LOGICAL_PARTITIONS_MAX; number++) {
    if (tableAt + 512 > device.sizeBytes) break;
    await device.read(sector, tableAt);
    ownRanges.push({ offsetBytes: tableAt, sizeBytes: 512 });
    if (sector.readUInt16LE(510) !== 0xaa55) break;
    const entry = mbrEntry(sector, 0);
    if (entry.type !== 0) partitions.push(mbrPartition(number, tableAt + entry.firstSector * 512, entry));
    const next = mbrEntry(sector, 1);
    if (next.type === 0) break;
    tableAt = extendedAt + next.firstSector * 512;
  }
  return { partitions, ownRanges };
}

interface MbrEntry {
  readonly type: number;
  readonly active: boolean;
  readonly firstSector: number;
  readonly sectors: number;
}

function mbrEntry(sector: Buffer, index: number): MbrEntry {
  const at = 446 + index * 16;
  return {
    active: sector[at] === 0x80,
    type: sector.readUInt8(at + 4),
    firstSector: sector.readUInt32LE(at + 8),
    sectors: sector.readUInt32LE(at + 12),
  };
}

function mbrPartition(number: number, offsetBytes: number, entry: MbrEntry): Partition {
  const type = entry.type.toString(16).padStart(2, '0');
  return { number, offsetBytes, sizeBytes: entry.sectors * 512, type, active: entry.active };
}

/** GUIDs are stored with their first three fields in little-endian order. */
function guid(bytes: Buffer, at: number): string {
  const hex = (from: number, to: number) => bytes.toString('hex', at + from, at + to);
  const swapped = (from: number, to: number) =>
    Buffer.from(bytes.subarray(at + from, at + to))
      .reverse()
      .toString('hex');
  return [swapped(0, 4), swapped(4, 6), swapped(6, 8), hex(8, 10), hex(10, 16)].join('-');
}
