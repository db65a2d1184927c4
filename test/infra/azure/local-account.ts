import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ResourceManagementClient } from '@azure/arm-resources';
import { ClientSecretCredential } from '@azure/identity';
import { makeAzureCloud } from '../../../infra/azure/cloud.ts';
import { type LocalAzure, startLocalAzure } from '../../../infra/local/local-azure.ts';
import { type Clock, systemClock } from '../../../src/clock.ts';
import { type Log, silentLog } from '../../../src/log.ts';
import type { Account, CustomCloud } from '../../../src/model/account.ts';
import { tagsOf } from '../../../src/model/tags.ts';
import type { Cloud, Operation } from '../../../src/ports/cloud.ts';
import { gatheringTraffic } from '../../fixtures/traffic.ts';

/** Local Azure without guests, and an account that signs in to it. The product's own code talks to it unchanged. */
export interface LocalAccount {
  readonly azure: LocalAzure;
  readonly account: Account;
  readonly caPem: string;
  readonly requestLogFile: string;
  cloud(changes?: CloudChanges): Promise<Cloud>;
  id(type: string, name: string): string;
  /** Somebody's DNS zone: the product never makes one. */
  putZone(zoneId: string): Promise<void>;
  stop(): Promise<void>;
}
export interface CloudChanges {
  readonly account?: Partial<Account>;
  readonly custom?: Partial<CustomCloud>;
  readonly clientSecret?: string;
  readonly clock?: Clock;
  readonly log?: Log;
}

export const GROUP = 'standby-rg';
export const SCENARIO = 'scenario-1';
export const TAGS = tagsOf(SCENARIO, 'run-1', 'replica-disk');

export async function startLocalAccount(): Promise<LocalAccount> {
  const folder = mkdtempSync(join(tmpdir(), 'standby-azure-'));
  const requestLogFile = join(folder, 'requests.log');
  const azure = await startLocalAzure({
    folder,
    guests: 'none',
    latency: 'none',
    ...gatheringTraffic(),
    requestLogFile,
    log: silentLog,
    clock: systemClock,
  });
  const { endpoint } = azure;
  const caPem = readFileSync(endpoint.caFile, 'utf8');
  const custom = { resourceManagerUrl: endpoint.url, authorityUrl: endpoint.authorityUrl, caPem };
  const account: Account = {
    id: 'account-1',
    name: 'someone@example.com',
    subscriptionId: endpoint.subscriptionId,
    tenantId: endpoint.tenantId,
    applicationId: endpoint.applicationId,
    environment: 'custom',
    custom,
    createdAtMs: 0,
  };
  return {
    azure,
    account,
    caPem,
    requestLogFile,
    cloud: (changes = {}) =>
      makeAzureCloud({
        account: { ...account, ...changes.account, custom: { ...custom, ...changes.custom } },
        clientSecret: changes.clientSecret ?? endpoint.clientSecret,
        clock: changes.clock ?? systemClock,
        log: changes.log ?? silentLog,
      }),
    id: (type, name) =>
      `/subscriptions/${endpoint.subscriptionId}/resourceGroups/${GROUP}/providers/${type}/${name}`,
    async putZone(zoneId) {
      const { authorityUrl, url, tenantId, applicationId, clientSecret } = endpoint;
      const credential = new ClientSecretCredential(tenantId, applicationId, clientSecret, {
        authorityHost: authorityUrl,
        disableInstanceDiscovery: true,
        tlsOptions: { ca: caPem },
      } as never);
      const client = new ResourceManagementClient(credential, endpoint.subscriptionId, {
        endpoint: url,
        tlsOptions: { ca: caPem },
      });
      const version = /private/i.test(zoneId) ? '2020-06-01' : '2018-05-01';
      await client.resources.createOrUpdateById(zoneId, version, { location: 'global' }).pollUntilDone();
    },
    async stop() {
      await azure.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** What a step gives: remembers what was saved, and can be made to die right after saving. */
export function rememberingOperation(dieAfterSave = false): Operation & { readonly states: unknown[] } {
  const states: unknown[] = [];
  return {
    states,
    save: async (state) => {
      states.push(state);
      if (dieAfterSave) throw new Error('the process died here');
    },
  };
}

/** The StandbyError's code and the rest, for an expectation. */
export async function failureOf(work: Promise<unknown>): Promise<Record<string, unknown>> {
  return work.then(
    () => ({ code: 'NO FAILURE' }),
    (error: Error & { toJSON?(): Record<string, unknown> }) =>
      error.toJSON?.() ?? { code: error.name, what: error.message },
  );
}
