import { StandbyError } from '../../src/errors.ts';
import { GIB } from '../../src/model/disk.ts';
import type { Readiness } from '../../src/model/readiness.ts';
import type { DiskDigest } from '../../src/model/scenario.ts';
import type {
  ControlSession,
  CopyOptions,
  CopyProgress,
  FenceOutcome,
  ReplicaSpec,
} from '../../src/wire/control-session.ts';
import { ENGINE_VERSION } from '../../src/wire/version.ts';
import { APPLIANCE_VM_ID, type FakeCloud } from './fake-cloud.ts';
import { FakeLive } from './fake-live.ts';

/** An appliance in memory: it sees the disks that the fake cloud attached, and "copies" in a few polls. */
export class FakeAppliance {
  readonly #fake: FakeCloud;
  spec: ReplicaSpec | undefined;
  phase: CopyProgress['state'] = 'idle';
  sealed = false;
  /** What it remembers, and how asking the master goes. */
  fenced = false;
  fenceOutcome: FenceOutcome['outcome'] = 'done';
  /** Every spec that was opened, for what was blank in which epoch. */
  readonly opened: ReplicaSpec[] = [];
  /** Connections that fail, one after the other. */
  refusals: StandbyError[] = [];
  /** `startCopy` answers that the master is away so many times. */
  masterAwayTimes = 0;
  /** The next copy ends with this. */
  failure: CopyProgress['error'];
  starts = 0;
  /** What it finds in the replica. */
  readiness: Readiness = { verdict: 'ready', os: { family: 'linux', name: 'Linux' }, verdicts: [] };
  /** There from the first start with a live capture method on; a new epoch makes a new one. */
  live: FakeLive | undefined;
  /** Changes each new live replica before anybody sees it. */
  prepare: (live: FakeLive) => void = () => undefined;
  #polls = 0;

  constructor(fake: FakeCloud) {
    this.#fake = fake;
  }

  /** What the master's disks "contain": a change of it is a change of the digests. */
  content = 'a';

  connect = async (): Promise<ControlSession> => {
    const refused = this.refusals.shift();
    if (refused) throw refused;
    return this.#session();
  };

  digests(): DiskDigest[] {
    return (this.spec?.disks ?? []).map(({ diskId, sizeBytes }) => ({
      diskId,
      sizeBytes,
      digest: this.content.repeat(64).slice(0, 64),
    }));
  }

  #session(): ControlSession {
    const expectSpec = () => {
      if (this.spec) return this.spec;
      throw new StandbyError({ code: 'REPLICA_UNKNOWN', what: 'No replica was opened.' });
    };
    return {
      hello: { applianceId: 'appliance-1', engineVersion: ENGINE_VERSION, protocol: 1, clockDifferenceMs: 0 },
      disks: async () =>
        (this.#fake.machines.get(APPLIANCE_VM_ID.toLowerCase())?.dataDisks ?? []).map(({ diskId, lun }) => ({
          lun,
          path: `/dev/lun${lun}`,
          sizeBytes: (this.#fake.disks.get(diskId.toLowerCase())?.sizeGib ?? 1) * GIB,
        })),
      offerJoin: async () => undefined,
      pendingJoins: async () => [],
      grantJoin: async () => undefined,
      masters: async () => [{ masterId: 'master-1', connected: this.live?.masterHere ?? true }],
      openReplica: async (spec) => {
        if (this.spec && spec.epoch < this.spec.epoch)
          throw new StandbyError({ code: 'EPOCH_OLD', what: 'Old epoch.' });
        if (this.spec?.epoch === spec.epoch) return;
        this.opened.push(spec);
        this.spec = spec;
        this.sealed = false;
        this.phase = 'idle';
        this.live = undefined;
      },
      startCopy: async (_scenarioId, options) => {
        expectSpec();
        if (this.masterAwayTimes-- > 0) {
          throw new StandbyError({
            code: 'MASTER_AWAY',
            what: 'The master is not connected.',
            retry: 'later',
          });
        }
        if (options.capture !== 'at-rest') return this.#startLive(options);
        if (this.phase === 'synchronised' || this.phase === 'copying') return;
        this.starts++;
        this.#polls = 0;
        this.phase = 'copying';
      },
      progress: async () => this.#progress(expectSpec()),
      stopCopy: async () => {
        this.live?.stop();
        this.phase = 'idle';
      },
      seal: async (_scenarioId, options = {}) => {
        const { epoch } = expectSpec();
        if (this.live) return this.live.seal(options, epoch);
        if (this.phase !== 'synchronised')
          throw new StandbyError({ code: 'NOT_SYNCHRONISED', what: 'Not whole.' });
        this.sealed = true;
        return { epoch, synchronisedAtMs: 1, digests: this.digests() };
      },
      fence: async (_scenarioId, fenced, insist) => {
        const comesToNothing = fenced && !insist && this.fenceOutcome !== 'done';
        this.fenced = fenced && !comesToNothing;
        // Without clients nothing is written.
        if (this.live) this.live.rate = this.fenced ? 0n : 10n;
        return { outcome: this.fenceOutcome };
      },
      readiness: async () => this.readiness,
      bandwidth: async () => ({}),
      setBandwidth: async () => undefined,
      unseal: async () => {
        this.sealed = false;
        this.live?.unseal();
      },
      bookmark: async (_scenarioId, name) => this.#expectLive().bookmark(name),
      bookmarks: async () => ({
        bookmarks: this.#expectLive().bookmarks,
        rewindFromMs: this.#expectLive().masterNow() - 3_600_000,
      }),
      setRewind: async (_scenarioId, rewind) => {
        this.spec = { ...expectSpec(), rewind };
      },
      scrub: async () => this.#expectLive().scrub(),
      closeReplica: async () => {
        this.spec = undefined;
      },
      close: async () => undefined,
    };
  }

  #expectLive(): FakeLive {
    if (this.live) return this.live;
    throw new StandbyError({ code: 'NOT_REPLICATING', what: 'It does not replicate.' });
  }

  #startLive(options: CopyOptions): void {
    if (!this.live) {
      this.live = new FakeLive(() => this.digests());
      this.prepare(this.live);
    }
    this.starts++;
    this.live.start(options);
  }

  #progress(spec: ReplicaSpec): CopyProgress {
    const totalBytes = spec.disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const { scenarioId, epoch } = spec;
    if (this.live) return this.live.progress({ scenarioId, epoch, totalBytes });
    if (this.phase === 'copying' && ++this.#polls > 3) {
      this.phase = this.failure ? 'failed' : 'synchronised';
    }
    const { failure } = this;
    if (this.phase === 'failed') this.failure = undefined;
    const done = this.phase === 'synchronised' ? totalBytes : (totalBytes * this.#polls) / 4;
    return {
      scenarioId: spec.scenarioId,
      epoch: spec.epoch,
      state: this.phase,
      doneBytes: done,
      totalBytes,
      sentBytes: done,
      wireBytes: done,
      resentBlocks: 0,
      ...(this.phase === 'synchronised' ? { digests: this.digests(), endedAtMs: 1 } : {}),
      ...(this.phase === 'failed' && failure ? { error: failure } : {}),
    };
  }
}
