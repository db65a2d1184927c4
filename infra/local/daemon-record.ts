import { readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from './files.ts';
import { isAlive, markOf, type ProcessMark } from './processes.ts';

/** Which process is the daemon of this folder. Written by the daemon itself once it is ready. */
const RECORD = 'daemon.json';
const FAILURE = 'start-failure.json';

export interface DaemonRecord extends ProcessMark {
  readonly url: string;
  readonly guests: string;
  readonly latency: string;
}

export function writeRecord(folder: string, facts: Omit<DaemonRecord, keyof ProcessMark>): void {
  const record: DaemonRecord = { ...markOf(process.pid), ...facts };
  writeDurably(path.join(folder, RECORD), `${JSON.stringify(record)}\n`, 0o600);
}

export function removeRecord(folder: string): void {
  rmSync(path.join(folder, RECORD), { force: true });
}

/** The daemon that lives; a record of a dead one counts for nothing. */
export function livingDaemon(folder: string): DaemonRecord | undefined {
  const record = readJson<DaemonRecord>(path.join(folder, RECORD));
  return record !== undefined && isAlive(record) ? record : undefined;
}

export interface StartFailure {
  readonly code: string;
  readonly what: string;
  readonly why?: string;
  readonly next?: string;
}

/** Why the last start failed: the daemon has no terminal to say it on. */
export function writeFailure(folder: string, failure: StartFailure): void {
  writeDurably(path.join(folder, FAILURE), `${JSON.stringify(failure)}\n`, 0o600);
}
export function takeFailure(folder: string): StartFailure | undefined {
  const file = path.join(folder, FAILURE);
  const failure = readJson<StartFailure>(file);
  rmSync(file, { force: true });
  return failure;
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
