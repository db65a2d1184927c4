import { existsSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { tagsOf } from '../../../src/model/tags.ts';
import type { Cloud } from '../../../src/ports/cloud.ts';
import { type CloudMachine, NO_GUEST_LINE } from '../../../src/ports/cloud-machines.ts';
import { failureOf, GROUP, type LocalAccount, SCENARIO, startLocalAccount, TAGS } from './local-account.ts';

/** Everything the port promises about resources, with the unchanged SDKs against Local Azure. */
let local: LocalAccount;
let cloud: Cloud;
beforeAll(async () => {
  local = await startLocalAccount();
  cloud = await local.cloud();
});
afterAll(() => local.stop());
afterEach(() => {
  local.azure.faults.clear();
  local.azure.settings.change({ attachDetachDataDisks: true, quotas: {}, pageSize: 100 });
});

const location = 'japaneast';
const place = { resourceGroup: GROUP, location, tags: TAGS };
const os = { osType: 'Linux', generation: 'V1' } as const;
const disk = (name: string) => ({ ...place, name, type: 'StandardSSD_LRS' as const });
const subnetId = () => `${local.id('Microsoft.Network/virtualNetworks', 'standby-vnet')}/subnets/default`;

async function machineOf(name: string, dataDisks: CloudMachine['dataDisks'] = []): Promise<CloudMachine> {
  const osDisk = await cloud.disks.createEmpty({ ...disk(`${name}-os`), sizeGib: 4, os });
  const nic = await cloud.network.createNetworkInterface({
    ...place,
    name: `${name}-nic`,
    subnetId: subnetId(),
  });
  return cloud.machines.createFromDisks({
    ...place,
    name,
    size: 'Standard_B2s',
    osDiskId: osDisk.id,
    osType: 'Linux',
    dataDisks,
    nicIds: [nic.id],
  });
}

describe('catalogue and groups', () => {
  it('lists regions, sizes with what they can do, and quotas', async () => {
    expect(await cloud.catalogue.locations()).toContainEqual({ name: location, displayName: 'Japan East' });
    const sizes = await cloud.catalogue.sizes(location);
    const small = sizes.find((size) => size.name === 'Standard_B2s');
    expect(small).toMatchObject({ vCpus: 2, memoryGib: 4, premiumDisks: true });
    expect(small?.generations).toContain('V1');
    expect(small?.dataDisksMax).toBeGreaterThan(0);
    expect(sizes.some((size) => size.restricted !== undefined)).toBe(true);
    const usages = await cloud.catalogue.usages(location);
    expect(usages.find((usage) => usage.name === 'cores')?.limit).toBeGreaterThan(0);
    expect(usages.some((usage) => usage.name === 'PublicIPAddresses')).toBe(true);
  });

  it('makes a group once, and reads lists that come in pages', async () => {
    local.azure.settings.change({ pageSize: 2 });
    expect(await cloud.groups.get('another-rg')).toBeUndefined();
    const made = await cloud.groups.ensure('another-rg', location);
    expect(await cloud.groups.ensure('another-rg', 'westeurope')).toEqual(made);
    await cloud.groups.ensure('third-rg', location);
    const names = (await cloud.groups.list()).map((group) => group.name);
    expect(names).toEqual(expect.arrayContaining([GROUP, 'another-rg', 'third-rg']));
  });
});

describe('disks and snapshots', () => {
  it('makes a disk, a snapshot of it and a disk of that, each once', async () => {
    const replica = await cloud.disks.createEmpty({ ...disk('replica'), sizeGib: 8, os });
    expect(replica).toMatchObject({
      name: 'replica',
      sizeGib: 8,
      generation: 'V1',
      provisioning: 'Succeeded',
    });
    expect(replica.tags).toEqual(TAGS);
    expect(await cloud.disks.createEmpty({ ...disk('replica'), sizeGib: 8, os })).toEqual(replica);
    const spec = { ...place, name: 'snap', sourceDiskId: replica.id };
    const snapshot = await cloud.disks.createSnapshot(spec);
    expect(snapshot.sourceId?.toLowerCase()).toBe(replica.id.toLowerCase());
    expect(await cloud.disks.createSnapshot(spec)).toEqual(snapshot);
    expect(await cloud.disks.getSnapshot(GROUP, 'snap')).toEqual(snapshot);
    const copy = await cloud.disks.createFromSnapshot({ ...disk('copy'), snapshotId: snapshot.id, os });
    expect(copy).toMatchObject({ sizeGib: 8, generation: 'V1' });
    await cloud.disks.delete(copy.id, SCENARIO);
    await cloud.disks.delete(copy.id, SCENARIO);
    expect(await cloud.disks.get(GROUP, 'copy')).toBeUndefined();
    await cloud.disks.deleteSnapshot(snapshot.id, SCENARIO);
    expect(await cloud.disks.getSnapshot(GROUP, 'snap')).toBeUndefined();
    await cloud.disks.delete(replica.id, SCENARIO);
  });

  it('neither takes nor deletes what belongs to another scenario', async () => {
    const other = { ...disk('theirs'), tags: tagsOf('scenario-2', 'run-9', 'replica-disk') };
    const theirs = await cloud.disks.createEmpty({ ...other, sizeGib: 1 });
    expect(await failureOf(cloud.disks.createEmpty({ ...disk('theirs'), sizeGib: 1 }))).toMatchObject({
      code: 'NOT_OURS',
      why: 'Its tag standby-scenario is "scenario-2", not "scenario-1".',
    });
    expect((await failureOf(cloud.disks.delete(theirs.id, SCENARIO))).code).toBe('NOT_OURS');
    expect(await cloud.disks.get(GROUP, 'theirs')).toEqual(theirs);
  });
});

describe('network', () => {
  it('reads and makes virtual networks, and leaves one that is there as it is', async () => {
    const found = await cloud.network.virtualNetwork(
      local.id('Microsoft.Network/virtualNetworks', 'standby-vnet'),
    );
    expect(found).toMatchObject({ resourceGroup: GROUP, prefixes: ['10.20.0.0/16'] });
    expect(found?.subnets.map((subnet) => subnet.name)).toEqual(['default', 'appliance']);
    const spec = { ...place, prefix: '10.9.0.0/16', subnetName: 'only', subnetPrefix: '10.9.0.0/24' };
    const same = await cloud.network.ensureVirtualNetwork({ ...spec, name: 'standby-vnet' });
    expect(same).toEqual(found);
    const made = await cloud.network.ensureVirtualNetwork({ ...spec, name: 'new-vnet' });
    expect(made.subnets).toMatchObject([{ name: 'only', prefix: '10.9.0.0/24' }]);
    expect(await cloud.network.virtualNetworks(location)).toContainEqual(made);
    expect(await cloud.network.virtualNetworks('westeurope')).toEqual([]);
  });

  it('tells a free address from one Azure keeps', async () => {
    const id = local.id('Microsoft.Network/virtualNetworks', 'standby-vnet');
    expect((await cloud.network.addressAvailable(id, '10.20.1.77')).available).toBe(true);
    const kept = await cloud.network.addressAvailable(id, '10.20.1.0');
    expect(kept.available).toBe(false);
    expect(kept.free).toContain('10.20.1.4');
  });

  it('makes a NIC with a static and a public address, and removes both', async () => {
    const publicIp = await cloud.network.createPublicIp({ ...place, name: 'pip' });
    expect(publicIp.address).toMatch(/^\d+\.\d+\.\d+\.\d+$/);
    expect(await cloud.network.createPublicIp({ ...place, name: 'pip' })).toEqual(publicIp);
    const spec = {
      ...place,
      name: 'nic',
      subnetId: subnetId(),
      staticIp: '10.20.1.40',
      publicIpId: publicIp.id,
      securityGroupId: local.id('Microsoft.Network/networkSecurityGroups', 'standby-web'),
      dnsServers: ['10.20.1.10', '10.20.1.11'],
    };
    const nic = await cloud.network.createNetworkInterface(spec);
    expect(nic).toMatchObject({
      ...{ privateIp: '10.20.1.40', publicIpId: publicIp.id },
      dnsServers: ['10.20.1.10', '10.20.1.11'],
    });
    expect(await cloud.network.networkInterface(nic.id)).toEqual(nic);
    expect((await failureOf(cloud.network.deletePublicIp(publicIp.id, SCENARIO))).code).toBe(
      'PublicIPAddressCannotBeDeleted',
    );
    expect((await failureOf(cloud.network.deleteNetworkInterface(nic.id, 'other'))).code).toBe('NOT_OURS');
    await cloud.network.deleteNetworkInterface(nic.id, SCENARIO);
    await cloud.network.deletePublicIp(publicIp.id, SCENARIO);
    expect(await cloud.network.networkInterface(nic.id)).toBeUndefined();
    expect(await cloud.network.publicIp(publicIp.id)).toBeUndefined();
  });

  it('adds one rule to a security group and keeps the others', async () => {
    const made = await cloud.network.ensureSecurityGroup({ ...place, name: 'appliance-nsg' });
    expect(made.rules.map((rule) => rule.name)).toContain('DenyAllInBound');
    const rule = {
      name: 'standby-25000',
      priority: 300,
      direction: 'Inbound',
      access: 'Allow',
      protocol: 'Tcp',
      sourcePrefixes: ['203.0.113.7/32'],
      destinationPrefixes: ['*'],
      destinationPorts: ['25000'],
    } as const;
    const first = await cloud.network.addSecurityRule(made.id, rule);
    expect(first.rules[0]).toEqual(rule);
    const twoPorts = { ...rule, name: 'two', priority: 310, destinationPorts: ['80', '8000-8100'] };
    const second = await cloud.network.addSecurityRule(made.id, twoPorts);
    expect(second.rules.slice(0, 2)).toEqual([rule, twoPorts]);
    expect(await cloud.network.addSecurityRule(made.id, rule)).toEqual(second);
    const changed = cloud.network.addSecurityRule(made.id, { ...rule, sourcePrefixes: ['*'] });
    expect((await failureOf(changed)).code).toBe('SECURITY_RULE_EXISTS');
    expect(await cloud.network.ensureSecurityGroup({ ...place, name: 'appliance-nsg' })).toEqual(second);
  });
});

describe('virtual machines', () => {
  it('gives the picture of a screen byte by byte, through the URL that Azure signs', async () => {
    const guests = join(dirname(local.requestLogFile), 'data', 'guests');
    const others = existsSync(guests) ? readdirSync(guests) : [];
    const machine = await machineOf('pictured');
    const [own = ''] = readdirSync(guests).filter((name) => !others.includes(name));
    const picture = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0xff, 0xfe, 0x00, 0x80]);
    await writeFile(join(guests, own, 'screenshot.bmp'), picture);
    const got = await cloud.machines.screenshot(machine.id);
    expect(Buffer.from(got ?? [])).toEqual(picture);
    await cloud.machines.delete(machine.id, SCENARIO);
  });

  it('boots from disks that are there, is started and stopped, and goes without its disks', async () => {
    const data = await cloud.disks.createEmpty({ ...disk('vm1-data'), sizeGib: 1 });
    const machine = await machineOf('vm1', [{ diskId: data.id, lun: 3 }]);
    expect(machine).toMatchObject({ size: 'Standard_B2s', osType: 'Linux', provisioning: 'Succeeded' });
    expect(machine.dataDisks).toMatchObject([{ lun: 3 }]);
    expect(await machineOf('vm1', [{ diskId: data.id, lun: 3 }])).toEqual(machine);
    expect(await cloud.machines.list(location)).toContainEqual(machine);
    expect((await cloud.machines.instance(machine.id))?.power).toBe('running');
    expect(await cloud.machines.serialLog(machine.id)).toContain(NO_GUEST_LINE);
    expect(await cloud.machines.screenshot(machine.id)).toBeUndefined();
    await cloud.machines.powerOff(machine.id);
    expect((await cloud.machines.instance(machine.id))?.power).toBe('stopped');
    await cloud.machines.deallocate(machine.id);
    expect((await cloud.machines.instance(machine.id))?.power).toBe('deallocated');
    await cloud.machines.start(machine.id);
    expect((await cloud.machines.instance(machine.id))?.power).toBe('running');
    expect((await failureOf(cloud.machines.delete(machine.id, 'other'))).code).toBe('NOT_OURS');
    const tagged = await cloud.listTagged('standby-scenario', SCENARIO);
    expect(tagged.map((each) => each.name)).toEqual(
      expect.arrayContaining(['vm1', 'vm1-os', 'vm1-nic', 'vm1-data']),
    );
    await cloud.machines.delete(machine.id, SCENARIO);
    await cloud.machines.delete(machine.id, SCENARIO);
    expect(await cloud.machines.get(machine.id)).toBeUndefined();
    expect((await cloud.disks.get(GROUP, 'vm1-os'))?.attachedTo).toBeUndefined();
    await cloud.disks.delete(data.id, SCENARIO);
  });

  it('makes an appliance from an image, and never shows its user data again', async () => {
    const nic = await cloud.network.createNetworkInterface({
      ...place,
      name: 'app-nic',
      subnetId: subnetId(),
    });
    const journal = await cloud.disks.createEmpty({ ...disk('app-journal'), sizeGib: 4 });
    const machine = await cloud.machines.createFromImage({
      ...place,
      name: 'app',
      size: 'Standard_B2s',
      image: { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' },
      osDiskName: 'app-os',
      adminUser: 'standby',
      sshPublicKey:
        'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7vRzS4gZyyvT3xkFZ1mYhJmUUtAlXg8PjNnzm0a2GkKq8 someone',
      userData: '#cloud-config\nruncmd: []\n# a one-time token\n',
      dataDisks: [{ diskId: journal.id, lun: 0 }],
      nicIds: [nic.id],
    });
    expect(machine.dataDisks).toMatchObject([{ lun: 0 }]);
    expect((await cloud.disks.get(GROUP, 'app-os'))?.attachedTo?.toLowerCase()).toBe(
      machine.id.toLowerCase(),
    );
    expect(await failureOf(cloud.disks.delete(journal.id, SCENARIO))).toMatchObject({
      code: 'OperationNotAllowed',
    });
  });

  it('takes nobody else’s disk away where two attach through the VM at once', async () => {
    local.azure.settings.change({ attachDetachDataDisks: false });
    const disks = await Promise.all(
      [0, 1, 2].map((lun) => cloud.disks.createEmpty({ ...disk(`at-once-${lun}`), sizeGib: 1 })),
    );
    const machine = await machineOf('at-once', []);
    await Promise.all(
      disks.map(({ id: diskId }, lun) => cloud.machines.attachDisks(machine.id, [{ diskId, lun }])),
    );
    const luns = async () => (await cloud.machines.get(machine.id))?.dataDisks.map(({ lun }) => lun).sort();
    expect(await luns()).toEqual([0, 1, 2]);
    const [first, second] = disks;
    await Promise.all(
      [first, second].map((one) => cloud.machines.detachDisks(machine.id, one ? [one.id] : [])),
    );
    expect(await luns()).toEqual([2]);
  });

  for (const offered of [true, false]) {
    it(`attaches and detaches disks ${offered ? 'by themselves' : 'through the VM where that is refused'}`, async () => {
      local.azure.settings.change({ attachDetachDataDisks: offered });
      const name = `attach-${offered}`;
      const first = await cloud.disks.createEmpty({ ...disk(`${name}-1`), sizeGib: 1 });
      const second = await cloud.disks.createEmpty({ ...disk(`${name}-2`), sizeGib: 1 });
      const machine = await machineOf(name, [{ diskId: first.id, lun: 0 }]);
      const wanted = [
        { diskId: first.id, lun: 0 },
        { diskId: second.id, lun: 1 },
      ];
      const attached = await cloud.machines.attachDisks(machine.id, wanted);
      expect(attached.dataDisks.map((each) => each.lun)).toEqual([0, 1]);
      expect(await cloud.machines.attachDisks(machine.id, wanted)).toEqual(attached);
      expect((await cloud.disks.get(GROUP, `${name}-2`))?.attachedTo).toBeDefined();
      const third = await cloud.disks.createEmpty({ ...disk(`${name}-3`), sizeGib: 1 });
      const taken = await failureOf(cloud.machines.attachDisks(machine.id, [{ diskId: third.id, lun: 1 }]));
      expect(taken).toMatchObject({ code: 'LUN_TAKEN', retry: 'later' });
      const elsewhere = cloud.machines.attachDisks(machine.id, [{ diskId: second.id, lun: 5 }]);
      expect((await failureOf(elsewhere)).code).toBe('DISK_AT_OTHER_LUN');
      const detached = await cloud.machines.detachDisks(machine.id, [second.id]);
      expect(detached.dataDisks.map((each) => each.lun)).toEqual([0]);
      expect(await cloud.machines.detachDisks(machine.id, [second.id])).toEqual(detached);
      expect((await cloud.disks.get(GROUP, `${name}-2`))?.attachedTo).toBeUndefined();
    });
  }
});
