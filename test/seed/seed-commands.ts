import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { systemClock } from '../../src/clock.ts';
import { exportSeed } from '../../src/seed/export.ts';
import { importSeed } from '../../src/seed/import.ts';
import { applianceOptions, masterFolder, until, type World } from '../fixtures/engines.ts';

/** The two commands on a world of real engines: as processes of their own, to be killed, and as calls. */
const MAIN = join(import.meta.dirname, '../../src/main.ts');
const KEY = 'correct horse battery staple';

export interface SeedWorld {
  readonly seed: string;
  readonly exporting: readonly string[];
  readonly importing: readonly string[];
  start(args: readonly string[]): ChildProcess;
  /** The document of a command that ends well. */
  finish(args: readonly string[]): Promise<Record<string, unknown>>;
  /** Kills the command as soon as it came so far. */
  killWhen(args: readonly string[], what: string, isSo: () => Promise<boolean>): Promise<void>;
  export(change?: Partial<Parameters<typeof exportSeed>[0]>): ReturnType<typeof exportSeed>;
  import(change?: Partial<Parameters<typeof importSeed>[0]>): ReturnType<typeof importSeed>;
}

export async function makeSeedWorld(world: World, disk: string): Promise<SeedWorld> {
  const seed = join(world.folder, 'server.seed');
  const keyFile = join(world.folder, 'seed.key');
  await writeFile(keyFile, `${KEY}\n`, { mode: 0o600 });
  const running = new Set<ChildProcess>();
  world.running.push({ stop: async () => void (await Promise.all([...running].map(kill))) });
  const start = (args: readonly string[]) => {
    const home = join(world.folder, 'home');
    const child = spawn(process.execPath, [MAIN, 'seed', ...args, '--json', '--home', home], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    running.add(child);
    child.once('exit', () => running.delete(child));
    return child;
  };
  const { stateFolder, lunsFolder } = applianceOptions(world);
  const passphrase = Buffer.from(KEY);
  const base = { passphrase, clock: systemClock, signal: new AbortController().signal };
  return {
    seed,
    exporting: ['export', '--to', seed, '--key-file', keyFile, '--state', masterFolder(world, 'm1')],
    importing: [
      'import',
      '--from',
      seed,
      '--key-file',
      keyFile,
      '--state',
      stateFolder,
      '--luns',
      lunsFolder,
    ],
    start,
    async finish(args) {
      const child = start(args);
      const ended = once(child, 'exit');
      const [out, said] = await Promise.all([text(child.stdout ?? []), text(child.stderr ?? [])]);
      const [code] = await ended;
      if (code !== 0) throw new Error(`${args[0]} ended with ${code}: ${said}`);
      return JSON.parse(out) as Record<string, unknown>;
    },
    async killWhen(args, what, isSo) {
      const child = start(args);
      await until(what, async () => child.exitCode !== null || (await isSo()), 60_000);
      if (child.exitCode !== null) throw new Error(`${args[0]} ended before it could be killed`);
      await kill(child);
    },
    export: (change) =>
      exportSeed({
        ...base,
        disks: [{ diskId: 'disk0', path: disk }],
        masterId: 'm1',
        to: seed,
        whole: false,
        overwrite: false,
        cost: { logN: 10, r: 8, p: 1 },
        ...change,
      }),
    import: (change) => importSeed({ ...base, from: seed, stateFolder, lunsFolder, check: false, ...change }),
  };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGKILL');
  await exited;
}
