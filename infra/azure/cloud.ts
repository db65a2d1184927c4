import type { Clock } from '../../src/clock.ts';
import type { Log } from '../../src/log.ts';
import type { Account } from '../../src/model/account.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import type { Azure } from './azure.ts';
import { makeCalls } from './calls.ts';
import { makeClients } from './clients.ts';
import { endpointsOf } from './environments.ts';
import { makeAccess } from './resources/access.ts';
import { makeBundles } from './resources/bundle.ts';
import { makeCatalogue } from './resources/catalogue.ts';
import { makeDns } from './resources/dns-record.ts';
import { makeManagedDisks } from './resources/managed-disk.ts';
import { makeNetworkInterfaces } from './resources/network-interface.ts';
import { makePublicIps } from './resources/public-ip.ts';
import { makeGroups } from './resources/resource-group.ts';
import { makeSecurityGroups } from './resources/security-group.ts';
import { makeSnapshots } from './resources/snapshot.ts';
import { makeListTagged } from './resources/tagged-resource.ts';
import { makeVirtualMachines } from './resources/virtual-machine.ts';
import { makeVirtualNetworks } from './resources/virtual-network.ts';

/**
 * The Cloud of src/ports, on Azure. Loads no SDK until something is asked of it.
 * It holds no state: any process may make another one and go on (operation.ts).
 */
export async function makeAzureCloud(options: {
  readonly account: Account;
  readonly clientSecret: string;
  readonly clock: Clock;
  readonly log: Log;
}): Promise<Cloud> {
  const { account, clientSecret, clock, log } = options;
  const endpoints = endpointsOf(account);
  const calls = makeCalls({ clock, log });
  const clients = makeClients(account, clientSecret, endpoints, calls.answers.policy);
  const azure: Azure = { account, clientSecret, endpoints, clients, calls };
  return {
    access: makeAccess(azure),
    catalogue: makeCatalogue(azure),
    groups: makeGroups(azure),
    disks: { ...makeManagedDisks(azure), ...makeSnapshots(azure) },
    network: {
      ...makeVirtualNetworks(azure),
      ...makeNetworkInterfaces(azure),
      ...makePublicIps(azure),
      ...makeSecurityGroups(azure),
    },
    machines: makeVirtualMachines(azure),
    bundles: makeBundles(azure),
    dns: makeDns(azure),
    listTagged: makeListTagged(azure),
  };
}
