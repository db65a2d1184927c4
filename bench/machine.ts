import { existsSync, readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { systemClock } from '../src/clock.ts';
import type { Processes } from './processes.ts';

/** What a figure means depends on where it was measured: told with every result. */
export interface MachineFacts {
  readonly atMs: number;
  readonly date: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly kernel: string;
  readonly system: string;
  readonly node: string;
  readonly fileSystem: string;
  readonly load: readonly number[];
  readonly versions: Readonly<Record<string, string>>;
}

const VERSIONS: Readonly<Record<string, readonly string[]>> = {
  rsync: ['--version'],
  nbdcopy: ['--version'],
  nbdkit: ['--version'],
  'qemu-img': ['--version'],
  fio: ['--version'],
  socat: ['-V'],
};

export async function machineFacts(processes: Processes, folder: string): Promise<MachineFacts> {
  const versions: Record<string, string> = {};
  for (const [program, args] of Object.entries(VERSIONS)) {
    versions[program] = await firstLine(processes, program, args);
  }
  const atMs = systemClock.now();
  const osRelease = '/etc/os-release';
  const system = existsSync(osRelease) ? readFileSync(osRelease, 'utf8') : '';
  return {
    atMs,
    date: new Date(atMs).toISOString(),
    processor: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryBytes: totalmem(),
    kernel: release(),
    system: /^PRETTY_NAME="?([^"\n]*)/m.exec(system)?.[1] ?? 'unknown',
    node: process.version,
    fileSystem: (await processes.run('stat', ['-f', '-c', '%T', folder])).trim(),
    load: loadavg(),
    versions,
  };
}

async function firstLine(processes: Processes, program: string, args: readonly string[]): Promise<string> {
  try {
    const text = await processes.run(program, args);
    return /\d+\.\d+[^\s,]*/.exec(text)?.[0] ?? text.split('\n')[0] ?? '';
  } catch {
    return 'not here'; // Told as such; whoever needs it fails with its own words.
  }
}
