import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readReadiness } from '../../src/guest/readiness/readiness.ts';
import type { Readiness } from '../../src/model/readiness.ts';
import { OPTIONS, prepareCopy, untilConnected } from '../fixtures/copying.ts';
import { MIB, makeWorld, startMaster, untilEnd, type World } from '../fixtures/engines.ts';
import { LIVE, prepareFollowing, untilApplied, untilState } from '../fixtures/following.ts';
import { linuxDisk } from '../guest/linux-disk.ts';
import { deviceOf } from '../guest/volumes.ts';

let world: World;
beforeEach(async () => {
  world = await makeWorld();
});
afterEach(() => world.end());

const BROKEN = { files: { 'etc/fstab': '/dev/sdb1 /data ext4 defaults 0 2\n' } };
const faultsOf = ({ verdicts }: Readiness) =>
  verdicts.filter(({ status }) => status !== 'ok').map(({ code }) => code);

describe('the readiness of a replica', { timeout: 90_000 }, () => {
  it('at rest is that of the disk it was copied from, and only read', async () => {
    const disk = linuxDisk(world.folder, BROKEN);
    const copy = await prepareCopy(world, { chunks: disk.length / MIB });
    await writeFile(copy.disk, disk);
    startMaster(world, 'm1');
    await untilConnected(copy.control);
    await copy.control.openReplica(copy.spec());
    await expect(copy.control.readiness('s1', 'disk0')).rejects.toMatchObject({ code: 'REPLICA_NOT_WHOLE' });
    await copy.control.startCopy('s1', OPTIONS);
    await untilEnd(copy.control, 's1');
    const before = await readFile(copy.lun);
    const found = await copy.control.readiness('s1', 'disk0');
    expect(found).toEqual(await readReadiness(deviceOf(disk)));
    expect(found).toMatchObject({ verdict: 'not ready', generation: 1 });
    expect(faultsOf(found)).toEqual(['FSTAB_NAMES']);
    expect((await readFile(copy.lun)).equals(before)).toBe(true);
    await expect(copy.control.readiness('s1', 'disk7')).rejects.toMatchObject({ code: 'DISK_UNKNOWN' });
    await expect(copy.control.readiness('s9', 'disk0')).rejects.toMatchObject({ code: 'REPLICA_UNKNOWN' });
  });

  it('that follows its master changes with it, and is told while changes come', async () => {
    const ready = linuxDisk(world.folder);
    const broken = linuxDisk(world.folder, BROKEN);
    const all = await prepareFollowing(world, { chunks: ready.length / MIB });
    const { master, control } = all;
    ready.copy(master.image);
    await all.open();
    await control.startCopy('s1', LIVE);
    await untilState(control, 'replicating');
    expect(faultsOf(await control.readiness('s1', 'disk0'))).toEqual([]);
    for (let at = 0; at < ready.length; at += 4096) {
      const page = broken.subarray(at, at + 4096);
      if (!page.equals(ready.subarray(at, at + 4096))) master.write(at, Buffer.from(page));
    }
    await untilApplied(all);
    const answers: Promise<Readiness>[] = [];
    for (let round = 0; round < 5; round++) {
      // Between the boot code and the partition nothing of the system lies.
      master.write(MIB / 2, Buffer.alloc(4096, round));
      master.flush();
      answers.push(control.readiness('s1', 'disk0'));
    }
    for (const answer of await Promise.all(answers)) expect(faultsOf(answer)).toEqual(['FSTAB_NAMES']);
    await control.seal('s1');
    expect(faultsOf(await control.readiness('s1', 'disk0'))).toEqual(['FSTAB_NAMES']);
  });
});
