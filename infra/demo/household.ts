import { spawn } from 'node:child_process';
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { StandbyError } from '../../src/errors.ts';
import { MAIN, standby } from './product.ts';

/**
 * The demo's own place on this machine: two homes (control's and the master's), the master's disk, and a record of
 * every process it started. What is recorded here is ended and removed by `clear`, also after a demo that was killed.
 */
export interface Household {
  readonly folder: string;
  /** STANDBY_HOME of control and of Local Azure. */
  readonly controlHome: string;
  /** STANDBY_HOME of the master's engine: the on-premises side. */
  readonly masterHome: string;
  readonly diskFile: string;
}

interface ProcessRecord {
  readonly pid: number;
  /** The kernel's start time of that process: a pid alone may belong to somebody else by now. */
  readonly startTime: string;
  readonly title: string;
}

export function householdIn(homeFolder: string): Household {
  const folder = join(homeFolder, 'demo');
  return {
    folder,
    controlHome: join(folder, 'control'),
    masterHome: join(folder, 'master'),
    diskFile: join(folder, 'master-disk.img'),
  };
}

/** Takes the place for this demo; refuses while another demo that still lives has it. */
export async function moveIn(house: Household): Promise<void> {
  await mkdir(house.folder, { recursive: true, mode: 0o700 });
  const other = await readRecord(join(house.folder, 'demo.json'));
  if (other && (await isAlive(other))) {
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
  await writeRecord(join(house.folder, 'demo.json'), {
    pid,
    startTime: (await startTimeOf(pid)) ?? '',
    title: 'demo',
  });
}

/** Starts an engine that lives on by itself; its record is on disk before anybody needs it. */
export async function startEngine(
  house: Household,
  args: readonly string[],
  home: string,
  environment: NodeJS.ProcessEnv,
): Promise<void> {
  const log = await open(join(house.folder, 'master-engine.log'), 'a');
  try {
    const child = spawn(process.execPath, [MAIN, ...args, '--home', home], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: environment,
    });
    const pid = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', () => resolve(child.pid ?? 0));
    });
    child.unref();
    const record = { pid, startTime: (await startTimeOf(pid)) ?? '', title: args.join(' ') };
    await writeRecord(join(house.folder, 'master-engine.json'), record);
  } finally {
    await log.close();
  }
}

/** Ends everything the demo started and removes everything it made. Content when there is nothing. */
export async function clear(
  house: Household,
  options: { readonly environment: NodeJS.ProcessEnv; readonly clock: Clock },
): Promise<void> {
  const engine = await readRecord(join(house.folder, 'master-engine.json'));
  if (engine) await end(engine, options.clock);
  if ((await readable(join(house.controlHome, 'local-azure'))) !== undefined) {
    // Not the demo's own signal: cleaning up goes on after Ctrl-C.
    const signal = new AbortController().signal;
    await standby(['local', 'down'], { home: house.controlHome, environment: options.environment, signal });
  }
  await rm(house.folder, { recursive: true, force: true, maxRetries: 3 });
}

async function end(record: ProcessRecord, clock: Clock): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    if (!(await isAlive(record))) return;
    process.kill(record.pid, signal);
    for (let waited = 0; waited < 5000 && (await isAlive(record)); waited += 50) await clock.sleep(50);
  }
}

async function isAlive(record: ProcessRecord): Promise<boolean> {
  return (await startTimeOf(record.pid)) === record.startTime;
}

/** Field 22 of /proc/<pid>/stat (proc(5)); the name before it may hold spaces, so count from its closing bracket. A zombie is dead. */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readable(`/proc/${pid}/stat`);
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields?.[0] === 'Z' ? undefined : fields?.[19];
}

async function readRecord(file: string): Promise<ProcessRecord | undefined> {
  const text = await readable(file);
  return text === undefined || text === '' ? undefined : (JSON.parse(text) as ProcessRecord);
}

function writeRecord(file: string, record: ProcessRecord): Promise<void> {
  return writeFile(file, JSON.stringify(record), { mode: 0o600 });
}

/** The file's text; undefined when it is not there, '' for a folder. */
async function readable(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    if (error.code === 'EISDIR') return '';
    throw error;
  });
}
