import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFirstBoot } from '../../infra/templates/first-boot.ts';
import { systemClock } from '../../src/clock.ts';
import { checkAppliance } from '../../src/control/appliance/check.ts';
import { deployAppliance } from '../../src/control/appliance/deploy.ts';
import { openPort, proposeOpenPort } from '../../src/control/appliance/open-port.ts';
import { listMasters, offerMaster } from '../../src/control/master.ts';
import { silentLog } from '../../src/log.ts';
import { joinMaster } from '../../src/master/join.ts';
import { GIB, MIB } from '../../src/model/disk.ts';
import { type AzureContext, startAzureContext } from '../control/azure-context.ts';

/**
 * First contact, on nothing but real parts: the engine's bundle, Azurite, the SDKs, the appliance as a process with
 * its own first boot, the security rules in front of it, mutual TLS, and a master with a partitioned disk.
 */
let local: AzureContext;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'standby-first-'));
  local = await startAzureContext({
    guests: 'qemu',
    firstBoot: makeFirstBoot({ cacheFolder: join(folder, 'cache') }),
  });
});
afterAll(async () => {
  await local?.close();
  rmSync(folder, { recursive: true, force: true });
});

function diskWithExt4(): string {
  const file = join(folder, 'server.img');
  writeFileSync(file, '');
  truncateSync(file, 128 * MIB);
  execFileSync('/usr/sbin/sfdisk', ['--quiet', file], {
    input: 'label: dos\nstart=2048, type=83, bootable\n',
  });
  execFileSync('/usr/sbin/mke2fs', ['-q', '-t', 'ext4', '-L', 'root', '-E', 'offset=1048576', file, '126M']);
  return file;
}

it('an appliance is deployed behind a closed port, opened, enrolled, and lets a master in', async () => {
  const { context } = local;
  const { appliance } = await deployAppliance(context, local.deployAnswers());
  const closed = await checkAppliance(context, 'gate', { probeTimeoutMs: 1_000 });
  expect(closed.map((one) => one.status)).toEqual(['ok', 'ok', 'error', 'error', 'skipped']);

  const { sourcePrefix = '' } = await proposeOpenPort(context, { name: 'gate' });
  await openPort(context, { name: 'gate', sourcePrefix });
  const open = await checkAppliance(context, 'gate');
  expect(open.map((one) => [one.title, one.status, one.found])).toEqual([
    ['VM running', 'ok', expect.stringContaining(appliance.address)],
    ['Security group on the subnet', 'ok', expect.stringContaining('none')],
    ['Security group on the NIC', 'ok', expect.stringMatching(/^rule standby-25000-.*allows TCP 25000/)],
    ['TCP connect', 'ok', expect.any(String)],
    ['TLS and engine', 'ok', expect.stringMatching(/^engine \d/)],
  ]);
  expect((await context.store.appliances.get(appliance.id))?.enrolment).toBe('enrolled');

  const cloud = await local.cloud();
  const disk = await cloud.disks.createEmpty({
    resourceGroup: 'standby-rg',
    name: 'replica-0',
    location: local.azure.endpoint.location,
    type: 'StandardSSD_LRS',
    sizeGib: 1,
    tags: { 'standby-scenario': 's', 'standby-run': 'r', 'standby-role': 'replica-disk' },
  });
  await cloud.machines.attachDisks(appliance.azure?.vmId ?? '', [{ diskId: disk.id, lun: 1 }]);
  const session = await context.connect(appliance);
  expect(await session.disks()).toMatchObject([{ lun: 1, sizeBytes: GIB }]);
  await session.close();

  const { tokenText } = await offerMaster(context, { appliance: 'gate' });
  const waiting = Promise.withResolvers<void>();
  const joined = joinMaster({
    tokenText,
    diskPaths: [diskWithExt4()],
    hostName: 'web01',
    stateFolder: join(folder, 'master'),
    clock: systemClock,
    log: silentLog,
    signal: AbortSignal.timeout(60_000),
    onWaiting: waiting.resolve,
  });
  await Promise.race([waiting.promise, joined]);
  const list = await listMasters(context);
  expect([list.joined, list.problems]).toEqual([['web01'], []]);
  expect((await joined).masterId).toBe(list.masters[0]?.master.id);
  const [view] = list.masters;
  expect(view?.master.inventory).toMatchObject({ hostName: 'web01', firmware: 'bios' });
  expect(view?.master.inventory.disks).toMatchObject([
    {
      id: 'disk0',
      sizeBytes: 128 * MIB,
      partitionTable: 'mbr',
      volumes: [{ fileSystem: 'ext4', label: 'root' }],
    },
  ]);
});
