import { readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { ControlSession } from '../../src/wire/control-session.ts';
import {
  connect,
  enrol,
  joinOne,
  MIB,
  makeImage,
  makeWorld,
  startAppliance,
  startMaster,
  until,
  untilEnd,
  type World,
} from '../fixtures/engines.ts';

const OPTIONS = { capture: 'at-rest', lanes: 2, compression: 'none' } as const;
let world: World | undefined;
afterEach(async () => {
  await world?.end();
  world = undefined;
});

async function connected(control: ControlSession, masterId: string): Promise<void> {
  await until('master connected', async () =>
    (await control.masters()).some((one) => one.masterId === masterId && one.connected),
  );
}

describe('a copy at rest', () => {
  it('ends byte-identical, with equal digests, without sending zeros', async () => {
    world = await makeWorld();
    const appliance = await startAppliance(world);
    await enrol(world, appliance.port);
    const control = await connect(world, appliance.port);
    const disk = join(world.folder, 'disk.img');
    const sizeBytes = 20 * MIB + 512 * 7;
    await makeImage(disk, sizeBytes, {
      full: [0, 3, 4, 20],
      pages: [
        { chunk: 7, page: 5 },
        { chunk: 7, page: 9 },
      ],
    });
    const lun = join(world.lunsFolder, 'lun1');
    await makeImage(lun, 32 * MIB);
    const inventory = await joinOne(world, control, { masterId: 'm1', disks: [disk], port: appliance.port });
    expect(inventory.disks[0]?.sizeBytes).toBe(sizeBytes);
    startMaster(world, 'm1');
    await connected(control, 'm1');
    const spec = { scenarioId: 's1', masterId: 'm1', epoch: 1 };
    await control.openReplica({
      ...spec,
      disks: [{ diskId: 'disk0', lun: 1, sizeBytes, blank: true, excluded: [] }],
    });
    await control.startCopy('s1', OPTIONS);
    const end = await untilEnd(control, 's1');
    expect(end.error).toBeUndefined();
    expect(end.state).toBe('synchronised');
    expect(end.sentBytes).toBe(3 * MIB + 512 * 7 + 2 * 4096);
    const replica = await readFile(lun);
    expect(replica.subarray(0, sizeBytes).equals(await readFile(disk))).toBe(true);
    expect(replica.subarray(sizeBytes).every((byte) => byte === 0)).toBe(true);
    const sealed = await control.seal('s1');
    expect(sealed.digests).toEqual(end.digests);
    await expect(control.startCopy('s1', OPTIONS)).rejects.toMatchObject({ code: 'REPLICA_SEALED' });
  });
});
void truncate;
