import { crc32 } from 'node:zlib';
import type { BlockDevice } from '../../ports/block-device.ts';
import type { BytePatch } from '../hive-change.ts';

/**
 * What puts the backup of a GPT at the end of a disk that is larger than the one it was made for. Nothing is written
 * here. The order is that of the patches: the new backup is whole before the first header names it, so a disk with any
 * part of them has a sound table. A table with a wrong checksum is left as it is.
 * Source: UEFI specification 2.10, chapter 5.3.
 */
export type GptBackup =
  | { readonly state: 'none' | 'right' }
  | { readonly state: 'damaged'; readonly why: string }
  | {
      readonly state: 'misplaced';
      readonly fromSector: number;
      readonly toSector: number;
      readonly patches: BytePatch[];
    };

const SIGNATURE = 'EFI PART';
const HEADER_BYTES_MIN = 92;
const TABLE_BYTES_MAX = 4 * 1024 ** 2;
const PROTECTIVE_TYPE = 0xee;
const ENTRY_AT = 446;

/** Byte offsets in a header. */
const AT = {
  headerBytes: 12,
  checksum: 16,
  own: 24,
  other: 32,
  lastUsable: 48,
  entries: 72,
  count: 80,
  entryBytes: 84,
  entriesChecksum: 88,
};

export async function gptBackup(device: BlockDevice): Promise<GptBackup> {
  const first = Buffer.alloc(8192);
  if (device.sizeBytes < first.length) return { state: 'none' };
  await device.read(first, 0);
  const sectorBytes = [512, 4096].find((bytes) => first.toString('latin1', bytes, bytes + 8) === SIGNATURE);
  if (sectorBytes === undefined) return { state: 'none' };
  const header = Buffer.from(first.subarray(sectorBytes, 2 * sectorBytes));
  const entries = isSound(header) ? await readEntries(device, header, sectorBytes) : undefined;
  if (!entries) return { state: 'damaged', why: 'The checksum of its partition table is wrong.' };
  const sectors = Math.floor(device.sizeBytes / sectorBytes);
  const last = sectors - 1;
  const fromSector = Number(header.readBigUInt64LE(AT.other));
  if (fromSector === last) return { state: 'right' };
  const entrySectors = Math.ceil(entries.length / sectorBytes);
  const lastUsable = last - entrySectors - 1;
  if (fromSector > last || Number(header.readBigUInt64LE(AT.lastUsable)) > lastUsable)
    return { state: 'damaged', why: 'The disk is smaller than the one that its table was made for.' };
  if (endOfPartitions(header, entries) > lastUsable)
    return { state: 'damaged', why: 'A partition reaches into the end of the disk.' };
  header.writeBigUInt64LE(BigInt(last), AT.other);
  header.writeBigUInt64LE(BigInt(lastUsable), AT.lastUsable);
  sealHeader(header);
  const backup = Buffer.from(header);
  backup.writeBigUInt64LE(BigInt(last), AT.own);
  backup.writeBigUInt64LE(header.readBigUInt64LE(AT.own), AT.other);
  backup.writeBigUInt64LE(BigInt(lastUsable + 1), AT.entries);
  sealHeader(backup);
  const patches = [
    { atBytes: (lastUsable + 1) * sectorBytes, bytes: entries },
    { atBytes: last * sectorBytes, bytes: backup },
    { atBytes: sectorBytes, bytes: header },
    ...protectivePatch(first, sectors),
  ];
  return { state: 'misplaced', fromSector, toSector: last, patches };
}

function isSound(header: Buffer): boolean {
  const bytes = header.readUInt32LE(AT.headerBytes);
  if (bytes < HEADER_BYTES_MIN || bytes > header.length) return false;
  return (
    header.readUInt32LE(AT.checksum) === checksumOf(header) && Number(header.readBigUInt64LE(AT.own)) === 1
  );
}

function checksumOf(header: Buffer): number {
  const copy = Buffer.from(header.subarray(0, header.readUInt32LE(AT.headerBytes)));
  copy.writeUInt32LE(0, AT.checksum);
  return crc32(copy);
}

function sealHeader(header: Buffer): void {
  header.writeUInt32LE(checksumOf(header), AT.checksum);
}

/** Undefined when they are not what the header says. */
async function readEntries(
  device: BlockDevice,
  header: Buffer,
  sectorBytes: number,
): Promise<Buffer | undefined> {
  const bytes = header.readUInt32LE(AT.count) * header.readUInt32LE(AT.entryBytes);
  const at = Number(header.readBigUInt64LE(AT.entries)) * sectorBytes;
  if (header.readUInt32LE(AT.entryBytes) < 128 || bytes > TABLE_BYTES_MAX) return undefined;
  if (at + bytes > device.sizeBytes) return undefined;
  const entries = Buffer.alloc(bytes);
  await device.read(entries, at);
  return crc32(entries) === header.readUInt32LE(AT.entriesChecksum) ? entries : undefined;
}

function endOfPartitions(header: Buffer, entries: Buffer): number {
  const entryBytes = header.readUInt32LE(AT.entryBytes);
  let end = 0;
  for (let at = 0; at + entryBytes <= entries.length; at += entryBytes) {
    const isUsed = entries.subarray(at, at + 16).some((byte) => byte !== 0);
    if (isUsed) end = Math.max(end, Number(entries.readBigUInt64LE(at + 40)));
  }
  return end;
}

/** The MBR that guards a GPT covers all of the disk; one with other partitions besides is left alone. */
function protectivePatch(first: Buffer, sectors: number): BytePatch[] {
  const entry = Buffer.from(first.subarray(ENTRY_AT, ENTRY_AT + 16));
  const covered = Math.min(sectors - 1, 0xffffffff);
  const others = first.subarray(ENTRY_AT + 16, ENTRY_AT + 64);
  const isOurs =
    entry[4] === PROTECTIVE_TYPE && entry.readUInt32LE(8) === 1 && others.every((byte) => byte === 0);
  if (!isOurs || entry.readUInt32LE(12) === covered) return [];
  entry.writeUInt32LE(covered, 12);
  return [{ atBytes: ENTRY_AT, bytes: entry }];
}
