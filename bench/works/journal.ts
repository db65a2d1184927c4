import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Authority,
  makeAuthority,
  makeKeyAndRequest,
  signRequest,
} from '../../src/wire/certificates.ts';
import { fio } from '../fio.ts';
import type { Figure, Verdict, WorkReport } from '../report.ts';
import { Series } from '../series.ts';
import { type Stage, until } from '../stage.ts';

/**
 * The journal of one scenario on this disk, beside what fio makes of the same disk with writes of 256 KiB, each made
 * durable: that is what 64 changes of 4 KiB come to. And with both ends: durable in the master's spool and, over mutual
 * TLS, in the appliance's journal, on the same disk and the same processors.
 */
const KIB = 1024;
const MIB = 1024 * KIB;
const WRITERS = join(import.meta.dirname, '../journal-process.ts');
const STREAM = join(import.meta.dirname, '../stream-process.ts');
const USED_BYTES = 320 * MIB;
const APPLIANCE = 'app-bench';

interface Written {
  readonly perSecond: number;
  readonly mibPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuSeconds: number;
}

const FIO = 'fio, 256 KiB and fdatasync';
const FIO_SMALL = 'fio, 4 KiB and fdatasync';
const LOCAL = 'journal, 64 writers of 4 KiB';
const BOTH = 'durable on both ends, 64 writers of 4 KiB';

export async function journal(
  stage: Stage,
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): Promise<WorkReport[]> {
  stage.tell('journal');
  const authority = await makeAuthority();
  const credentials = {
    appliance: await credentialsFile(stage, authority, 'appliance', APPLIANCE),
    master: await credentialsFile(stage, authority, 'master', 'bench'),
  };
  const series = new Series<Written>();
  const runs = {
    [FIO]: () => fioWrites(stage, 256 * KIB, seconds),
    [LOCAL]: () => write(stage, { writers: 64, usedBytes: USED_BYTES, seconds }),
    [BOTH]: () => writeBoth(stage, credentials, { writers: 64, seconds }),
    'journal, 64 writers, every segment new': () => write(stage, { writers: 64, usedBytes: 0, seconds }),
    'journal, 1 writer of 4 KiB': () => write(stage, { writers: 1, usedBytes: USED_BYTES, seconds }),
    'durable on both ends, 1 writer of 4 KiB': () => writeBoth(stage, credentials, { writers: 1, seconds }),
    [FIO_SMALL]: () => fioWrites(stage, 4 * KIB, seconds),
  };
  const words = ({ mibPerSecond, p50Ms }: Written) =>
    `${mibPerSecond.toFixed(0)} MiB/s, p50 ${p50Ms.toFixed(2)} ms`;
  await series.play(stage, rounds, runs, words);
  const about = { rounds, seconds, ...series.about };
  const conditions = 'sequential writes, each group durable before it is answered';
  const figures = series.names.flatMap((name) => figuresOf(series, name));
  return [{ title: 'journal', conditions, about, rows: [], figures, verdicts: judge(series) }];
}

async function credentialsFile(
  stage: Stage,
  authority: Authority,
  role: 'appliance' | 'master',
  id: string,
): Promise<string> {
  const { keyPem, requestPem } = await makeKeyAndRequest();
  const uri = `standby:${role}:${id}`;
  const addresses = role === 'appliance' ? ['127.0.0.1'] : [];
  const certificatePem = await signRequest({ authority, requestPem, uri, addresses, days: 2 });
  const path = join(stage.folder, `${role}.json`);
  const credentials = { keyPem, certificatePem, caPem: authority.certificatePem };
  await writeFile(path, JSON.stringify(credentials), { mode: 0o600 });
  return path;
}

async function write(stage: Stage, run: object): Promise<Written> {
  const folder = join(stage.folder, 'journal');
  const options = { folder, changeBytes: 4 * KIB, diskBytes: 64 * MIB, ...run };
  try {
    return JSON.parse(await stage.processes.run(process.execPath, [WRITERS, JSON.stringify(options)]));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function writeBoth(
  stage: Stage,
  credentials: { readonly appliance: string; readonly master: string },
  run: { readonly writers: number; readonly seconds: number },
): Promise<Written> {
  const folder = join(stage.folder, 'stream');
  const shared = {
    applianceId: APPLIANCE,
    diskBytes: 64 * MIB,
    usedBytes: USED_BYTES,
    changeBytes: 4 * KIB,
    ...run,
  };
  const start = (role: 'appliance' | 'master', more: object) => {
    const options = {
      role,
      folder: join(folder, role),
      credentialsFile: credentials[role],
      ...shared,
      ...more,
    };
    return stage.processes.start(process.execPath, [STREAM, JSON.stringify(options)]);
  };
  const appliance = start('appliance', {});
  try {
    const listens = /listens on (\d+)/;
    const ended = appliance.ended.then(() => undefined);
    await Promise.race([
      until(
        `the journal is ready: ${appliance.said()}`,
        stage,
        () => listens.test(appliance.said()),
        300_000,
      ),
      ended,
    ]);
    const port = Number(listens.exec(appliance.said())?.[1]);
    const result = JSON.parse(await start('master', { port }).ended) as Written & { acknowledged: string };
    await appliance.stop();
    const { durable } = JSON.parse(await appliance.ended) as { durable: string };
    assertHeld(durable, result.acknowledged);
    return result;
  } finally {
    await appliance.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Every change that a writer was told of is in the appliance's journal; the last number may be a mark's. */
function assertHeld(durable: string, acknowledged: string): void {
  const missing = BigInt(acknowledged) - BigInt(durable);
  if (missing > 1n) throw new Error(`the journal lacks ${missing} changes that were told to be durable`);
}

async function fioWrites(stage: Stage, blockBytes: number, seconds: number): Promise<Written> {
  const file = join(stage.folder, 'fio.bin');
  const how = ['--rw=write', '--fdatasync=1', '--ioengine=psync', '--size=512M', '--time_based'];
  try {
    const done = await fio(stage, [
      `--filename=${file}`,
      `--bs=${blockBytes}`,
      `--runtime=${seconds}`,
      ...how,
    ]);
    return {
      perSecond: done.writtenPerSecond,
      mibPerSecond: done.writtenMibPerSecond,
      p50Ms: done.syncP50Ms,
      p99Ms: done.syncP99Ms,
      cpuSeconds: done.cpuSeconds,
    };
  } finally {
    await rm(file, { force: true });
  }
}

function figuresOf(series: Series<Written>, name: string): Figure[] {
  return [
    { name, value: series.median(name, ({ mibPerSecond }) => mibPerSecond), unit: 'MiB/s' },
    { name, value: series.median(name, ({ perSecond }) => perSecond), unit: 'per second' },
    { name, value: series.median(name, ({ p50Ms }) => p50Ms), unit: 'ms p50' },
    { name, value: series.median(name, ({ p99Ms }) => p99Ms), unit: 'ms p99' },
  ];
}

function judge(series: Series<Written>): Verdict[] {
  const shares = [
    { ours: LOCAL, wanted: 0.6, text: 'local group commit' },
    { ours: BOTH, wanted: 0.4, text: 'durable on both ends' },
  ];
  const verdicts: Verdict[] = shares.flatMap(({ ours, wanted, text }) => {
    const value = series.share(ours, FIO, ({ mibPerSecond }) => mibPerSecond);
    if (value === undefined) return [];
    return [{ text: `${text} as a share of ${FIO}`, value, wanted, met: value >= wanted }];
  });
  const value = series.median(BOTH, ({ p50Ms }) => p50Ms);
  if (Number.isNaN(value)) return verdicts;
  return [
    ...verdicts,
    { text: 'durable on both ends: ms p50 of 64 writers', value, wanted: 1.5, met: value <= 1.5 },
  ];
}
