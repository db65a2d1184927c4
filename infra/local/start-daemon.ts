import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, renameSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { inputError, StandbyError } from '../../src/errors.ts';
import { type DaemonRecord, livingDaemon, takeFailure } from './daemon-record.ts';

/**
 * Starts the daemon and waits, bounded, until it is ready. Two of these at once: the second daemon finds the folder
 * locked and ends, and both callers are told of the first one.
 */
const READY_MS = 90_000;
const LOG_LIMIT_BYTES = 5 * 1024 * 1024;

export interface StartCall {
  readonly options: Readonly<Record<string, unknown>>;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly environment: NodeJS.ProcessEnv;
}

export async function startDaemon(call: StartCall, folder: string): Promise<DaemonRecord> {
  const traffic = call.environment.LOCAL_AZURE_TRAFFIC;
  const args = [
    ...argumentsFrom(call.options, folder),
    // Set by the tests, which judge what Local Azure was asked and answered.
    ...(traffic ? ['--traffic-folder', traffic] : []),
  ];
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  takeFailure(folder);
  const log = openLog(path.join(folder, 'daemon.log'));
  const child = spawn(process.execPath, [path.join(import.meta.dirname, 'daemon.ts'), ...args], {
    detached: true,
    stdio: ['ignore', log, log],
    env: call.environment,
  });
  closeSync(log);
  let ended: string | undefined;
  child.once('error', (error) => {
    ended = error.message;
  });
  child.once('exit', (code, signal) => {
    ended = `It ended with ${signal ?? `code ${code}`}.`;
  });
  child.unref();
  const until = call.clock.now() + READY_MS;
  while (call.clock.now() < until) {
    const daemon = livingDaemon(folder);
    if (daemon !== undefined) return daemon;
    if (ended !== undefined) break;
    await call.clock.sleep(50, call.signal);
  }
  return another(call, folder, ended);
}

/** Somebody else's daemon may have been quicker; then that one is the answer. */
async function another(call: StartCall, folder: string, ended: string | undefined): Promise<DaemonRecord> {
  const failure = takeFailure(folder);
  if (failure?.code === 'LOCAL_AZURE_RUNNING') {
    const until = call.clock.now() + READY_MS;
    while (call.clock.now() < until) {
      const daemon = livingDaemon(folder);
      if (daemon !== undefined) return daemon;
      await call.clock.sleep(50, call.signal);
    }
  }
  throw new StandbyError({
    code: failure?.code ?? 'LOCAL_AZURE_NOT_STARTED',
    what: failure?.what ?? 'Local Azure did not start.',
    why: failure?.why ?? ended ?? `It was not ready within ${READY_MS / 1000} s.`,
    next: failure?.next ?? `See its log: ${path.join(folder, 'daemon.log')}`,
  });
}

function argumentsFrom(options: Readonly<Record<string, unknown>>, folder: string): string[] {
  const guests = oneOf('guests', options.guests ?? 'qemu', ['qemu', 'none']);
  const latency = oneOf('latency', options.latency ?? 'quick', ['none', 'quick', 'azure']);
  const args = ['--folder', folder, '--guests', guests, '--latency', latency];
  if (options.port !== undefined) args.push('--port', String(portFrom(options.port)));
  if (options.requestLog !== undefined) args.push('--request-log', path.resolve(String(options.requestLog)));
  return args;
}

function oneOf(name: string, value: unknown, words: readonly string[]): string {
  const text = String(value);
  if (words.includes(text)) return text;
  throw inputError('OPTION_INVALID', `--${name} is one of ${words.join(', ')}, not '${text}'.`);
}

function portFrom(value: unknown): number {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 0 && port <= 65535) return port;
  throw inputError('OPTION_INVALID', `--port is a number from 0 to 65535, not '${String(value)}'.`);
}

function openLog(file: string): number {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_LIMIT_BYTES) renameSync(file, `${file}.1`);
  return openSync(file, 'a', 0o600);
}
