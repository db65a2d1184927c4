import { readFile, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { readStateJson, writeStateFile } from '../block/state-file.ts';
import { StandbyError } from '../errors.ts';

/**
 * Which disk holds which replica, within an epoch. Promises: a disk that took the place of another, or changed places
 * with it, is refused before a byte is written to it, whatever its LUN. What a disk is called comes from the disk: its
 * file, or its world-wide name; a disk without one is taken as it is. Dies at any line: the marks are there or not, and a
 * replica without one gets it at the next opening.
 */
const marksSchema = z.object({
  epoch: z.int(),
  disks: z.array(z.object({ diskId: z.string(), name: z.string() })),
});

export interface MarkedDisk {
  readonly diskId: string;
  readonly lun: number;
  readonly path: string;
}

/** Throws LUN_OTHER_DISK. Called before the disks are opened for writing. */
export async function assertMarkedDisks(
  stateFolder: string,
  spec: { readonly scenarioId: string; readonly epoch: number },
  disks: readonly MarkedDisk[],
): Promise<void> {
  const file = join(stateFolder, 'replicas', spec.scenarioId, 'replica-disks.json');
  const found = await readStateJson(file, marksSchema);
  const known = found?.epoch === spec.epoch ? found.disks : [];
  const marks = [...known];
  for (const disk of disks) {
    const name = await nameOf(disk.path);
    if (name === undefined) continue;
    const before = known.find(({ diskId }) => diskId === disk.diskId);
    if (!before) marks.push({ diskId: disk.diskId, name });
    else if (before.name !== name) throw otherDisk(disk, before.name, name, known);
  }
  if (marks.length === known.length) return;
  await writeStateFile(file, JSON.stringify({ epoch: spec.epoch, disks: marks }));
}

async function nameOf(path: string): Promise<string | undefined> {
  const facts = await stat(path, { bigint: true });
  if (facts.isFile()) return `file ${facts.dev}:${facts.ino}`;
  const device = basename(await realpath(path));
  for (const name of ['device/wwid', 'wwid', 'device/serial', 'serial']) {
    const text = await readFile(`/sys/class/block/${device}/${name}`, 'utf8').catch(notThere);
    if (text?.trim()) return `${name.split('/').at(-1)} ${text.trim()}`;
  }
  return undefined;
}

/** A kind of disk has some of these only; the kernel answers EINVAL or ENXIO where a disk tells nothing. */
function notThere(error: NodeJS.ErrnoException): undefined {
  if (!['ENOENT', 'EINVAL', 'ENXIO', 'ENODATA'].includes(error.code ?? '')) throw error;
}

function otherDisk(
  { diskId, lun }: MarkedDisk,
  before: string,
  now: string,
  known: readonly { readonly diskId: string; readonly name: string }[],
): StandbyError {
  const owner = known.find(({ name }) => name === now);
  const is = owner ? `the one that holds the replica of ${owner.diskId}` : `another one (${now})`;
  return new StandbyError({
    code: 'LUN_OTHER_DISK',
    what: `The data disk at LUN ${lun} is not the one that holds the replica of ${diskId}.`,
    why: `It is ${is}; the replica began on ${before}. Nothing was written to it.`,
    next: `Attach the disk of ${diskId} at LUN ${lun} again, then run the scenario: it goes on where it was. If that disk is gone, resynchronise the scenario: a new epoch begins on the disks that are there.`,
  });
}
