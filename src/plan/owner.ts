import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';

/**
 * Names this process so that another one on the same machine can tell whether it still lives.
 * After a `kill -9` a run then goes on at once instead of when the lease has run out.
 * The machine's boot, the process namespace and the start time are part of the name, so a reused number misleads nobody.
 */
export function makeOwner(): string {
  const place = thisPlace();
  const started = place === undefined ? undefined : startOf(process.pid);
  if (place === undefined || started === undefined) return `${hostname()}/${process.pid}/${randomUUID()}`;
  return `${place}/${process.pid}/${started}`;
}

/** True only when it is certain; a process on another machine, or of another system, is never `gone`. */
export function ownerIsGone(owner: string): boolean {
  const place = thisPlace();
  if (place === undefined || !owner.startsWith(`${place}/`)) return false;
  const [pid, started] = owner.slice(place.length + 1).split('/');
  if (pid === undefined || started === undefined || !/^\d+$/.test(pid)) return false;
  return startOf(Number(pid)) !== started;
}

/** As a person would say it. */
export function ownerInWords(owner: string): string {
  const parts = owner.split('/');
  return parts.length === 5 ? `process ${parts[3]} on ${parts[0]}` : owner;
}

/** Undefined where there is no /proc. */
function thisPlace(): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const namespace = readlinkSync('/proc/self/ns/pid').replace(/\D/g, '');
    return `${hostname()}/${boot}/${namespace}`;
  } catch (error) {
    if (isFileError(error)) return undefined;
    throw error;
  }
}

/** When the process began, in clock ticks since boot; undefined when there is none. A zombie is none. */
function startOf(pid: number): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch (error) {
    if (isFileError(error)) return undefined;
    throw error;
  }
}

function isFileError(error: unknown): boolean {
  const codes = ['ENOENT', 'ESRCH', 'EACCES', 'EINVAL', 'ENOTDIR'];
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
