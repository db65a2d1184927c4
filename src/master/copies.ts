import type { CaptureSession } from '../capture/capture.ts';
import { captureMethod } from '../capture/index.ts';
import type { Clock } from '../clock.ts';
import { StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { Checksum } from '../wire/checksum.ts';
import type { Connection } from '../wire/connection.ts';
import type { Timings } from '../wire/limits.ts';
import type { Params, Result } from '../wire/messages.ts';
import { CopyJob } from './copy-job.ts';
import type { MasterIdentity } from './identity.ts';
import type { LiveCaptures } from './live-captures.ts';
import type { SenderOptions } from './sender.ts';

/** The copies under way in one session, one for each scenario at most. They end with the session. */
export interface CopiesOptions {
  readonly identity: MasterIdentity;
  readonly live: LiveCaptures;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
  readonly spoil?: SenderOptions['spoil'];
}

export class Copies {
  readonly #options: CopiesOptions;
  readonly #jobs = new Map<string, CopyJob>();
  readonly #inTurn = makeInTurn();

  constructor(options: CopiesOptions) {
    this.#options = options;
  }

  /** Opens the disks, makes sure they are those the copy began with, and begins to send. */
  start(start: Params<'copyStart'>, session: Connection): Promise<Result<'copyStart'>> {
    return this.#inTurn(async () => {
      await this.#end(start.scenarioId);
      const { identity, live: _, ...rest } = this.#options;
      const capture = await this.#openCapture(start);
      try {
        const identities = await assertSameDisks(start, capture);
        const { appliance } = identity;
        const lane = { ...rest, appliance, credentials: identity };
        this.#jobs.set(start.scenarioId, new CopyJob({ ...rest, start, capture, session, lane }));
        return { identities };
      } catch (error) {
        await capture.close();
        throw error;
      }
    });
  }

  get(scenarioId: string): CopyJob {
    const job = this.#jobs.get(scenarioId);
    if (job) return job;
    throw new StandbyError({
      code: 'COPY_UNKNOWN',
      what: 'No copy of this scenario runs on the master.',
      retry: 'later',
    });
  }

  end(scenarioId: string): Promise<void> {
    return this.#inTurn(() => this.#end(scenarioId));
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      for (const scenarioId of [...this.#jobs.keys()]) await this.#end(scenarioId);
    });
  }

  async #end(scenarioId: string): Promise<void> {
    const job = this.#jobs.get(scenarioId);
    this.#jobs.delete(scenarioId);
    await job?.stop();
  }

  async #openCapture(start: Params<'copyStart'>): Promise<CaptureSession> {
    const method = captureMethod(start.options.capture);
    if (method.live) return await this.#options.live.copyFrom(start.scenarioId);
    const known: readonly MasterDisk[] = this.#options.identity.inventory.disks;
    const disks = start.disks.map(({ diskId, sizeBytes }) => {
      const disk = known.find((one) => one.id === diskId);
      if (disk) return { ...disk, sizeBytes };
      throw new StandbyError({
        code: 'DISK_UNKNOWN',
        what: `This master has no disk ${diskId}.`,
        why: `It joined with ${known.map((one) => one.id).join(', ')}.`,
        next: 'Join the master again with all its disks.',
      });
    });
    const excluded = start.disks.flatMap(({ diskId, excluded: ranges }) =>
      ranges.map((range) => ({ diskId, ...range })),
    );
    return await method.open(disks, { excluded });
  }
}

/** A copy that was interrupted goes on only over the very disks it began with. */
async function assertSameDisks(
  start: Params<'copyStart'>,
  capture: CaptureSession,
): Promise<Result<'copyStart'>['identities']> {
  const identities: Result<'copyStart'>['identities'] = [];
  for (const { diskId, identity: expected } of start.disks) {
    const view = capture.view(diskId);
    const identity = await view.identity();
    if (expected !== undefined && expected !== identity) {
      throw new StandbyError({
        code: 'DISK_CHANGED',
        what: `Disk ${diskId} (${view.path}) changed since its copy began.`,
        why: `Then: ${expected}. Now: ${identity}.`,
        next: 'Make sure nothing writes to it, then run the scenario again: it starts over.',
      });
    }
    identities.push({ diskId, identity });
  }
  return identities;
}
