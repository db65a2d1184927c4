import { openSync, readSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type AzureWorld, collect, ground, quick, refusal, startWorld } from './azure-world.ts';

const GIB = 1024 ** 3;
let world: AzureWorld;
beforeAll(async () => {
  world = await startWorld();
  await ground(world, 'a');
});
afterAll(() => world.stop());

const diskId = (name: string) => world.idOf('Microsoft.Compute/disks', name);

function putDisk(name: string, change: object = {}) {
  const disk = {
    location: world.location,
    diskSizeGB: 1,
    creationData: { createOption: 'Empty' },
    ...change,
  };
  return world.compute.disks.createOrUpdate(world.group, name, disk, quick);
}
const dropDisk = (name: string) => world.compute.disks.delete(world.group, name, quick);

/** The file of a disk or snapshot, found by the one thing that Azure shows of it. */
async function fileOf(kind: 'disks' | 'snapshots', name: string): Promise<string> {
  const { uniqueId } = await world.compute[kind].get(world.group, name);
  return join(world.folder, 'data', kind, `${uniqueId}.raw`);
}

describe('sizes', () => {
  it('list what a region offers and restricts', async () => {
    const skus = await collect(
      world.compute.resourceSkus.list({ filter: `location eq '${world.location}'` }),
    );
    const find = (name: string) =>
      skus.find((sku) => sku.resourceType === 'virtualMachines' && sku.name === name);
    const capabilities = Object.fromEntries(
      find('Standard_D2s_v5')?.capabilities?.map((c) => [c.name, c.value]) ?? [],
    );
    expect(capabilities).toMatchObject({
      vCPUs: '2',
      MemoryGB: '8',
      MaxDataDiskCount: '4',
      HyperVGenerations: 'V1,V2',
      PremiumIO: 'True',
    });
    expect(find('Standard_NC6s_v3')?.restrictions?.[0]).toMatchObject({
      type: 'Location',
      reasonCode: 'NotAvailableForSubscription',
    });
    expect(find('Standard_E8s_v5')?.restrictions?.[0]).toMatchObject({
      type: 'Zone',
      restrictionInfo: { zones: ['3'] },
    });
    const north = await collect(world.compute.resourceSkus.list({ filter: "location eq 'northeurope'" }));
    expect(find('Standard_L8s_v3')).toBeDefined();
    expect(north.some((sku) => sku.name === 'Standard_L8s_v3')).toBe(false);
    expect(north.every((sku) => sku.locations?.[0] === 'northeurope')).toBe(true);
  });
});

describe('managed disks', () => {
  it('are sparse files of whole GiB that only grow', async () => {
    const disk = await putDisk('d', { diskSizeGB: 8, sku: { name: 'Premium_LRS' } });
    expect(disk).toMatchObject({
      diskState: 'Unattached',
      diskSizeBytes: 8 * GIB,
      sku: { tier: 'Premium' },
      provisioningState: 'Succeeded',
    });
    const file = await fileOf('disks', 'd');
    expect(statSync(file).size).toBe(8 * GIB);
    expect(statSync(file).blocks).toBe(0);
    expect(await refusal(putDisk('d', { diskSizeGB: 4 }))).toMatch(
      /^409 OperationNotAllowed: Disk size reduction is not supported/,
    );
    const { uniqueId } = await putDisk('d', { diskSizeGB: 9, tags: { a: 'b' } });
    expect(uniqueId).toBe(disk.uniqueId);
    expect(statSync(file).size).toBe(9 * GIB);
    await dropDisk('d');
    expect(() => statSync(file)).toThrow('ENOENT');
  });

  it('refuse what Azure refuses', async () => {
    expect(await refusal(putDisk('x', { diskSizeGB: 0 }))).toMatch(/^400 InvalidParameter: .*out of range/);
    expect(await refusal(putDisk('x', { diskSizeGB: 1.5 }))).toMatch(/^400 InvalidParameter/);
    expect(await refusal(putDisk('x', { diskSizeGB: 32768 }))).toMatch(/^400 InvalidParameter/);
    expect(await refusal(putDisk('x', { diskSizeGB: undefined }))).toMatch(
      /^400 InvalidParameter: Required parameter 'disk.diskSizeGB'/,
    );
    expect(await refusal(putDisk('x', { sku: { name: 'Fast_LRS' } }))).toMatch(
      /^400 InvalidParameter: SKU Fast_LRS/,
    );
    expect(await refusal(putDisk('x', { zones: ['4'] }))).toMatch(/^400 InvalidAvailabilityZone/);
    const copy = { createOption: 'Copy', sourceResourceId: diskId('nowhere') };
    expect(await refusal(putDisk('x', { creationData: copy }))).toMatch(
      /^404 NotFound: Resource nowhere is not found/,
    );
    const far = { createOption: 'Copy', sourceResourceId: diskId('a-os') };
    expect(await refusal(putDisk('x', { location: 'westeurope', creationData: far }))).toMatch(
      /^404 NotFound/,
    );
    expect(await refusal(putDisk('a-os', { hyperVGeneration: 'V2' }))).toMatch(
      /^409 PropertyChangeNotAllowed/,
    );
    expect(await refusal(putDisk('a-os', { creationData: far }))).toMatch(/^409 PropertyChangeNotAllowed/);
  });
});

describe('snapshots', () => {
  it('hold the bytes of their moment, share a family, and make disks of the same bytes', async () => {
    await putDisk('source', { diskSizeGB: 2, osType: 'Linux', hyperVGeneration: 'V2' });
    const handle = openSync(await fileOf('disks', 'source'), 'r+');
    writeSync(handle, 'first', GIB);
    const snap = (name: string) =>
      world.compute.snapshots.createOrUpdate(
        world.group,
        name,
        {
          location: world.location,
          incremental: true,
          creationData: { createOption: 'Copy', sourceResourceId: diskId('source') },
        },
        quick,
      );
    const one = await snap('s1');
    writeSync(handle, 'later', GIB);
    const two = await snap('s2');
    expect(one).toMatchObject({
      incremental: true,
      completionPercent: 100,
      osType: 'Linux',
      hyperVGeneration: 'V2',
      diskSizeGB: 2,
    });
    expect(one.incrementalSnapshotFamilyId).toBe(two.incrementalSnapshotFamilyId);
    expect(statSync(await fileOf('snapshots', 's1')).blocks).toBeLessThan(64);
    // A tag update copies nothing again.
    await snap('s1');
    await dropDisk('source');
    const creationData = {
      createOption: 'Copy',
      sourceResourceId: world.idOf('Microsoft.Compute/snapshots', 's1'),
    };
    const disk = await putDisk('restored', { diskSizeGB: 3, creationData });
    expect(disk).toMatchObject({ diskSizeGB: 3, osType: 'Linux', hyperVGeneration: 'V2' });
    const bytes = Buffer.alloc(5);
    readSync(openSync(await fileOf('disks', 'restored'), 'r'), bytes, 0, 5, GIB);
    expect(bytes.toString()).toBe('first');
    for (const name of ['s1', 's2']) await world.compute.snapshots.delete(world.group, name, quick);
    await dropDisk('restored');
  });
});
