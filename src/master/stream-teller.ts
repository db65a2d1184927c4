import type { ChangeStream, StreamState } from '../capture/capture.ts';
import type { Clock } from '../clock.ts';
import { messageOf } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Connection } from '../wire/connection.ts';

/** Says how a stream is, every second and as soon as its mode changes, as long as the session lives. It keeps nothing. */
export interface StreamTellerOptions {
  readonly scenarioId: string;
  readonly changes: ChangeStream;
  readonly session: Connection;
  readonly clock: Clock;
  readonly log: Log;
}

const TELL_MS = 1_000;
const LOOK_MS = 100;

export class StreamTeller {
  readonly #options: StreamTellerOptions;
  readonly #over = new AbortController();
  readonly #work: Promise<void>;

  constructor(options: StreamTellerOptions) {
    this.#options = options;
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#over.abort();
    await this.#work;
  }

  async #run(): Promise<void> {
    const { changes, session, clock } = this.#options;
    const signal = AbortSignal.any([this.#over.signal, session.signal]);
    let told: StreamState['mode'] | undefined;
    let toldAt = 0;
    while (!signal.aborted) {
      const state = changes.state();
      if (state.mode !== told || performance.now() - toldAt >= TELL_MS) {
        told = state.mode;
        toldAt = performance.now();
        await this.#tell(state, signal);
      }
      await clock.sleep(LOOK_MS, signal).catch(() => undefined); // Over: the loop ends.
    }
  }

  /** The next one says more: an answer that does not come, or is a refusal, stops nothing. */
  async #tell(state: StreamState, signal: AbortSignal): Promise<void> {
    const { scenarioId, session, clock, log } = this.#options;
    const { mode, reason, lastSequence, durableSequence, spooledBytes, spoolLimitBytes, dirtyBytes } = state;
    const told = session.request('streamState', {
      scenarioId,
      state: {
        mode,
        ...(reason === undefined ? {} : { reason: reason.slice(0, 4000) }),
        lastSequence: String(lastSequence),
        durableSequence: String(durableSequence),
        spooledBytes,
        spoolLimitBytes,
        dirtyBytes,
        masterClockMs: clock.now(),
      },
    });
    const answered = told.then(
      () => undefined,
      (error: unknown) => {
        if (!signal.aborted)
          log.debug('the state of a stream was not taken', { scenarioId, reason: messageOf(error) });
      },
    );
    await new Promise<void>((resolve) => {
      const end = () => {
        signal.removeEventListener('abort', end);
        resolve();
      };
      signal.addEventListener('abort', end, { once: true });
      void answered.then(end);
    });
  }
}
