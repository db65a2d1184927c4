import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { openDevice } from '../block/open-device.ts';
import { isStandbyError, StandbyError } from '../errors.ts';

/** The appliance's data disks, found as `<folder>/lun<N>`. LUN 0 is its journal and never a replica. */
export interface Lun {
  readonly lun: number;
  readonly path: string;
  readonly sizeBytes: number;
}

export function lunPath(folder: string, lun: number): string {
  return join(folder, `lun${lun}`);
}

export async function listLuns(folder: string): Promise<Lun[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []; // No data disk was attached yet.
    throw error;
  });
  const luns: Lun[] = [];
  for (const name of names) {
    const number = /^lun(\d{1,4})$/.exec(name)?.[1];
    if (number === undefined || Number(number) === 0) continue;
    const path = join(folder, name);
    const sizeBytes = await sizeOf(path);
    if (sizeBytes !== undefined) luns.push({ lun: Number(number), path, sizeBytes });
  }
  return luns.sort((a, b) => a.lun - b.lun);
}

/** Throws LUN_ABSENT or LUN_TOO_SMALL. */
export async function assertLun(folder: string, lun: number, sizeBytes: number): Promise<void> {
  const found = (await listLuns(folder)).find((one) => one.lun === lun);
  if (!found) {
    throw new StandbyError({
      code: 'LUN_ABSENT',
      what: `The appliance sees no data disk at LUN ${lun}.`,
      why: `There is no ${lunPath(folder, lun)}.`,
      next: 'Check that the replica disk is attached to the appliance at this LUN.',
      retry: 'later',
    });
  }
  if (found.sizeBytes < sizeBytes) {
    throw new StandbyError({
      code: 'LUN_TOO_SMALL',
      what: `The data disk at LUN ${lun} is too small for this replica.`,
      why: `It has ${found.sizeBytes} bytes; the master's disk has ${sizeBytes}.`,
      next: 'Attach a disk that is at least as large as the master disk.',
    });
  }
}

/** Undefined when the disk was detached between the listing and now. */
async function sizeOf(path: string): Promise<number | undefined> {
  try {
    const device = await openDevice(path, { mode: 'read' });
    await device.close();
    return device.sizeBytes;
  } catch (error) {
    if (isStandbyError(error) && error.code === 'DISK_VANISHED') return undefined;
    throw error;
  }
}
