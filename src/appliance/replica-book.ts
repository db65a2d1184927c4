import { EventEmitter } from 'node:events';
import type { Clock } from '../clock.ts';
import { makeInTurn } from '../in-turn.ts';
import { type ReplicaRecord, writeRecord } from './replica-record.ts';

/**
 * The record of one replica: in memory, on disk, and its news for whoever waits. Promises: when `save` returns the
 * record is on disk. Dies at any line: the old record or the new one is there.
 */
export class ReplicaBook {
  readonly #stateFolder: string;
  readonly #clock: Clock;
  readonly #events = new EventEmitter().setMaxListeners(0);
  #record: ReplicaRecord;
  readonly #inTurn = makeInTurn();
  #version = 1;

  constructor(stateFolder: string, clock: Clock, record: ReplicaRecord) {
    this.#stateFolder = stateFolder;
    this.#clock = clock;
    this.#record = record;
  }

  get record(): ReplicaRecord {
    return this.#record;
  }

  get version(): number {
    return this.#version;
  }

  async save(change: Partial<ReplicaRecord>): Promise<void> {
    const record = { ...this.#record, ...change };
    this.#record = record;
    await this.#inTurn(() => writeRecord(this.#stateFolder, record));
    this.tellChange();
  }

  /** A new epoch: nothing of the old record stays. */
  replace(record: ReplicaRecord): Promise<void> {
    this.#record = record;
    return this.save({});
  }

  tellChange(): void {
    this.#version++;
    this.#events.emit('change');
  }

  /** Resolves when the version is another one, or after `waitMs`, or when nobody waits any more. */
  async changed(version: number, waitMs: number, signal: AbortSignal): Promise<void> {
    if (version !== this.#version) return;
    const change = new AbortController();
    const wake = () => change.abort();
    this.#events.once('change', wake);
    const stop = AbortSignal.any([change.signal, signal]);
    await this.#clock.sleep(waitMs, stop).catch(() => undefined); // Changed, or nobody waits.
    this.#events.off('change', wake);
  }
}
