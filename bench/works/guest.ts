import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuthority } from '../../src/wire/certificates.ts';
import { type FioResult, fio } from '../fio.ts';
import { makeImage, makeTarget } from '../images.ts';
import type { Running } from '../processes.ts';
import type { Figure, Verdict, WorkReport } from '../report.ts';
import { Series } from '../series.ts';
import { serve } from '../served.ts';
import { type Stage, until } from '../stage.ts';

/**
 * What a guest gets of a disk that our engine serves and records, beside `nbdkit file` on the same medium: fio as the
 * guest, through the same protocol, in turns. Recorded means that every write is in the spool as well; followed, that an
 * appliance on this very machine takes, journals and applies it all the while, with its share of the same processors.
 */
const NBDKIT = 'nbdkit file';
const RECORDED = 'recorded';
const FOLLOWED = 'followed';

/** What a guest does: a database's mixture, and a long write such as a backup or an installation. */
const JOBS: Readonly<Record<string, readonly string[]>> = {
  'mixture, 70 % reads of 4 KiB': ['--rw=randrw', '--rwmixread=70', '--bs=4k', '--iodepth=16', '--fsync=32'],
  'writes of 4 KiB, flushed': ['--rw=randwrite', '--bs=4k', '--iodepth=16', '--fsync=16'],
  'long write, 128 KiB, flushed': ['--rw=write', '--bs=128k', '--iodepth=8', '--fsync=32'],
};
const WANTED = 0.8;
/** The spool of the one that nobody follows takes all of it in order. */
const SPOOL_MIB = 4096;

export async function guest(
  stage: Stage,
  options: { readonly rounds: number; readonly sizeMib: number; readonly seconds: number },
): Promise<WorkReport[]> {
  stage.tell('guest: making the disks');
  const { rounds, sizeMib, seconds } = options;
  const image = await makeImage(stage, 'guest', sizeMib);
  const series = new Series<FioResult>();
  const servers = await startServers(stage, image, sizeMib);
  try {
    const runs: Record<string, () => Promise<FioResult>> = {};
    for (const [job, args] of Object.entries(JOBS)) {
      for (const { name, uri } of servers.all) {
        const how = [
          '--time_based',
          `--runtime=${seconds}`,
          `--size=${sizeMib}M`,
          '--buffer_compress_percentage=60',
        ];
        runs[`${job}: ${name}`] = () => fio(stage, ['--ioengine=nbd', `--uri=${uri}`, ...args, ...how]);
      }
    }
    await series.play(stage, rounds, runs, (result) => `${moved(result).toFixed(0)} MiB/s`);
  } finally {
    await servers.end();
  }
  const about = { rounds, seconds, ...series.about };
  const conditions = 'fio over NBD on a unix socket, a flush now and then; what is asked of the recorded one';
  return [
    { title: 'guest', conditions, about, rows: [], figures: figuresOf(series), verdicts: judge(series) },
  ];
}

async function startServers(stage: Stage, image: string, sizeMib: number) {
  const folder = join(stage.folder, 'guest');
  const authority = await makeAuthority();
  const ends: (() => Promise<void>)[] = [];
  const end = async () => {
    for (const one of ends.reverse()) await one();
    await rm(folder, { recursive: true, force: true });
  };
  const copyOf = async (name: string) => {
    const path = join(folder, `${name}.img`);
    await makeTarget(stage, path, sizeMib * 1024 * 1024, image);
    return path;
  };
  try {
    await mkdir(folder);
    const plain = await startNbdkit(stage, await copyOf('plain'));
    ends.push(() => plain.server.stop());
    const all = [{ name: NBDKIT, uri: plain.uri }];
    for (const name of [RECORDED, FOLLOWED]) {
      const spoolMib = name === RECORDED ? SPOOL_MIB : undefined;
      const own = join(folder, name);
      const served = await serve(stage, { folder: own, source: await copyOf(name), authority, spoolMib });
      ends.push(served.end);
      if (name === FOLLOWED) await served.follow();
      all.push({ name, uri: served.uri });
    }
    return { all, end };
  } catch (error) {
    await end();
    throw error;
  }
}

async function startNbdkit(stage: Stage, path: string): Promise<{ uri: string; server: Running }> {
  const socket = join(stage.folder, 'nbdkit.sock');
  const pidFile = join(stage.folder, 'nbdkit.pid');
  const server = stage.processes.start('nbdkit', ['-f', '-U', socket, '-P', pidFile, 'file', path]);
  await until(`nbdkit listens: ${server.said()}`, stage, () => existsSync(pidFile));
  return { uri: `nbd+unix:///?socket=${socket}`, server };
}

function moved({ readMibPerSecond, writtenMibPerSecond }: FioResult): number {
  return readMibPerSecond + writtenMibPerSecond;
}

function figuresOf(series: Series<FioResult>): Figure[] {
  return series.names.flatMap((name) => [
    { name, value: series.median(name, moved), unit: 'MiB/s' },
    { name, value: series.median(name, ({ p50Ms }) => p50Ms), unit: 'ms p50' },
    { name, value: series.median(name, ({ syncP50Ms }) => syncP50Ms), unit: 'ms flush' },
  ]);
}

function judge(series: Series<FioResult>): Verdict[] {
  return Object.keys(JOBS).flatMap((job) => {
    const value = series.share(`${job}: ${RECORDED}`, `${job}: ${NBDKIT}`, moved);
    if (value === undefined) return [];
    return [{ text: `${job}: as a share of ${NBDKIT}`, value, wanted: WANTED, met: value >= WANTED }];
  });
}
