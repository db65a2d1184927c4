import { spawn } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Clock } from '../../../src/clock.ts';

/**
 * Processes that outlive Local Azure's own death and are found again. The process itself writes its line of
 * /proc/<pid>/stat before it becomes the program, so there is no moment in which it runs and is not known; pid and
 * start time together name one process for ever, so nobody else's is ever touched.
 */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: string;
}

export interface ProcessSpec {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
  /** Standard output and error are appended here; they go on when Local Azure is gone. */
  readonly logFile: string;
  readonly pidFile: string;
}

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

/** The third descriptor is closed when the record is there. */
const RECORD_THEN_RUN = 'IFS= read -r line </proc/$$/stat; echo "$line" >"$0"; exec 3>&-; exec "$@"';

/**
 * Starts it at the head of a process group of its own, and resolves when its record is written or it has ended: whoever looks
 * for it then finds it, and starts no second one. `ended` is told once, only while this Local Azure lives.
 */
export async function startProcess(
  spec: ProcessSpec,
  ended: (how: Ended) => void,
): Promise<{ readonly pid: number }> {
  rmSync(spec.pidFile, { force: true });
  const log = await open(spec.logFile, 'a', 0o600);
  try {
    const child = spawn('/bin/sh', ['-c', RECORD_THEN_RUN, spec.pidFile, spec.command, ...spec.args], {
      cwd: spec.cwd,
      env: { ...spec.env },
      stdio: ['ignore', log.fd, log.fd, 'pipe'],
      detached: true,
    });
    child.once('exit', (code, signal) => ended({ code, signal }));
    const recorded = child.stdio[3] as Readable;
    await new Promise<void>((resolve, reject) => {
      recorded.once('close', resolve).resume();
      child.once('error', reject);
    });
    child.unref();
    return { pid: child.pid ?? 0 };
  } finally {
    await log.close();
  }
}

interface Stat {
  readonly state: string;
  readonly startTime: string;
}

/** The name of the program may hold blanks and brackets; what counts comes after the last bracket. */
function parseStat(line: string): (Stat & { readonly pid: number }) | undefined {
  const pid = Number.parseInt(line, 10);
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  const [state, startTime] = [fields[0], fields[19]];
  return Number.isInteger(pid) && state && startTime ? { pid, state, startTime } : undefined;
}

function readOptional(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    // ESRCH: the process ended while its file was being read.
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  }
}

export function isAlive(process: ProcessId): boolean {
  const now = parseStat(readOptional(`/proc/${process.pid}/stat`) ?? '');
  return now !== undefined && now.startTime === process.startTime && !['Z', 'X'].includes(now.state);
}

/** The process this file tells of, if it still runs. */
export function findProcess(pidFile: string): ProcessId | undefined {
  const recorded = parseStat(readOptional(pidFile) ?? '');
  if (recorded === undefined) return undefined;
  const found = { pid: recorded.pid, startTime: recorded.startTime };
  return isAlive(found) ? found : undefined;
}

/** To the whole group; content when it is gone. */
export function signalGroup(process: ProcessId, signal: NodeJS.Signals): void {
  try {
    globalThis.process.kill(-process.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

export async function waitGone(process: ProcessId, clock: Clock, withinMs: number): Promise<boolean> {
  const until = clock.now() + withinMs;
  while (isAlive(process)) {
    if (clock.now() >= until) return false;
    await clock.sleep(20);
  }
  return true;
}

/** Asks, waits, then insists; resolves when it is gone. */
export async function endProcess(process: ProcessId, clock: Clock, graceMs: number): Promise<void> {
  if (!isAlive(process)) return;
  signalGroup(process, 'SIGCONT');
  signalGroup(process, 'SIGTERM');
  if (!(await waitGone(process, clock, graceMs))) {
    signalGroup(process, 'SIGKILL');
    await waitGone(process, clock, 10_000);
  }
  // What the program left behind in its group: nobody else can have taken the group's number in this moment.
  signalGroup(process, 'SIGKILL');
}
