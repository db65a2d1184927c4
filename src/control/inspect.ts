import { open, rename, rm, stat } from 'node:fs/promises';
import { openDevice } from '../block/open-device.ts';
import { inputError } from '../errors.ts';
import { type DiskMap, type MappedVolume, mapDisk } from '../guest/disk-map.ts';
import { MAP_BLOCK_BYTES } from '../guest/used-map.ts';
import type { Firmware } from '../model/disk.ts';

/**
 * Looks at an image or a block device by itself: no scenario, no store, no home folder. It only reads the disk.
 * The map appears under its name when it is complete; a killed inspection leaves `<map>.part` at most.
 */
export interface InspectOptions {
  readonly disk: string;
  /** Where to write the map of used blocks; must not exist. */
  readonly mapFile?: string;
  readonly signal?: AbortSignal;
}

export interface Inspection {
  readonly disk: string;
  readonly kind: 'file' | 'device';
  readonly sizeBytes: number;
  readonly partitionTable: 'gpt' | 'mbr' | 'none';
  readonly firmware: Firmware;
  readonly logicalSectorBytes: number;
  /** By the kinds of its file systems alone; absent when they do not agree. */
  readonly osHint?: 'linux' | 'windows';
  /** What a copy has to carry at most: used blocks, and everything that cannot be judged. */
  readonly usedBytes: number;
  readonly volumes: readonly MappedVolume[];
  readonly map?: { readonly file: string; readonly blockBytes: number; readonly blocks: number };
}

export async function inspectDisk({ disk, mapFile, signal }: InspectOptions): Promise<Inspection> {
  if (mapFile !== undefined) await assertNew(mapFile);
  const device = await openDevice(disk, { mode: 'read' });
  try {
    const map = await mapDisk(device, 'disk0', signal);
    if (mapFile !== undefined) await writeWhole(mapFile, map.used.bits);
    const { partitionTable, firmware, logicalSectorBytes } = map.layout;
    const osHint = osHintOf(map);
    return {
      disk,
      kind: device.kind,
      sizeBytes: device.sizeBytes,
      partitionTable,
      firmware,
      logicalSectorBytes,
      ...(osHint ? { osHint } : {}),
      usedBytes: map.used.usedBytes(),
      volumes: map.volumes,
      ...(mapFile === undefined
        ? {}
        : { map: { file: mapFile, blockBytes: MAP_BLOCK_BYTES, blocks: map.used.blocks } }),
    };
  } finally {
    await device.close();
  }
}

function osHintOf({ volumes }: DiskMap): 'linux' | 'windows' | undefined {
  const kinds = new Set(volumes.map(({ fileSystem }) => fileSystem));
  const linux = (['ext2', 'ext3', 'ext4', 'xfs', 'swap'] as const).some((kind) => kinds.has(kind));
  if (linux === kinds.has('ntfs')) return undefined;
  return linux ? 'linux' : 'windows';
}

async function assertNew(file: string): Promise<void> {
  try {
    await stat(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  throw exists(file);
}

function exists(file: string) {
  return inputError(
    'MAP_FILE_EXISTS',
    `${file} exists already.`,
    'Name a new file for the map, or remove this one.',
  );
}

async function writeWhole(file: string, bytes: Uint8Array): Promise<void> {
  const part = `${file}.part`;
  const handle = await openMap(part);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  await rename(part, file);
}

async function openMap(part: string) {
  try {
    return await open(part, 'wx');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') throw exists(part);
    if (code !== 'ENOENT' && code !== 'EACCES' && code !== 'ENOTDIR' && code !== 'EROFS') throw error;
    throw inputError(
      'MAP_FILE_UNWRITABLE',
      `${part} cannot be written (${code}).`,
      'Name a file in a folder of yours.',
    );
  }
}
