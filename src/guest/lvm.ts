import { crc32 } from 'node:zlib';
import type { BlockDevice } from '../ports/block-device.ts';
import { readOnly } from './limited-device.ts';
import { type LvmSection, type LvmValue, numberIn, parseLvmText, sectionIn } from './lvm-text.ts';
import { doubt, type VolumeBytes } from './volume.ts';

/**
 * Logical volumes of an LVM2 group that lie, linearly, on this one physical volume. Read-only. Striped, mirrored, thin
 * and cached ones, snapshots, and those that reach onto other disks are named with the reason why they are not read.
 * Layout: lvm2 sources, lib/format_text/layout.h and lib/label.
 */
export interface LogicalVolume {
  /** `group/volume`. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly device?: BlockDevice;
  /** Absent exactly where there is a device. */
  readonly unreadable?: string;
}

interface Piece {
  readonly start: number;
  readonly bytes: number;
  readonly at: number;
}

const SECTOR_BYTES = 512;
const LABEL_SECTORS = 4;
const METADATA_HEAD_BYTES = 512;
const METADATA_MAGIC = ' LVM2 x[5A%r0N*>';
const METADATA_BYTES_MAX = 4 * 1024 ** 2;
const AREAS_MAX = 16;
/** LVM's checksum is that of zlib with another beginning and no end. */
const CHECKSUM_SEED = 0xf597a6cf;
const SEGMENTS_MAX = 100_000;

export async function readLvm(volume: VolumeBytes, device: BlockDevice): Promise<LogicalVolume[]> {
  const { physicalVolume, areas } = await readLabel(volume);
  const metadata = parseLvmText(await readMetadata(volume, areas));
  const [groupName, group] = groupIn(metadata);
  const extentBytes = numberIn(group, 'extent_size') * SECTOR_BYTES;
  const [name, own] = physicalVolumeIn(group, physicalVolume);
  const firstExtentAt = volume.offsetBytes + numberIn(own, 'pe_start') * SECTOR_BYTES;
  const place = { name, firstExtentAt, extentBytes, endAt: volume.offsetBytes + volume.sizeBytes };
  const volumes = group.logical_volumes === undefined ? {} : sectionIn(group, 'logical_volumes');
  return Object.keys(volumes).map((each) => {
    const full = `${groupName}/${each}`;
    const { pieces, sizeBytes, unreadable } = piecesOf(sectionIn(volumes, each), place);
    if (unreadable) return { name: full, sizeBytes, unreadable };
    return { name: full, sizeBytes, device: new LinearDevice(device, full, sizeBytes, pieces) };
  });
}

async function readLabel(volume: VolumeBytes) {
  const head = await volume.read(0, LABEL_SECTORS * SECTOR_BYTES);
  for (let sector = 0; sector < LABEL_SECTORS; sector++) {
    const label = head.subarray(sector * SECTOR_BYTES, (sector + 1) * SECTOR_BYTES);
    if (label.toString('latin1', 0, 8) !== 'LABELONE' || label.toString('latin1', 24, 32) !== 'LVM2 001')
      continue;
    if (label.readUInt32LE(16) !== checksum(label.subarray(20)))
      throw doubt('The checksum of its LVM label is wrong.');
    const at = label.readUInt32LE(20);
    if (at < 32 || at + 40 > SECTOR_BYTES) throw doubt('Its LVM label cannot be read.');
    const physicalVolume = label.toString('latin1', at, at + 32);
    const lists = locationsIn(label.subarray(at + 40));
    return { physicalVolume, areas: lists[1] ?? [] };
  }
  throw doubt('It has no LVM label.');
}

/** Two lists of places, each ended by an empty one: of data, then of metadata. */
function locationsIn(raw: Buffer): { at: number; bytes: number }[][] {
  const lists: { at: number; bytes: number }[][] = [[]];
  for (let at = 0; at + 16 <= raw.length && lists.length < 3; at += 16) {
    const place = { at: long(raw, at), bytes: long(raw, at + 8) };
    if (place.at === 0) lists.push([]);
    else lists.at(-1)?.push(place);
  }
  return lists;
}

async function readMetadata(
  volume: VolumeBytes,
  areas: readonly { at: number; bytes: number }[],
): Promise<string> {
  for (const { at } of areas.slice(0, AREAS_MAX)) {
    const head = await volume.read(at, METADATA_HEAD_BYTES);
    if (head.toString('latin1', 4, 20) !== METADATA_MAGIC) continue;
    if (head.readUInt32LE(0) !== checksum(head.subarray(4)))
      throw doubt('The checksum of its LVM metadata is wrong.');
    const [start, size] = [long(head, 24), long(head, 32)];
    const [offset, bytes, sum] = [long(head, 40), long(head, 48), head.readUInt32LE(56)];
    if (offset === 0) continue;
    if (bytes > METADATA_BYTES_MAX || offset < METADATA_HEAD_BYTES || offset >= size || bytes >= size) {
      throw doubt('Its LVM metadata has an impossible place.');
    }
    // The text goes round in its area, which begins behind the header.
    const tail = Math.min(bytes, size - offset);
    const text = Buffer.concat([
      await volume.read(start + offset, tail),
      await volume.read(start + METADATA_HEAD_BYTES, bytes - tail),
    ]);
    if (checksum(text) !== sum) throw doubt('The checksum of its LVM metadata is wrong.');
    return text.toString('utf8').replace(/\0+$/, '');
  }
  throw doubt('It has no LVM metadata.');
}

function groupIn(metadata: LvmSection): [string, LvmSection] {
  for (const [name, value] of Object.entries(metadata)) {
    if (isSection(value) && value.physical_volumes !== undefined) return [name, value];
  }
  throw doubt('Its LVM metadata has no volume group.');
}

function physicalVolumeIn(group: LvmSection, id: string): [string, LvmSection] {
  const all = sectionIn(group, 'physical_volumes');
  for (const name of Object.keys(all)) {
    const one = sectionIn(all, name);
    if (String(one.id).replaceAll('-', '') === id) return [name, one];
  }
  throw doubt('Its LVM metadata does not know this physical volume.');
}

interface ExtentPlace {
  readonly name: string;
  readonly firstExtentAt: number;
  readonly extentBytes: number;
  readonly endAt: number;
}

function piecesOf(volume: LvmSection, { name, firstExtentAt, extentBytes, endAt }: ExtentPlace) {
  const count = numberIn(volume, 'segment_count');
  if (count > SEGMENTS_MAX) throw doubt('A logical volume has too many segments.');
  const pieces: Piece[] = [];
  let sizeBytes = 0;
  let unreadable: string | undefined;
  for (let index = 1; index <= count; index++) {
    const segment = sectionIn(volume, `segment${index}`);
    const bytes = numberIn(segment, 'extent_count') * extentBytes;
    const start = numberIn(segment, 'start_extent') * extentBytes;
    sizeBytes = Math.max(sizeBytes, start + bytes);
    const stripes = segment.stripes;
    if (segment.type !== 'striped' || numberIn(segment, 'stripe_count') !== 1 || !Array.isArray(stripes)) {
      unreadable = `It is not linear (${String(segment.type)}).`;
    } else if (stripes[0] !== name) {
      unreadable = 'A part of it lies on another disk.';
    } else {
      const at = firstExtentAt + Number(stripes[1]) * extentBytes;
      if (!Number.isSafeInteger(at) || at < firstExtentAt || at + bytes > endAt) {
        throw doubt('A logical volume lies outside of its physical one.');
      }
      pieces.push({ start, bytes, at });
    }
  }
  return { pieces, sizeBytes, unreadable };
}

/** A logical volume as a disk of its own, for reading. */
class LinearDevice implements BlockDevice {
  readonly path: string;
  readonly sizeBytes: number;
  readonly kind = 'device';
  readonly #device: BlockDevice;
  readonly #pieces: readonly Piece[];

  constructor(device: BlockDevice, path: string, sizeBytes: number, pieces: readonly Piece[]) {
    this.path = path;
    this.sizeBytes = sizeBytes;
    this.#device = device;
    this.#pieces = pieces;
  }

  async read(target: Uint8Array, offsetBytes: number): Promise<void> {
    let done = 0;
    while (done < target.length) {
      const at = offsetBytes + done;
      const piece = this.#pieces.find(({ start, bytes }) => at >= start && at < start + bytes);
      if (!piece) throw doubt('A logical volume has a gap.');
      const within = at - piece.start;
      const bytes = Math.min(target.length - done, piece.bytes - within);
      await this.#device.read(target.subarray(done, done + bytes), piece.at + within);
      done += bytes;
    }
  }

  write(): Promise<void> {
    return Promise.reject(readOnly(this.path));
  }

  sync(): Promise<void> {
    return Promise.reject(readOnly(this.path));
  }

  identity(): Promise<string> {
    return this.#device.identity();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

function isSection(value: LvmValue): value is LvmSection {
  return typeof value === 'object' && !Array.isArray(value);
}

export function checksum(bytes: Uint8Array): number {
  return ~crc32(bytes, ~CHECKSUM_SEED >>> 0) >>> 0;
}

function long(raw: Buffer, at: number): number {
  return raw.readUInt32LE(at) + raw.readUInt32LE(at + 4) * 2 ** 32;
}
