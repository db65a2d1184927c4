import type { JournalChange } from '../../src/journal/change.ts';
import type { JournalFiles } from '../../src/journal/files.ts';
import { type Journal, openJournal } from '../../src/journal/journal.ts';
import type { JournalOptions } from '../../src/journal/journal-options.ts';
import { FaultyMachine } from './faulty-disk.ts';
import { DISKS } from './master-model.ts';
import { Random } from './random.ts';

/** A small journal on a machine in memory, for tests of one rule each. */
export const SMALL = {
  segmentBytes: 8192,
  changeBytes: 1024,
  groupBytes: 2048,
  queuedBytes: 6000,
  pieceBytes: 1536,
  spaceBytes: 100 * 8192,
};

export function machineWithDisks(seed = 1): FaultyMachine {
  const machine = new FaultyMachine(new Random(seed));
  for (const { diskId, sizeBytes } of DISKS) machine.addDisk(diskId, sizeBytes);
  return machine;
}

export function openOn(
  machine: { files(): JournalFiles },
  options: Partial<JournalOptions> = {},
): Promise<Journal> {
  return openJournal({
    folder: '/journal',
    scenarioId: 'scenario',
    epoch: 1,
    disks: DISKS,
    files: machine.files(),
    clock: { now: () => 5_000_000, sleep: () => Promise.reject(new Error('nobody sleeps here')) },
    limits: SMALL,
    ...options,
  });
}

export function disksOf(machine: FaultyMachine): Map<string, ReturnType<FaultyMachine['disk']>> {
  return new Map(DISKS.map(({ diskId }) => [diskId, machine.disk(diskId)]));
}

/** 512 bytes of `fill` somewhere on a disk. */
export function change(
  sequence: number,
  more: Partial<JournalChange> & { fill?: number } = {},
): JournalChange {
  const { fill = sequence, ...facts } = more;
  return {
    sequence: BigInt(sequence),
    diskId: 'disk0',
    offsetBytes: ((sequence - 1) % 16) * 512,
    lengthBytes: 512,
    kind: 'data',
    data: Buffer.alloc(512, fill),
    masterClockMs: 1_000 + sequence,
    ...facts,
  };
}

export async function markAt(journal: Journal, sequence: number): Promise<void> {
  await journal.mark({ sequence: BigInt(sequence), masterClockMs: 1_000 + sequence });
}

export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : String(error);
  }
  return 'no error';
}
