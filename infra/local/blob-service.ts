import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { request } from 'node:https';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import path from 'node:path';
import type { Clock } from '../../src/clock.ts';
import { StandbyError } from '../../src/errors.ts';
import { makeInTurn } from '../../src/in-turn.ts';
import type { Log } from '../../src/log.ts';
import type { BlobStorage } from './arm/behaviour.ts';
import type { ServerCertificate } from './certificates.ts';
import { endProcess, markOf } from './processes.ts';
import type { State } from './state.ts';

/**
 * The blob service behind all storage accounts: the real Azurite as a child process, over HTTPS with our
 * certificate, started with the first account. If Azurite dies by itself it is started again; if Local Azure dies,
 * the channel between them ends and so does it.
 */
export interface BlobService extends BlobStorage {
  /** Starts it when there are accounts. */
  resume(): Promise<void>;
  stop(): Promise<void>;
}

const ACCOUNTS = 'blob-accounts';
const PORT = 'blob-port';
const READY_MS = 30_000;

type Accounts = Readonly<Record<string, readonly [string, string]>>;

export function makeBlobService(options: {
  readonly state: State;
  readonly folder: string;
  readonly certificate: ServerCertificate;
  readonly clock: Clock;
  readonly log: Log;
}): BlobService {
  const { state, clock, log } = options;
  let child: ChildProcess | undefined;
  let stopping = false;
  /** One restart at a time; a failed one does not block the next. */
  const inTurn = makeInTurn();

  const accounts = () => state.getDocument<Accounts>(ACCOUNTS) ?? {};
  const end = async (): Promise<void> => {
    const going = child;
    child = undefined;
    if (going?.pid === undefined || going.exitCode !== null || going.signalCode !== null) return;
    await endProcess(markOf(going.pid), clock, 5000);
  };
  const restart = async (): Promise<void> => {
    await end();
    if (stopping || Object.keys(accounts()).length === 0) return;
    const port = await usablePort(state);
    const started = spawnAzurite({ ...options, port });
    let isReady = false;
    child = started;
    started.on('error', (error) => log.error('the blob service cannot be started or told', { error }));
    started.once('exit', (code, signal) => {
      if (child !== started) return;
      child = undefined;
      // One that never answered is told to who waits for it, and not started again and again.
      if (stopping || !isReady) return;
      log.warn('the blob service ended by itself and is started again', { code, signal });
      void inTurn(restart).catch((error: unknown) => log.error('the blob service does not start', { error }));
    });
    await tellAccounts(started, accounts(), clock);
    await answering(started, port, options.certificate.caPem, clock);
    isReady = true;
  };

  const change = async (next: Accounts): Promise<void> => {
    state.setDocument(ACCOUNTS, next);
    if (child === undefined) await restart();
    else await tellAccounts(child, next, clock);
  };

  return {
    endpoint: (name) => `https://127.0.0.1:${state.getDocument<number>(PORT) ?? 0}/${name}`,
    serveAccount: (name, keys) =>
      inTurn(async () => {
        const known = accounts();
        if (known[name]?.join() !== keys.join() || child === undefined)
          await change({ ...known, [name]: keys });
      }),
    dropAccount: (name) =>
      inTurn(async () => {
        const { [name]: dropped, ...rest } = accounts();
        if (dropped !== undefined) await change(rest);
      }),
    resume: () => inTurn(restart),
    async stop() {
      stopping = true;
      await inTurn(async () => undefined);
      await end();
    },
  };
}

/** Accounts without a service: for a Local Azure that is asked about nothing but resources. */
export const noBlobs: BlobService = {
  endpoint: (name) => `https://127.0.0.1:0/${name}`,
  serveAccount: async () => undefined,
  dropAccount: async () => undefined,
  resume: async () => undefined,
  stop: async () => undefined,
};

function spawnAzurite(options: {
  readonly folder: string;
  readonly certificate: ServerCertificate;
  readonly port: number;
}): ChildProcess {
  requireAzurite();
  mkdirSync(options.folder, { recursive: true });
  const args = [
    path.join(import.meta.dirname, 'blob-child.ts'),
    ...['--blobHost', '127.0.0.1', '--blobPort', String(options.port), '--location', options.folder],
    ...['--cert', options.certificate.certificateFile, '--key', options.certificate.keyFile],
    ...['--silent', '--skipApiVersionCheck', '--disableTelemetry'],
  ];
  return spawn(process.execPath, args, {
    env: { NO_COLOR: '1' },
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
}

/** Never empty: without accounts Azurite would serve one whose key the whole world knows. */
function accountsText(accounts: Accounts): string {
  const nobody = ['nobody', randomBytes(64).toString('base64')].join(':');
  return [nobody, ...Object.entries(accounts).map(([name, keys]) => `${name}:${keys.join(':')}`)].join(';');
}

/** Resolves when Azurite has read the new list. */
async function tellAccounts(child: ChildProcess, accounts: Accounts, clock: Clock): Promise<void> {
  const text = accountsText(accounts);
  const heard = Promise.withResolvers<void>();
  const fail = () =>
    heard.reject(
      new StandbyError({
        code: 'BLOBS_NOT_STARTED',
        what: 'The blob service ended before it knew a new account.',
      }),
    );
  const hear = (message: unknown) => {
    if ((message as { accounts?: number }).accounts === text.length) heard.resolve();
  };
  const bound = new AbortController();
  child.on('message', hear).once('exit', fail);
  try {
    child.send({ accounts: text }, (error) => {
      if (error !== null) fail();
    });
    const late = clock.sleep(READY_MS, bound.signal).then(fail, () => undefined);
    await Promise.race([heard.promise, late.then(() => heard.promise)]);
  } finally {
    bound.abort();
    child.off('message', hear).off('exit', fail);
  }
}

function requireAzurite(): void {
  try {
    createRequire(import.meta.url).resolve('azurite/dist/src/blob/main.js');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    throw new StandbyError({
      code: 'AZURITE_MISSING',
      what: 'Local Azure cannot serve blobs: the package azurite is not installed.',
      next: 'Install all packages, also those for development: npm ci',
      cause: error,
    });
  }
}

/** The port of the last time, so that URLs stay valid; another one only when somebody else has it now. */
async function usablePort(state: State): Promise<number> {
  const kept = state.getDocument<number>(PORT);
  const port = (kept === undefined ? undefined : await tryPort(kept)) ?? (await tryPort(0));
  if (port === undefined)
    throw new StandbyError({ code: 'NO_FREE_PORT', what: 'There is no free port for the blob service.' });
  if (port !== kept) state.setDocument(PORT, port);
  return port;
}

function tryPort(port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined);
      else reject(error);
    });
    server.listen(port, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined));
    });
  });
}

async function answering(child: ChildProcess, port: number, caPem: string, clock: Clock): Promise<void> {
  const until = clock.now() + READY_MS;
  while (clock.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) break;
    if (await answersOnce(port, caPem)) return;
    await clock.sleep(50);
  }
  throw new StandbyError({
    code: 'BLOBS_NOT_STARTED',
    what: 'The blob service (Azurite) does not answer.',
    why:
      child.exitCode === null
        ? `Nothing on port ${port} within ${READY_MS / 1000} s.`
        : `It ended with code ${child.exitCode}.`,
    next: 'standby local down, then standby local up',
  });
}

function answersOnce(port: number, caPem: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = request(
      { host: '127.0.0.1', port, ca: caPem, path: '/', timeout: 1000, agent: false },
      (response) => {
        response.resume();
        resolve(true);
      },
    );
    probe.once('timeout', () => probe.destroy(new Error('no answer')));
    // Not up yet; the caller's bound decides.
    probe.once('error', () => resolve(false));
    probe.end();
  });
}
