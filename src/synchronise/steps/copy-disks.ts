/**
 * Promises that both ends say that every disk is the same. The copying itself is the engines' work and goes on
 * without us: if we die, a resumed step only looks on. An appliance or a master that is away is waited for, as long
 * as the person is patient (Ctrl-C; `standby resume` goes on). A copy that failed leaves the scenario
 * `resync-needed` with the reason; a resumed step starts it again.
 *
 * With a live capture method it ends when the appliance says `replicating`: the copy and every change made meanwhile
 * are one proven state, and later changes follow by themselves (G-70).
 */
import { StandbyError } from '../../errors.ts';
import { isLiveCapture } from '../../model/capture.ts';
import { MIB } from '../../model/disk.ts';
import type { DiskDigest } from '../../model/scenario.ts';
import type { Step, StepContext } from '../../plan/plan.ts';
import { isPassing, persistently } from '../../switchover/appliance-session.ts';
import type { Work } from '../../switchover/work.ts';
import type { ControlSession, CopyProgress } from '../../wire/control-session.ts';
import { CatchingUp, type LivePosition, positionOf } from '../catching-up.ts';
import { CopyRate } from '../copy-rate.ts';
import type { SynchroniseOptions } from '../options.ts';
import { OPEN_REPLICA, type OpenedReplica } from './open-replica.ts';

export const COPY_DISKS = 'copy-disks';
/** The appliance's word for a live replica that was whole and keeps its last position: its epoch is over. */
export const RESYNC_NEEDED = 'RESYNC_NEEDED';
const HOLD_MS = 1000;
const AGAIN_MS = 1000;

export interface Copied {
  readonly epoch: number;
  readonly digests: readonly DiskDigest[];
  readonly totalBytes: number;
  readonly sentBytes: number;
  readonly wireBytes: number;
  readonly resentBlocks: number;
  /** Free by the file systems, so not copied; runs of versions before it do not tell. */
  readonly leftOutBytes?: number;
  readonly startedAtMs?: number;
  readonly endedAtMs: number;
  /** Live: the consistent position that the replica has. */
  readonly position?: LivePosition;
}

export function copyDisksStep(work: Work, options: SynchroniseOptions): Step<Copied> {
  return {
    id: COPY_DISKS,
    title: isLiveCapture(work.scenario.capture) ? 'Synchronise the disks' : 'Copy the disks',
    async run(context) {
      const { epoch } = context.output<OpenedReplica>(OPEN_REPLICA);
      if (options.sync?.mode !== 'stream')
        await work.setStatus({ state: 'synchronising', activeRunId: work.runId });
      const follower = new Follower(work, context, options, epoch);
      return persistently(work, context, (session) => follower.follow(session));
    },
  };
}

const PROGRESS_TITLES: { readonly [State in CopyProgress['state']]?: string } = {
  proving: 'Comparing both ends',
  draining: 'Copied, catching up',
  synchronised: 'Copied',
  replicating: 'Copied',
};

/** Lives as long as the step; sessions come and go. */
class Follower {
  readonly #work: Work;
  readonly #context: StepContext;
  readonly #options: SynchroniseOptions;
  readonly #epoch: number;
  readonly #rate = new CopyRate();
  /** Once the appliance has taken our order, `failed` and `idle` are news and not what an earlier try left. */
  #started = false;
  #told = '';
  readonly #live: CatchingUp | undefined;

  constructor(work: Work, context: StepContext, options: SynchroniseOptions, epoch: number) {
    this.#work = work;
    this.#context = context;
    this.#options = options;
    this.#epoch = epoch;
    if (isLiveCapture(work.scenario.capture)) {
      this.#live = new CatchingUp({ streamOnly: options.sync?.mode === 'stream' });
    }
  }

  async follow(session: ControlSession): Promise<Copied> {
    const { scenario, clock } = this.#work;
    let progress = await session.progress(scenario.id);
    for (;;) {
      this.#context.signal.throwIfAborted();
      this.#assertOurEpoch(progress);
      if (this.#isDone(progress)) return this.#finished(progress);
      if (this.#started) await this.#judge(progress);
      else await this.#start(session);
      this.#tell(progress);
      progress = await session.progress(scenario.id, HOLD_MS);
      // Changes come faster than anybody reads.
      await clock.sleep(HOLD_MS / 4, this.#context.signal);
    }
  }

  async #start(session: ControlSession): Promise<void> {
    const { scenario, clock } = this.#work;
    try {
      const { lanes, compression, sync } = this.#options;
      const mode = sync === undefined || sync.mode === 'stream' ? {} : { mode: sync.mode };
      await session.startCopy(scenario.id, { capture: scenario.capture, lanes, compression, ...mode });
      this.#started = true;
    } catch (error) {
      if (!isPassing(error)) throw await this.#failed(error);
      this.#tellOnce(`${error.message} The copy begins as soon as it is there.`);
      await clock.sleep(AGAIN_MS, this.#context.signal);
    }
  }

  #isDone(progress: CopyProgress): boolean {
    return this.#live ? this.#started && this.#live.isOver(progress) : progress.state === 'synchronised';
  }

  async #judge(progress: CopyProgress): Promise<void> {
    const { scenario } = this.#work;
    await this.#tellPhase(progress);
    if (progress.state === 'failed' || (this.#live && progress.state === 'resync-needed')) {
      const error = progress.error ?? {
        code: 'COPY_FAILED',
        what: 'The copy failed; the appliance gives no reason.',
      };
      throw await this.#failed(new StandbyError(error));
    }
    if (progress.state === 'idle' || progress.state === 'sealed') {
      throw new StandbyError({
        code: 'COPY_STOPPED',
        what: `The copy of "${scenario.name}" was stopped on the appliance.`,
        next: `Copy again: standby run ${scenario.name}`,
      });
    }
    if (progress.state === 'master-away') {
      this.#tellOnce(
        'The master is not connected; the copy goes on as soon as it is (standby engine master, on the master).',
      );
    }
  }

  /** Live: `draining` begins when every block is here, and may lead back when a block differed. */
  async #tellPhase({ state }: CopyProgress): Promise<void> {
    const phase = this.#live?.phaseOf(state);
    if (phase === undefined || phase === (await this.#work.status()).state) return;
    await this.#work.setStatus({ state: phase, activeRunId: this.#work.runId });
    if (phase !== 'draining') return;
    this.#context.progress(
      'Every block is here. What changed meanwhile is brought in, in order; then both ends prove that they are equal.',
    );
  }

  /** The scenario tells the reason too; passing troubles never come here. */
  async #failed(error: unknown): Promise<unknown> {
    if (!(error instanceof StandbyError)) return error;
    await this.#work.setStatus({ state: 'resync-needed', reason: error.message });
    const { scenario, runId } = this.#work;
    await this.#work.event({
      level: 'error',
      code: 'COPY_FAILED',
      text: `The copy of "${scenario.name}" failed: ${error.message}`,
      data: { code: error.code },
    });
    const { code, what, why, next } = error;
    return new StandbyError({
      code,
      what,
      ...(why === undefined ? {} : { why }),
      next: this.#cannotGoOn(code)
        ? `Synchronise anew, which compares both ends: standby run ${scenario.name}`
        : `${next ?? 'Put that right.'} Then copy again: standby resume ${runId}`,
      cause: error,
    });
  }

  /** Only a new epoch helps: `standby run` gives this run up then (control/sync-history.ts). */
  #cannotGoOn(code: string): boolean {
    return this.#options.sync?.mode === 'stream' || code === RESYNC_NEEDED;
  }

  #assertOurEpoch(progress: CopyProgress): void {
    if (progress.epoch === this.#epoch) return;
    throw new StandbyError({
      code: 'REPLICA_OTHER_EPOCH',
      what: `The appliance works on epoch ${progress.epoch} of "${this.#work.scenario.name}", not on ${this.#epoch}.`,
      why: 'Another control may use this appliance, or its state was lost.',
      next: `Stop the scenario (standby stop ${this.#work.scenario.name}) and run it again.`,
    });
  }

  #finished(progress: CopyProgress): Copied {
    const { epoch, totalBytes, sentBytes, wireBytes, resentBlocks, startedAtMs, endedAtMs } = progress;
    const { leftOutBytes } = progress;
    this.#tell(progress);
    if (this.#options.sync?.mode !== 'stream') this.#context.progress(whatTravelled(progress));
    const position = positionOf(progress);
    return {
      epoch,
      digests: progress.digests ?? progress.replication?.proof?.digests ?? [],
      totalBytes,
      sentBytes,
      wireBytes,
      resentBlocks,
      ...(leftOutBytes === undefined ? {} : { leftOutBytes }),
      ...(startedAtMs === undefined ? {} : { startedAtMs }),
      endedAtMs: endedAtMs ?? this.#work.clock.now(),
      ...(position ? { position } : {}),
    };
  }

  #tell(progress: CopyProgress): void {
    const { doneBytes, totalBytes, state } = progress;
    const pace = this.#rate.add(this.#work.clock.now(), progress);
    const title = PROGRESS_TITLES[state] ?? 'Copying';
    this.#work.tellProgress({ id: COPY_DISKS, title, doneBytes, totalBytes, ...pace });
    if (state === 'copying') this.#told = '';
  }

  #tellOnce(line: string): void {
    if (line === this.#told) return;
    this.#told = line;
    this.#context.progress(line);
  }
}

function whatTravelled({ totalBytes, sentBytes, wireBytes, leftOutBytes = 0 }: CopyProgress): string {
  const free =
    leftOutBytes > 0 ? ` ${mib(leftOutBytes)} are free by their file systems and were left out;` : '';
  return `Of ${mib(totalBytes)}, ${mib(sentBytes)} were sent (${mib(wireBytes)} on the line);${free} zeros never travel.`;
}

function mib(bytes: number): string {
  return `${(bytes / MIB).toFixed(1)} MiB`;
}
