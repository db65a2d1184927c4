import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { type Clock, isoTime } from '../clock.ts';
import { messageOf, StandbyError } from '../errors.ts';
import type { ScriptEvent } from '../model/redirect.ts';

/**
 * Runs a script of the user's own around a phase (M-24, H-01..H-18): a program with arguments, no shell, the facts in its
 * environment, its words kept in a file. Promises: it ends, or is ended with its children, within its time; a script
 * that fails says so by an error, and whoever called decides what that means. Dies at any line: the script may go on
 * alone; run again, it must be able to bear that (docs say so).
 */
export interface ScriptCall {
  readonly command: readonly string[];
  readonly event: ScriptEvent;
  /** `before-seal`, `after-boot` and so on: where in the plan it runs. */
  readonly phase: string;
  /** `STANDBY_` is put before each name; nothing secret belongs here. */
  readonly facts: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly logFile: string;
}

export interface ScriptResult {
  readonly seconds: number;
  readonly logFile: string;
}

/** Of our own environment a script gets only what finds programs and homes: no secret of ours is passed on. */
const PASSED_ON = ['PATH', 'HOME', 'LANG', 'TZ', 'TMPDIR', 'SystemRoot', 'ComSpec'];

export async function runScript(
  call: ScriptCall,
  world: {
    readonly environment: Readonly<NodeJS.ProcessEnv>;
    readonly clock: Clock;
    readonly signal: AbortSignal;
  },
): Promise<ScriptResult> {
  const { command, event, phase, facts, timeoutMs, logFile } = call;
  const { clock, environment, signal } = world;
  const [program, ...args] = command;
  if (program === undefined) throw new RangeError('a script without a program');
  signal.throwIfAborted();
  const startedAtMs = clock.now();
  const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 });
  log.write(`${isoTime(startedAtMs)} ${event} ${phase}: ${command.join(' ')}\n`);
  const env: NodeJS.ProcessEnv = { STANDBY_EVENT: event, STANDBY_PHASE: phase };
  for (const name of PASSED_ON) if (environment[name] !== undefined) env[name] = environment[name];
  for (const [name, value] of Object.entries(facts)) env[`STANDBY_${name}`] = value;
  // A group of its own, so that what it started can be ended with it.
  const child = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  const ended = new Promise<string | undefined>((resolve) => {
    child.once('error', (error) => resolve(messageOf(error)));
    child.once('close', (code, by) => resolve(code === 0 ? undefined : `It ended with ${code ?? by}.`));
  });
  const over = new AbortController();
  const late = clock.sleep(timeoutMs, AbortSignal.any([over.signal, signal])).then(
    () => `It did not end within ${timeoutMs / 1000} s and was ended.`,
    () => (over.signal.aborted ? undefined : 'It was ended because Standby was stopped.'),
  );
  const why = await Promise.race([ended, late]);
  over.abort();
  if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) {
    endGroup(child.pid);
    await ended;
  }
  const seconds = (clock.now() - startedAtMs) / 1000;
  log.end(`${isoTime(clock.now())} ${why ?? 'done'}\n`);
  await finished(log);
  if (why === undefined) return { seconds, logFile };
  throw new StandbyError({
    code: 'SCRIPT_FAILED',
    what: `The script ${program} (${event}, ${phase}) failed.`,
    why: `${why} Its words are in ${logFile}.`,
    next: 'Run it by hand, mend it, then go on.',
    retry: 'later',
  });
}

function endGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // It ended by itself meanwhile.
  }
}
