import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runApplianceEngine } from '../../src/appliance/engine.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';

/** A real appliance engine in this process, on a free port of the loopback. */
export interface TestEngine {
  readonly port: number;
  stop(): Promise<void>;
}

export async function startEngine(enrolFileText: string, port = 0, folder?: string): Promise<TestEngine> {
  const stateFolder = folder ?? mkdtempSync(join(tmpdir(), 'standby-engine-'));
  const enrolFile = join(stateFolder, 'enrol.json');
  const lunsFolder = join(stateFolder, 'luns');
  mkdirSync(lunsFolder, { recursive: true });
  writeFileSync(enrolFile, enrolFileText, { mode: 0o600 });
  const stopping = new AbortController();
  let ended: Promise<void> = Promise.resolve();
  const address = await new Promise<{ port: number }>((resolve, reject) => {
    ended = runApplianceEngine({
      stateFolder,
      enrolFile,
      lunsFolder,
      listen: { host: '127.0.0.1', port },
      clock: systemClock,
      log: silentLog,
      signal: stopping.signal,
      onListening: resolve,
    });
    ended.catch(reject);
  });
  return {
    port: address.port,
    stop: async () => {
      stopping.abort();
      await ended;
      if (!folder) rmSync(stateFolder, { recursive: true, force: true });
    },
  };
}

/** A port of the loopback on which nothing listens right now. */
export async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}
