import type { Clock } from '../clock.ts';
import { messageOf, type StandbyError } from '../errors.ts';
import { makeInTurn } from '../in-turn.ts';
import type { Log } from '../log.ts';
import type { Checksum } from '../wire/checksum.ts';
import { type Connection, toWire } from '../wire/connection.ts';
import type { Timings } from '../wire/limits.ts';
import type { Params, Result } from '../wire/messages.ts';
import { ChangeSender } from './change-sender.ts';
import type { MasterIdentity } from './identity.ts';
import { type LiveCaptures, type LiveStream, notStarted } from './live-captures.ts';
import { StreamProofs } from './stream-proofs.ts';
import { StreamTeller } from './stream-teller.ts';

/**
 * The streams that one session carries: what the appliance asks of them, and what it hears. They end with the session;
 * the captures do not. Dies at any line: the appliance asks for its streams again over the next session.
 */
export interface StreamsOptions {
  readonly identity: MasterIdentity;
  readonly live: LiveCaptures;
  readonly checksum: Checksum;
  readonly clock: Clock;
  readonly log: Log;
  readonly timings: Timings;
}

interface Carried {
  readonly sender: ChangeSender;
  readonly teller: StreamTeller;
  readonly proofs: StreamProofs;
}

export class Streams {
  readonly #options: StreamsOptions;
  readonly #carried = new Map<string, Carried>();
  readonly #inTurn = makeInTurn();

  constructor(options: StreamsOptions) {
    this.#options = options;
  }

  start(start: Params<'streamStart'>, session: Connection): Promise<Result<'streamStart'>> {
    return this.#inTurn(async () => {
      const { live, log } = this.#options;
      const { scenarioId } = start;
      await this.#end(scenarioId);
      const { stream, originSequence, lost } = await live.start(start);
      for (const other of this.#carried.keys()) if (!live.has(other)) await this.#end(other);
      if (stream) this.#carried.set(scenarioId, this.#carry(stream, originSequence, session));
      if (lost) {
        log.warn('a stream is lost', { scenarioId, reason: lost.message });
        void this.#tell(session, scenarioId, lost, true);
      }
      return originSequence === undefined ? {} : { originSequence: String(originSequence) };
    });
  }

  async prove(scenarioId: string): Promise<void> {
    const { proofs } = this.#get(scenarioId);
    // Everything is copied: a view that is held for the copy stands in the way of the stream.
    await this.#options.live.letViewsGo(scenarioId);
    proofs.begin();
  }

  leaves(scenarioId: string, diskId: string, fromByte: number): Result<'streamLeaves'> {
    return this.#get(scenarioId).proofs.leaves(diskId, fromByte);
  }

  #get(scenarioId: string): Carried {
    const carried = this.#carried.get(scenarioId);
    if (!carried) throw notStarted(scenarioId);
    return carried;
  }

  stop(scenarioId: string, forget: boolean): Promise<void> {
    return this.#inTurn(async () => {
      await this.#end(scenarioId);
      await this.#options.live.stop(scenarioId, forget);
    });
  }

  /** The session is over. */
  end(): Promise<void> {
    return this.#inTurn(async () => {
      for (const scenarioId of [...this.#carried.keys()]) await this.#end(scenarioId);
    });
  }

  #carry(stream: LiveStream, origin: bigint | undefined, session: Connection): Carried {
    const { identity, checksum, clock, log, timings } = this.#options;
    const { known, changes } = stream;
    const { scenarioId, epoch } = known;
    const sender = new ChangeSender({
      appliance: identity.appliance,
      credentials: identity,
      scenarioId,
      epoch,
      diskIds: known.disks.map(({ diskId }) => diskId),
      changes,
      origin,
      checksum,
      clock,
      log,
      timings,
      onProblem: (error, lost) => void this.#tell(session, scenarioId, error, lost),
    });
    const onProblem = (error: StandbyError) => void this.#tell(session, scenarioId, error, false);
    const proofs = new StreamProofs({ stream, session, clock, log, onProblem });
    const teller = new StreamTeller({ scenarioId, changes, session, clock, log });
    return { sender, teller, proofs };
  }

  async #end(scenarioId: string): Promise<void> {
    const carried = this.#carried.get(scenarioId);
    this.#carried.delete(scenarioId);
    if (!carried) return;
    await Promise.all([carried.proofs.stop(), carried.sender.stop(), carried.teller.stop()]);
  }

  /** A problem that cannot be told is lost with its session; it shows again in the next one, if it is still there. */
  async #tell(session: Connection, scenarioId: string, error: StandbyError, lost: boolean): Promise<void> {
    const { log } = this.#options;
    const problem = { scenarioId, error: toWire(error, log, 'the stream'), lost };
    await session.request('streamProblem', problem).catch((failure: unknown) => {
      log.warn('a problem could not be told', { scenarioId, reason: messageOf(failure) });
    });
  }
}
