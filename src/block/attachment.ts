import { readFile, realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import type { BlockDevice } from '../ports/block-device.ts';

/**
 * What tells that a disk is the one it was and that nobody wrote to it meanwhile: equal text is a promise, not a guess.
 * This boot; and of a device this attachment (the kernel numbers them) and its count of written sectors. Undefined where
 * the kernel does not tell all of it, or does not count. Reads only.
 */
export async function attachmentOf(
  device: Pick<BlockDevice, 'kind' | 'path' | 'identity'>,
  system: { readonly block: string; readonly bootId: string } = SYSTEM,
): Promise<string | undefined> {
  const bootId = await lineOf(system.bootId);
  if (!bootId) return undefined;
  // After a power cut a file may look older than what is in it; but a boot never comes again.
  if (device.kind === 'file') return `boot=${bootId} ${await device.identity()}`;
  const folder = `${system.block}/${basename(await realpath(device.path))}`;
  const names = ['diskseq', 'size', 'queue/iostats', 'stat'];
  const facts = await Promise.all(names.map((name) => lineOf(`${folder}/${name}`)));
  const [sequence, sectors, counts, statistics] = facts;
  const written = statistics?.split(/\s+/)[WRITTEN_SECTORS];
  if (!sequence || !sectors || counts !== '1' || !written) return undefined;
  return `boot=${bootId} device attached=${sequence} sectors=${sectors} written=${written}`;
}

const SYSTEM = { block: '/sys/class/block', bootId: '/proc/sys/kernel/random/boot_id' };
/** Its place in the block layer's counters. */
const WRITTEN_SECTORS = 6;

async function lineOf(path: string): Promise<string | undefined> {
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    // An older kernel, another system, or a partition, which has no queue of its own.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
