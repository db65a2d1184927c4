import { makeAzureCloud } from '../../infra/azure/cloud.ts';
import type { LocalEndpoint } from '../../infra/local/local-azure.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import type { SecurityGroup } from '../../src/ports/cloud.ts';
import { blueprintOf } from '../../src/switchover/blueprint.ts';
import { drillRemovePlan } from '../../src/switchover/drill.ts';
import { drillWork, ownNetwork } from '../../src/switchover/drill-work.ts';
import { reachedAt } from '../../src/switchover/made-addresses.ts';
import {
  createNetworkInterfaceId,
  createNetworkInterfaceStep,
  type MadeNic,
} from '../../src/switchover/steps/create-network-interface.ts';
import { createPublicIpSteps } from '../../src/switchover/steps/create-public-ip.ts';
import { makeDrillNetworkStep } from '../../src/switchover/steps/make-drill-network.ts';
import { Bench } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';

/** The network of a drill as its own steps make it through the real cloud, for a machine that is made otherwise. */
export interface DrillNetwork {
  readonly nicId: string;
  readonly address: string;
  group(): Promise<SecurityGroup>;
  /** All that the drill made goes, and is proven to be gone. */
  remove(): Promise<void>;
  close(): Promise<void>;
}

const RUN = 'drill-1';

export async function makeDrillNetwork(
  endpoint: LocalEndpoint,
  facts: {
    readonly resourceGroup: string;
    readonly askFrom: string;
    readonly port: number;
    readonly caPem: string;
  },
): Promise<DrillNetwork> {
  const { subscriptionId, tenantId, applicationId, url, authorityUrl, location } = endpoint;
  const cloud = await makeAzureCloud({
    account: {
      ...{ id: 'account-1', name: 'ops@example.com', subscriptionId, tenantId, applicationId },
      ...{ environment: 'custom', createdAtMs: 0 },
      custom: { resourceManagerUrl: url, authorityUrl, caPem: facts.caPem },
    },
    clientSecret: endpoint.clientSecret,
    clock: systemClock,
    log: silentLog,
  });
  const whole = scenario();
  const network = `/subscriptions/${subscriptionId}/resourceGroups/none/providers/Microsoft.Network/virtualNetworks/none`;
  const bench = await Bench.open();
  bench.changes = {
    cloud,
    scenario: scenario({
      region: location,
      vm: { ...whole.vm, resourceGroup: facts.resourceGroup },
      nics: whole.nics.slice(0, 1).map((nic) => ({ ...nic, virtualNetworkId: network })),
      healthChecks: [{ kind: 'http', port: facts.port, path: '/', expectStatus: 200 }],
      drill: { askFrom: facts.askFrom },
    }),
  };
  const work = drillWork(bench.work(RUN));
  const blueprint = blueprintOf(work);
  let made: Pick<DrillNetwork, 'nicId' | 'address'> | undefined;
  await bench.run(RUN, {
    kind: 'drill',
    title: 'The network of a drill',
    stages: [
      [makeDrillNetworkStep(work), ...createPublicIpSteps(work, blueprint)],
      blueprint.nics.map((part) => createNetworkInterfaceStep(work, part)),
      [
        {
          id: 'look',
          title: 'What was made',
          async run(context) {
            const { nicId } = context.output<MadeNic>(createNetworkInterfaceId('nic0'));
            made = { nicId, address: reachedAt(blueprint, context) ?? '' };
            return {};
          },
        },
      ],
    ],
  });
  if (!made) throw new Error('the network is made');
  return {
    ...made,
    async group() {
      const group = await cloud.network.securityGroup(ownNetwork(work.scenario, RUN).securityGroupId);
      if (!group) throw new Error('the group is there');
      return group;
    },
    async remove() {
      const plan = drillRemovePlan(bench.work(RUN), async () => undefined);
      await bench.run('remove-1', plan);
    },
    close: () => bench.close(),
  };
}
