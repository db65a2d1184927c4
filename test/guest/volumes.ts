import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MAP_BLOCK_BYTES, UsedMap } from '../../src/guest/used-map.ts';
import { isDoubt, VolumeBytes } from '../../src/guest/volume.ts';
import type { BlockDevice } from '../../src/ports/block-device.ts';

/** Volumes made by the tools of their file systems, filled at random from a seed, and what those tools call free. */
export const MIB = 1024 ** 2;

const ENVIRONMENT = { PATH: '/usr/sbin:/sbin:/usr/bin:/bin', LC_ALL: 'C' };

/** For a tool whose exit code is the answer. */
export function attempt(
  tool: string,
  ...args: string[]
): { readonly status: number | null; readonly out: string } {
  const { status, stdout } = spawnSync(tool, args, { encoding: 'utf8', env: ENVIRONMENT });
  return { status, out: stdout };
}

export function run(tool: string, ...args: string[]): string {
  return execFileSync(tool, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 256 * MIB,
    env: ENVIRONMENT,
  });
}

/** The same numbers for the same seed (mulberry32). */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export interface Tree {
  readonly folder: string;
  readonly names: readonly string[];
}

/** Files of random lengths in some folders, `bytes` altogether at most. */
export function randomTree(folder: string, bytes: number, random: (below: number) => number): Tree {
  const names: string[] = [];
  for (let left = bytes, index = 0; left > 0 && index < 400; index++) {
    const kind = random(10);
    const length = Math.min(left, kind < 6 ? random(9_000) : kind < 9 ? random(200_000) : random(3 * MIB));
    const name = `d${random(5)}/f${index}`;
    mkdirSync(join(folder, name, '..'), { recursive: true });
    writeFileSync(join(folder, name), Buffer.alloc(length, 1 + (index % 250)));
    names.push(name);
    left -= length + 4096;
  }
  return { folder, names };
}

export function emptyFile(path: string, sizeBytes: number): string {
  writeFileSync(path, '');
  truncateSync(path, sizeBytes);
  return path;
}

export function deviceOf(bytes: Buffer, path = 'a volume in memory'): BlockDevice {
  return {
    path,
    sizeBytes: bytes.length,
    kind: 'file',
    async read(target: Uint8Array, offset: number) {
      if (offset < 0 || offset + target.length > bytes.length) throw new RangeError(`read at ${offset}`);
      target.set(bytes.subarray(offset, offset + target.length));
    },
  } as unknown as BlockDevice;
}

export type MapVolume = (volume: VolumeBytes, map: UsedMap) => Promise<void>;

/** The map of a file that holds one volume, or why there is none. */
export async function mapOf(source: string | Buffer, mapVolume: MapVolume): Promise<UsedMap | string> {
  const bytes = typeof source === 'string' ? readFileSync(source) : source;
  const map = new UsedMap(bytes.length);
  try {
    await mapVolume(new VolumeBytes(deviceOf(bytes), 0, bytes.length), map);
    return map;
  } catch (error) {
    if (isDoubt(error)) return String(error.why);
    throw error;
  }
}

/** What the map has to be when exactly the blocks of `free` are free: one number for each block of the map. */
export function expectedMap(sizeBytes: number, unitBytes: number, free: ReadonlySet<number>): Uint8Array {
  const used = new Uint8Array(Math.ceil(sizeBytes / MAP_BLOCK_BYTES)).fill(1);
  for (let block = 0; (block + 1) * MAP_BLOCK_BYTES <= sizeBytes; block++) {
    const first = Math.floor((block * MAP_BLOCK_BYTES) / unitBytes);
    const last = Math.floor(((block + 1) * MAP_BLOCK_BYTES - 1) / unitBytes);
    let allFree = true;
    for (let unit = first; unit <= last; unit++) allFree &&= free.has(unit);
    if (allFree) used[block] = 0;
  }
  return used;
}

export function blocksOf(map: UsedMap): Uint8Array {
  return Uint8Array.from({ length: map.blocks }, (_, block) => (map.isUsed(block) ? 1 : 0));
}

/** Free blocks of an ext volume as dumpe2fs prints them, group by group; of a cluster it names the first block only. */
export function freeByDumpe2fs(file: string): { readonly blockBytes: number; readonly free: Set<number> } {
  const text = run('dumpe2fs', file);
  const blockBytes = Number(/Block size:\s+(\d+)/.exec(text)?.[1]);
  const cluster = Number(/Cluster size:\s+(\d+)/.exec(text)?.[1] ?? blockBytes) / blockBytes;
  const end = Number(/Block count:\s+(\d+)/.exec(text)?.[1]);
  const free = new Set<number>();
  for (const [, list] of text.matchAll(/^ {2}Free blocks: (.*)$/gm)) {
    for (const range of (list ?? '').split(',').filter((one) => one.trim() !== '')) {
      const [from, to] = range.trim().split('-').map(Number);
      const last = Math.min(end, (to ?? from ?? 0) + cluster) - 1;
      for (let block = from ?? 0; block <= last; block++) free.add(block);
    }
  }
  return { blockBytes, free };
}

/** Free clusters of an NTFS volume by its bitmap as libntfs reads it; fails when `ntfsinfo` counts others. */
export function freeByNtfscat(file: string): { readonly clusterBytes: number; readonly free: Set<number> } {
  const facts = run('ntfsinfo', '-m', file);
  const clusters = Number(/Volume Size in Clusters: (\d+)/.exec(facts)?.[1]);
  const bitmap = execFileSync('/bin/ntfscat', ['-i', '6', file], { stdio: ['ignore', 'pipe', 'pipe'] });
  const free = new Set<number>();
  for (let cluster = 0; cluster < clusters; cluster++) {
    if (((bitmap[cluster >>> 3] ?? 0xff) & (1 << (cluster & 7))) === 0) free.add(cluster);
  }
  const counted = Number(/Free Clusters: (\d+)/.exec(facts)?.[1]);
  if (free.size !== counted) throw new Error(`${free.size} free clusters, and ntfsinfo says ${counted}`);
  return { clusterBytes: Number(/Cluster Size: (\d+)/.exec(facts)?.[1]), free };
}
