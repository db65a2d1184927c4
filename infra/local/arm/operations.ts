import { createHash, randomUUID } from 'node:crypto';
import type { Clock } from '../../../src/clock.ts';
import type { Log } from '../../../src/log.ts';
import type { State } from '../state.ts';
import { ArmError, type ArmErrorDetail } from './arm-error.ts';
import type { Work } from './behaviour.ts';
import type { JsonObject } from './json.ts';
import type { OperationShape } from './operation-shape.ts';
import { keyOf } from './resource-id.ts';

/**
 * Long-running operations. An operation is stored in the same transaction as the change that it belongs to, and
 * ends in one transaction with what its end changes. Operations on one resource (a parent and its children count
 * as one) run one after the other.
 *
 * Killed at any line: an operation is either not accepted (the client got no answer and nothing changed), or in
 * progress (the next start runs it again from its beginning), or ended. There is nothing in between.
 */
export interface OperationRecord {
  readonly id: string;
  readonly kind: 'put' | 'delete' | 'action' | 'group-delete';
  readonly resourceId: string;
  readonly verb: string;
  /** The request's action, for faults on polls. */
  readonly action: string;
  readonly location: string;
  /** Absent: the client waits for the end. */
  readonly shape?: OperationShape;
  readonly apiVersion: string;
  readonly status: 'InProgress' | 'Succeeded' | 'Failed';
  readonly startedAtMs: number;
  /** Latency: not finished before. */
  readonly dueAtMs: number;
  readonly endedAtMs?: number;
  /** A fault on order: fail with this instead of working. */
  readonly failWith?: ArmErrorDetail;
  readonly error?: ArmErrorDetail & { readonly status: number };
  readonly output?: JsonObject;
  readonly carry: JsonObject;
  readonly runs: number;
}

/** What an operation does; the core's resource part and group part. */
export interface Performer {
  perform(record: OperationRecord, work: Work): Promise<JsonObject | undefined>;
  /** In the transaction that ends the operation; what it returns is kept as the operation's output. */
  succeeded(record: OperationRecord, output: JsonObject | undefined): JsonObject | undefined;
  failed(record: OperationRecord): void;
}

export interface Operations {
  /** Inside the transaction of the change itself. */
  accept(facts: Omit<OperationRecord, 'id' | 'status' | 'startedAtMs' | 'runs'>): OperationRecord;
  /** After that transaction. */
  launch(record: OperationRecord): void;
  get(id: string): OperationRecord | undefined;
  /** In flight on exactly this resource, oldest first. */
  inFlightOn(resourceId: string): readonly OperationRecord[];
  /** Resolves when it has ended, or when Local Azure stops. */
  ended(id: string): Promise<void>;
  /** Runs again what was in flight when Local Azure ended; forgets what ended over a day ago. */
  resume(): void;
  stop(): Promise<void>;
}

const KEEP_MS = 86_400_000;

export function makeOperations(options: {
  readonly state: State;
  readonly clock: Clock;
  readonly log: Log;
  readonly performer: () => Performer;
}): Operations {
  const { state, clock, log } = options;
  const { database } = state;
  const stopping = new AbortController();
  const queues = new Map<string, Promise<void>>();
  const running = new Map<string, Promise<void>>();

  const rows = (found: readonly Record<string, unknown>[]) =>
    found.map((row) => JSON.parse(String(row.json)) as OperationRecord);
  const get = (id: string): OperationRecord | undefined =>
    rows(database.prepare('select json from operations where id = ?').all(id))[0];
  const store = (record: OperationRecord): void => {
    database
      .prepare('update operations set status = ?, ended_at_ms = ?, json = ? where id = ?')
      .run(record.status, record.endedAtMs ?? null, JSON.stringify(record), record.id);
  };

  const end = (id: string, result: { output?: JsonObject } | { error: ArmError }): void => {
    state.transaction(() => {
      const record = get(id);
      if (record === undefined) return;
      if ('error' in result) {
        const { error } = result;
        const failed: OperationRecord = {
          ...record,
          status: 'Failed',
          endedAtMs: clock.now(),
          error: { ...error.toJSON(), status: error.status },
        };
        store(failed);
        options.performer().failed(failed);
        return;
      }
      const output = options.performer().succeeded(record, result.output);
      store({
        ...record,
        status: 'Succeeded',
        endedAtMs: clock.now(),
        ...(output === undefined ? {} : { output }),
      });
    });
  };

  const work = async (first: OperationRecord): Promise<void> => {
    const { signal } = stopping;
    try {
      const waitMs = first.dueAtMs - clock.now();
      if (waitMs > 0) await clock.sleep(waitMs, signal);
      signal.throwIfAborted();
      const record = get(first.id);
      if (record === undefined || record.status !== 'InProgress') return;
      if (record.failWith !== undefined) {
        throw new ArmError(409, record.failWith.code, record.failWith.message);
      }
      store({ ...record, runs: record.runs + 1 });
      const output = await options.performer().perform(record, {
        operationId: record.id,
        verb: record.verb,
        again: record.runs > 0,
        carry: record.carry,
        saveCarry: (carry) => store({ ...(get(record.id) ?? record), carry }),
        signal,
      });
      end(record.id, output ? { output } : {});
    } catch (error) {
      // Stopping is not failing: the operation stays in progress and the next start runs it again.
      if (signal.aborted) return;
      if (!(error instanceof ArmError)) {
        log.error('a long-running operation broke', {
          operation: first.id,
          resource: first.resourceId,
          error,
        });
      }
      end(first.id, { error: error instanceof ArmError ? error : internalError() });
    }
  };

  return {
    accept(facts) {
      const record: OperationRecord = {
        ...facts,
        id: randomUUID(),
        status: 'InProgress',
        startedAtMs: clock.now(),
        runs: 0,
      };
      database
        .prepare('insert into operations (id, queue_key, status, json) values (?, ?, ?, ?)')
        .run(record.id, queueKeyOf(record.resourceId), record.status, JSON.stringify(record));
      return record;
    },
    launch(record) {
      const key = queueKeyOf(record.resourceId);
      const before = queues.get(key) ?? Promise.resolve();
      const mine = before.then(() => work(record));
      running.set(record.id, mine);
      queues.set(key, mine);
      void mine.finally(() => {
        running.delete(record.id);
        if (queues.get(key) === mine) queues.delete(key);
      });
    },
    get,
    inFlightOn(resourceId) {
      const found = database
        .prepare("select json from operations where queue_key = ? and status = 'InProgress' order by seq")
        .all(queueKeyOf(resourceId));
      return rows(found).filter((record) => keyOf(record.resourceId) === keyOf(resourceId));
    },
    ended: (id) => running.get(id) ?? Promise.resolve(),
    resume() {
      database.prepare('delete from operations where ended_at_ms < ?').run(clock.now() - KEEP_MS);
      const left = rows(
        database.prepare("select json from operations where status = 'InProgress' order by seq").all(),
      );
      for (const record of left) this.launch(record);
    },
    async stop() {
      stopping.abort(new Error('Local Azure stops.'));
      await Promise.all(running.values());
    },
  };
}

export function internalError(): ArmError {
  return new ArmError(
    500,
    'InternalServerError',
    'The server encountered an internal error. Please retry the request.',
  );
}

/** The resource itself or its outermost parent: /subscriptions/s/resourcegroups/g/providers/n/type/name. */
function queueKeyOf(resourceId: string): string {
  return keyOf(resourceId).split('/').slice(0, 9).join('/');
}

/** Bytes that look random and are always the same for the same text. */
export function bytesFor(text: string, count: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(count / 64) }, (_, index) =>
    createHash('sha512').update(`${index}:${text}`).digest(),
  );
  return Buffer.concat(blocks).subarray(0, count);
}
