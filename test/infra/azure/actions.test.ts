import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/clock.ts';
import type { Cloud } from '../../../src/ports/cloud.ts';
import { actionsOf, CLOUD_ACTIONS, type CloudVerb } from '../../../src/ports/cloud-actions.ts';
import { GROUP, type LocalAccount, SCENARIO, startLocalAccount, TAGS } from './local-account.ts';

/**
 * What each verb of the port declares is what its requests need: no more, no less. Local Azure says which actions it
 * was asked for while a verb ran.
 */
let local: LocalAccount;
let cloud: Cloud;
const seen = new Map<CloudVerb, Set<string>>();

beforeAll(async () => {
  local = await startLocalAccount();
  cloud = await local.cloud();
});
afterAll(() => local?.stop());

async function during<Out>(verb: CloudVerb, work: () => Promise<Out>): Promise<Out> {
  local.azure.rbac.forget();
  const out = await work();
  const actions = seen.get(verb) ?? new Set<string>();
  for (const { action } of local.azure.rbac.seen()) actions.add(action);
  seen.set(verb, actions);
  return out;
}

const location = 'japaneast';
const place = { resourceGroup: GROUP, location, tags: TAGS };
const os = { osType: 'Linux', generation: 'V1' } as const;
const disk = (name: string) => ({ ...place, name, type: 'StandardSSD_LRS' as const });
const scope = () => `/subscriptions/${local.account.subscriptionId}`;

async function account(): Promise<void> {
  const { access, catalogue, groups } = cloud;
  await during('access.signIn', () => access.signIn());
  await during('access.subscription', () => access.subscription());
  await during('access.permissions', () => access.permissions());
  await during('access.denials', () => access.denials(scope()));
  await during('access.locks', () => access.locks(scope()));
  await during('access.policies', () => access.policies(scope()));
  await during('access.providers', () => access.providers());
  await during('catalogue.locations', () => catalogue.locations());
  await during('catalogue.sizes', () => catalogue.sizes(location));
  await during('catalogue.usages', () => catalogue.usages(location));
  await during('groups.list', () => groups.list());
  await during('groups.get', () => groups.get(GROUP));
  await during('groups.ensure', () => groups.ensure('another', location));
  await during('listTagged', () => cloud.listTagged('standby-scenario', SCENARIO));
}

async function network(): Promise<string> {
  const { network: net } = cloud;
  const subnet = { subnetName: 'one', subnetPrefix: '10.9.1.0/24', prefix: '10.9.0.0/16' };
  const made = await during('network.ensureVirtualNetwork', () =>
    net.ensureVirtualNetwork({ ...place, name: 'lan', ...subnet }),
  );
  await during('network.virtualNetworks', () => net.virtualNetworks());
  await during('network.virtualNetwork', () => net.virtualNetwork(made.id));
  await during('network.addressAvailable', () => net.addressAvailable(made.id, '10.9.1.9'));
  const group = await during('network.ensureSecurityGroup', () =>
    net.ensureSecurityGroup({ ...place, name: 'nsg' }),
  );
  await during('network.securityGroups', () => net.securityGroups());
  await during('network.securityGroup', () => net.securityGroup(group.id));
  const any = {
    sourcePrefixes: ['*'],
    destinationPrefixes: ['*'],
    destinationPorts: ['80'],
    protocol: 'Tcp',
  };
  const rule = { name: 'web', priority: 200, direction: 'Inbound', access: 'Allow', ...any } as const;
  await during('network.addSecurityRule', () => net.addSecurityRule(group.id, rule));
  await during('network.routeTable', () => net.routeTable(local.id('Microsoft.Network/routeTables', 'none')));
  const pip = await during('network.createPublicIp', () => net.createPublicIp({ ...place, name: 'pip' }));
  await during('network.publicIp', () => net.publicIp(pip.id));
  const nic = await during('network.createNetworkInterface', () =>
    net.createNetworkInterface({
      ...place,
      name: 'nic',
      subnetId: made.subnets[0]?.id ?? '',
      publicIpId: pip.id,
      securityGroupId: group.id,
    }),
  );
  await during('network.networkInterface', () => net.networkInterface(nic.id));
  const short = await net.ensureVirtualNetwork({ ...place, name: 'short', ...subnet });
  await during('network.deleteVirtualNetwork', () => net.deleteVirtualNetwork(short.id, SCENARIO));
  const unused = await net.ensureSecurityGroup({ ...place, name: 'unused' });
  await during('network.deleteSecurityGroup', () => net.deleteSecurityGroup(unused.id, SCENARIO));
  return nic.id;
}

async function disksAndMachines(nicId: string): Promise<void> {
  const { disks, machines } = cloud;
  const data = await during('disks.createEmpty', () => disks.createEmpty({ ...disk('data'), sizeGib: 4 }));
  const osDisk = await disks.createEmpty({ ...disk('os'), sizeGib: 4, os });
  await during('disks.get', () => disks.get(GROUP, 'data'));
  const source = { ...place, name: 'copy', sourceDiskId: data.id };
  const snapshot = await during('disks.createSnapshot', () => disks.createSnapshot(source));
  await during('disks.getSnapshot', () => disks.getSnapshot(GROUP, 'copy'));
  const copied = await during('disks.createFromSnapshot', () =>
    disks.createFromSnapshot({ ...disk('copied'), snapshotId: snapshot.id }),
  );
  await during('disks.deleteSnapshot', () => disks.deleteSnapshot(snapshot.id, SCENARIO));
  await during('disks.delete', () => disks.delete(copied.id, SCENARIO));
  const parts = { size: 'Standard_B2s', nicIds: [nicId], dataDisks: [] };
  const { id } = await during('machines.createFromDisks', () =>
    machines.createFromDisks({ ...place, name: 'vm', osDiskId: osDisk.id, osType: 'Linux', ...parts }),
  );
  await during('machines.list', () => machines.list(location));
  await during('machines.get', () => machines.get(id));
  await during('machines.instance', () => machines.instance(id));
  await during('machines.serialLog', () => machines.serialLog(id));
  await during('machines.screenshot', () => machines.screenshot(id));
  for (const offered of [true, false]) {
    local.azure.settings.change({ attachDetachDataDisks: offered });
    await during('machines.attachDisks', () => machines.attachDisks(id, [{ diskId: data.id, lun: 1 }]));
    await during('machines.detachDisks', () => machines.detachDisks(id, [data.id]));
  }
  await during('machines.powerOff', () => machines.powerOff(id));
  await during('machines.start', () => machines.start(id));
  await during('machines.deallocate', () => machines.deallocate(id));
  await during('machines.delete', () => machines.delete(id, SCENARIO));
  const image = { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' };
  const sshPublicKey = `ssh-ed25519 ${Buffer.alloc(51, 7).toString('base64')} somebody`;
  const access = { adminUser: 'standby', sshPublicKey, userData: '#cloud-config\n', osDiskName: 'vm2-os' };
  const { id: second } = await during('machines.createFromImage', () =>
    machines.createFromImage({ ...place, name: 'vm2', image, ...access, ...parts }),
  );
  await machines.delete(second, SCENARIO);
}

async function dns(): Promise<void> {
  for (const type of ['Microsoft.Network/dnsZones', 'Microsoft.Network/privateDnsZones']) {
    const zone = local.id(type, 'example.test');
    await local.putZone(zone);
    await during('dns.hasZone', () => cloud.dns.hasZone(zone));
    const wanted = { addresses: ['192.0.2.1'], ttlSeconds: 60 };
    await during('dns.setARecord', () => cloud.dns.setARecord(zone, 'www', wanted, undefined));
    const record = await during('dns.aRecord', () => cloud.dns.aRecord(zone, 'www'));
    await during('dns.removeARecord', () => cloud.dns.removeARecord(zone, 'www', record?.etag ?? ''));
  }
}

async function bundle(): Promise<void> {
  const file = join(local.requestLogFile, '../bundle.tar.gz');
  writeFileSync(file, 'engine');
  const sha256 = createHash('sha256').update('engine').digest('hex');
  const expiresAtMs = systemClock.now() + 3_600_000;
  const spec = { ...place, accountName: 'standbyactions', file, sha256, expiresAtMs };
  await during('bundles.publish', () => cloud.bundles.publish(spec));
}

it('each verb needs exactly the actions that are declared beside it', { timeout: 60_000 }, async () => {
  await account();
  const nicId = await network();
  await disksAndMachines(nicId);
  await bundle();
  await dns();
  await during('network.deleteNetworkInterface', () => cloud.network.deleteNetworkInterface(nicId, SCENARIO));
  const pip = local.id('Microsoft.Network/publicIPAddresses', 'pip');
  await during('network.deletePublicIp', () => cloud.network.deletePublicIp(pip, SCENARIO));
  const verbs = Object.keys(CLOUD_ACTIONS) as CloudVerb[];
  const needed = Object.fromEntries(
    verbs.map((verb) => [verb, [...(seen.get(verb) ?? ['not tried'])].sort()]),
  );
  const declared = Object.fromEntries(verbs.map((verb) => [verb, actionsOf(verb)]));
  expect(needed).toEqual(declared);
});
