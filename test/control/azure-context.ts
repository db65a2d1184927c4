import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeAzureCloud } from '../../infra/azure/cloud.ts';
import { type LocalAzure, type LocalEndpoint, startLocalAzure } from '../../infra/local/local-azure.ts';
import { systemClock } from '../../src/clock.ts';
import { addAccount } from '../../src/control/account.ts';
import type { DeployAnswers } from '../../src/control/appliance/deploy-input.ts';
import type { Context } from '../../src/control/context.ts';
import { silentLog } from '../../src/log.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import type { FirstBoot } from '../../src/ports/first-boot.ts';
import { gatheringTraffic } from '../fixtures/traffic.ts';
import { makeContext, type TestContext } from './make-context.ts';

/** Local Azure, a control with a registered account, and the real SDKs in between. */
export interface AzureContext {
  readonly azure: LocalAzure;
  readonly context: TestContext;
  readonly accountName: string;
  cloud(): Promise<Cloud>;
  deployAnswers(change?: Partial<DeployAnswers>): DeployAnswers;
  close(): Promise<void>;
}

const ACCOUNT = 'ops@example.com';

/** How a process that is not the test's own gets the same cloud. */
export const cloudWith: Context['cloudWith'] = (account, clientSecret) =>
  makeAzureCloud({ account, clientSecret, clock: systemClock, log: silentLog });

export async function startAzureContext(
  parts: { readonly guests?: 'qemu' | 'none'; readonly firstBoot?: FirstBoot } = {},
): Promise<AzureContext> {
  const folder = mkdtempSync(join(tmpdir(), 'standby-local-'));
  const azure = await startLocalAzure({
    folder,
    guests: parts.guests ?? 'none',
    latency: 'none',
    ...gatheringTraffic(),
    log: silentLog,
    clock: systemClock,
  });
  const context = await makeContext({ cloudWith, firstBoot: parts.firstBoot ?? smallBundle(folder) });
  await register(context, azure.endpoint);
  return {
    azure,
    context,
    accountName: ACCOUNT,
    cloud: () => cloudOf(context),
    deployAnswers: (change = {}) => ({
      name: 'gate',
      account: ACCOUNT,
      region: azure.endpoint.location,
      resourceGroup: 'standby-rg',
      virtualNetwork: 'standby-rg/standby-vnet',
      subnet: 'appliance',
      ...change,
    }),
    close: async () => {
      await context.close();
      await azure.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function cloudOf(context: Context): Promise<Cloud> {
  const account = await context.store.accounts.byName(ACCOUNT);
  if (!account) throw new Error('The account was removed');
  return context.cloudFor(account);
}

async function register(context: Context, endpoint: LocalEndpoint): Promise<void> {
  await addAccount(context, {
    name: ACCOUNT,
    environment: 'custom',
    resourceManagerUrl: endpoint.url,
    authorityUrl: endpoint.authorityUrl,
    caFile: endpoint.caFile,
    subscriptionId: endpoint.subscriptionId,
    tenantId: endpoint.tenantId,
    applicationId: endpoint.applicationId,
    clientSecret: endpoint.clientSecret,
  });
}

/** Enough for tests in which no guest runs: what would be started is not looked at. */
export function smallBundle(folder: string): FirstBoot {
  const bytes = Buffer.from('not an engine');
  const file = join(folder, 'bundle.tar.gz');
  return {
    bundle: async () => {
      writeFileSync(file, bytes);
      return { file, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    userData: (facts) => `#cloud-config\n# ${JSON.stringify(facts)}\n`,
  };
}
