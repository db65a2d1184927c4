import { mkdir } from 'node:fs/promises';
import { systemClock } from '../src/clock.ts';
import { type Journal, openJournal } from '../src/journal/journal.ts';
import { systemFiles } from '../src/journal/system-files.ts';
import type { BlockDevice } from '../src/ports/block-device.ts';

/** A journal that was used before, as in the long run: its next segments are there already. */
const CHANGE_BYTES = 1024 * 1024;

export async function openUsedJournal(options: {
  readonly folder: string;
  readonly diskBytes: number;
  /** Passed through it before; 0: every segment is made while the one before is written. */
  readonly usedBytes: number;
}): Promise<{ readonly journal: Journal; readonly sequence: bigint }> {
  const { folder, diskBytes, usedBytes } = options;
  await mkdir(folder, { recursive: true });
  const journal = await openJournal({
    folder,
    scenarioId: 'bench',
    epoch: 1,
    disks: [{ diskId: 'disk0', sizeBytes: diskBytes }],
    files: systemFiles,
    clock: systemClock,
  });
  const count = BigInt(Math.ceil(usedBytes / CHANGE_BYTES));
  if (count > 0n) await use(journal, diskBytes, count);
  return { journal, sequence: count };
}

/** Fills segments with changes that are never applied, and passes over them: the journal keeps some for later. */
async function use(journal: Journal, diskBytes: number, count: bigint): Promise<void> {
  await journal.attach(new Map([['disk0', noDisk(diskBytes)]]));
  const data = Buffer.alloc(CHANGE_BYTES, 7);
  const facts = { diskId: 'disk0', offsetBytes: 0, lengthBytes: data.length, kind: 'data', data } as const;
  const masterClockMs = systemClock.now();
  for (let sequence = 1n; sequence <= count; sequence++) {
    await journal.append([{ ...facts, sequence, masterClockMs, set: sequence === 1n ? 'first' : 'inside' }]);
  }
  await journal.abandonSet({ sequence: count, masterClockMs });
  await journal.mark({ sequence: count, masterClockMs });
  await journal.applyTo(undefined, { rewindable: false });
}

function noDisk(sizeBytes: number): BlockDevice {
  return {
    path: 'none',
    kind: 'file',
    sizeBytes,
    read: async () => undefined,
    write: async () => undefined,
    sync: async () => undefined,
    identity: async () => 'none',
    close: async () => undefined,
  };
}
