import { randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import type { Clock } from '../../src/clock.ts';
import { messageOf, StandbyError } from '../../src/errors.ts';
import { type AcknowledgedRow, makeRow, type Row } from './rows.ts';

/**
 * The client of the master's database: appends one row after the other, and keeps in memory and in a file what was
 * acknowledged. It goes on until the connection ends; whoever kills the master knows why that is.
 */
export interface RowWriter {
  /** Grows as rows are acknowledged. */
  readonly acknowledged: readonly AcknowledgedRow[];
  /** Sent, and perhaps never answered: it may be on the disk or not. */
  readonly underWay: Row | undefined;
  /** Waits for this many rows; throws when the connection has ended, or after `limitMs`. */
  reach(count: number, limitMs: number): Promise<void>;
  /** Resolves with the reason when the connection has ended, whoever ended it. */
  readonly ended: Promise<string>;
  close(): Promise<void>;
}

export interface RowWriterOptions {
  readonly port: number;
  readonly logFile: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Between two rows: a database of some life, not a benchmark. */
  readonly pauseMs?: number;
  /** How long the server may take until its database answers. */
  readonly bootMs: number;
}

const PAUSE_MS = 20;
const GREETING_MS = 1500;
/** A guest that is slow to answer is asked anew less often. */
const GREETING_MS_MAX = 6000;

export async function startRowWriter(options: RowWriterOptions): Promise<RowWriter> {
  const { clock, signal, logFile } = options;
  const connection = await connected(options);
  const log = await open(logFile, 'a', 0o600);
  const acknowledged: AcknowledgedRow[] = [];
  const state: { underWay: Row | undefined } = { underWay: undefined };
  const leave = () => connection.socket.destroy();
  signal.addEventListener('abort', leave, { once: true });
  const ended = write(connection, log, acknowledged, state, options).then(
    () => 'It was closed.',
    (error: unknown) => messageOf(error),
  );
  let over: string | undefined;
  void ended.then((why) => {
    over = why;
    signal.removeEventListener('abort', leave);
  });
  return {
    acknowledged,
    get underWay() {
      return state.underWay;
    },
    ended,
    async reach(count, limitMs) {
      const until = clock.now() + limitMs;
      while (acknowledged.length < count) {
        signal.throwIfAborted();
        if (over !== undefined || clock.now() > until)
          throw stoppedTaking(acknowledged.length, over ?? `Not ${count} rows within ${limitMs / 1000} s.`);
        await clock.sleep(50, signal);
      }
    },
    async close() {
      leave();
      await ended;
      await log.close();
    },
  };
}

interface Connection {
  readonly socket: Socket;
  readonly lines: AsyncIterator<string>;
}

/** QEMU accepts for the guest before the guest does; only the database's greeting counts. */
async function connected({ port, clock, signal, bootMs }: RowWriterOptions): Promise<Connection> {
  const until = clock.now() + bootMs;
  for (let greetingMs = GREETING_MS; ; greetingMs = Math.min(greetingMs * 1.2, GREETING_MS_MAX)) {
    signal.throwIfAborted();
    const socket = connect(port, '127.0.0.1');
    socket.setNoDelay(true);
    // What went wrong is told by the end of its lines.
    socket.on('error', () => undefined);
    const reader = createInterface({ input: socket });
    // Without it, a connection that we end ourselves would leave whoever waits for a line waiting for ever.
    socket.once('close', () => reader.close());
    const lines = reader[Symbol.asyncIterator]();
    const limit = clock.sleep(greetingMs, signal).then(() => undefined);
    // A connection that breaks is one that the guest does not take yet.
    const first = lines.next().catch(() => undefined);
    const greeting = await Promise.race([first, limit]);
    if (greeting?.value === 'last 0') return { socket, lines };
    socket.destroy();
    if (greeting?.value !== undefined) throw stoppedTaking(0, `It greeted with "${greeting.value}".`);
    if (clock.now() > until) throw stoppedTaking(0, `It did not answer within ${bootMs / 1000} s.`);
    await clock.sleep(200, signal);
  }
}

async function write(
  { socket, lines }: Connection,
  log: FileHandle,
  acknowledged: AcknowledgedRow[],
  state: { underWay: Row | undefined },
  { clock, signal, pauseMs = PAUSE_MS }: RowWriterOptions,
): Promise<void> {
  for (;;) {
    const row = makeRow(acknowledged.at(-1), clock.now(), randomBytes(48).toString('base64url'));
    state.underWay = row;
    socket.write(`${row.line}\n`);
    const answer = await lines.next();
    if (answer.done) return;
    if (answer.value !== `kept ${row.number}`)
      throw new Error(`The database answered "${answer.value}" to row ${row.number}.`);
    const acknowledgedAtMs = clock.now();
    acknowledged.push({ ...row, acknowledgedAtMs });
    state.underWay = undefined;
    await log.write(`${acknowledgedAtMs} ${row.line}\n`);
    await clock.sleep(pauseMs, signal);
  }
}

function stoppedTaking(rows: number, why: string): StandbyError {
  return new StandbyError({
    code: 'DEMO_SERVER_SILENT',
    what: `The on-premises server takes no rows any more, after ${rows}.`,
    why,
  });
}
