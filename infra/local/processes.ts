import { readFileSync } from 'node:fs';
import type { Clock } from '../../src/clock.ts';

/** A process that can be recognised later: its id alone may belong to somebody else by then. */
export interface ProcessMark {
  readonly pid: number;
  /** Start time as the kernel counts it; empty where there is no /proc. */
  readonly started: string;
}

export function markOf(pid: number): ProcessMark {
  return { pid, started: startedOf(pid) };
}

export function isAlive(mark: ProcessMark): boolean {
  try {
    process.kill(mark.pid, 0);
  } catch (error) {
    if (isNoSuchProcess(error)) return false;
    // Somebody else's: its start time tells that it is not the one that is meant.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
  return startedOf(mark.pid) === mark.started;
}

/** SIGTERM, a bounded wait, then SIGKILL. Content when it is gone already. */
export async function endProcess(mark: ProcessMark, clock: Clock, graceMs: number): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!isAlive(mark)) return;
    try {
      process.kill(mark.pid, signal);
    } catch (error) {
      if (!isNoSuchProcess(error)) throw error;
    }
    const until = clock.now() + (signal === 'SIGTERM' ? graceMs : 5000);
    while (isAlive(mark) && clock.now() < until) await clock.sleep(20);
  }
}

/** Field 22 of /proc/<pid>/stat (proc(5)); the name before it may hold spaces, so count from its closing bracket. A zombie is dead. */
function startedOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' ? 'zombie' : (fields[19] ?? '');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT' || code === 'ESRCH') return '';
    throw error;
  }
}

function isNoSuchProcess(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ESRCH';
}
