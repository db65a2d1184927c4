import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { collect, openSubscription, type Subscription } from '../infra/local/local-subscription.ts';
import { isAllowed } from './judge/allow-list.ts';
import { type BicepJudge, makeBicepJudge } from './judge/bicep-judge.ts';
import { type Finding, makeOavJudge, type OavJudge } from './judge/oav-judge.ts';
import { type Exchange, readTraffic } from './judge/traffic.ts';
import { isSharedAbsent, WHY_SKIPPED } from './shared-data.ts';

/**
 * The last of all tests: what every other one, the demo too, sent to Local Azure and was answered lies in the folder
 * that bin/test.cjs names. Started alone, it judges a run of the SDKs through all that Local Azure has.
 */
const GATHERED = process.env.LOCAL_AZURE_TRAFFIC;
let folder = '';
let oav: OavJudge;
let bicep: BicepJudge;

describe.skipIf(isSharedAbsent)(`What passed between clients and Local Azure${WHY_SKIPPED}`, () => {
  beforeAll(async () => {
    folder = GATHERED || mkdtempSync(path.join(tmpdir(), 'standby-traffic-'));
    process.env.LOCAL_AZURE_TRAFFIC = folder;
    oav = await makeOavJudge();
    bicep = makeBicepJudge();
    const subscription = await openSubscription();
    try {
      await useEverything(subscription);
    } finally {
      await subscription.remove();
    }
  }, 120_000);
  afterAll(() => {
    if (!GATHERED && folder !== '') rmSync(folder, { recursive: true, force: true });
  });

  it('is as Microsoft’s specs and newest types say', async () => {
    const { all, distinct } = readTraffic(folder);
    expect(all).toBeGreaterThan(60);
    expect(await judged(distinct)).toEqual([]);
  });

  it.each(wrongExchanges())('is found out when it is wrong: %s', async (_name, exchange, code) => {
    const findings = await findingsIn(exchange);
    expect(findings.filter((each) => !isAllowed(each)).map((each) => each.code)).toContain(code);
  });

  it('is right in the exchange that the wrong ones are made of', async () => {
    expect((await findingsIn(rightPut())).filter((each) => !isAllowed(each))).toEqual([]);
  });
});

async function findingsIn(exchange: Exchange): Promise<Finding[]> {
  return [...(await oav.judge(exchange)), ...bicep.judge(exchange)];
}

async function judged(exchanges: readonly Exchange[]): Promise<string[]> {
  const found = new Set<string>();
  for (const exchange of exchanges) {
    for (const each of await findingsIn(exchange)) {
      if (isAllowed(each)) continue;
      const place = each.path.replace(/^\/subscriptions\/[^/]+/, '');
      found.add(`${each.side} of ${each.method} ${place} (${each.status}): ${each.code} ${each.text}`);
    }
  }
  return [...found].sort();
}

const GROUP = '/subscriptions/11111111-1111-1111-1111-111111111111/resourceGroups/g/providers';
const OPERATION = 'https://management.azure.com/subscriptions/11111111-1111-1111-1111-111111111111/operation';

function rightPut(): Exchange {
  const id = `${GROUP}/Microsoft.Compute/virtualMachines/m`;
  const properties = {
    hardwareProfile: { vmSize: 'Standard_D2s_v5' },
    storageProfile: {
      osDisk: {
        osType: 'Linux',
        createOption: 'Attach',
        managedDisk: { id: `${GROUP}/Microsoft.Compute/disks/d` },
      },
      dataDisks: [
        { lun: 0, createOption: 'Attach', managedDisk: { id: `${GROUP}/Microsoft.Compute/disks/e` } },
      ],
    },
    networkProfile: { networkInterfaces: [{ id: `${GROUP}/Microsoft.Network/networkInterfaces/n` }] },
  };
  return {
    method: 'PUT',
    url: `${id}?api-version=2026-04-01`,
    requestBody: { location: 'japaneast', properties },
    status: 201,
    headers: { 'azure-asyncoperation': OPERATION },
    body: {
      id,
      name: 'm',
      type: 'Microsoft.Compute/virtualMachines',
      location: 'japaneast',
      properties: { ...properties, vmId: 'v', provisioningState: 'Creating' },
    },
  };
}

function wrongExchanges(): [string, Exchange, string][] {
  const right = rightPut();
  const requestWith = (change: object) => ({
    ...right,
    requestBody: { ...(right.requestBody as object), ...change },
  });
  const properties = (right.requestBody as { properties: { storageProfile: object } }).properties;
  const misspelt = { ...properties.storageProfile, osDisk: { createOption: 'Atach' } };
  return [
    [
      'a place that does not exist',
      { ...right, url: right.url.replace('virtualMachines', 'virtualMachine') },
      'OPERATION_NOT_FOUND_IN_CACHE',
    ],
    ['a field that nobody knows', requestWith({ hardware: {} }), 'OBJECT_ADDITIONAL_PROPERTIES'],
    [
      'a word that nobody knows',
      requestWith({ properties: { ...properties, storageProfile: misspelt } }),
      'BICEP_TYPES',
    ],
    ['a status that is not of this operation', { ...right, status: 202 }, 'INVALID_RESPONSE_CODE'],
    [
      'an error without its envelope',
      { ...right, status: 409, body: { code: 'Conflict' } },
      'OBJECT_ADDITIONAL_PROPERTIES',
    ],
    ['a long-running answer without a URL to poll', diskPutWithoutPollUrl(), 'LRO_RESPONSE_HEADER'],
  ];
}

/** The validator looks at these headers only where an answer has a body, and never with a 201. */
function diskPutWithoutPollUrl(): Exchange {
  const body = {
    location: 'japaneast',
    properties: { creationData: { createOption: 'Empty' }, diskSizeGB: 4 },
  };
  const id = `${GROUP}/Microsoft.Compute/disks/d`;
  const url = `${id}?api-version=2026-03-02`;
  return { method: 'PUT', url, requestBody: body, status: 202, headers: {}, body: { ...body, name: 'd' } };
}

/** Each type of Local Azure made, shown, listed, changed, acted on and deleted. */
async function useEverything({
  compute,
  network,
  resources,
  storage,
  subscriptions,
  endpoint,
}: Subscription): Promise<void> {
  const group = 'traffic';
  const { location } = endpoint;
  await resources.resourceGroups.createOrUpdate(group, { location, tags: { a: 'b' } });
  const vnet = await network.virtualNetworks.createOrUpdate(group, 'v', {
    location,
    addressSpace: { addressPrefixes: ['10.9.0.0/16'] },
    subnets: [{ name: 's', addressPrefix: '10.9.0.0/24' }],
  });
  const rule = { protocol: 'Tcp', access: 'Allow', direction: 'Inbound', sourceAddressPrefix: '*' } as const;
  const ports = { sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRange: '443' };
  const securityGroup = await network.networkSecurityGroups.createOrUpdate(group, 'g', {
    location,
    securityRules: [{ name: 'r', priority: 100, ...rule, ...ports }],
  });
  const publicIp = await network.publicIPAddresses.createOrUpdate(group, 'p', {
    location,
    sku: { name: 'Standard' },
    publicIPAllocationMethod: 'Static',
  });
  const subnet = { id: `${vnet.id}/subnets/s` };
  const nic = await network.networkInterfaces.createOrUpdate(group, 'n', {
    location,
    networkSecurityGroup: { id: securityGroup.id ?? '' },
    ipConfigurations: [{ name: 'i', subnet, publicIPAddress: { id: publicIp.id ?? '' } }],
  });
  const disk = (name: string) =>
    compute.disks.createOrUpdate(group, name, {
      location,
      diskSizeGB: 4,
      creationData: { createOption: 'Empty' },
    });
  const [osDisk, dataDisk, late] = [await disk('os'), await disk('data'), await disk('late')];
  const snapshot = await compute.snapshots.createOrUpdate(group, 'first', {
    location,
    incremental: true,
    creationData: { createOption: 'Copy', sourceResourceId: dataDisk.id ?? '' },
  });
  await compute.snapshots.createOrUpdate(group, 'far', {
    location: 'japanwest',
    incremental: true,
    creationData: { createOption: 'CopyStart', sourceResourceId: snapshot.id ?? '' },
  });
  await compute.snapshots.get(group, 'far');
  await compute.disks.createOrUpdate(group, 'copy', {
    location,
    creationData: { createOption: 'Copy', sourceResourceId: snapshot.id ?? '' },
  });
  const images = `${vnet.id?.split('/resourceGroups/')[0]}/providers/Microsoft.Compute/locations/${location}/publishers`;
  await compute.disks.createOrUpdate(group, 'image', {
    location,
    sku: { name: 'StandardSSD_LRS' },
    networkAccessPolicy: 'DenyAll',
    creationData: {
      createOption: 'FromImage',
      imageReference: {
        id: `${images}/Canonical/artifactTypes/vmImage/offers/UbuntuServer/skus/18.04-LTS/versions/latest`,
      },
    },
  });
  await compute.disks.createOrUpdate(group, 'upload', {
    location,
    creationData: { createOption: 'Upload', uploadSizeBytes: 20 * 1024 ** 2 + 512 },
  });
  await compute.disks.grantAccess(group, 'upload', { access: 'Write', durationInSeconds: 60 });
  await compute.disks.revokeAccess(group, 'upload');
  await compute.snapshots.grantAccess(group, 'first', { access: 'Read', durationInSeconds: 60 });
  await compute.snapshots.revokeAccess(group, 'first');
  const attach = (managed: { id?: string }) => ({
    createOption: 'Attach',
    managedDisk: { id: managed.id ?? '' },
  });
  await compute.virtualMachines.createOrUpdate(group, 'm', {
    location,
    hardwareProfile: { vmSize: 'Standard_D2s_v5' },
    storageProfile: {
      osDisk: { osType: 'Linux', ...attach(osDisk) },
      dataDisks: [{ lun: 0, ...attach(dataDisk) }],
    },
    networkProfile: { networkInterfaces: [{ id: nic.id ?? '' }] },
    diagnosticsProfile: { bootDiagnostics: { enabled: true } },
  });
  await compute.virtualMachines.get(group, 'm', { expand: 'instanceView' });
  await compute.virtualMachines.instanceView(group, 'm');
  await compute.virtualMachines.retrieveBootDiagnosticsData(group, 'm');
  await compute.virtualMachines.attachDetachDataDisks(group, 'm', {
    dataDisksToAttach: [{ diskId: late.id ?? '', lun: 1 }],
  });
  await compute.virtualMachines.restart(group, 'm');
  await compute.virtualMachines.powerOff(group, 'm', { skipShutdown: true });
  await compute.virtualMachines.start(group, 'm');
  await compute.virtualMachines.reapply(group, 'm');
  await compute.virtualMachines.deallocate(group, 'm');
  await compute.virtualMachines.generalize(group, 'm');
  await expect(compute.virtualMachines.start(group, 'm')).rejects.toMatchObject({
    code: 'OperationNotAllowed',
  });
  await compute.virtualMachines.update(group, 'm', { tags: { c: 'd' } });
  await network.virtualNetworks.checkIPAddressAvailability(group, 'v', '10.9.0.4');
  await network.checkDnsNameAvailability(location, 'standby-web');
  await network.publicIPAddresses.updateTags(group, 'p', { tags: { e: 'f' } });
  for (const list of [
    compute.virtualMachines.list(group),
    compute.virtualMachines.listAvailableSizes(group, 'm'),
    network.virtualNetworks.listUsage(group, 'v'),
    compute.disks.listByResourceGroup(group),
    compute.snapshots.list(),
    network.networkInterfaces.listAll(),
    network.networkSecurityGroups.list(group),
    network.publicIPAddresses.list(group),
    network.subnets.list(group, 'v'),
    network.securityRules.list(group, 'g'),
    compute.resourceSkus.list({ filter: `location eq '${location}'` }),
    compute.usage.list(location),
    network.usages.list(location),
    storage.storageAccounts.list(),
    resources.resourceGroups.list(),
    resources.resources.listByResourceGroup(group),
    resources.providers.list(),
    subscriptions.subscriptions.list(),
    subscriptions.subscriptions.listLocations(endpoint.subscriptionId),
  ] as readonly AsyncIterable<unknown>[]) {
    await collect(list);
  }
  await expect(compute.virtualMachines.get(group, 'none')).rejects.toMatchObject({ statusCode: 404 });
  await expect(network.networkInterfaces.delete(group, 'n')).rejects.toMatchObject({ code: 'NicInUse' });
  await compute.virtualMachines.delete(group, 'm');
  await network.networkInterfaces.delete(group, 'n');
  await compute.snapshots.delete(group, 'first');
  await resources.resourceGroups.delete(group);
}
