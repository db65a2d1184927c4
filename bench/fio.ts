import type { Stage } from './stage.ts';

/** What fio made of one job. */
export interface FioResult {
  readonly readPerSecond: number;
  readonly writtenPerSecond: number;
  readonly readMibPerSecond: number;
  readonly writtenMibPerSecond: number;
  readonly cpuSeconds: number;
  /** Of its fdatasync or flush. */
  readonly syncP50Ms: number;
  readonly syncP99Ms: number;
  /** Of its reads and writes, whichever there were more of. */
  readonly p50Ms: number;
  readonly p99Ms: number;
}

interface Latencies {
  readonly percentile?: Readonly<Record<string, number>>;
}

interface Direction {
  readonly iops: number;
  readonly bw_bytes: number;
  readonly total_ios: number;
  readonly clat_ns?: Latencies;
}

interface Job {
  readonly error: number;
  readonly read: Direction;
  readonly write: Direction;
  readonly sync: { readonly lat_ns?: Latencies };
  readonly usr_cpu: number;
  readonly sys_cpu: number;
  readonly job_runtime: number;
}

const MIB = 1024 * 1024;

export async function fio(stage: Stage, args: readonly string[]): Promise<FioResult> {
  const text = await stage.processes.run('fio', ['--name=bench', '--output-format=json', ...args]);
  // Some engines say a word before the document.
  const { jobs } = JSON.parse(text.slice(text.indexOf('{'))) as { jobs: Job[] };
  const job = jobs[0];
  if (!job) throw new Error('fio told nothing');
  if (job.error !== 0) throw new Error(`fio failed with error ${job.error}`);
  const { read, write, sync } = job;
  const main = read.total_ios > write.total_ios ? read : write;
  return {
    readPerSecond: read.iops,
    writtenPerSecond: write.iops,
    readMibPerSecond: read.bw_bytes / MIB,
    writtenMibPerSecond: write.bw_bytes / MIB,
    cpuSeconds: ((job.usr_cpu + job.sys_cpu) / 100) * (job.job_runtime / 1000),
    syncP50Ms: percentile(sync.lat_ns, '50.000000'),
    syncP99Ms: percentile(sync.lat_ns, '99.000000'),
    p50Ms: percentile(main.clat_ns, '50.000000'),
    p99Ms: percentile(main.clat_ns, '99.000000'),
  };
}

function percentile(latencies: Latencies | undefined, key: string): number {
  return (latencies?.percentile?.[key] ?? Number.NaN) / 1e6;
}
