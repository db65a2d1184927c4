import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { QEMU } from '../local/guests/qemu-command.ts';
import { endProcess, isAlive, markOf, type ProcessMark } from '../local/processes.ts';

/**
 * Finds what a demo has started by what its command lines say, so that nothing has to be written down in time: a
 * demo may be killed in any moment, also between the start of a command and a note about it.
 */
const STANDBY = join(import.meta.dirname, '../..') + sep;
const GRACE_MS = 30_000;

/** Ends every process of Standby's own that works in this folder: the live server, commands, engines, Local Azure. */
export async function endProcessesIn(folder: string, clock: Clock): Promise<void> {
  // A server whose disk is no longer served waits for it, and hears nothing: it goes before its engine.
  await endAll(() => processesIn(folder).filter(({ pid }) => argumentsOf(pid)[0] === QEMU), clock);
  await endAll(() => processesIn(folder), clock);
}

async function endAll(find: () => readonly ProcessMark[], clock: Clock): Promise<void> {
  let found = find();
  while (found.length > 0) {
    await Promise.all(found.map((mark) => endProcess(mark, clock, GRACE_MS)));
    // One of them may just have started another.
    found = find();
  }
}

function processesIn(folder: string): ProcessMark[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => markOf(Number(name)))
    .filter((mark) => mark.pid !== process.pid && isAlive(mark) && worksIn(folder, argumentsOf(mark.pid)));
}

/**
 * A script of this Standby, or a QEMU, that was given the folder or something in it; an editor or a shell there is
 * nobody's business. Local Azure's guests have it only within longer words: they are Local Azure's to end.
 */
function worksIn(folder: string, [program, ...words]: readonly string[]): boolean {
  const [script = '', ...args] = program === QEMU ? [STANDBY, ...words] : words;
  return script.startsWith(STANDBY) && args.some((arg) => arg === folder || arg.startsWith(folder + sep));
}

function argumentsOf(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch (error) {
    // It has ended, or it is somebody else's.
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
