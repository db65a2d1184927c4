import { readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureSession, ChangeStream } from '../../src/capture/capture.ts';
import { lostEvents, parseTraceLine } from '../../src/capture/trace-events.ts';
import { tracked } from '../../src/capture/tracked.ts';
import type { MasterDisk } from '../../src/model/disk.ts';
import { follow, hasTracing, LoopDevices, liveOptions, makeDisk, makeFolder, Replica } from './rig.ts';

const MIB = 1024 * 1024;

describe('The kernel’s notes about writes', () => {
  const prefix = 'ksoftirqd/0-14 [000] ..s.. 1727.282942: block_rq_complete: ';
  it.each([
    ['7,0 WS () 17410 + 32 be,0,4 [0]', { kind: 'write', device: '7:0', sector: 17410, sectors: 32 }],
    ['253,16 FWFSM () 8 + 8 none,0,0 [0]', { kind: 'write', device: '253:16', sector: 8, sectors: 8 }],
    ['7,0 DS () 0 + 2048 none,0,0 [0]', { kind: 'write', device: '7:0', sector: 0, sectors: 2048 }],
    ['7,0 W () 100 + 8 be,0,4 [-5]', { kind: 'write', device: '7:0', sector: 100, sectors: 8 }],
    ['7,0 RA () 100 + 8 be,0,4 [0]', { kind: 'nothing' }],
    ['7,0 FF () 0 + 0 none,0,0 [0]', { kind: 'nothing' }],
    ['7,0 W () what + 8', { kind: 'gap' }],
  ])('are understood: %s', (line, expected) => {
    expect(parseTraceLine(prefix + line)).toEqual(expected);
  });

  it('say when some were lost', () => {
    expect(parseTraceLine('CPU:1 [LOST 120 EVENTS]')).toEqual({ kind: 'gap' });
    expect(parseTraceLine('')).toEqual({ kind: 'nothing' });
    expect(lostEvents('entries: 12\noverrun: 3\ncommit overrun: 0\nbytes: 9\ndropped events: 4\n')).toBe(7);
    expect(lostEvents('entries: 12\noverrun: 0\ncommit overrun: 0\nbytes: 9\ndropped events: 0\n')).toBe(0);
  });
});

describe.skipIf(!hasTracing())('Capture by the kernel’s notes (needs root, loop devices and tracefs)', () => {
  const loops = new LoopDevices();
  let folder: ReturnType<typeof makeFolder>;
  let disks: MasterDisk[];
  let session: CaptureSession | undefined;
  const openSession = async () => {
    const live = liveOptions(folder.path, { compare: { intervalMs: 10 } });
    session = await tracked.open(disks, { excluded: [], live });
    return session.changes as ChangeStream;
  };
  const write = async (offsetBytes: number, bytes: Buffer) => {
    const file = await open(disks[0]?.path ?? '', 'r+');
    await file.write(bytes, 0, bytes.length, offsetBytes);
    await file.sync();
    await file.close();
  };
  const content = () => readFileSync(disks[0]?.path ?? '');
  const equal = (replica: Replica) => () =>
    replica.openSet === undefined && replica.disks.get('disk0')?.equals(content()) === true;

  beforeEach(async () => {
    folder = makeFolder();
    disks = await loops.attach([makeDisk(folder.path, 'disk0', 8 * MIB)]);
  });
  afterEach(async () => {
    await session?.close();
    session = undefined;
    await loops.detach();
    folder.remove();
  });

  it('reads all at first and says why, then only what was written, also over a clean stop', async () => {
    let changes = await openSession();
    const replica = new Replica({ disk0: Buffer.alloc(8 * MIB) });
    expect(changes.state().reason).toContain('All is read');
    await write(0, Buffer.alloc(8 * MIB, 1));
    await follow(changes, replica, equal(replica));
    expect(changes.state().reason).toContain('Only what was written');
    const before = replica.toldBytes;
    await write(5 * MIB, Buffer.alloc(4096, 2));
    await follow(changes, replica, equal(replica));
    expect(replica.toldBytes - before).toBe(64 * 1024);
    await write(6 * MIB, Buffer.alloc(4096, 3)); // Not sent yet: the map keeps it.
    await session?.close();
    changes = await openSession();
    expect(changes.state().reason).toContain('Only what was written');
    await follow(changes, replica, equal(replica));
    expect(replica.toldBytes - before).toBe(128 * 1024);
  });

  it('reads all again, and says why, when somebody wrote while nobody watched', async () => {
    let changes = await openSession();
    const replica = new Replica({ disk0: Buffer.alloc(8 * MIB) });
    await write(0, Buffer.alloc(MIB, 1));
    await follow(changes, replica, equal(replica));
    await session?.close();
    await write(7 * MIB, Buffer.alloc(4096, 9));
    changes = await openSession();
    expect(changes.state().reason).toContain('nobody watched');
    await follow(changes, replica, equal(replica));
  });

  it('refuses a disk whose writes the kernel does not tell', async () => {
    const image = makeDisk(folder.path, 'disk1', MIB);
    const live = liveOptions(folder.path);
    await expect(tracked.open([image], { excluded: [], live })).rejects.toMatchObject({
      code: 'TRACKING_UNAVAILABLE',
      message: expect.stringContaining('disk1'),
    });
  });
});
