import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { type Authority, makeAuthority } from '../../src/wire/certificates.ts';
import { type Contestant, contest, type Ready } from '../contest.ts';
import { fio } from '../fio.ts';
import { assertEqual, changeBlocks, imageFacts, makeImage, makeTarget } from '../images.ts';
import type { CopyPeer } from '../peers/copy-course.ts';
import { standby } from '../peers/standby.ts';
import { type Goal, tableOf, type WorkReport } from '../report.ts';
import { makePeerSecrets } from '../secrets.ts';
import { SCENARIO, serve, standingOf } from '../served.ts';
import type { Stage } from '../stage.ts';

/**
 * The same share of changed blocks as in `delta`, but the master knows which: its disk is served over NBD, the replica
 * followed it and was away while they changed. From the word that it may go on until the appliance has all of them
 * durably (in its journal), and until they are on the replica's disk. Nothing is scanned, so a disk of four times the size
 * with the same changes should take as long.
 */
const SHARE = 0.01;
const BLOCK_BYTES = 4096;
const MIB = 1024 * 1024;
const LARGER = 4;
const POLL_MS = 5;

const SCANNED = 'standby, both ends read';
const KNOWN = 'standby, changes known';
const KNOWN_LARGER = `standby, changes known, disk ${LARGER} times as large`;

const BEHIND = 'and proven equal, or applied to the replica';

const GOALS: readonly Goal[] = [
  { of: 'wall', ours: KNOWN, peer: SCANNED, atLeast: 10 },
  // Follows the change, not the disk.
  { of: 'wall', ours: KNOWN_LARGER, peer: KNOWN, atLeast: 0.8 },
];

interface Course {
  readonly round: number;
  readonly folder: string;
}

export async function known(
  stage: Stage,
  { rounds, sizeMib }: { readonly rounds: number; readonly sizeMib: number },
): Promise<WorkReport[]> {
  stage.tell('known changes: making the images');
  const authority = await makeAuthority();
  const image = await makeImage(stage, 'known', sizeMib);
  const blocks = Math.floor(((sizeMib * MIB) / BLOCK_BYTES) * SHARE);
  const contestants = [
    await scanned(stage, image, authority),
    knowing(KNOWN, { image, sizeMib, blocks, authority }),
    knowing(KNOWN_LARGER, { image, sizeMib: sizeMib * LARGER, blocks, authority }),
  ];
  const folder = join(stage.folder, 'known');
  const outcomes = await contest(stage, contestants, rounds, async (round) => {
    await rm(folder, { recursive: true, force: true });
    await mkdir(folder);
    return { round, folder };
  });
  await rm(folder, { recursive: true, force: true });
  const about = { sizeBytes: imageFacts(image).sizeBytes, changedBlocks: blocks, rounds };
  const conditions = '1 % of the 4 KiB blocks changed while the link was away';
  return [tableOf('changes known', conditions, about, outcomes, GOALS, BEHIND)];
}

/** Our own delta beside it, in the same rounds. */
async function scanned(stage: Stage, old: string, authority: Authority): Promise<Contestant<Course>> {
  const { path: source } = await changeBlocks(stage, old, { name: 'known-new', share: SHARE });
  const secrets = await makePeerSecrets(stage.folder, authority);
  const options = { capture: 'at-rest', lanes: 2, compression: 'none', mode: 'block' } as const;
  const peer: CopyPeer = standby(SCANNED, authority, options);
  return {
    name: peer.name,
    ready: async (on, { folder }) => {
      const target = join(folder, 'scanned.img');
      await makeTarget(on, target, imageFacts(source).sizeBytes, old);
      const ready = await peer.ready(on, { source, target, old, secrets, folder });
      return { ...ready, check: () => assertEqual(on, source, target) };
    },
  };
}

interface Knowing {
  readonly image: string;
  readonly sizeMib: number;
  readonly blocks: number;
  readonly authority: Authority;
}

function knowing(name: string, work: Knowing): Contestant<Course> {
  return { name, ready: (stage, course) => readyKnowing(stage, course, work) };
}

async function readyKnowing(stage: Stage, { round, folder }: Course, work: Knowing): Promise<Ready> {
  const { image, sizeMib, blocks, authority } = work;
  const source = join(folder, 'served.img');
  await stage.processes.run('cp', ['--sparse=always', image, source]);
  await stage.processes.run('truncate', ['-s', `${sizeMib}M`, source]);
  const served = await serve(stage, { folder: join(folder, 'standby'), source, authority });
  const { control } = served.appliance;
  try {
    await served.follow();
    await control.stopCopy(SCENARIO);
    const { received } = standingOf(await control.progress(SCENARIO));
    await fio(stage, [
      '--ioengine=nbd',
      `--uri=${served.uri}`,
      '--rw=randwrite',
      `--bs=${BLOCK_BYTES}`,
      '--iodepth=16',
      // Where the smaller disk is used, in both.
      `--size=${imageFacts(image).sizeBytes}`,
      `--number_ios=${blocks}`,
      `--randseed=${round + 1}`,
      '--buffer_compress_percentage=60',
      '--end_fsync=1',
    ]);
    return {
      servers: [served.appliance.engine.pid, served.master.pid],
      engines: [served.appliance.engine.pid, served.master.pid],
      run: async (lap) => {
        await control.startCopy(SCENARIO, { capture: 'nbd', lanes: 2, compression: 'none' });
        const isHere = async (applied: boolean) => {
          const now = standingOf(await control.progress(SCENARIO));
          return now.received >= received + blocks && (!applied || now.isApplied);
        };
        // Asked again and again: whoever waits for news hears of what came in once a second.
        while (!(await isHere(false))) await setTimeout(POLL_MS, undefined, { signal: stage.signal });
        lap('durable');
        while (!(await isHere(true))) await setTimeout(POLL_MS, undefined, { signal: stage.signal });
      },
      check: () => assertEqual(stage, source, served.target),
      end: served.end,
    };
  } catch (error) {
    await served.end();
    throw error;
  }
}
