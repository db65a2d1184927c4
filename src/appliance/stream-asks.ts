import { messageOf, StandbyError } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Connection } from '../wire/connection.ts';
import type { Result } from '../wire/messages.ts';
import type { ReplicaBook } from './replica-book.ts';
import { aborted } from './stream-proof.ts';

/** Restarting a stream may read whole disks first; a lost session ends the wait. */
const RESTART_MS = 24 * 3_600_000;

/** What an appliance asks of the master whose stream it follows. It keeps nothing: the record says what is wanted. */
export class StreamAsks {
  readonly #book: ReplicaBook;
  readonly #log: Log;
  readonly #session: () => Connection | undefined;
  #asking: AbortController | undefined;

  constructor(book: ReplicaBook, log: Log, session: () => Connection | undefined) {
    this.#book = book;
    this.#log = log;
    this.#session = session;
  }

  /** `fresh`: anew, and answers where it begins. Otherwise it goes on. */
  async start(session: Connection, fresh: boolean): Promise<Result<'streamStart'>> {
    const { spec, options } = this.#book.record;
    if (!options) throw new RangeError('a stream is wanted without options');
    const { scenarioId, epoch } = spec;
    const disks = spec.disks.map(({ diskId, sizeBytes, excluded }) => ({ diskId, sizeBytes, excluded }));
    const start = { scenarioId, epoch, capture: options.capture, fresh, disks };
    const over = new AbortController();
    this.#asking = over;
    return await Promise.race([
      session.request('streamStart', start, fresh ? RESTART_MS : undefined),
      aborted(over.signal),
    ]);
  }

  /** Whoever comes next in turn does not wait for a master that reads its disks before it answers. */
  giveUp(reason: string): void {
    const what = `The master was no longer asked for its stream: ${reason}.`;
    this.#asking?.abort(new StandbyError({ code: 'STREAM_STOPPED', what, retry: 'later' }));
  }

  stop(forget: boolean): void {
    const { scenarioId } = this.#book.record.spec;
    this.#session()
      ?.request('streamStop', { scenarioId, forget })
      .catch((error: unknown) => {
        // It left or is slow: its connection for changes is closed, so nothing of it is taken.
        this.#log.debug('the master was not told to stop', { scenarioId, error: messageOf(error) });
      });
  }
}
