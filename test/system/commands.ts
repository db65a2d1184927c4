import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAIN } from '../../infra/demo/product.ts';
import { systemClock } from '../../src/clock.ts';

/** Standby as a person has it: one process for each command, killed without mercy where a test wants it. */
export type Document = Readonly<Record<string, unknown>>;

export interface Ended {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The last line of standard output. */
  readonly document: Document;
}

export interface Started {
  readonly pid: number;
  readonly ended: Promise<Ended>;
  /** Waits until standard error says so; fails when the command ends first. */
  says(text: string): Promise<void>;
  /** Waits for a line of standard output that is what is looked for; fails when the command ends first. */
  prints(isIt: (document: Document) => boolean): Promise<Document>;
  /** Ends with whatever it has, and stays ended. */
  kill(signal?: NodeJS.Signals): void;
}

export interface Place {
  readonly home: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** In a process group of its own, as a terminal starts a command. */
  readonly group?: boolean;
}

/** The kernel of the demo's server and the engine's bundle: made once for all system tests, and kept. */
export const CACHE = join(import.meta.dirname, '../../.cache/system');

export function start(args: readonly string[], place: Place): Started {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('STANDBY_'));
  const child = spawn(process.execPath, [MAIN, ...args, '--home', place.home, '--json'], {
    stdio: [place.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    env: { ...Object.fromEntries(inherited), STANDBY_CACHE: CACHE, ...place.environment },
    detached: place.group === true,
  });
  child.stdin?.end(place.input);
  const said: Said = { stdout: '', stderr: '', listeners: new Set() };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
      for (const listen of said.listeners) listen();
    });
  }
  const ended = endOf(child, said);
  const command = `standby ${args.join(' ')}`;
  return {
    pid: child.pid ?? 0,
    ended,
    says: async (text) => {
      await heard(
        said,
        ended,
        `\`${command}\` never said ${text}`,
        () => said.stderr.includes(text) || undefined,
      );
    },
    prints: (isIt) => {
      const from = said.stdout.lastIndexOf('\n') + 1;
      return heard(said, ended, `\`${command}\` never printed that`, () =>
        said.stdout
          .slice(from)
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line) as Document)
          .find(isIt),
      );
    },
    kill: (signal = 'SIGKILL') => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    },
  };
}

interface Said {
  stdout: string;
  stderr: string;
  readonly listeners: Set<() => void>;
}

function heard<T>(said: Said, ended: Promise<Ended>, missing: string, look: () => T | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const listen = () => {
      const found = look();
      if (found === undefined) return false;
      said.listeners.delete(listen);
      resolve(found);
      return true;
    };
    if (listen()) return;
    said.listeners.add(listen);
    ended.then(() => listen() || reject(new Error(`${missing}: ${said.stderr}`)), reject);
  });
}

function endOf(child: ChildProcess, said: Said): Promise<Ended> {
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    // A killed command may leave a child of its own that holds the pipes: its own end is what counts.
    child.once('exit', async (exitCode, signal) => {
      if (signal === null) await new Promise((done) => child.once('close', done));
      const { stdout, stderr } = said;
      const last = stdout.trimEnd().split('\n').at(-1) ?? '';
      const document = signal === null && last !== '' ? (JSON.parse(last) as Document) : {};
      resolve({ exitCode, signal, stdout, stderr, document });
    });
  });
}

/** Runs a command to its end, which must be a good one. */
export async function run(args: readonly string[], place: Place): Promise<Document> {
  const { exitCode, document, stderr } = await start(args, place).ended;
  if (exitCode === 0) return document;
  throw new Error(`\`standby ${args.join(' ')}\` ended with ${exitCode}: ${stderr}`);
}

export interface Living {
  readonly pid: number;
  readonly command: string;
}

/** A home and a folder for temporary files, so that a test sees what is left in either. */
export interface Lodging extends Place {
  /** What is there besides what may stay: the log and the cache. */
  leftovers(): { readonly processes: readonly Living[]; readonly files: readonly string[] };
  /** For the end of a test, however it ended. */
  remove(): void;
}

export function makeLodging(): Lodging {
  const folder = mkdtempSync(join(tmpdir(), 'standby-system-'));
  const [home, temporary] = [join(folder, 'home'), join(folder, 'tmp')];
  mkdirSync(home);
  mkdirSync(temporary);
  return {
    home,
    environment: { TMPDIR: temporary, NODE_COMPILE_CACHE: join(tmpdir(), 'node-compile-cache') },
    leftovers: () => ({
      processes: processesOf(folder),
      files: [
        ...readdirSync(home).filter((name) => name !== 'cache' && name !== 'standby.log'),
        ...readdirSync(temporary),
      ],
    }),
    remove: () => {
      endProcessesOf(folder);
      rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

export const NOTHING = { processes: [], files: [] };

/** Every process that names the folder on its command line, or works below it. */
export function processesOf(folder: string): Living[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      const command = readProc(() => readFileSync(`/proc/${name}/cmdline`, 'utf8')).replaceAll('\0', ' ');
      const works = readProc(() => readlinkSync(`/proc/${name}/cwd`));
      const isOurs = command.includes(folder) || works === folder || works.startsWith(`${folder}/`);
      return isOurs ? [{ pid: Number(name), command: command.trim() }] : [];
    });
}

/** '' when the process has just ended, or is somebody else's. */
function readProc(read: () => string): string {
  try {
    return read();
  } catch (error) {
    if (['ENOENT', 'ESRCH', 'EACCES'].includes((error as NodeJS.ErrnoException).code ?? '')) return '';
    throw error;
  }
}

/** What a failed test left running; each by its own number. */
function endProcessesOf(folder: string): void {
  for (const { pid } of processesOf(folder)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

export async function until(what: string, isSo: () => boolean | Promise<boolean>, limitMs = 30_000) {
  const end = systemClock.now() + limitMs;
  while (!(await isSo())) {
    if (systemClock.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await systemClock.sleep(50);
  }
}

/** What the scenario's runbook says is to be typed, below the heading that begins so; without the program's name. */
export async function runbookLines(scenario: string, heading: string, place: Place): Promise<string[]> {
  const { markdown } = (await run(['runbook', scenario], place)) as { markdown: string };
  const section = markdown.split(/^## \d\. /m).find((part) => part.startsWith(heading)) ?? '';
  const blocks = [...section.matchAll(/```\n([^`]*)```/g)].map(([, block = '']) => block.trim());
  return blocks.flatMap((block) => block.split('\n')).map((line) => line.replace(/^standby /, ''));
}

/** Until the demo's copy is under way. */
export function untilCopying(control: Place): Promise<void> {
  return until('the copy moves', async () => {
    const { copy } = (await run(['status', 'demo'], control)) as { copy?: { doneBytes: number } };
    return copy !== undefined && copy.doneBytes > 0;
  });
}
