import type { BigIntStats } from 'node:fs';
import { readdir, readFile, readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { inputError } from '../errors.ts';
import { isWindowsDevice } from '../model/disk.ts';

/**
 * A seed is never written onto what it is made of. Promises: a target that is one of the disks, a part of one, or made of
 * one (a partition, a logical volume; a disk whose partition is exported) is refused before it is opened. Reads only.
 */
export async function assertOther(
  target: string,
  sources: readonly { readonly path: string }[],
): Promise<void> {
  const own = await groundOf(target);
  for (const { path } of sources) {
    const theirs = await groundOf(path);
    if (![...own].some((one) => theirs.has(one))) continue;
    throw inputError(
      'SEED_ON_ITS_SOURCE',
      `The seed cannot be written to ${target}: it is, or lies on, the disk ${path} itself.`,
      'Name a file, or another device: what is exported would be overwritten.',
    );
  }
}

/** The file itself, or every whole disk that a device consists of. Empty when there is nothing yet. */
async function groundOf(path: string): Promise<ReadonlySet<string>> {
  if (isWindowsDevice(path)) return new Set([path.toLowerCase()]);
  const facts = await stat(path, { bigint: true }).catch(notThere);
  if (!facts) return new Set();
  if (!facts.isBlockDevice()) return new Set([fileName(facts)]);
  return await disksUnder(basename(await realpath(path)));
}

export async function disksUnder(
  name: string,
  blockFolder = '/sys/class/block',
): Promise<ReadonlySet<string>> {
  const folder = `${blockFolder}/${name}`;
  const parts = (await readdir(folder).catch(notThere)) ?? [];
  // A partition's folder lies in that of its disk.
  const whole = parts.includes('partition') ? basename(dirname(await readlink(folder))) : name;
  const disks = new Set([`disk ${whole}`]);
  // Of a disk made of others, and of a file that is used as a disk.
  for (const below of (await readdir(`${blockFolder}/${whole}/slaves`).catch(notThere)) ?? []) {
    for (const disk of await disksUnder(below, blockFolder)) disks.add(disk);
  }
  const file = await readFile(`${blockFolder}/${whole}/loop/backing_file`, 'utf8').catch(notThere);
  const facts = file && (await stat(file.trimEnd(), { bigint: true }).catch(notThere));
  if (facts) disks.add(fileName(facts));
  return disks;
}

function fileName({ dev, ino }: BigIntStats): string {
  return `file ${dev}:${ino}`;
}

function notThere(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
}
