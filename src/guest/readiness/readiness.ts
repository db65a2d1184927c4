import type { Readiness } from '../../model/readiness.ts';
import type { Verdict } from '../../model/verdict.ts';
import type { BlockDevice } from '../../ports/block-device.ts';
import { readGuestDisk } from '../guest-disk.ts';
import { limitedDevice, type WorkLimit } from '../limited-device.ts';
import type { Generation } from './boot-chain.ts';
import { unproven } from './fact.ts';
import { linuxFacts } from './linux.ts';
import { findWindows, lockedFacts, windowsFacts } from './windows.ts';

/**
 * Would the server on this disk start as a VM in Azure? Read straight from the disk, which is only read; one verdict
 * for each fact, with what was found, what is expected and the cure. It proves no start: it names what would stop one.
 */
export async function readReadiness(
  device: BlockDevice,
  options: { readonly signal?: AbortSignal; readonly limit?: WorkLimit } = {},
): Promise<Readiness> {
  const disk = await readGuestDisk(limitedDevice(device, options.limit), options.signal);
  const windows = await findWindows(disk);
  if (windows) return resultOf('windows', await windowsFacts(disk, windows));
  if (disk.volumes.some(({ mark }) => mark === 'BitLocker')) {
    return resultOf('windows', { name: 'Windows, encrypted', verdicts: lockedFacts(disk) });
  }
  const isLinux = disk.volumes.some(({ fileSystem }) => /^(ext[234]|xfs|lvm)$/.test(fileSystem));
  if (isLinux) return resultOf('linux', await linuxFacts(disk));
  const found = disk.volumes.map(
    ({ name, fileSystem, unreadable }) => `${name}: ${unreadable ?? fileSystem}`,
  );
  const verdicts = [unproven('SYSTEM', 'Operating system', found.join('; ') || 'no volumes')];
  return resultOf('unknown', { name: 'no operating system was found', verdicts });
}

interface Facts {
  readonly name: string;
  readonly generation?: Generation | undefined;
  readonly verdicts: readonly Verdict[];
}

function resultOf(family: Readiness['os']['family'], { name, generation, verdicts }: Facts): Readiness {
  const has = (status: Verdict['status']) => verdicts.some((one) => one.status === status);
  return {
    verdict: has('error') ? 'not ready' : has('skipped') ? 'not proven' : 'ready',
    os: { family, name },
    ...(generation ? { generation } : {}),
    verdicts,
  };
}
