import { performance } from 'node:perf_hooks';
import { systemClock } from '../src/clock.ts';
import { throughputOf } from './latencies.ts';
import { openUsedJournal } from './used-journal.ts';

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
  /** Went through the journal before; 0: each segment is made while the one before is written. */
  readonly usedBytes: number;
}

const options: WriterOptions = JSON.parse(process.argv[2] ?? '{}');
const WARM_SECONDS = 0.3;
/** Of what was used, so much is still there behind the segments that hold it. */
const READY_SHARE = 0.8;

async function main(): Promise<void> {
  const { writers, changeBytes, seconds, diskBytes, usedBytes } = options;
  const opened = await openUsedJournal(options);
  const { journal } = opened;
  let { sequence } = opened;
  const latencies: number[] = [];
  // No further than the segments that are there.
  const last =
    usedBytes > 0 ? sequence + BigInt(Math.floor((usedBytes * READY_SHARE) / (changeBytes + 64))) : 2n ** 60n;
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
  const cpu = process.cpuUsage(cpuBefore);
  const tookSeconds = (performance.now() - began) / 1000;
  await journal.close();
  const result = throughputOf({ latenciesMs: latencies, tookSeconds, changeBytes, cpu });
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
