import { get } from 'node:https';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type AzureWorld, attachedVm, collect, ground, quick, refusal, startWorld } from './azure-world.ts';

let world: AzureWorld;
beforeAll(async () => {
  world = await startWorld();
  await ground(world, 'a', 3);
  await ground(world, 'b');
});
afterAll(() => world.stop());
afterEach(() => world.local.settings.change({ quotas: {}, attachDetachDataDisks: true }));

const diskId = (name: string) => world.idOf('Microsoft.Compute/disks', name);
const vmId = (name: string) => world.idOf('Microsoft.Compute/virtualMachines', name);
const nicId = (name: string) => world.idOf('Microsoft.Network/networkInterfaces', name);

function putDisk(name: string, change: object = {}) {
  const disk = {
    location: world.location,
    diskSizeGB: 1,
    creationData: { createOption: 'Empty' },
    ...change,
  };
  return world.compute.disks.createOrUpdate(world.group, name, disk, quick);
}
function putVm(name: string, change: object = {}, of = name) {
  return world.compute.virtualMachines.createOrUpdate(
    world.group,
    name,
    attachedVm(world, of, change),
    quick,
  );
}
const dropVm = (name: string) => world.compute.virtualMachines.delete(world.group, name, quick);
const dropDisk = (name: string) => world.compute.disks.delete(world.group, name, quick);

describe('a VM from attached disks', () => {
  it('is created, shown, switched off and deleted; its disks and NICs stay', async () => {
    await putDisk('a-data');
    const vm = await putVm('a', {
      storageProfile: {
        osDisk: attachedVm(world, 'a').storageProfile?.osDisk,
        dataDisks: [{ lun: 3, createOption: 'Attach', managedDisk: { id: diskId('a-data') } }],
      },
    });
    expect(vm.osProfile).toBeUndefined();
    expect(vm.storageProfile).toMatchObject({
      osDisk: { name: 'a-os', diskSizeGB: 1, createOption: 'Attach' },
      dataDisks: [{ lun: 3, name: 'a-data', diskSizeGB: 1, toBeDetached: false }],
    });
    const disk = await world.compute.disks.get(world.group, 'a-data');
    expect(disk).toMatchObject({ managedBy: vm.id, diskState: 'Attached' });
    const nic = await world.network.networkInterfaces.get(world.group, 'a-nic0');
    expect(nic).toMatchObject({ virtualMachine: { id: vm.id }, primary: true });
    expect(nic.macAddress).toMatch(/^00-0D-3A(-[0-9A-F]{2}){3}$/);

    const view = await world.compute.virtualMachines.instanceView(world.group, 'a');
    const shown = await world.compute.virtualMachines.get(world.group, 'a', { expand: 'instanceView' });
    expect(shown.instanceView?.statuses?.map((status) => status.code)).toEqual(
      view.statuses?.map((status) => status.code),
    );
    expect(view.statuses).toMatchObject([
      { code: 'ProvisioningState/succeeded' },
      { code: 'PowerState/running' },
      { displayStatus: 'Boot skipped: guests are off (--guests none)' },
    ]);

    expect(await refusal(dropDisk('a-data'))).toBe(
      `409 OperationNotAllowed: Disk a-data is attached to VM ${vm.id}.`,
    );
    expect(await refusal(putDisk('a-data', { diskSizeGB: 2 }))).toMatch(
      /^409 OperationNotAllowed: Cannot resize disk a-data while it is attached/,
    );
    expect(await refusal(world.network.networkInterfaces.delete(world.group, 'a-nic0', quick))).toMatch(
      /^400 NicInUse/,
    );

    await world.compute.virtualMachines.powerOff(world.group, 'a', { ...quick, skipShutdown: true });
    const power = async () =>
      (await world.compute.virtualMachines.instanceView(world.group, 'a')).statuses?.[1]?.code;
    expect(await power()).toBe('PowerState/stopped');
    await world.compute.virtualMachines.deallocate(world.group, 'a', quick);
    expect(await power()).toBe('PowerState/deallocated');
    expect((await world.compute.disks.get(world.group, 'a-data')).diskState).toBe('Reserved');
    expect((await putDisk('a-data', { diskSizeGB: 2 })).diskSizeGB).toBe(2);
    await world.compute.virtualMachines.start(world.group, 'a', quick);
    expect(await power()).toBe('PowerState/running');

    await dropVm('a');
    expect(await refusal(world.compute.virtualMachines.get(world.group, 'a'))).toMatch(
      /^404 ResourceNotFound/,
    );
    expect((await world.compute.disks.get(world.group, 'a-data')).diskState).toBe('Unattached');
    expect((await world.network.networkInterfaces.get(world.group, 'a-nic0')).virtualMachine).toBeUndefined();
    await dropDisk('a-data');
  });

  it('hands out its serial log over plain HTTPS, signed and for a while only', async () => {
    await putVm('b');
    const data = await world.compute.virtualMachines.retrieveBootDiagnosticsData(world.group, 'b');
    const fetchText = (url: string) =>
      new Promise<string>((resolve, reject) => {
        get(url, { ca: world.ca }, (response) => {
          let text = `${response.statusCode} `;
          response.on('data', (chunk) => {
            text += String(chunk);
          });
          response.on('end', () => resolve(text));
        }).on('error', reject);
      });
    const url = data.serialConsoleLogBlobUri ?? '';
    expect(await fetchText(url)).toContain('200 boot skipped');
    expect(await fetchText(url.replace(/sig=[^&]{4}/, 'sig=AAAA'))).toMatch(/^403/);
    expect(await fetchText(data.consoleScreenshotBlobUri ?? '')).toMatch(/^404/);
    await dropVm('b');
  });

  it('is refused for its size: unknown, restricted, too few slots, wrong generation, no premium, quota', async () => {
    const size = (vmSize: string) => ({ hardwareProfile: { vmSize } });
    expect(await refusal(putVm('a', size('Standard_Z1')))).toMatch(
      /^400 InvalidParameter: The value Standard_Z1 provided for the VM size is not valid/,
    );
    expect(await refusal(putVm('a', size('Standard_NC6s_v3')))).toMatch(
      /^409 SkuNotAvailable: .*Standard_NC6s_v3/,
    );
    expect(await refusal(putVm('a', { ...size('Standard_E8s_v5'), zones: ['3'] }))).toMatch(
      /^409 SkuNotAvailable/,
    );
    expect(await refusal(putVm('a', size('Standard_D2s_v6')))).toMatch(
      /^400 BadRequest: .*cannot boot Hypervisor Generation '1'/,
    );
    const networkInterfaces = ['a-nic0', 'a-nic1', 'a-nic2'].map((name, index) => ({
      id: nicId(name),
      primary: index === 0,
    }));
    expect(
      await refusal(putVm('a', { ...size('Standard_B1s'), networkProfile: { networkInterfaces } })),
    ).toMatch(/^400 NetworkInterfaceCountExceeded/);
    const unmarked = networkInterfaces.slice(0, 2).map(({ id }) => ({ id }));
    expect(await refusal(putVm('a', { networkProfile: { networkInterfaces: unmarked } }))).toMatch(
      /^400 VirtualMachineMustHaveOneNetworkInterfaceAsPrimary/,
    );

    await putDisk('premium', { sku: { name: 'Premium_LRS' } });
    const withDisk = (lun: number) => ({
      ...size('Standard_D2_v3'),
      storageProfile: {
        osDisk: attachedVm(world, 'a').storageProfile?.osDisk,
        dataDisks: [{ lun, createOption: 'Attach', managedDisk: { id: diskId('premium') } }],
      },
    });
    expect(await refusal(putVm('a', withDisk(0)))).toMatch(
      /^400 InvalidParameter: .*does not support the storage account type Premium_LRS/,
    );
    expect(await refusal(putVm('a', withDisk(64)))).toMatch(/^400 InvalidParameter: .*dataDisk.lun/);
    await dropDisk('premium');

    world.local.settings.change({ quotas: { [`${world.location}/cores`]: 1 } });
    expect(await refusal(putVm('a'))).toMatch(
      /^409 OperationNotAllowed: .*Total Regional Cores quota.*Current Limit: 1, Current Usage: 0, Additional Required: 2, \(Minimum\) New Limit Required: 2/,
    );
    world.local.settings.change({ quotas: { standardBSFamily: 1 } });
    expect(await refusal(putVm('a'))).toMatch(/^409 OperationNotAllowed: .*standardBSFamily Cores quota/);
    // Nothing of all this left a trace.
    expect(await collect(world.compute.virtualMachines.list(world.group))).toEqual([]);
    expect((await world.compute.disks.get(world.group, 'a-os')).diskState).toBe('Unattached');
  });

  it('is refused for what it names: missing or taken disks and NICs, an OS profile', async () => {
    await putVm('a');
    const both = { networkProfile: { networkInterfaces: [{ id: nicId('b-nic0') }] } };
    expect(await refusal(putVm('c', both, 'a'))).toMatch(
      /^409 ConflictingUserInput: Disk 'a-os' cannot be attached as the disk is already owned by VM/,
    );
    const taken = { networkProfile: { networkInterfaces: [{ id: nicId('a-nic0') }] } };
    expect(await refusal(putVm('b', taken))).toMatch(/^400 NicInUse/);
    const missing = { networkProfile: { networkInterfaces: [{ id: nicId('nowhere') }] } };
    expect(await refusal(putVm('b', missing))).toMatch(/^400 InvalidResourceReference/);
    expect(await refusal(putVm('nowhere', both))).toMatch(/^404 NotFound: Resource nowhere-os is not found/);
    expect(await refusal(putVm('b', { osProfile: { computerName: 'b' } }))).toMatch(
      /^400 InvalidParameter: Parameter 'osProfile' is not allowed/,
    );
    expect(await refusal(putVm('b', { zones: ['1'] }))).toMatch(/^400 BadRequest: .*not in the same zone/);
    expect(await refusal(putVm('b', { location: 'westeurope' }))).toMatch(/^400 InvalidResourceReference/);
    await dropVm('a');
  });
});

describe('data disks', () => {
  it('are attached and detached by the verb and by PATCH, one VM at a time, each at its own LUN', async () => {
    await putVm('a');
    await putVm('b');
    for (const name of ['one', 'two', 'three', 'four', 'five']) await putDisk(name);
    const change = (vm: string, attach: [string, number][], detach: string[] = []) =>
      world.compute.virtualMachines.attachDetachDataDisks(
        world.group,
        vm,
        {
          // An empty list is refused by Azure's own spec.
          ...(attach.length === 0
            ? {}
            : { dataDisksToAttach: attach.map(([name, lun]) => ({ diskId: diskId(name), lun })) }),
          ...(detach.length === 0
            ? {}
            : { dataDisksToDetach: detach.map((name) => ({ diskId: diskId(name) })) }),
        },
        quick,
      );
    const luns = async (vm: string) =>
      (await world.compute.virtualMachines.get(world.group, vm)).storageProfile?.dataDisks?.map((d) => [
        d.name,
        d.lun,
      ]);

    const profile = await change('a', [
      ['one', 0],
      ['two', 1],
    ]);
    expect(profile.dataDisks?.map((disk) => disk.name)).toEqual(['one', 'two']);
    expect(await refusal(change('b', [['one', 0]]))).toMatch(/^409 ConflictingUserInput/);
    expect(await refusal(change('a', [['three', 1]]))).toMatch(/^400 InvalidParameter: .*dataDisk.lun/);
    expect(
      await refusal(
        change('a', [
          ['three', 2],
          ['four', 3],
          ['five', 4],
        ]),
      ),
    ).toMatch(
      /^409 OperationNotAllowed: The maximum number of data disks allowed to be attached to a VM of this size is 4/,
    );
    await change('a', [['three', 0]], ['one']);
    expect(await luns('a')).toEqual([
      ['two', 1],
      ['three', 0],
    ]);
    expect((await world.compute.disks.get(world.group, 'one')).managedBy).toBeUndefined();
    await change('b', [['one', 5]]);

    world.local.settings.change({ attachDetachDataDisks: false });
    expect(await refusal(change('a', [['four', 4]]))).toMatch(
      /^400 BadRequest: The subscription is not enabled/,
    );
    const before =
      (await world.compute.virtualMachines.get(world.group, 'a')).storageProfile?.dataDisks ?? [];
    const dataDisks = [
      ...before.map((disk) => ({ ...disk, toBeDetached: disk.name === 'two' })),
      { lun: 7, createOption: 'Attach', managedDisk: { id: diskId('four') } },
    ];
    await world.compute.virtualMachines.update(world.group, 'a', { storageProfile: { dataDisks } }, quick);
    expect(await luns('a')).toEqual([
      ['three', 0],
      ['four', 7],
    ]);
    // A PATCH that says nothing of disks leaves them; a list without one detaches it.
    await world.compute.virtualMachines.update(world.group, 'a', { tags: { x: 'y' } }, quick);
    expect(await luns('a')).toEqual([
      ['three', 0],
      ['four', 7],
    ]);
    await world.compute.virtualMachines.update(
      world.group,
      'a',
      { storageProfile: { dataDisks: [] } },
      quick,
    );
    expect(await luns('a')).toEqual([]);
    for (const vm of ['a', 'b']) await dropVm(vm);
    for (const name of ['one', 'two', 'three', 'four', 'five']) await dropDisk(name);
  });
});

describe('a VM from an image', () => {
  const image = { publisher: 'Debian', offer: 'debian-12', sku: '12-gen2', version: 'latest' };
  const fromImage = (change: object = {}) =>
    putVm(
      'i',
      {
        storageProfile: {
          imageReference: image,
          osDisk: { createOption: 'FromImage', name: 'i-os', deleteOption: 'Delete' },
        },
        osProfile: {
          adminUsername: 'azureuser',
          customData: Buffer.from('#cloud-config\n{}').toString('base64'),
          linuxConfiguration: {
            disablePasswordAuthentication: true,
            ssh: { publicKeys: [{ path: '/x', keyData: 'ssh-ed25519 A' }] },
          },
        },
        networkProfile: { networkInterfaces: [{ id: nicId('a-nic0'), primary: true }] },
        ...change,
      },
      'a',
    );

  it('gets an OS disk of its own, never shows its custom data, and takes the disk with it', async () => {
    const vm = await fromImage();
    expect(vm.storageProfile?.osDisk).toMatchObject({
      name: 'i-os',
      diskSizeGB: 30,
      createOption: 'FromImage',
    });
    const shown = await world.compute.virtualMachines.get(world.group, 'i', { expand: 'userData' });
    expect(shown.osProfile).toMatchObject({ computerName: 'i', adminUsername: 'azureuser' });
    expect(JSON.stringify(shown)).not.toContain('customData');
    expect((await world.compute.disks.get(world.group, 'i-os')).hyperVGeneration).toBe('V2');
    await dropVm('i');
    expect(await refusal(world.compute.disks.get(world.group, 'i-os'))).toMatch(/^404 ResourceNotFound/);
  });

  it('is refused without a known image, or without a way to sign in', async () => {
    const storageProfile = { imageReference: { ...image, sku: '99' }, osDisk: { createOption: 'FromImage' } };
    expect(await refusal(fromImage({ storageProfile }))).toMatch(/^404 PlatformImageNotFound/);
    expect(await refusal(fromImage({ osProfile: { adminUsername: 'x' } }))).toMatch(
      /^400 InvalidParameter: Authentication using either SSH/,
    );
    expect(
      await refusal(fromImage({ osProfile: { adminUsername: 'x', adminPassword: 'p', customData: '###' } })),
    ).toMatch(/^400 InvalidParameter: Custom data/);
  });
});

describe('usages and failures', () => {
  it('count what is there', async () => {
    await putVm('a');
    const usages = await collect(world.compute.usage.list(world.location));
    const current = (name: string) => usages.find((usage) => usage.name?.value === name)?.currentValue;
    expect([current('cores'), current('virtualMachines'), current('standardBSFamily')]).toEqual([2, 1, 2]);
    expect(current('StandardDiskCount')).toBe(2);
    expect(
      (await collect(world.compute.virtualMachines.listByLocation(world.location))).map((vm) => vm.name),
    ).toEqual(['a']);
    await dropVm('a');
  });

  it('leave the VM behind as Failed when the allocation fails, holding its disks, until it is deleted', async () => {
    world.local.faults.add({
      on: 'Microsoft.Compute/virtualMachines/write',
      error: 'AllocationFailed',
      times: 1,
    });
    expect(await refusal(putVm('a'))).toMatch(/AllocationFailed/);
    const vm = await world.compute.virtualMachines.get(world.group, 'a', { expand: 'instanceView' });
    expect(vm.provisioningState).toBe('Failed');
    expect(vm.instanceView?.statuses?.map((status) => status.code)).toEqual([
      'ProvisioningState/failed',
      'PowerState/stopped',
    ]);
    expect((await world.compute.disks.get(world.group, 'a-os')).managedBy).toBe(vmId('a'));
    // The same PUT again makes it good.
    await putVm('a');
    expect((await world.compute.virtualMachines.get(world.group, 'a')).provisioningState).toBe('Succeeded');
    await dropVm('a');
  });
});
