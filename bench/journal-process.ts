import { mkdir } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { systemClock } from '../src/clock.ts';
import { type Journal, openJournal } from '../src/journal/journal.ts';
import { DEFAULT_LIMITS } from '../src/journal/limits.ts';
import { systemFiles } from '../src/journal/system-files.ts';
import type { BlockDevice } from '../src/ports/block-device.ts';

/**
 * Many writers on one journal, each with one change at a time, each waiting until it is durable: a process of its own, so
 * that its time is its own. `journal-process.ts <options as JSON>`; writes one JSON document.
 */
interface WriterOptions {
  readonly folder: string;
  readonly writers: number;
  readonly changeBytes: number;
  readonly seconds: number;
  readonly diskBytes: number;
  /** Into segments that were used before, as in the long run; otherwise each is made while the one before is written. */
  readonly recycled: boolean;
}

const options: WriterOptions = JSON.parse(process.argv[2] ?? '{}');
const WARM_SECONDS = 0.3;
const USED_BYTES = 8 * DEFAULT_LIMITS.segmentBytes;

async function main(): Promise<void> {
  const { folder, writers, changeBytes, seconds, diskBytes } = options;
  await mkdir(folder, { recursive: true });
  const journal = await openJournal({
    folder,
    scenarioId: 'bench',
    epoch: 1,
    disks: [{ diskId: 'disk0', sizeBytes: diskBytes }],
    files: systemFiles,
    clock: systemClock,
  });
  const latencies: number[] = [];
  let sequence = options.recycled ? await useSegments(journal) : 0n;
  // No further than the segments that are there.
  const last = sequence + BigInt(Math.floor(options.recycled ? USED_BYTES / (changeBytes + 64) : 1e12));
  const began = performance.now() + WARM_SECONDS * 1000;
  const end = began + seconds * 1000;
  const write = async (writer: number) => {
    const data = Buffer.alloc(changeBytes, writer + 1);
    for (let turn = 0; performance.now() < end && sequence < last; turn++) {
      const at = performance.now();
      const offsetBytes = ((turn * writers + writer) * changeBytes) % diskBytes;
      const facts = { diskId: 'disk0', offsetBytes, lengthBytes: changeBytes, kind: 'data' } as const;
      await journal.append([{ ...facts, sequence: ++sequence, data, masterClockMs: systemClock.now() }]);
      if (at >= began) latencies.push(performance.now() - at);
    }
  };
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
  const { user, system } = process.cpuUsage(cpuBefore);
  const tookSeconds = (performance.now() - began) / 1000;
  await journal.close();
  latencies.sort((a, b) => a - b);
  const at = (share: number) => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  const perSecond = latencies.length / tookSeconds;
  const result = {
    perSecond,
    mibPerSecond: (perSecond * changeBytes) / (1024 * 1024),
    p50Ms: at(0.5),
    p99Ms: at(0.99),
    cpuSeconds: (user + system) / 1e6,
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Fills segments with changes that are never applied, and passes over them: the journal keeps some for later. */
async function useSegments(journal: Journal): Promise<bigint> {
  await journal.attach(new Map([['disk0', noDisk]]));
  const data = Buffer.alloc(1024 * 1024, 7);
  const facts = { diskId: 'disk0', offsetBytes: 0, lengthBytes: data.length, kind: 'data', data } as const;
  const count = BigInt(Math.ceil((USED_BYTES + 2 * DEFAULT_LIMITS.segmentBytes) / data.length));
  const masterClockMs = systemClock.now();
  for (let sequence = 1n; sequence <= count; sequence++) {
    await journal.append([{ ...facts, sequence, masterClockMs, set: sequence === 1n ? 'first' : 'inside' }]);
  }
  await journal.abandonSet({ sequence: count, masterClockMs });
  await journal.mark({ sequence: count, masterClockMs });
  await journal.applyTo(undefined, { rewindable: false });
  return count;
}

const noDisk: BlockDevice = {
  path: 'none',
  kind: 'file',
  sizeBytes: options.diskBytes,
  read: async () => undefined,
  write: async () => undefined,
  sync: async () => undefined,
  identity: async () => 'none',
  close: async () => undefined,
};

await main();
