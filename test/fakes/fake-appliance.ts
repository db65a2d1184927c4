import { StandbyError } from '../../src/errors.ts';
import { GIB } from '../../src/model/disk.ts';
import type { Readiness } from '../../src/model/readiness.ts';
import type { DiskDigest } from '../../src/model/scenario.ts';
import type { SealedPatch } from '../../src/model/sealed-patch.ts';
import type {
  ControlSession,
  CopyOptions,
  CopyProgress,
  FenceOutcome,
  ReplicaSpec,
  RestoreState,
} from '../../src/wire/control-session.ts';
import type { HeldReplica, HoldRequest } from '../../src/wire/hold-messages.ts';
import type { RestoreSpec } from '../../src/wire/restore-messages.ts';
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
  /** What it would change on a sealed replica, and whether it is changed now. */
  patch: SealedPatch = {
    changes: [{ diskId: 'disk0', code: 'GPT_BACKUP', text: 'The backup of the GPT goes to the end.' }],
    left: [],
    verdict: 'ready',
    faults: [],
  };
  patched = false;
  patches = 0;
  /** There from the first start with a live capture method on; a new epoch makes a new one. */
  live: FakeLive | undefined;
  /** Changes each new live replica before anybody sees it. */
  prepare: (live: FakeLive) => void = () => undefined;
  /** Whose drill the disks stand still for, and why a hold is over before its time. */
  held: { readonly holdId: string; readonly replica: HeldReplica } | undefined;
  holdEnds: string | undefined;
  /** What control has opened, and whether a machine comes to be restored. */
  restore: RestoreSpec | undefined;
  restorer = true;
  restoreLooks = 0;
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
          ...this.#ownerOf(lun),
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
      hold: async (_scenarioId, request) => this.#hold(request, expectSpec().epoch),
      release: async (_scenarioId, holdId) => {
        const held = this.held?.holdId === holdId;
        if (held) this.#endHold();
        return { held, ...(held ? {} : { why: this.holdEnds ?? 'it was never held' }) };
      },
      seal: async (_scenarioId, options = {}) => {
        const { epoch } = expectSpec();
        this.#endHold();
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
      patchReplica: async () => {
        this.patched = this.patch.changes.length > 0;
        this.patches++;
        return this.patch;
      },
      unpatchReplica: async () => {
        this.patched = false;
      },
      bandwidth: async () => ({}),
      setBandwidth: async () => undefined,
      unseal: async () => {
        this.sealed = false;
        this.patched = false;
        this.live?.unseal();
      },
      bookmark: async (_scenarioId, name) => this.#expectLive().bookmark(name),
      bookmarks: async () => ({
        bookmarks: this.#expectLive().bookmarks,
        rewindFromMs: this.#expectLive().rewindFrom(),
      }),
      setRewind: async (_scenarioId, rewind) => {
        this.spec = { ...expectSpec(), rewind };
      },
      scrub: async () => this.#expectLive().scrub(),
      openRestore: async (spec) => {
        if (this.restore?.restoreId === spec.restoreId) return;
        this.restore = spec;
        this.restoreLooks = 0;
      },
      restoreState: async () => this.#restoreState(),
      closeRestore: async () => {
        this.restore = undefined;
      },
      closeReplica: async () => {
        this.spec = undefined;
      },
      close: async () => undefined,
    };
  }

  #hold({ holdId, renew }: HoldRequest, epoch: number): HeldReplica {
    if (this.holdEnds !== undefined) this.#endHold();
    if (this.held?.holdId === holdId) return this.held.replica;
    if (this.held) throw new StandbyError({ code: 'REPLICA_HELD', what: 'Another drill.', retry: 'later' });
    if (renew) {
      throw new StandbyError({
        code: 'HOLD_ENDED',
        what: 'The disks do not stand still any more.',
        why: this.holdEnds ?? 'it was never held',
      });
    }
    if (this.live) this.live.holding = true;
    const position = this.live && {
      sequence: String(this.live.applied),
      timeMs: this.live.masterNow(),
    };
    const replica = {
      epoch,
      synchronisedAtMs: 1,
      digests: this.digests(),
      ...(position ? { position } : {}),
    };
    this.held = { holdId, replica };
    return replica;
  }

  #endHold(): void {
    this.held = undefined;
    this.patched = false;
    if (this.live) this.live.holding = false;
  }

  #ownerOf(lun: number): { scenarioId: string; diskId: string } | undefined {
    const disk = this.spec?.disks.find((one) => one.lun === lun);
    return this.spec && disk && { scenarioId: this.spec.scenarioId, diskId: disk.diskId };
  }

  /** The machine is here at the second look, and done at the third. */
  #restoreState(): RestoreState | undefined {
    if (!this.restore) return undefined;
    const { restoreId, final, disks } = this.restore;
    const looks = ++this.restoreLooks;
    const totalBytes = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
    const digests = disks.map(({ diskId, sizeBytes }) => ({ diskId, sizeBytes, digest: 'd'.repeat(64) }));
    return {
      restoreId,
      final,
      connected: looks > 1,
      doneBytes: looks > 1 ? totalBytes : 0,
      totalBytes,
      sentBytes: 0,
      wireBytes: 0,
      ...(looks > 2 && this.restorer ? { proven: { atMs: 1, digests, sentBytes: 4096 } } : {}),
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
      state: this.sealed ? 'sealed' : this.phase,
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
