import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../src/errors.ts';
import { type Figure, median, type Verdict, type WorkReport } from '../report.ts';
import type { Stage } from '../stage.ts';

/**
 * The journal of one scenario on this disk, beside what fio makes of the same disk with writes of 256 KiB, each made
 * durable: that is what 64 changes of 4 KiB come to. Interleaved, since a disk has moods.
 */
const KIB = 1024;
const MIB = 1024 * KIB;
const PROCESS = join(import.meta.dirname, '../journal-process.ts');

interface Written {
  readonly perSecond: number;
  readonly mibPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuSeconds: number;
}

type Series = Map<string, Written[]>;

const RUNS: Readonly<Record<string, { readonly writers: number; readonly recycled: boolean }>> = {
  'journal, 64 writers of 4 KiB': { writers: 64, recycled: true },
  'journal, 64 writers, every segment new': { writers: 64, recycled: false },
  'journal, 1 writer of 4 KiB': { writers: 1, recycled: true },
};

export async function journal(
  stage: Stage,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<WorkReport[]> {
  stage.tell('journal');
  const series: Series = new Map();
  const failures: string[] = [];
  const note = async (name: string, act: () => Promise<Written>) => {
    try {
      const written = await act();
      series.set(name, [...(series.get(name) ?? []), written]);
      stage.tell(`  ${name}: ${written.mibPerSecond.toFixed(0)} MiB/s, p50 ${written.p50Ms.toFixed(2)} ms`);
    } catch (error) {
      stage.signal.throwIfAborted();
      failures.push(`${name} failed: ${messageOf(error)}`);
    }
  };
  for (let round = 0; round < rounds; round++) {
    await note(FIO, () => fio(stage, 256 * KIB, seconds));
    for (const [name, run] of Object.entries(RUNS)) {
      await note(name, () => write(stage, { ...run, seconds }));
    }
    await note(FIO_SMALL, () => fio(stage, 4 * KIB, seconds));
  }
  const figures = [...series].flatMap(([name, runs]) => figuresOf(name, runs));
  const about = { rounds, seconds, ...(failures.length > 0 ? { failures: failures.join('; ') } : {}) };
  const conditions = 'sequential writes, each group durable before it is answered';
  return [{ title: 'journal', conditions, about, rows: [], figures, verdicts: judge(series) }];
}

const FIO = 'fio, 256 KiB and fdatasync';
const FIO_SMALL = 'fio, 4 KiB and fdatasync';

async function write(stage: Stage, run: object): Promise<Written> {
  const folder = join(stage.folder, 'journal');
  const options = { folder, changeBytes: 4 * KIB, diskBytes: 64 * MIB, ...run };
  try {
    return JSON.parse(await stage.processes.run(process.execPath, [PROCESS, JSON.stringify(options)]));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

interface FioJob {
  readonly write: {
    readonly iops: number;
    readonly bw_bytes: number;
  };
  readonly sync: { readonly lat_ns: { readonly percentile?: Readonly<Record<string, number>> } };
  readonly usr_cpu: number;
  readonly sys_cpu: number;
  readonly job_runtime: number;
}

async function fio(stage: Stage, blockBytes: number, seconds: number): Promise<Written> {
  const file = join(stage.folder, 'fio.bin');
  const how = ['--rw=write', '--fdatasync=1', '--ioengine=psync', '--size=512M', '--time_based'];
  const what = ['--name=journal', `--filename=${file}`, `--bs=${blockBytes}`, `--runtime=${seconds}`];
  try {
    const text = await stage.processes.run('fio', ['--output-format=json', ...what, ...how]);
    const job = (JSON.parse(text) as { jobs: FioJob[] }).jobs[0];
    if (!job) throw new Error('fio told nothing');
    const percentile = job.sync.lat_ns.percentile ?? {};
    return {
      perSecond: job.write.iops,
      mibPerSecond: job.write.bw_bytes / MIB,
      p50Ms: (percentile['50.000000'] ?? Number.NaN) / 1e6,
      p99Ms: (percentile['99.000000'] ?? Number.NaN) / 1e6,
      cpuSeconds: ((job.usr_cpu + job.sys_cpu) / 100) * (job.job_runtime / 1000),
    };
  } finally {
    await rm(file, { force: true });
  }
}

function figuresOf(name: string, runs: readonly Written[]): Figure[] {
  const of = (pick: (written: Written) => number) => median(runs.map(pick));
  return [
    { name, value: of(({ mibPerSecond }) => mibPerSecond), unit: 'MiB/s' },
    { name, value: of(({ perSecond }) => perSecond), unit: 'per second' },
    { name, value: of(({ p50Ms }) => p50Ms), unit: 'ms p50' },
    { name, value: of(({ p99Ms }) => p99Ms), unit: 'ms p99' },
  ];
}

function judge(series: Series): Verdict[] {
  const limit = series.get(FIO);
  const ours = series.get('journal, 64 writers of 4 KiB');
  if (!limit || !ours) return [];
  // Of each round by itself: what the disk was up to in that minute met both.
  const shares = ours.flatMap(({ mibPerSecond }, index) => {
    const beside = limit[index];
    return beside ? [mibPerSecond / beside.mibPerSecond] : [];
  });
  const value = median(shares);
  const text = 'local group commit as a share of fio, 256 KiB and fdatasync';
  return [{ text, value, wanted: 0.6, met: value >= 0.6 }];
}
