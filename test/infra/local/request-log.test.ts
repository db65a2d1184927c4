import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { startLocalAzure } from '../../../infra/local/local-azure.ts';
import { systemClock } from '../../../src/clock.ts';
import { silentLog } from '../../../src/log.ts';
import { clientsOf } from './local-subscription.ts';

interface Line {
  readonly method: string;
  readonly url: string;
  readonly status: number;
  readonly requestBody?: Record<string, unknown>;
  readonly body?: {
    readonly value?: readonly unknown[];
    readonly keys?: readonly { readonly value: string }[];
  };
}

it('writes every exchange down, for conformance checks, and none of the secrets', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'standby-request-log-'));
  const requestLogFile = path.join(folder, 'requests.jsonl');
  const options = { folder: path.join(folder, 'azure'), guests: 'none', latency: 'none' } as const;
  const azure = await startLocalAzure({ ...options, requestLogFile, log: silentLog, clock: systemClock });
  try {
    const { compute, storage, network, exchanges } = clientsOf(azure.endpoint);
    await compute.disks.createOrUpdate('standby-rg', 'logged', {
      location: 'japaneast',
      diskSizeGB: 4,
      sku: { name: 'Standard_LRS' },
      creationData: { createOption: 'Empty' },
    });
    const sku = { name: 'Standard_LRS' as const };
    await storage.storageAccounts.create('standby-rg', 'standbylogged', {
      location: 'japaneast',
      sku,
      kind: 'StorageV2',
    });
    const { keys } = await storage.storageAccounts.listKeys('standby-rg', 'standbylogged');
    for await (const each of network.virtualNetworks.list('standby-rg'))
      expect(each.name).toBe('standby-vnet');
    const text = readFileSync(requestLogFile, 'utf8');
    const lines = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    expect(lines.map((line) => `${line.method} ${line.status}`)).toEqual(
      exchanges.map((each) => `${each.method} ${each.status}`),
    );
    expect(lines[0]).toMatchObject({ method: 'PUT', requestBody: { properties: { diskSizeGB: 4 } } });
    // The content of a list is no secret; the keys of an account are.
    expect(lines.at(-1)?.body?.value).toHaveLength(1);
    const logged = lines.find((line) => line.url.includes('/listKeys?'))?.body?.keys;
    expect(logged?.map((key) => key.value)).toEqual(['REDACTED', 'REDACTED']);
    const signatures = exchanges.flatMap((each) => /&h=([\w-]+)/.exec(each.url)?.[1] ?? []);
    expect(signatures.length).toBeGreaterThan(0);
    for (const secret of [
      azure.endpoint.clientSecret,
      ...(keys ?? []).map((key) => key.value ?? ''),
      ...signatures,
    ]) {
      expect(text.includes(secret)).toBe(false);
    }
    expect(statSync(requestLogFile).mode & 0o777).toBe(0o600);
  } finally {
    await azure.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
});
