import { readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CaptureSession } from '../../src/capture/capture.ts';
import { startNbdServer } from '../../src/capture/nbd/server.ts';
import { nbd } from '../../src/capture/nbd.ts';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { NbdClient } from './nbd-client.ts';
import { liveOptions, makeDisk, makeFolder } from './rig.ts';

const MIB = 1024 * 1024;
const ERR_UNSUPPORTED = 0x80000001;
const ERR_INVALID = 0x80000003;
const ERR_UNKNOWN = 0x80000006;

describe('A disk served over NBD, and clients that mean harm or are broken', () => {
  let folder: ReturnType<typeof makeFolder>;
  let session: CaptureSession;
  let path: string;
  const dial = () => new NbdClient(connect(path));

  beforeEach(async () => {
    folder = makeFolder();
    path = join(folder.path, 'nbd.sock');
    const disk = makeDisk(folder.path, 'disk0', MIB);
    writeFileSync(disk.path, Buffer.alloc(MIB, 7));
    const live = liveOptions(folder.path, { nbd: { listen: { path }, spoolBytes: 32 * MIB } });
    session = await nbd.open([disk], { excluded: [], live });
  });
  afterEach(async () => {
    await session.close();
    folder.remove();
  });

  it('are told what is not supported, unknown or not understood, and may go on', async () => {
    const client = dial();
    await client.greet();
    const nameOf = (name: string, infos = 0) => {
      const bytes = Buffer.alloc(6 + name.length);
      bytes.writeUInt32BE(name.length, 0);
      bytes.write(name, 4);
      bytes.writeUInt16BE(infos, 4 + name.length);
      return bytes;
    };
    const ask = async (id: number, data: Buffer) => {
      client.option(id, data);
      return (await client.optionReply()).type;
    };
    expect(await ask(8, Buffer.alloc(0))).toBe(ERR_UNSUPPORTED); // structured replies
    expect(await ask(5, Buffer.alloc(0))).toBe(ERR_UNSUPPORTED); // TLS
    expect(await ask(4711, Buffer.alloc(100))).toBe(ERR_UNSUPPORTED);
    expect(await ask(3, Buffer.from('x'))).toBe(ERR_INVALID);
    expect(await ask(7, nameOf('disk9'))).toBe(ERR_UNKNOWN);
    expect(await ask(7, nameOf('disk0', 9))).toBe(ERR_INVALID);
    expect(await ask(7, Buffer.alloc(2))).toBe(ERR_INVALID);
    client.option(7, nameOf('disk0'));
    const facts = await client.optionReply();
    expect([facts.type, facts.data.readBigUInt64BE(2)]).toEqual([3, BigInt(MIB)]);
    expect((await client.optionReply()).type).toBe(3);
    expect((await client.optionReply()).type).toBe(1);
    await client.write(0, Buffer.alloc(512, 1));
    client.socket.destroy();
  });

  it('are closed when they break the negotiation, before anything is allocated for them', async () => {
    const attacks: ((client: NbdClient) => void)[] = [
      (client) => client.socket.write(Buffer.alloc(64, 0xff)),
      (client) => client.option(7, Buffer.alloc(0), 0xffffffff),
      (client) => client.socket.write(Buffer.from('GET / HTTP/1.1\r\nHost: standby\r\n\r\n')),
      (client) => {
        for (let index = 0; index < 300; index++) client.option(99, Buffer.alloc(0));
      },
      (client) => client.option(1, Buffer.from('no-such-disk')),
    ];
    for (const [index, attack] of attacks.entries()) {
      const client = dial();
      if (index > 0) await client.greet();
      attack(client);
      await client.closed;
    }
  });

  it('cannot reach beyond the disk, and unknown commands and flags are refused', async () => {
    const client = dial();
    expect(await client.choose('disk0')).toBe(MIB);
    const refused = async (facts: Parameters<NbdClient['request']>[0], data?: Buffer) => {
      client.request(facts, data);
      return await client.reply();
    };
    expect(await refused({ command: 0, offset: BigInt(MIB - 10), length: 11 })).toBe(22);
    expect(await refused({ command: 0, offset: 2n ** 64n - 1n, length: 512 })).toBe(22);
    expect(await refused({ command: 1, offset: BigInt(MIB - 10) }, Buffer.alloc(11))).toBe(28);
    expect(await refused({ command: 6, offset: 512n, length: 0xffffffff })).toBe(28);
    expect(await refused({ command: 4, offset: BigInt(MIB), length: 1 })).toBe(28);
    expect(await refused({ command: 0, length: 0 })).toBe(22);
    expect(await refused({ command: 7, length: 512 })).toBe(22);
    expect(await refused({ command: 1, flags: 0x8000 }, Buffer.alloc(512))).toBe(22);
    expect(readFileSync(join(folder.path, 'disk0.img')).every((byte) => byte === 7)).toBe(true);
    client.request({ command: 1, length: 0xfffffff0 });
    await client.closed;
  });

  it('that ask for nonsense or vanish in the middle of a write leave the disk whole and others served', async () => {
    const broken = dial();
    await broken.choose('disk0');
    broken.request({ command: 1, magic: 0xdeadbeef }, Buffer.alloc(512));
    await broken.closed;
    const leaving = dial();
    await leaving.choose('disk0');
    leaving.request({ command: 1, length: 64 * 1024 }, Buffer.alloc(1000, 9));
    leaving.socket.end();
    await leaving.closed;
    const silent = dial();
    await silent.choose('disk0');
    for (let index = 0; index < 2000; index++) silent.request({ command: 0, length: MIB });
    silent.socket.pause(); // It never reads an answer; the server must not keep all of them.
    const good = dial();
    await good.choose('disk0');
    await good.write(4096, Buffer.alloc(4096, 3));
    await good.flush();
    const bytes = readFileSync(join(folder.path, 'disk0.img'));
    expect(bytes.subarray(4096, 8192).every((byte) => byte === 3)).toBe(true);
    expect(bytes.subarray(0, 4096).every((byte) => byte === 7)).toBe(true);
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(400 * MIB);
    silent.socket.destroy();
    good.socket.destroy();
  });

  it('find a socket of its owner only; a server that answers, and a file that is no socket, are left alone', async () => {
    const options = { disks: [], clock: systemClock, log: silentLog };
    await expect(startNbdServer({ ...options, listen: { path } })).rejects.toMatchObject({
      code: 'NBD_CANNOT_LISTEN',
    });
    const file = join(folder.path, 'precious');
    writeFileSync(file, 'precious');
    await expect(startNbdServer({ ...options, listen: { path: file } })).rejects.toMatchObject({
      code: 'NBD_CANNOT_LISTEN',
    });
    expect(readFileSync(file, 'utf8')).toBe('precious');
    const server = await startNbdServer({ ...options, listen: { port: 0 } });
    expect(server.uriOf('disk0')).toBe(`nbd://127.0.0.1:${server.port}/disk0`);
    await server.close();
  });
});
