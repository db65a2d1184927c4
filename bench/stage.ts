import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type Network, openNetwork } from './network.ts';
import { Processes } from './processes.ts';

/**
 * Where a bench takes place: a folder, a network, processes. What it opens it takes away, also when it is interrupted.
 */
export interface Stage {
  readonly folder: string;
  readonly processes: Processes;
  readonly network: Network;
  readonly signal: AbortSignal;
  tell(text: string): void;
}

export async function onStage(
  options: { readonly folder: string; readonly network: Network['kind'] },
  play: (stage: Stage) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(options.folder, 'standby-bench-'));
  const processes = new Processes();
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    stop.abort(new Error(`interrupted by ${signal}`));
    void processes.end();
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, onSignal);
  const network = openNetwork(options.network, processes);
  const tell = (text: string) => void process.stderr.write(`${text}\n`);
  try {
    if (network.kind === 'private') await processes.run('ip', ['link', 'set', 'lo', 'up']);
    await play({ folder, processes, network, signal: stop.signal, tell });
  } finally {
    await processes.end();
    await rm(folder, { recursive: true, force: true });
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.off(signal, onSignal);
  }
}

/** A port of the loopback that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('the loopback has no port');
  return address.port;
}

export async function until(
  what: string,
  stage: Stage,
  isSo: () => boolean,
  limitMs = 20_000,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!isSo()) {
    stage.signal.throwIfAborted();
    if (performance.now() > end) throw new Error(`not within ${limitMs / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Until somebody listens there, seen without a connection: a server that serves one client would take it. */
export async function untilListening(port: number, stage: Stage, server: { said(): string }): Promise<void> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const isOpen = () =>
    readSockets().some((fields) => fields[1]?.endsWith(wanted) === true && fields[3] === '0A');
  await until(`port ${port} is open (${server.said().trim().slice(-300)})`, stage, isOpen);
}

function readSockets(): string[][] {
  return ['/proc/self/net/tcp', '/proc/self/net/tcp6'].flatMap((path) =>
    existsSync(path)
      ? readFileSync(path, 'utf8')
          .split('\n')
          .map((line) => line.trim().split(/\s+/))
      : [],
  );
}
