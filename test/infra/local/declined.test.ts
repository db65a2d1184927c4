import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalClient, openClient } from '../../conformance/replay/local-client.ts';
import { collect, openSubscription, type Subscription } from './local-subscription.ts';

/** What Local Azure does not do: never a wrong success, always 501 with the name of what was asked for. */
const GROUP = 'declined';
const location = 'japaneast';
const COMPUTE = 'Microsoft.Compute';
const NETWORK = 'Microsoft.Network';
const IMAGE = { publisher: 'Canonical', offer: 'UbuntuServer', sku: '18.04-LTS', version: 'latest' };

let subscription: Subscription;
let client: LocalClient;
const root = () => `/subscriptions/${subscription.endpoint.subscriptionId}`;
const idOf = (path: string) => `${root()}/resourceGroups/${GROUP}/providers/${path}`;

beforeAll(async () => {
  subscription = await openSubscription();
  client = await openClient(subscription.endpoint);
  await subscription.resources.resourceGroups.createOrUpdate(GROUP, { location });
  const network = { location, addressSpace: { addressPrefixes: ['10.0.0.0/16'] } };
  await subscription.network.virtualNetworks.createOrUpdate(GROUP, 'v', {
    ...network,
    subnets: [{ name: 's', addressPrefix: '10.0.0.0/24' }],
  });
  const subnet = { id: idOf(`${NETWORK}/virtualNetworks/v/subnets/s`) };
  for (const name of ['n', 'free']) {
    await subscription.network.networkInterfaces.createOrUpdate(GROUP, name, {
      location,
      ipConfigurations: [{ name: 'i', subnet }],
    });
  }
  await subscription.compute.virtualMachines.createOrUpdate(GROUP, 'm', {
    location,
    hardwareProfile: { vmSize: 'Standard_B2s' },
    storageProfile: { imageReference: IMAGE, osDisk: { createOption: 'FromImage' } },
    osProfile: { computerName: 'm', adminUsername: 'u', adminPassword: 'Long-password-1' },
    networkProfile: { networkInterfaces: [{ id: idOf(`${NETWORK}/networkInterfaces/n`) }] },
  });
});
afterAll(async () => {
  client?.close();
  await subscription?.remove();
});

/** Everything that is there, as clients see it. */
async function everything(): Promise<string> {
  const all = await collect(subscription.resources.resources.list());
  const network = await subscription.network.virtualNetworks.get(GROUP, 'v');
  const machine = await subscription.compute.virtualMachines.get(GROUP, 'm');
  return JSON.stringify([all, network, machine]);
}

const withDisk = (creationData: object) => ({ location, properties: { creationData } });
const withRule = (asg: string) => ({
  properties: {
    ...{ priority: 200, access: 'Allow', direction: 'Inbound', protocol: 'Tcp' },
    ...{ sourcePortRange: '*', destinationPortRange: '443', sourceAddressPrefix: '*' },
    destinationApplicationSecurityGroups: [{ id: idOf(`${NETWORK}/applicationSecurityGroups/${asg}`) }],
  },
});

describe('What Local Azure does not do', () => {
  it.each<[string, string, string, (() => unknown)?]>([
    ['a command run in the guest', 'POST', `${COMPUTE}/virtualMachines/m/runCommand`],
    ['an image taken of a VM', 'POST', `${COMPUTE}/virtualMachines/m/capture`],
    ['a new OS disk', 'POST', `${COMPUTE}/virtualMachines/m/reimage`],
    ['patches', 'POST', `${COMPUTE}/virtualMachines/m/installPatches`],
    ['conversion of unmanaged disks', 'POST', `${COMPUTE}/virtualMachines/m/convertToManagedDisks`],
    ['an extension', 'PUT', `${COMPUTE}/virtualMachines/m/extensions/e`, () => ({ location })],
    ['the extensions', 'GET', `${COMPUTE}/virtualMachines/m/extensions`],
    ['a scale set', 'PUT', `${COMPUTE}/virtualMachineScaleSets/s`, () => ({ location })],
    ['an availability set', 'PUT', `${COMPUTE}/availabilitySets/a`, () => ({ location })],
    ['an image', 'PUT', `${COMPUTE}/images/i`, () => ({ location })],
    [
      'a disk of a blob',
      'PUT',
      `${COMPUTE}/disks/d`,
      () => withDisk({ createOption: 'Import', sourceUri: 'https://a.blob.core.windows.net/v/d.vhd' }),
    ],
    [
      'a disk of a gallery’s image',
      'PUT',
      `${COMPUTE}/disks/d`,
      () =>
        withDisk({ createOption: 'FromImage', galleryImageReference: { id: '/SharedGalleries/g/Images/i' } }),
    ],
    [
      'a snapshot of a blob',
      'PUT',
      `${COMPUTE}/snapshots/d`,
      () => withDisk({ createOption: 'Import', sourceUri: 'https://a.blob.core.windows.net/v/d.vhd' }),
    ],
    [
      'a disk with a key of one’s own',
      'PUT',
      `${COMPUTE}/disks/d`,
      () => ({
        location,
        properties: {
          creationData: { createOption: 'Empty' },
          diskSizeGB: 4,
          encryption: { diskEncryptionSetId: idOf(`${COMPUTE}/diskEncryptionSets/k`) },
        },
      }),
    ],
    [
      'a VM with an unmanaged disk',
      'PUT',
      `${COMPUTE}/virtualMachines/u`,
      () => ({
        location,
        properties: {
          hardwareProfile: { vmSize: 'Standard_B2s' },
          storageProfile: {
            osDisk: { createOption: 'FromImage', vhd: { uri: 'https://a.blob.core.windows.net/v/o.vhd' } },
            imageReference: IMAGE,
          },
          networkProfile: { networkInterfaces: [{ id: idOf(`${NETWORK}/networkInterfaces/free`) }] },
        },
      }),
    ],
    [
      'a VM of a gallery’s image',
      'PUT',
      `${COMPUTE}/virtualMachines/u`,
      () => ({
        location,
        properties: {
          hardwareProfile: { vmSize: 'Standard_B2s' },
          storageProfile: {
            osDisk: { createOption: 'FromImage' },
            imageReference: { sharedGalleryImageId: '/SharedGalleries/g/Images/i/Versions/latest' },
          },
          osProfile: { computerName: 'u', adminUsername: 'u', adminPassword: 'Long-password-1' },
          networkProfile: { networkInterfaces: [{ id: idOf(`${NETWORK}/networkInterfaces/free`) }] },
        },
      }),
    ],
    [
      'a peering',
      'PUT',
      `${NETWORK}/virtualNetworks/v/virtualNetworkPeerings/p`,
      () => ({ properties: { remoteVirtualNetwork: { id: idOf(`${NETWORK}/virtualNetworks/w`) } } }),
    ],
    [
      'a peering within a network',
      'PUT',
      `${NETWORK}/virtualNetworks/v`,
      () => ({
        location,
        properties: {
          addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
          virtualNetworkPeerings: [{ name: 'p' }],
        },
      }),
    ],
    [
      'an IPv6 network',
      'PUT',
      `${NETWORK}/virtualNetworks/w`,
      () => ({ location, properties: { addressSpace: { addressPrefixes: ['fd00::/48'] } } }),
    ],
    [
      'an IPv6 public address',
      'PUT',
      `${NETWORK}/publicIPAddresses/p`,
      () => ({ location, sku: { name: 'Standard' }, properties: { publicIPAddressVersion: 'IPv6' } }),
    ],
    [
      'a rule for an application security group',
      'PUT',
      `${NETWORK}/networkSecurityGroups/g`,
      () => ({ location, properties: { securityRules: [{ name: 'r', ...withRule('a') }] } }),
    ],
    ['the effective rules of a NIC', 'POST', `${NETWORK}/networkInterfaces/n/effectiveNetworkSecurityGroups`],
    ['a load balancer', 'PUT', `${NETWORK}/loadBalancers/b`, () => ({ location })],
    ['a network watcher', 'GET', `${NETWORK}/networkWatchers/w`],
    [
      'a deployment',
      'PUT',
      'Microsoft.Resources/deployments/d',
      () => ({ properties: { mode: 'Incremental' } }),
    ],
    ['a vault', 'PUT', 'Microsoft.KeyVault/vaults/k', () => ({ location })],
  ])('is refused by name and changes nothing: %s', async (_what, method, path, body) => {
    const before = await everything();
    const version = path.includes('/disks/') || path.includes('/snapshots/') ? '2026-03-02' : '2026-04-01';
    const isNetwork = path.startsWith(NETWORK);
    const url = `${idOf(path)}?api-version=${isNetwork ? '2026-01-01' : version}`;
    const answer = await client.send(method, url, body?.());
    expect(answer).toMatchObject({ status: 501, body: { error: { code: 'NotImplemented' } } });
    const { message } = (answer.body as { error: { message: string } }).error;
    expect(message).toMatch(/^Local Azure does not do this: \S.{8,}\. What it does is in /);
    expect(await everything()).toBe(before);
  });

  it.each([
    ['what hangs below the subscription', 'GET', 'providers/Microsoft.Compute/virtualMachineScaleSets'],
    ['images of the marketplace', 'GET', 'providers/Microsoft.Compute/locations/japaneast/publishers'],
    ['names of tags', 'GET', 'tagNames'],
    ['a template of a group', 'POST', `resourceGroups/${GROUP}/exportTemplate`],
    ['moving resources', 'POST', `resourceGroups/${GROUP}/moveResources`],
  ])('is refused by name outside of resources too: %s', async (_what, method, path) => {
    const answer = await client.send(
      method,
      `${root()}/${path}?api-version=2025-04-01`,
      method === 'POST' ? {} : undefined,
    );
    expect(answer).toMatchObject({ status: 501, body: { error: { code: 'NotImplemented' } } });
    const last = path.split('/').at(-1) ?? '';
    expect(JSON.stringify(answer.body)).toContain(last);
  });
});
