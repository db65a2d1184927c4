import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeAzureCloud } from '../../infra/azure/cloud.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import type { MasterInventory } from '../../src/model/disk.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import { tagsOf } from '../../src/model/tags.ts';
import type { Cloud } from '../../src/ports/cloud.ts';
import { switchoverReport } from '../../src/switchover/report.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStopPlan } from '../../src/switchover/vm.ts';
import type { Work } from '../../src/switchover/work.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { verifyScenario } from '../../src/verify/verify.ts';
import { Bench } from '../fakes/bench.ts';
import { appliance, scenario } from '../fakes/scene.ts';
import {
  connect,
  enrol,
  joinOne,
  MIB,
  makeImage,
  makeWorld,
  startAppliance,
  startMaster,
  type World,
} from '../fixtures/engines.ts';
import { type AzureWorld, startWorld } from '../infra/local/azure-world.ts';

/**
 * The two plans on real parts: the SDKs against Local Azure, both engines over TLS, the runner and the store. Guests
 * are off, so nothing boots; the standby's disks are compared with the master's, byte by byte.
 */
const GROUP = 'standby-rg';
const SIZES = { disk0: 24 * MIB, disk1: 5 * MIB + 512 };

let azure: AzureWorld;
let engines: World;
let bench: Bench;
let cloud: Cloud;
let subject: Scenario;
let inventory: MasterInventory;

beforeAll(async () => {
  [azure, engines, bench] = await Promise.all([startWorld('none'), makeWorld(), Bench.open()]);
  cloud = await cloudOf(azure);
  const vmId = await applianceVm();
  const { port } = await startAppliance(engines);
  await enrol(engines, port);
  const control = await connect(engines, port);
  const disks = (['disk0', 'disk1'] as const).map((id) => join(engines.folder, `${id}.img`));
  await makeImage(disks[0] ?? '', SIZES.disk0, { full: [0, 3, 20], pages: [{ chunk: 7, page: 5 }] });
  await makeImage(disks[1] ?? '', SIZES.disk1, { full: [4, 5], seed: 7 });
  inventory = await joinOne(engines, control, { masterId: 'master-1', disks, port });
  inventory = { ...inventory, nics: [{ id: 'nic0', name: 'eth0', addresses: [] }] };
  startMaster(engines, 'master-1');
  subject = scenarioHere();
  const here = { azure: { accountId: 'account-1', vmId, resourceGroup: GROUP, region: azure.location } };
  bench.changes = {
    scenario: subject,
    inventory,
    appliance: appliance(here),
    cloud: linking(cloud, vmId),
    clock: systemClock,
    connect: () => connect(engines, port),
    verify: () =>
      verifyScenario({
        scenario: subject,
        inventory,
        appliance: appliance(here),
        cloud,
        otherScenarios: [],
        session: control,
        clock: systemClock,
        moment: 'run',
      }),
  } satisfies Partial<Work>;
});

afterAll(async () => {
  await engines?.end();
  await bench?.close();
  await azure?.stop();
});

function cloudOf({ local, ca }: AzureWorld): Promise<Cloud> {
  const { endpoint } = local;
  const { subscriptionId, tenantId, applicationId, clientSecret } = endpoint;
  return makeAzureCloud({
    account: {
      id: 'account-1',
      name: 'ops@example.com',
      subscriptionId,
      tenantId,
      applicationId,
      environment: 'custom',
      custom: { resourceManagerUrl: endpoint.url, authorityUrl: endpoint.authorityUrl, caPem: ca },
      createdAtMs: 0,
    },
    clientSecret,
    clock: systemClock,
    log: silentLog,
  });
}

const networkId = () =>
  `/subscriptions/${azure.local.endpoint.subscriptionId}/resourceGroups/${GROUP}/providers/Microsoft.Network/virtualNetworks/standby-vnet`;

/** Any VM will do: what it runs is in this process. */
async function applianceVm(): Promise<string> {
  const tags = tagsOf('appliance/appliance', 'deploy-1', 'appliance');
  const place = { resourceGroup: GROUP, location: azure.location, tags };
  const disk = { ...place, type: 'Standard_LRS', sizeGib: 1 } as const;
  const os = { osType: 'Linux', generation: 'V1' } as const;
  const osDisk = await cloud.disks.createEmpty({ ...disk, name: 'appliance-os', os });
  const journal = await cloud.disks.createEmpty({ ...disk, name: 'appliance-journal' });
  const nic = await cloud.network.createNetworkInterface({
    ...place,
    name: 'appliance-nic',
    subnetId: `${networkId()}/subnets/default`,
  });
  const machine = await cloud.machines.createFromDisks({
    ...place,
    name: 'appliance',
    size: 'Standard_B2s',
    osDiskId: osDisk.id,
    osType: 'Linux',
    dataDisks: [{ diskId: journal.id, lun: 0 }],
    nicIds: [nic.id],
  });
  return machine.id;
}

function scenarioHere(): Scenario {
  return scenario({
    region: azure.location,
    vm: { ...scenario().vm, resourceGroup: GROUP, size: 'Standard_B2s', diskType: 'Premium_LRS' },
    nics: [
      {
        masterNicId: 'nic0',
        virtualNetworkId: networkId(),
        subnetName: 'default',
        address: { kind: 'static', ip: '10.20.1.77' },
        publicIp: true,
      },
    ],
  });
}

/** What the appliance's guest would do: an attached disk shows as `lun<N>`. */
function linking(real: Cloud, vmId: string): Cloud {
  const attachDisks: Cloud['machines']['attachDisks'] = async (id, disks, operation) => {
    const machine = await real.machines.attachDisks(id, disks, operation);
    for (const { diskId, lun } of disks) {
      const file = await fileOfDisk(diskId);
      await symlink(file, join(engines.lunsFolder, `lun${lun}`)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error; // Linked by an earlier try.
      });
    }
    expect(id).toBe(vmId);
    return machine;
  };
  return { ...real, machines: { ...real.machines, attachDisks } };
}

async function fileOfDisk(diskId: string): Promise<string> {
  const { uniqueId } = await azure.compute.disks.get(GROUP, diskId.split('/').at(-1) ?? '');
  const file = join(azure.folder, 'data', 'disks', `${uniqueId}.raw`);
  await access(file);
  return file;
}

async function hashOf(file: string, length: number): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(file, { end: length - 1 })) hash.update(part as Buffer);
  return hash.digest('hex');
}

async function ours(): Promise<string[]> {
  const tagged = await cloud.listTagged('standby-scenario', subject.id);
  return tagged.map((one) => `${one.type.split('/').at(-1)} ${one.name}`).sort();
}

const plan = (runId: string) => switchoverPlan(bench.work(runId));

describe('on Local Azure with both engines', { timeout: 60_000 }, () => {
  it('the scenario has no findings but that the appliance’s master is there', async () => {
    const verdicts = await bench.work('none').verify();
    expect(verdicts.filter((one) => one.status === 'error')).toEqual([]);
  });

  it('the first copy survives two deaths and ends synchronised, twice the same epoch and no second disk', async () => {
    const work = bench.work('run-1');
    const copying = () => synchronisePlan(work, { lanes: 2, compression: 'none' });
    await bench.crash('run-1', copying(), { saved: 'create-replica-disk-disk0' });
    await bench.crash('run-1', copying(), { stepId: 'attach-replica-disks', phase: 'acted' });
    await bench.run('run-1', copying());
    expect(await bench.status()).toMatchObject({ state: 'synchronised', epoch: 1 });
    expect(await ours()).toHaveLength(2);
  });

  it.each([
    { saved: 'snapshot-disk-disk0' },
    { saved: 'create-standby-disk-disk1' },
    { saved: 'create-virtual-machine' },
    { stepId: 'create-network-interface-nic0', phase: 'acted' as const },
    { stepId: 'commit-switchover', phase: 'started' as const },
  ])('dead at %o, an undo leaves exactly what was before', async (point) => {
    const before = await ours();
    const runId = `undone-${JSON.stringify(point).length}`;
    await bench.crash(runId, plan(runId), point);
    expect((await ours()).length).toBeGreaterThan(before.length);
    await bench.undo(runId, plan(runId));
    expect(await ours()).toEqual(before);
    expect((await bench.status()).state).toBe('synchronised');
  });

  it('dead while Azure builds the VM, a resume makes no second resource; no byte is lost', async () => {
    const before = await ours();
    await bench.crash('live', plan('live'), { saved: 'snapshot-disk-disk1' });
    await bench.crash('live', plan('live'), { saved: 'create-virtual-machine' });
    const run = await bench.run('live', plan('live'));
    const report = switchoverReport(bench.work('live'), run);
    const made = plan('live')
      .stages.flat()
      .flatMap((step) => step.makes ?? []);
    const names = made.map((one) => `${one.type.split('/').at(-1)} ${one.name}`);
    expect(await ours()).toEqual([...before, ...names].sort());
    expect(report).toMatchObject({ live: true, boot: { outcome: 'skipped' } });
    expect(report.addresses).toMatchObject([
      { privateIp: '10.20.1.77', publicIp: expect.stringMatching(/\d/) },
    ]);

    const machine = await cloud.machines.instance(report.vm?.id ?? '');
    expect(machine).toMatchObject({ name: 'web01', power: 'running' });
    const standbyDisks = [machine?.osDiskId ?? '', machine?.dataDisks[0]?.diskId ?? ''];
    for (const [index, disk] of inventory.disks.entries()) {
      const file = await fileOfDisk(standbyDisks[index] ?? '');
      expect(await hashOf(file, disk.sizeBytes)).toBe(await hashOf(disk.path, disk.sizeBytes));
    }
    await expect(bench.undo('live', plan('live'))).rejects.toMatchObject({ code: 'PAST_COMMIT' });
  });

  it('vm stop --remove leaves the replica and nothing else', async () => {
    const { standbyVmId: vmId = '' } = await bench.status();
    await bench.run('stop', vmStopPlan(bench.work('stop'), { vmId, remove: true }));
    expect((await ours()).every((one) => one.startsWith('disks web-replica-'))).toBe(true);
    expect(await bench.status()).toMatchObject({ state: 'stopped' });
  });
});

describe('Azure without room for the VM', { timeout: 60_000 }, () => {
  it('fails with Azure’s own word, and the next try removes what Azure left behind', async () => {
    await bench.store.statuses.update(subject.id, (status) => ({ ...status, state: 'synchronised' }));
    const fault = { on: 'Microsoft.Compute/virtualMachines/write', error: 'AllocationFailed', times: 3 };
    azure.local.faults.add(fault);
    await expect(bench.run('full', plan('full'))).rejects.toMatchObject({
      code: 'AllocationFailed',
      next: expect.stringContaining('standby switchover web --undo'),
    });
    azure.local.faults.clear();
    await bench.run('full', plan('full'));
    expect((await bench.status()).state).toBe('switched-over');
  });
});

describe('Azure without room, and a scenario with other sizes and zones', { timeout: 60_000 }, () => {
  const VM_WRITE = 'Microsoft.Compute/virtualMachines/write';
  const quota = {
    on: VM_WRITE,
    error: 'OperationNotAllowed',
    status: 409,
    message:
      'Operation could not be completed as it results in exceeding approved Total Regional Cores quota.',
  };

  async function removed(runId: string): Promise<void> {
    const { standbyVmId: vmId = '' } = await bench.status();
    await bench.run(runId, vmStopPlan(bench.work(runId), { vmId, remove: true }));
    await bench.store.statuses.update(subject.id, (status) => ({ ...status, state: 'synchronised' }));
  }

  it('steps down through what fails at once, and what fails after a while, and leaves no failed VM', async () => {
    await removed('away-1');
    const before = await ours();
    const vm = { ...subject.vm, zone: '1', fallbackSizes: ['Standard_B2ms'], fallbackZones: ['3'] };
    bench.changes = { ...bench.changes, scenario: { ...subject, vm } };
    azure.local.faults.add({ on: VM_WRITE, error: 'ZonalAllocationFailed' });
    azure.local.faults.add({ on: VM_WRITE, error: 'SkuNotAvailable', status: 409, after: 1 });
    // Dead while Azure builds what it will refuse: whoever resumes hears the refusal and does not begin again.
    await bench.crash('ladder', plan('ladder'), { saved: 'create-virtual-machine' });
    const run = await bench.run('ladder', plan('ladder'));
    azure.local.faults.clear();
    const { vm: made } = switchoverReport(bench.work('ladder'), run);
    expect(made).toMatchObject({ size: 'Standard_B2s', zone: '3' });
    expect(made?.refused?.map((one) => `${one.size} ${one.zone} ${one.code}`)).toEqual([
      'Standard_B2s 1 ZonalAllocationFailed',
      'Standard_B2ms 1 SkuNotAvailable',
    ]);
    const machine = await cloud.machines.instance(made?.id ?? '');
    expect(machine).toMatchObject({ size: 'Standard_B2s', zone: '3', power: 'running' });
    const names = plan('ladder')
      .stages.flat()
      .flatMap((step) => step.makes ?? [])
      .map((one) => `${one.type.split('/').at(-1)} ${one.name}`);
    expect(await ours()).toEqual([...before, ...names].sort());
    const disks = [machine?.osDiskId ?? '', ...(machine?.dataDisks ?? []).map((one) => one.diskId)];
    for (const [index, disk] of inventory.disks.entries()) {
      const file = await fileOfDisk(disks[index] ?? '');
      expect(await hashOf(file, disk.sizeBytes)).toBe(await hashOf(disk.path, disk.sizeBytes));
    }
    const events = await bench.store.events.list({ runId: 'ladder' });
    expect(events.find((one) => one.code === 'STEPPED_DOWN')?.text).toContain('zone 3');
  });

  it('a quota that is used up is no reason to try the same size in the next zone', async () => {
    await removed('away-2');
    azure.local.faults.add(quota);
    azure.local.faults.add({ on: VM_WRITE, error: 'AllocationFailed' });
    const run = await bench.run('quota', plan('quota'));
    azure.local.faults.clear();
    expect(switchoverReport(bench.work('quota'), run).vm).toMatchObject({
      size: 'Standard_B2ms',
      zone: '3',
      refused: [{ code: 'QuotaExceeded' }, { code: 'AllocationFailed' }],
    });
  });
});
