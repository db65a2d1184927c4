import type { Clock } from '../../src/clock.ts';
import type { Context } from '../../src/control/context.ts';
import type { MasterInventory } from '../../src/model/disk.ts';
import type { Notice } from '../../src/ports/host.ts';
import { hastyClock } from '../fakes/bench.ts';
import { FakeAppliance } from '../fakes/fake-appliance.ts';
import { type FakeCloud, GROUP, REGION } from '../fakes/fake-cloud.ts';
import { appliance, inventory, NOW_MS, rightCloud } from '../fakes/scene.ts';
import { makeContext, type TestContext } from './make-context.ts';

/** Control with an account, an appliance and a master, on the real store and runner around a fake cloud and appliance. */
export interface ScenarioWorld {
  readonly context: Context;
  readonly cloud: FakeCloud;
  readonly appliance: FakeAppliance;
  readonly told: readonly Notice[];
  close(): Promise<void>;
}

/** A test in which real processes or servers are waited for gives the true clock. */
export async function scenarioWorld(
  change: Partial<MasterInventory> = {},
  clock: Clock = hastyClock,
): Promise<ScenarioWorld> {
  const cloud = rightCloud();
  const locations = async () => [
    { name: REGION, displayName: 'Japan East' },
    { name: 'westus2', displayName: 'West US 2' },
  ];
  const port = { ...cloud.cloud, catalogue: { ...cloud.cloud.catalogue, locations } };
  const made: TestContext = await makeContext({ cloudFor: async () => port, clock });
  const fakeAppliance = new FakeAppliance(cloud);
  const context: Context = {
    ...made,
    connect: fakeAppliance.connect,
    host: {
      ...made.host,
      interactive: false,
      ask: (question) => import('../../src/cli/plain-host.ts').then((host) => host.answerAlone(question)),
    },
  };
  await made.store.accounts.insert({
    id: 'account-1',
    name: 'ops@example.com',
    subscriptionId: '1',
    tenantId: '2',
    applicationId: '3',
    environment: 'public',
    createdAtMs: NOW_MS,
  });
  await made.store.appliances.insert(appliance());
  await made.store.masters.insert({
    id: 'master-1',
    name: 'web01',
    applianceId: 'appliance-1',
    inventory: inventory(change),
    joinedAtMs: NOW_MS,
  });
  return { context, cloud, appliance: fakeAppliance, told: made.told, close: made.close };
}

/** Answers that make a right scenario in that world, as flags or a file would give them. */
export const ANSWERS = {
  name: 'web',
  master: 'web01',
  capture: 'at-rest',
  vmSize: 'Standard_D2s_v5',
  resourceGroup: GROUP,
  virtualNetwork: 'lan',
  subnet: 'servers',
  address: '10.0.1.20',
  publicIp: 'yes',
  securityGroup: 'web',
  virtualNetwork1: 'lan',
  subnet1: 'servers',
} as const;
