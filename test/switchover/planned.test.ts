import { existsSync } from 'node:fs';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { replicaDiskName } from '../../src/model/names.ts';
import { tagsOf } from '../../src/model/tags.ts';
import { switchoverReport } from '../../src/switchover/report.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { NbdClient } from '../capture/nbd-client.ts';
import { Bench } from '../fakes/bench.ts';
import { GROUP, REGION } from '../fakes/fake-cloud.ts';
import { inventory, masterDisk, scenario } from '../fakes/scene.ts';
import { type Copying, prepareCopy, untilConnected } from '../fixtures/copying.ts';
import { connect, MIB, makeWorld, noiseOf, startMaster, until, type World } from '../fixtures/engines.ts';

/** A planned switchover with both engines as they are, and a guest that writes until it is taken off the network. */
const CHUNKS = 16;
const subject = scenario({ capture: 'nbd' });

let world: World;
let bench: Bench;
let copying: Copying;
let fenced: string;

beforeEach(async () => {
  [world, bench] = await Promise.all([makeWorld(), Bench.open({ state: 'replicating', epoch: 1 })]);
  copying = await prepareCopy(world, { chunks: CHUNKS, full: [0, 5] });
  fenced = join(world.folder, 'fenced');
  const program = join(world.folder, 'fence.sh');
  await writeFile(
    program,
    `#!/bin/sh\nif [ "$1" = disable ]; then touch ${fenced}; else rm -f ${fenced}; fi\n`,
  );
  await chmod(program, 0o755);
  const nbd = { listen: { path: socket() }, spoolBytes: 32 * MIB };
  startMaster(world, 'm1', { nbd, fence: [program] });
  await untilConnected(copying.control);
});
afterEach(async () => {
  await world?.end();
  await bench?.close();
});

const socket = () => join(world.folder, 'nbd.sock');

/** Writes as its clients tell it to: no longer than they reach it. */
async function guest(onWrite: (writes: number) => void): Promise<number> {
  const client = new NbdClient(connectSocket(socket()));
  await client.choose('disk0');
  let writes = 0;
  while (!existsSync(fenced)) {
    const at = (writes * 777_777) % (CHUNKS * MIB - 16_384);
    await client.write(at, noiseOf(++writes)(4096 * (1 + (writes % 4))));
    if (writes % 20 === 0) await client.flush();
    if (writes % 5 === 0) await systemClock.sleep(2);
    onWrite(writes);
  }
  await client.flush();
  client.socket.destroy();
  return writes;
}

async function replicate(): Promise<void> {
  const { control, spec, sizeBytes, port } = copying;
  await control.openReplica(spec({ scenarioId: subject.id }));
  await control.startCopy(subject.id, { capture: 'nbd', lanes: 2, compression: 'none' });
  const state = async () => (await control.progress(subject.id, 200)).state;
  await until('it replicates', async () => (await state()) === 'replicating', 30_000);
  await bench.store.statuses.update(subject.id, (status) => ({ ...status, synchronisedAtMs: 1 }));
  await bench.fake.cloud.disks.createEmpty({
    resourceGroup: GROUP,
    name: replicaDiskName(subject, 'disk0'),
    location: REGION,
    type: 'StandardSSD_LRS',
    sizeGib: 1,
    tags: tagsOf(subject.id, 'run-0', 'replica-disk'),
  });
  bench.changes = {
    scenario: subject,
    inventory: inventory({ fence: true, disks: [masterDisk('disk0', { sizeBytes, boot: true })] }),
    clock: systemClock,
    connect: () => connect(world, port),
  };
}

const plan = () => switchoverPlan(bench.work('planned'), { planned: true });

describe('Planned, with both engines', { timeout: 60_000 }, () => {
  it('loses no byte that the guest wrote, also when control dies in it, and an undo lets the guest go on', async () => {
    let writes = 0;
    const writing = guest((count) => {
      writes = count;
    });
    await replicate();
    const before = writes;
    await until('the guest writes on', () => writes > before + 50);
    await bench.crash('planned', plan(), { stepId: 'fence-master', phase: 'acted' });
    await writing;
    await bench.crash('planned', plan(), { stepId: 'drain-master', phase: 'acted' });
    await bench.undo('planned', plan());
    expect(existsSync(fenced)).toBe(false);

    const more = guest((count) => {
      writes = count;
    });
    writes = 0;
    await until('the guest writes again', () => writes > 50);
    const again = () => switchoverPlan(bench.work('planned-2'), { planned: true });
    const run = await bench.run('planned-2', again());
    await more;
    const { planned, copied } = switchoverReport(bench.work('planned-2'), run);
    expect(planned).toMatchObject({ changesAfter: 0, digests: [{ diskId: 'disk0' }] });
    expect(copied?.position?.leftOutChanges).toBe(0);
    const replica = (await readFile(copying.lun)).subarray(0, copying.sizeBytes);
    expect(replica.equals(await readFile(copying.disk))).toBe(true);
  });
});
