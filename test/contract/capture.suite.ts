import { readFile, rename, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differingChunks, proveDisk, rootOf } from '../../src/block/digest.ts';
import type {
  CaptureMethod,
  CaptureOptions,
  CaptureSession,
  ChangeStream,
  LiveOptions,
  StreamProof,
} from '../../src/capture/capture.ts';
import { systemClock } from '../../src/clock.ts';
import { isStandbyError } from '../../src/errors.ts';
import type { MasterDisk } from '../../src/model/disk.ts';
import type { BlockDevice } from '../../src/ports/block-device.ts';
import { follow, Replica } from '../capture/rig.ts';
import { overwrite } from '../fixtures/copying.ts';
import { MIB, makeFolder, makeImage } from '../fixtures/engines.ts';

/** What a live method needs to be tried: where it keeps its state, and how somebody writes to a disk it captures. */
export interface LiveRig {
  options(folder: string): LiveOptions;
  /** May turn image files into what the method can capture. */
  prepare?(disks: MasterDisk[]): Promise<MasterDisk[]>;
  release?(): Promise<void>;
  write(session: CaptureSession, disk: MasterDisk, bytes: Buffer, offsetBytes: number): Promise<void>;
  /** False: a view without a snapshot is only taken while nothing is written. */
  readonly writesAnyTime: boolean;
}

/**
 * What every capture method promises. One that is not live is also held to noticing that its disks moved; a live one
 * to telling what changes.
 */
export function captureSuite(method: CaptureMethod, rig?: LiveRig): void {
  describe(`capture method ${method.name}`, () => {
    let folder: string;
    let disks: MasterDisk[];
    const open = (of: readonly MasterDisk[], excluded: CaptureOptions['excluded'] = []) =>
      method.open(of, { excluded, ...(rig ? { live: rig.options(folder) } : {}) });
    const diskOf = (index: number): MasterDisk => {
      const disk = disks[index];
      if (!disk) throw new RangeError(`no disk ${index}`);
      return disk;
    };
    beforeEach(async () => {
      folder = await makeFolder();
      disks = [];
      for (const index of [0, 1]) {
        const path = join(folder, `disk${index}.img`);
        const sizeBytes = (3 + index) * MIB + 512;
        await makeImage(path, sizeBytes, { full: [0, 1, 2], seed: index + 1 });
        const facts = {
          logicalSectorBytes: 512,
          partitionTable: 'none',
          boot: index === 0,
          volumes: [],
        } as const;
        disks.push({ id: `disk${index}`, path, sizeBytes, ...facts });
      }
      if (rig?.prepare) disks = await rig.prepare(disks);
      // A file's mtime moves with the clock's tick: let it move before anything is opened.
      await systemClock.sleep(15);
    });
    afterEach(async () => {
      await rig?.release?.();
      await rm(folder, { recursive: true, force: true });
    });

    it('shows every byte of every disk, to the last sector, and refuses to read beyond or to write', async () => {
      const session = await open(disks);
      for (const disk of disks) {
        const view = session.view(disk.id);
        expect(view.sizeBytes).toBe(disk.sizeBytes);
        const whole = Buffer.alloc(disk.sizeBytes);
        await view.read(whole, 0);
        expect(whole.equals(await readFile(disk.path))).toBe(true);
        await expect(view.read(Buffer.alloc(1024), disk.sizeBytes - 512)).rejects.toThrow(/outside/);
        await expect(view.write(Buffer.alloc(512), 0)).rejects.toThrow(/read-only/);
      }
      await session.assertUnchanged();
      await session.close();
    });

    it('shows excluded ranges as zeros, at any alignment, on their disk only', async () => {
      const excluded = [
        { diskId: 'disk0', offsetBytes: MIB - 512, sizeBytes: 1024 },
        { diskId: 'disk0', offsetBytes: 2 * MIB, sizeBytes: 10 * MIB },
      ];
      const session = await open(disks, excluded);
      const expected = await readFile(diskOf(0).path);
      expected.fill(0, MIB - 512, MIB + 512).fill(0, 2 * MIB);
      const seen = Buffer.alloc(expected.length);
      for (let at = 0; at < seen.length; at += 100_000) {
        await session.view('disk0').read(seen.subarray(at, Math.min(at + 100_000, seen.length)), at);
      }
      expect(seen.equals(expected)).toBe(true);
      const other = Buffer.alloc(diskOf(1).sizeBytes);
      await session.view('disk1').read(other, 0);
      expect(other.equals(await readFile(diskOf(1).path))).toBe(true);
      await session.close();
    });

    it('refuses disks that are not there or of another size, and names them', async () => {
      await expect(open([diskOf(0), { ...diskOf(1), path: join(folder, 'none') }])).rejects.toMatchObject({
        code: 'DISK_VANISHED',
        message: expect.stringContaining('disk1'),
      });
      const larger = { ...diskOf(0), sizeBytes: diskOf(0).sizeBytes + 512 };
      const refused = { code: 'DISK_SHRANK', message: expect.stringContaining('disk0') };
      await expect(open([larger])).rejects.toMatchObject(refused);
    });

    if (rig) {
      liveSuite(
        rig,
        (excluded) => open(disks, excluded),
        () => disks,
      );
      return;
    }

    it('tells which disk changed, shrank or vanished while it should have stood still', async () => {
      const cases: [string, () => Promise<void>][] = [
        ['DISK_CHANGED', () => overwrite(diskOf(1).path, 5, Buffer.from('x'))],
        ['DISK_SHRANK', () => truncate(diskOf(1).path, MIB)],
        ['DISK_VANISHED', () => rename(diskOf(1).path, join(folder, 'elsewhere'))],
      ];
      for (const [code, harm] of cases) {
        await makeImage(diskOf(1).path, diskOf(1).sizeBytes, { full: [0] });
        await systemClock.sleep(15);
        const session = await open(disks);
        await session.assertUnchanged();
        await harm();
        const told = { code, message: expect.stringContaining('disk1') };
        await expect(session.assertUnchanged()).rejects.toMatchObject(told);
        await session.close();
      }
    });
  });
}

/** Follows the stream, and keeps the copy as it was at each position, until the proof is there. */
async function followUntilProven(
  stream: ChangeStream,
  replica: Replica,
  proof: Promise<StreamProof>,
  positions: readonly bigint[],
): Promise<StreamProof & { readonly replica: Replica }> {
  const over = new AbortController();
  const at = new Map<bigint, Replica>();
  const following = (async () => {
    while (!over.signal.aborted) {
      const changes = await stream.next(over.signal).catch((error: unknown) => {
        // The view moved while it was read: another round is made.
        if (over.signal.aborted || (isStandbyError(error) && error.code === 'DISK_CHANGED')) return [];
        throw error;
      });
      for (const change of changes) {
        replica.take([change]);
        const isMark = change.kind === 'flush' || change.kind === 'set-end';
        if (isMark && positions.at(-1) === change.sequence) at.set(change.sequence, replica.clone());
      }
      await stream.acknowledge(replica.position);
    }
  })();
  try {
    const proven = await Promise.race([proof, following.then(() => proof)]);
    while (!at.has(proven.sequence)) await systemClock.sleep(5);
    const copy = at.get(proven.sequence);
    if (!copy) throw new Error('no copy of that position');
    return { ...proven, replica: copy };
  } finally {
    over.abort();
    await following;
  }
}

function deviceOf(bytes: Buffer): BlockDevice {
  const refuse = async () => {
    throw new Error('a copy that is only read');
  };
  return {
    path: 'copy',
    kind: 'file',
    sizeBytes: bytes.length,
    read: async (target, offsetBytes) => {
      target.set(bytes.subarray(offsetBytes, offsetBytes + target.byteLength));
    },
    write: refuse,
    sync: refuse,
    identity: async () => 'copy',
    close: async () => undefined,
  };
}

/** Opens, copies the view, and follows the stream, as an appliance does. */
function liveSuite(
  rig: LiveRig,
  open: (excluded?: CaptureOptions['excluded']) => Promise<CaptureSession>,
  disksNow: () => MasterDisk[],
): void {
  const streamOf = (session: CaptureSession): ChangeStream => {
    if (!session.changes) throw new Error('a live method without a stream');
    return session.changes;
  };
  const diskAt = (index: number): MasterDisk => {
    const disk = disksNow()[index];
    if (!disk) throw new RangeError(`no disk ${index}`);
    return disk;
  };
  const content = (disk: MasterDisk) => readFile(disk.path);
  const begin = async (session: CaptureSession) => {
    const position = await streamOf(session).restart();
    const disks: Record<string, Buffer> = {};
    for (const { id, sizeBytes } of disksNow()) {
      disks[id] = Buffer.alloc(sizeBytes);
      await session.view(id).read(disks[id], 0);
    }
    await session.assertUnchanged();
    const replica = new Replica(disks);
    replica.position = position;
    return replica;
  };
  const untilEqual = async (session: CaptureSession, replica: Replica, acknowledge = true) => {
    const wanted = await Promise.all(disksNow().map(content));
    const isEqual = () =>
      replica.openSet === undefined &&
      disksNow().every(({ id }, index) => wanted[index] && replica.disks.get(id)?.equals(wanted[index]));
    await follow(streamOf(session), replica, isEqual, acknowledge);
  };

  it('tells later changes, so that a copy of the view becomes what the disks are', async () => {
    const session = await open();
    const replica = await begin(session);
    await rig.write(session, diskAt(0), Buffer.alloc(5000, 1), 70_000);
    await rig.write(session, diskAt(1), Buffer.alloc(512, 2), diskAt(1).sizeBytes - 512);
    await rig.write(session, diskAt(0), Buffer.alloc(200_000, 0), 0);
    await untilEqual(session, replica);
    await rig.write(session, diskAt(1), Buffer.alloc(100_000, 3), MIB);
    await untilEqual(session, replica);
    await session.close();
  });

  it('goes on after a cut link with exactly what the appliance does not have', async () => {
    const session = await open();
    const replica = await begin(session);
    await rig.write(session, diskAt(0), Buffer.alloc(9000, 4), MIB);
    await untilEqual(session, replica);
    await rig.write(session, diskAt(0), Buffer.alloc(9000, 5), 2 * MIB);
    const lost = replica.clone();
    await untilEqual(session, lost, false);
    await streamOf(session).resumeAfter(replica.position);
    await untilEqual(session, replica);
    await session.close();
  });

  it('goes on after a clean stop, without telling again what was acknowledged', async () => {
    const first = await open();
    const replica = await begin(first);
    await rig.write(first, diskAt(0), Buffer.alloc(1_000_000, 6), MIB);
    await untilEqual(first, replica);
    await first.close();
    const second = await open();
    await streamOf(second).resumeAfter(replica.position);
    await rig.write(second, diskAt(1), Buffer.alloc(512, 7), 0);
    const before = replica.toldBytes;
    await untilEqual(second, replica);
    expect(replica.toldBytes - before).toBeLessThanOrEqual(64 * 1024);
    await second.close();
  });

  it('proves what the disks are at one position of the stream, while they are written to', async () => {
    const excluded = { diskId: 'disk0', offsetBytes: MIB - 4096, sizeBytes: 8192 };
    const session = await open([excluded]);
    const stream = streamOf(session);
    const replica = await begin(session);
    const over = new AbortController();
    let writes = 0;
    const writing = (async () => {
      while (!over.signal.aborted) {
        const disk = diskAt(writes % 2);
        await rig.write(
          session,
          disk,
          Buffer.alloc(20_000, 1 + (writes % 250)),
          (writes * 70_001) % (3 * MIB - 20_000),
        );
        writes++;
        // A view without a snapshot is only consistent when it stands still for a while.
        if (!rig.writesAnyTime && writes % 7 === 0) await systemClock.sleep(150);
        else if (!rig.writesAnyTime) await systemClock.sleep(1);
      }
    })();
    try {
      for (let round = 0; round < 3; round++) {
        const positions: bigint[] = [];
        const writesBefore = writes;
        const proof = stream.prove({ signal: over.signal, onPosition: (at) => void positions.push(at) });
        const proven = await followUntilProven(stream, replica, proof, positions);
        if (rig.writesAnyTime) expect(writes).toBeGreaterThan(writesBefore);
        expect(positions.at(-1)).toBe(proven.sequence);
        for (const { id, sizeBytes } of disksNow()) {
          const copy = proven.disks.get(id);
          const bytes = proven.replica.disks.get(id) ?? Buffer.alloc(0);
          const { leaves } = await proveDisk(deviceOf(bytes), { sizeBytes, signal: over.signal });
          expect(copy && differingChunks(copy.leaves, leaves)).toEqual([]);
          expect(copy?.digest).toBe(rootOf(sizeBytes, leaves));
        }
      }
    } finally {
      over.abort();
      await writing;
      await session.close();
    }
  });

  it('tells no change of an excluded range', async () => {
    const session = await open([{ diskId: 'disk0', offsetBytes: MIB, sizeBytes: MIB }]);
    const replica = await begin(session);
    const before = Buffer.from(replica.disks.get('disk0') ?? []);
    await rig.write(session, diskAt(0), Buffer.alloc(3 * MIB, 8), 0);
    const seen = () => replica.openSet === undefined && replica.disks.get('disk0')?.[3 * MIB - 1] === 8;
    await follow(streamOf(session), replica, seen);
    const copy = replica.disks.get('disk0') ?? Buffer.alloc(0);
    expect(copy.subarray(MIB, 2 * MIB).equals(before.subarray(MIB, 2 * MIB))).toBe(true);
    expect(copy.subarray(0, MIB).every((byte) => byte === 8)).toBe(true);
    await session.close();
  });
}
