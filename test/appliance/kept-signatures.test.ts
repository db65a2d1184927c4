import { execFile } from 'node:child_process';
import { readdir, readFile, statfs, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { proveReplica } from '../../src/appliance/compare.ts';
import { guardDisk } from '../../src/appliance/guarded-device.ts';
import type { ReceivingDisk } from '../../src/appliance/receiver.ts';
import { ReplicaSigner } from '../../src/appliance/replica-signer.ts';
import { ChunkSet } from '../../src/block/chunks.ts';
import { openDevice, type QuickDevice } from '../../src/block/open-device.ts';
import { readSignatures } from '../../src/wire/signature-frame.ts';
import { hashOf, OPTIONS, overwrite, prepareCopy, range, untilConnected } from '../fixtures/copying.ts';
import { MIB, makeWorld, noiseOf, startMaster, untilEnd, type World } from '../fixtures/engines.ts';

const PAGE = 4096;
const CHUNKS = 12;
const signal = new AbortController().signal;
const run = promisify(execFile);

let world: World;
let path: string;
beforeEach(async () => {
  world = await makeWorld();
  path = join(world.folder, 'replica.img');
  await writeFile(path, noiseOf(3)((CHUNKS - 2) * MIB));
  await truncate(path, CHUNKS * MIB - 1000);
});
afterEach(() => world.end());

/** A replica disk as the appliance opens it, counting what is read of it. */
async function openCounted(sizeBytes = CHUNKS * MIB - 1000) {
  const device = await openDevice(path, { mode: 'write' });
  const reads = { bytes: 0 };
  const counted: QuickDevice = {
    path,
    kind: device.kind,
    sizeBytes: device.sizeBytes,
    read: async (target, offsetBytes) => {
      reads.bytes += target.byteLength;
      await device.read(target, offsetBytes);
    },
    readNow: (target, offsetBytes) => device.readNow(target, offsetBytes),
    write: (source, offsetBytes) => device.write(source, offsetBytes),
    writePieces: (pieces, offsetBytes) => device.writePieces(pieces, offsetBytes),
    writeNow: (pieces, offsetBytes) => device.writeNow(pieces, offsetBytes),
    sync: () => device.sync(),
    identity: () => device.identity(),
    close: () => device.close(),
  };
  const facts = { stateFolder: world.folder, scenarioId: 's1', diskId: 'disk0', sizeBytes };
  const guarded = await guardDisk(counted, { ...facts, log: world.log });
  const chunks = new ChunkSet(CHUNKS);
  const disk: ReceivingDisk = {
    ...guarded,
    diskId: 'disk0',
    sizeBytes,
    blank: false,
    written: chunks,
    durable: chunks,
    saveMap: async () => undefined,
  };
  return { disk, reads };
}

/** What it costs to ask about every chunk; and that the answer is what reading all of it tells. */
async function askAll({ disk, reads }: Awaited<ReturnType<typeof openCounted>>): Promise<number> {
  const key = disk.signatures?.key ?? '';
  const asked = { first: 0, count: CHUNKS, distrusted: undefined };
  const before = reads.bytes;
  const answer = await new ReplicaSigner(key).answer({ ...asked, disk }, signal);
  const cost = reads.bytes - before;
  const read = await new ReplicaSigner(key).answer(
    { ...asked, disk: { ...disk, signatures: undefined } },
    signal,
  );
  expect(readSignatures(answer ?? Buffer.alloc(0), CHUNKS)).toEqual(
    readSignatures(read ?? Buffer.alloc(0), CHUNKS),
  );
  return cost;
}

describe('a comparison with a replica', () => {
  it('reads nothing of it after its proof, nor of what was written through its door since, also once it was closed', async () => {
    const first = await openCounted();
    await proveReplica([first.disk], signal);
    expect(await askAll(first)).toBe(0);
    await first.disk.device.write(noiseOf(9)(3 * PAGE), 2 * MIB + 17 * PAGE);
    await first.disk.device.write(Buffer.alloc(MIB), 4 * MIB);
    first.disk.device.writeNow([noiseOf(10)(PAGE), noiseOf(11)(PAGE)], 11 * MIB);
    expect(await askAll(first)).toBe(0);
    await first.disk.device.close();
    const second = await openCounted();
    expect(await askAll(second)).toBe(0);
    expect(second.disk.signatures?.key).toBe(first.disk.signatures?.key);
    await second.disk.device.close();
  });

  it('reads what was written in parts of pages, and that only', async () => {
    const opened = await openCounted();
    expect(await askAll(opened)).toBe(CHUNKS * MIB - 1000);
    await opened.disk.device.write(noiseOf(9)(512), 2 * MIB + 17 * PAGE + 512);
    expect(await askAll(opened)).toBe(MIB);
    expect(await askAll(opened)).toBe(0);
    await opened.disk.device.close();
  });

  it.each([
    ['somebody wrote to it meanwhile', () => overwrite(path, 5 * MIB, noiseOf(5)(PAGE))],
    ['the master’s disk has another size', undefined],
    ['it was not closed', async () => undefined],
  ])('reads all of it when %s', async (_why, meanwhile) => {
    const first = await openCounted();
    await proveReplica([first.disk], signal);
    const { key } = first.disk.signatures ?? {};
    if (_why !== 'it was not closed') await first.disk.device.close();
    await meanwhile?.();
    const sizeBytes = CHUNKS * MIB - (meanwhile ? 1000 : 2000);
    const second = await openCounted(sizeBytes);
    expect(await askAll(second)).toBe(sizeBytes);
    expect(second.disk.signatures?.key).not.toBe(key);
    await second.disk.device.close();
    if (_why === 'it was not closed') await first.disk.device.close();
  });
});

it('finds by the proof what a kept signature does not tell, and sends those chunks whole', async () => {
  const copy = await prepareCopy(world, { chunks: 20, full: range(0, 20) });
  startMaster(world, 'm1');
  await untilConnected(copy.control);
  await copy.control.openReplica(copy.spec());
  await copy.control.startCopy('s1', OPTIONS);
  expect((await untilEnd(copy.control, 's1')).state).toBe('synchronised');
  // Whoever did this also put back the time by which it would show.
  const before = join(world.folder, 'before');
  await writeFile(before, '');
  await run('touch', ['-r', copy.lun, before]);
  await overwrite(copy.lun, 4 * MIB + 7 * PAGE, noiseOf(4)(PAGE));
  await run('touch', ['-r', before, copy.lun]);
  await copy.control.openReplica(copy.spec({ epoch: 2 }, false));
  await copy.control.startCopy('s1', { ...OPTIONS, mode: 'block' });
  const end = await untilEnd(copy.control, 's1');
  expect(end).toMatchObject({ state: 'synchronised', sentBytes: MIB });
  expect(world.log.lines.filter((line) => line.includes('some chunks are copied again'))).toHaveLength(1);
  expect(await hashOf(copy.lun, copy.sizeBytes)).toBe(await hashOf(copy.disk, copy.sizeBytes));
});

it('keeps nothing where the files of all open disks might take room that journals need', async () => {
  const { bavail, bsize } = await statfs(world.folder);
  const device = await openDevice(path, { mode: 'write' });
  const facts = { stateFolder: world.folder, scenarioId: 's1', log: world.log };
  // Each alone would fit: its file may take 1 / 1024 of the disk's size.
  const sizeBytes = Math.floor(bavail * bsize * 1024 * 0.15);
  const first = await guardDisk(device, { ...facts, diskId: 'disk0', sizeBytes });
  const second = await guardDisk(device, { ...facts, diskId: 'disk1', sizeBytes });
  expect(first.signatures).toBeDefined();
  expect(second.signatures).toBeUndefined();
  await first.device.close();
});

it('has one door: whoever opens a replica disk for writing on the appliance guards it', async () => {
  const folders = ['src/appliance', 'src/seed'];
  const files = (
    await Promise.all(
      folders.map(async (folder) => (await readdir(folder)).map((name) => `${folder}/${name}`)),
    )
  ).flat();
  const writers: string[] = [];
  for (const file of files) {
    const text = await readFile(file, 'utf8');
    if (/openDevice\([^;]*mode: 'write'/.test(text))
      writers.push(`${file} ${text.includes('await guardDisk(')}`);
  }
  expect(writers.sort()).toEqual(['src/appliance/replica-disks.ts true', 'src/seed/destination.ts true']);
});
