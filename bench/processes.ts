import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { messageOf } from '../src/errors.ts';

/**
 * Every process of the bench, each in a group of its own, so that what it starts ends with it. CPU time is what the
 * kernel counted for a process, its threads and the children it waited for.
 */
export interface Running {
  readonly pid: number;
  /** Resolves with what it wrote to standard output; rejects with its last words when it fails. */
  readonly ended: Promise<string>;
  /** What it said so far, on standard error. */
  said(): string;
  onSaid(listen: () => void): void;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
}

/** Ticks of /proc/PID/stat in a second, on every Linux that Debian runs on. */
const TICKS = 100;
const WORDS_MAX = 600;

export class Processes {
  readonly #running = new Set<Running>();

  start(program: string, args: readonly string[], options: StartOptions = {}): Running {
    const child = spawn(program, args, {
      detached: true,
      stdio: [options.input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C', ...options.env },
      ...(options.cwd ? { cwd: options.cwd } : {}),
    });
    const running = follow(child, program);
    child.stdin?.end(options.input);
    this.#running.add(running);
    const forget = () => this.#running.delete(running);
    running.ended.then(forget, forget);
    return running;
  }

  /** To its end. */
  run(program: string, args: readonly string[], options?: StartOptions): Promise<string> {
    return this.start(program, args, options).ended;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#running].map((one) => one.stop()));
  }
}

function follow(child: ChildProcess, program: string): Running {
  let output = '';
  let said = '';
  const listeners: (() => void)[] = [];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    said = `${said}${text}`.slice(-100_000);
    for (const listen of listeners) listen();
  });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const ended = new Promise<string>((resolve, reject) => {
    child.once('error', (error) => reject(new Error(`${program}: ${messageOf(error)}`)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${program} ended with ${code ?? signal}: ${lastWords(said || output)}`));
    });
  });
  ended.catch(() => undefined); // Whoever waits for it is told; a server that is stopped is waited for by nobody.
  const stop = async () => {
    killGroup(child, 'SIGTERM');
    const patience = setTimeout(() => killGroup(child, 'SIGKILL'), 5_000);
    if (child.exitCode === null && child.signalCode === null && child.pid !== undefined) await gone;
    clearTimeout(patience);
    killGroup(child, 'SIGKILL');
  };
  return {
    pid: child.pid ?? 0,
    ended,
    said: () => said,
    onSaid: (listen) => void listeners.push(listen),
    stop,
  };
}

function killGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function lastWords(text: string): string {
  return text.trim().replaceAll(/\s+/g, ' ').slice(-WORDS_MAX);
}

/** User and system seconds of a process and of its children that have ended. */
export function cpuSecondsOf(pid: number | 'self'): number {
  const [own, children] = cpuOf(pid);
  return own + children;
}

/** The most memory it ever had, as the kernel counted. */
export function peakBytesOf(pid: number): number {
  const [, kib = '0'] = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** What the children that have ended took. */
export function cpuSecondsOfChildren(): number {
  return cpuOf('self')[1];
}

function cpuOf(pid: number | 'self'): [own: number, children: number] {
  const fields = statOf(pid);
  const seconds = (from: number) => (Number(fields[from]) + Number(fields[from + 1])) / TICKS;
  return [seconds(11), seconds(13)];
}

/** The fields behind the name, which may hold anything: state first. */
function statOf(pid: number | 'self'): string[] {
  return readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .trim()
    .split(' ');
}

/** Children that are alive; a daemon that forks for each connection counts them once they are gone. */
export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return Number(statOf(one)[1]) === pid;
      } catch (error) {
        if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
        throw error;
      }
    });
}
