import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { StandbyError } from '../../src/errors.ts';
import { isAlive, markOf, type ProcessMark } from '../local/processes.ts';
import { endProcessesIn } from './left-processes.ts';
import { MAIN, standby } from './product.ts';

/**
 * The demo's own place on this machine: two homes (control's and the master's) and the master's disk. Everything
 * that lives in it is ended and removed by `clear`, also after a demo that was killed.
 */
export interface Household {
  readonly folder: string;
  /** STANDBY_HOME of control and of Local Azure. */
  readonly controlHome: string;
  /** STANDBY_HOME of the master's engine: the on-premises side. */
  readonly masterHome: string;
  readonly diskFile: string;
  /** Where the master's engine serves its disk; not given to anything when the server is at rest. */
  readonly nbdSocket: string;
  /** Of the QEMU guest that is the live server. */
  readonly guestFolder: string;
}

export function householdIn(homeFolder: string): Household {
  const folder = join(homeFolder, 'demo');
  return {
    folder,
    controlHome: join(folder, 'control'),
    masterHome: join(folder, 'master'),
    diskFile: join(folder, 'master-disk.img'),
    nbdSocket: join(folder, 'nbd.sock'),
    guestFolder: join(folder, 'guest'),
  };
}

/** Takes the place for this demo; refuses while another demo that still lives has it. */
export async function moveIn(house: Household): Promise<void> {
  await mkdir(house.folder, { recursive: true, mode: 0o700 });
  const other = await readRecord(join(house.folder, 'demo.json'));
  if (other && isAlive(other)) {
    throw new StandbyError({
      code: 'DEMO_RUNNING',
      kind: 'input',
      what: `A demo is running already (process ${other.pid}).`,
      next: 'Wait for it or press Ctrl-C there; `standby demo down` ends one that was kept.',
    });
  }
}

export async function claim(house: Household, pid: number): Promise<void> {
  await mkdir(house.folder, { recursive: true, mode: 0o700 });
  await writeFile(join(house.folder, 'demo.json'), JSON.stringify(markOf(pid)), { mode: 0o600 });
}

/** Starts an engine that lives on by itself. */
export async function startEngine(
  house: Household,
  args: readonly string[],
  home: string,
  environment: NodeJS.ProcessEnv,
): Promise<ProcessMark> {
  const log = await open(join(house.folder, 'master-engine.log'), 'a');
  try {
    const child = spawn(process.execPath, [MAIN, ...args, '--home', home], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: environment,
    });
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve());
    });
    child.unref();
    return markOf(child.pid ?? 0);
  } finally {
    await log.close();
  }
}

/** Ends everything the demo started and removes everything it made. Content when there is nothing. */
export async function clear(
  house: Household,
  options: { readonly environment: NodeJS.ProcessEnv; readonly clock: Clock },
): Promise<void> {
  // Commands of a killed demo go on without it.
  await endProcessesIn(house.folder, options.clock);
  if (existsSync(join(house.controlHome, 'local-azure'))) {
    // Its guests may have outlived it. Not the demo's own signal: cleaning up goes on after Ctrl-C.
    const signal = new AbortController().signal;
    await standby(['local', 'down'], { home: house.controlHome, environment: options.environment, signal });
  }
  await rm(house.folder, { recursive: true, force: true, maxRetries: 3 });
}

async function readRecord(file: string): Promise<ProcessMark | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  // Killed while it was written, it is empty; whoever wrote it is gone.
  return text === '' ? undefined : (JSON.parse(text) as ProcessMark);
}
