import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.ts';
import { makeConnect } from '../../src/control/connect.ts';
import type { Context } from '../../src/control/context.ts';
import { openSecrets } from '../../src/control/secrets.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import type { Log } from '../../src/log.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import type { Notice } from '../../src/ports/host.ts';
import { IN_MEMORY } from '../fixtures/in-memory.ts';

/** A context on a real store and real secrets in a folder of its own; what it logs and tells is kept for the test. */
export interface TestContext extends Context {
  readonly logged: readonly string[];
  readonly told: readonly Notice[];
  readonly folder: string;
  /** Every byte of every file of the home folder, the database and its write-ahead log among them. */
  filesText(): string;
  close(): Promise<void>;
}

export async function makeContext(
  parts: Partial<Pick<Context, 'cloudWith' | 'cloudFor' | 'firstBoot' | 'clock' | 'atPoint'>> & {
    readonly signal?: AbortSignal;
    /** An earlier context's folder: the same store, as another process would see it. */
    readonly folder?: string;
    /** A store on a database server. */
    readonly storeUrl?: string;
  } = {},
): Promise<TestContext> {
  const folder = parts.folder ?? mkdtempSync(join(IN_MEMORY, 'standby-control-'));
  const clock = parts.clock ?? systemClock;
  const store = await openStore(parts.storeUrl ?? join(folder, 'standby.db'));
  const secrets = await openSecrets(store.secrets, { file: join(folder, 'key') });
  const logged: string[] = [];
  const told: Notice[] = [];
  const write = (text: string, facts?: unknown) => void logged.push(`${text} ${JSON.stringify(facts ?? {})}`);
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const cloudWith = parts.cloudWith ?? (() => Promise.reject(new Error('This test has no cloud')));
  return {
    store,
    secrets,
    clock,
    log,
    logged,
    told,
    folder,
    homeFolder: folder,
    owner: randomUUID(),
    host: {
      tell: (notice) => void told.push(notice),
      ask: () => Promise.reject(new Error('Nobody is asked here')),
      signal: parts.signal ?? new AbortController().signal,
    },
    cloudWith,
    cloudFor:
      parts.cloudFor ??
      (async (account) =>
        cloudWith(account, (await secrets.get(`account/${account.id}/client-secret`)) ?? 'missing')),
    connect: makeConnect({ store, secrets, clock, log }),
    firstBoot: parts.firstBoot ?? {
      bundle: () => Promise.reject(new Error('This test has no bundle')),
      userData: () => '',
    },
    ...(parts.atPoint ? { atPoint: parts.atPoint } : {}),
    filesText: () =>
      readdirSync(folder, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
        .join('\n'),
    close: async () => {
      await store.close();
      if (!parts.folder) rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A cloud of which only some parts exist; touching any other part fails the test. */
export function partOfCloud(parts: { readonly [Part in keyof Cloud]?: Partial<Cloud[Part]> }): Cloud {
  return parts as unknown as Cloud;
}
