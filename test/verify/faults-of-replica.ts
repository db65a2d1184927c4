import type { Readiness } from '../../src/model/readiness.ts';
import type { CopyProgress, Replication } from '../../src/wire/control-session.ts';
import { ENGINE_VERSION } from '../../src/wire/version.ts';
import { NOW_MS, rightCloud, scenario } from '../fakes/scene.ts';
import { facts, type PlantedFault, session, status } from './planted-facts.ts';

const HOUR_MS = 3_600_000;
const GIB = 2 ** 30;

const REPLICATION: Replication = {
  originSequence: '0',
  receivedSequence: '10',
  appliedSequence: '10',
  receivedBytes: 1,
  bytesPerSecond: 2 ** 20,
  lagSeconds: 2,
  lagBytes: 4096,
  journal: {
    state: 'ready',
    usedBytes: GIB,
    limitBytes: 30 * GIB,
    rewindBytes: GIB,
    rewindFromMs: NOW_MS - HOUR_MS,
    unappliedChanges: 0,
  },
  stream: {
    mode: 'ordered',
    lastSequence: '10',
    durableSequence: '10',
    spooledBytes: 0,
    spoolLimitBytes: 20 * GIB,
    dirtyBytes: 0,
    masterClockMs: NOW_MS,
  },
  proof: { sequence: '9', atMs: NOW_MS - HOUR_MS, equal: true, digests: [] },
  proving: false,
};

const READY: Readiness = { verdict: 'ready', os: { family: 'windows', name: 'Windows' }, verdicts: [] };
const NO_DRIVER: Readiness = {
  ...READY,
  verdict: 'not ready',
  verdicts: [
    { code: 'VMBUS_START', status: 'error', title: 'Start of vmbus', found: 'ControlSet001: 3 (on demand)' },
  ],
};

interface Live {
  readonly replication?: Partial<Replication>;
  readonly progress?: Partial<CopyProgress>;
  readonly bookmarkMs?: number;
  readonly speed?: number;
  readonly state?: 'replicating' | 'resync-needed';
  readonly moment?: 'watch' | 'switchover';
  readonly readiness?: Partial<Readiness>;
}

function live(change: Live): PlantedFault['given'] {
  return () => {
    const replication = { ...REPLICATION, ...change.replication };
    const progress = { state: 'replicating', replication, ...change.progress } as CopyProgress;
    const cloud = rightCloud();
    cloud.sizes = cloud.sizes.map((size) => ({ ...size, diskBytesPerSecond: change.speed ?? 100 * 2 ** 20 }));
    const { bookmarkMs = NOW_MS - HOUR_MS } = change;
    const known = bookmarkMs === 0 ? [] : [{ name: 'noon', sequence: '9', timeMs: bookmarkMs }];
    return facts(
      {
        scenario: scenario({ capture: 'compare' }),
        moment: change.moment ?? 'watch',
        status: status({ state: change.state ?? 'replicating' }),
        session: session({
          progress: async () => progress,
          ...(change.readiness ? { readiness: async () => ({ ...READY, ...change.readiness }) } : {}),
          bookmarks: async () => ({ bookmarks: known, rewindFromMs: 0 }),
        }),
      },
      cloud,
    );
  };
}

function hello(change: { engineVersion?: string; clockDifferenceMs?: number }): PlantedFault['given'] {
  const said = {
    applianceId: 'appliance-1',
    engineVersion: ENGINE_VERSION,
    protocol: 1,
    clockDifferenceMs: 0,
  };
  return () => facts({ session: session({ hello: { ...said, ...change } }) });
}

export const faultsOfReplica: readonly PlantedFault[] = [
  { fault: 'a live scenario in which all is well', found: [], given: live({}) },
  {
    fault: 'an appliance of another version',
    found: ['warning ENGINE_VERSION_DIFFERS'],
    given: hello({ engineVersion: '0.0.1' }),
  },
  {
    fault: 'a master of another version',
    found: ['warning ENGINE_VERSION_DIFFERS'],
    given: () =>
      facts({
        session: session({
          masters: async () => [{ masterId: 'master-1', connected: true, engineVersion: '0.0.1' }],
        }),
      }),
  },
  {
    fault: 'a clock two minutes ahead',
    found: ['warning CLOCK_DIFFERS'],
    given: hello({ clockDifferenceMs: 120_000 }),
  },
  {
    fault: 'a clock ten minutes behind',
    found: ['error CLOCK_WRONG'],
    given: hello({ clockDifferenceMs: -600_000 }),
  },
  {
    fault: 'a journal that is full',
    found: ['error JOURNAL_FAILED'],
    given: live({ replication: { journal: { ...REPLICATION.journal, state: 'full', reason: 'no room' } } }),
  },
  {
    fault: 'a journal that holds an hour',
    found: ['warning JOURNAL_SHORT'],
    given: live({ replication: { journal: { ...REPLICATION.journal, limitBytes: 3600 * 2 ** 20 } } }),
  },
  {
    fault: 'a spool that holds an hour',
    found: ['warning SPOOL_SHORT'],
    given: live({
      replication: {
        stream: {
          ...(REPLICATION.stream as NonNullable<Replication['stream']>),
          spoolLimitBytes: 3600 * 2 ** 20,
        },
      },
    }),
  },
  {
    fault: 'disks slower than the changes',
    found: ['warning DISKS_TOO_SLOW'],
    given: live({ speed: 2 ** 20 }),
  },
  {
    fault: 'a replica ten minutes behind',
    found: ['warning RPO_HIGH'],
    given: live({ replication: { lagSeconds: 600 } }),
  },
  {
    fault: 'a lag that nobody knows',
    found: ['skipped REPLICATION_UNKNOWN'],
    given: live({ replication: { lagSeconds: undefined as unknown as number } }),
  },
  {
    fault: 'a replica that lost its place',
    found: ['error RESYNC_NEEDED'],
    given: live({ state: 'resync-needed' }),
  },
  {
    fault: 'a replica that lost its place, at switchover',
    found: ['warning RESYNC_NEEDED'],
    given: live({ state: 'resync-needed', moment: 'switchover' }),
  },
  {
    fault: 'a replication that failed',
    found: ['error REPLICATION_FAILED'],
    given: live({ progress: { state: 'failed', error: { code: 'DISK_FAILED', what: 'The disk is gone.' } } }),
  },
  {
    fault: 'a copy at rest of last month',
    found: ['warning COPY_OLD'],
    given: () => facts({ moment: 'watch', status: status({ synchronisedAtMs: NOW_MS - 30 * 24 * HOUR_MS }) }),
  },
  {
    fault: 'a scenario that was never run',
    found: ['skipped NOTHING_COPIED', 'skipped PROOF_UNKNOWN'],
    given: () =>
      facts({ moment: 'watch', status: { id: 's', name: 's', state: 'stopped', sinceMs: 0, epoch: 0 } }),
  },
  {
    fault: 'a bookmark of last week',
    found: ['warning BOOKMARK_OLD'],
    given: live({ bookmarkMs: NOW_MS - 7 * 24 * HOUR_MS }),
  },
  { fault: 'no bookmark at all', found: ['warning BOOKMARK_NONE'], given: live({ bookmarkMs: 0 }) },
  {
    fault: 'a proof that found a difference',
    found: ['error PROOF_DIFFERS'],
    given: live({
      replication: {
        proof: {
          sequence: '9',
          atMs: NOW_MS,
          equal: false,
          digests: [],
          differing: [{ diskId: 'disk0', bytes: 512, firstByte: 0 }],
        },
      },
    }),
  },
  {
    fault: 'a proof of last month',
    found: ['warning PROOF_OLD'],
    given: live({
      replication: { proof: { sequence: '9', atMs: NOW_MS - 30 * 24 * HOUR_MS, equal: true, digests: [] } },
    }),
  },
  {
    fault: 'a replica whose server would not start',
    found: ['error NOT_READY'],
    given: live({
      readiness: { ...NO_DRIVER, sealed: { verdict: 'not ready', changes: ['something else'] } },
    }),
  },
  {
    fault: 'a replica whose server would not start, and its sealed copy would',
    found: [],
    given: live({ readiness: { ...NO_DRIVER, sealed: { verdict: 'ready', changes: ['vmbus: Start = 0'] } } }),
  },
  {
    fault: 'a replica whose server would not start, at switchover',
    found: ['warning NOT_READY_NOW'],
    given: live({ readiness: NO_DRIVER, moment: 'switchover' }),
  },
  {
    fault: 'a replica that holds what cannot be read',
    found: ['skipped READINESS_UNKNOWN'],
    given: live({ readiness: { verdict: 'not proven' } }),
  },
  {
    fault: 'a live scenario without a proof',
    found: ['warning PROOF_NONE'],
    given: live({ replication: { proof: undefined as unknown as NonNullable<Replication['proof']> } }),
  },
];
