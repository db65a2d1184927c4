import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { writeDurably } from './files.ts';

/**
 * Who exists in Local Azure's Entra: one tenant, one subscription, applications with secrets. Lies readable in
 * `directory.json` (0600), made once; edit it while Local Azure is down, or read the expired secret from it.
 */
export interface Directory {
  readonly tenantId: string;
  readonly subscriptionId: string;
  readonly applications: readonly Application[];
}
interface Application {
  readonly applicationId: string;
  /** The service principal: what a token's `oid` says. */
  readonly objectId: string;
  readonly displayName: string;
  readonly secrets: readonly {
    readonly keyId: string;
    readonly value: string;
    readonly expiresAtMs: number;
  }[];
}

const YEAR_MS = 365 * 86_400_000;

export function ensureDirectory(folder: string, nowMs: number): Directory {
  const file = path.join(folder, 'directory.json');
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Directory;
  const directory: Directory = {
    tenantId: randomUUID(),
    subscriptionId: randomUUID(),
    applications: [
      {
        applicationId: randomUUID(),
        objectId: randomUUID(),
        displayName: 'standby',
        secrets: [
          { keyId: randomUUID(), value: newSecret(), expiresAtMs: nowMs + YEAR_MS },
          { keyId: randomUUID(), value: newSecret(), expiresAtMs: nowMs - 86_400_000 },
        ],
      },
    ],
  };
  writeDurably(file, `${JSON.stringify(directory, null, 2)}\n`, 0o600);
  return directory;
}

/** 40 characters, as long as Azure's. */
function newSecret(): string {
  return randomBytes(30).toString('base64url');
}
