import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { type ConnectionOptions, connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { type Credentials, makeAuthority, makeSelfSigned } from '../../src/wire/certificates.ts';
import { connectControl } from '../../src/wire/control-client.ts';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { FRAME, makeFrame } from '../../src/wire/frame.ts';
import { LIMITS } from '../../src/wire/limits.ts';
import { connect, enrol, leafOf, makeWorld, startAppliance, until, type World } from '../fixtures/engines.ts';

let world: World;
let port: number;
let control: ControlSession;

beforeAll(async () => {
  world = await makeWorld();
  port = (await startAppliance(world)).port;
  await enrol(world, port);
  control = await connect(world, port);
});
afterAll(() => world.end());

/** What a client sees: how many bytes came, and that the connection ended. */
async function dealWith(socket: TLSSocket | ReturnType<typeof connectTcp>): Promise<number> {
  let received = 0;
  socket.on('data', (bytes: Buffer) => {
    received += bytes.length;
  });
  socket.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    socket.once('close', () => resolve());
    AbortSignal.timeout(5_000).onabort = () => reject(new Error('the connection was not closed'));
  });
  return received;
}

function tls(credentials?: Partial<Credentials>, more: ConnectionOptions = {}): TLSSocket {
  const socket = connectTls({
    host: '127.0.0.1',
    port,
    ALPNProtocols: ['standby/1'],
    ca: world.authority.certificatePem,
    checkServerIdentity: () => undefined,
    ...(credentials ? { cert: credentials.certificatePem, key: credentials.keyPem } : {}),
    ...more,
  });
  socket.on('error', () => undefined);
  return socket;
}

const message = (content: unknown) => makeFrame(FRAME.message, Buffer.from(JSON.stringify(content)));
const hello = { purpose: 'control', protocol: 1, engineVersion: 'x' };

async function stillServes(): Promise<void> {
  expect(await control.masters()).toEqual([]);
  const again = await connect(world, port);
  expect(again.hello.applianceId).toBe(world.applianceId);
}

async function logged(reason: RegExp): Promise<void> {
  await until(`the log says ${reason}`, () =>
    world.log.lines.some((line) => /refused/.test(line) && reason.test(line)),
  );
}

describe('a stranger on port 25000', () => {
  it('without a certificate gets not a byte', async () => {
    const socket = tls();
    await once(socket, 'secureConnect');
    socket.write(message({ request: 1, method: 'hello', params: hello }));
    expect(await dealWith(socket)).toBe(0);
    await logged(/no certificate/);
    await stillServes();
  });

  it('with a certificate of another authority, or one it signed itself, gets not a byte', async () => {
    const other = await makeAuthority();
    const foreign = await leafOf(other, 'standby:control:main');
    for (const credentials of [foreign, await makeSelfSigned()]) {
      const socket = tls(credentials);
      await once(socket, 'secureConnect').catch(() => undefined);
      if (!socket.destroyed) socket.write(message({ request: 1, method: 'hello', params: hello }));
      expect(await dealWith(socket)).toBe(0);
    }
    await logged(/certificate is refused/);
    const wrong = { address: '127.0.0.1', port, clock: systemClock };
    await expect(connectControl({ ...wrong, credentials: foreign })).rejects.toMatchObject({
      code: 'APPLIANCE_WRONG',
    });
    const mixed = { ...foreign, caPem: world.authority.certificatePem };
    await expect(connectControl({ ...wrong, credentials: mixed })).rejects.toMatchObject({
      code: 'CONTROL_REFUSED',
    });
    await stillServes();
  });

  it('with the certificate of another role may not do what that role may not', async () => {
    const master = await leafOf(world.authority, 'standby:master:m9');
    const asControl = tls(master);
    await once(asControl, 'secureConnect');
    asControl.write(message({ request: 1, method: 'hello', params: hello }));
    expect(await dealWith(asControl)).toBe(0);
    await logged(/does not allow/);
    const asAppliance = tls(await leafOf(world.authority, 'standby:appliance:a9'));
    await once(asAppliance, 'secureConnect').catch(() => undefined);
    expect(await dealWith(asAppliance)).toBe(0);
    const socket = tls(master);
    await once(socket, 'secureConnect');
    socket.write(message({ request: 1, method: 'disks', params: {} }));
    expect(await dealWith(socket)).toBe(0);
    await stillServes();
  });

  it('that speaks older TLS or no protocol of ours is refused in the handshake', async () => {
    const old = tls(world.control, { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' });
    expect(await dealWith(old)).toBe(0);
    const unnamed = tls(world.control, { ALPNProtocols: ['http/1.1'] });
    expect(await dealWith(unnamed)).toBe(0);
    const enrolling = tls(undefined, { ALPNProtocols: ['standby-enrol/1'] });
    expect(await dealWith(enrolling)).toBe(0);
    await stillServes();
  });

  it('that sends garbage, or trickles, or says nothing is closed in time', async () => {
    const garbage = connectTcp({ host: '127.0.0.1', port });
    garbage.write(Buffer.alloc(4096, 0x47));
    await dealWith(garbage);
    const silent = connectTcp({ host: '127.0.0.1', port });
    expect(await dealWith(silent)).toBe(0);
    const trickle = connectTcp({ host: '127.0.0.1', port });
    trickle.on('error', () => undefined);
    const timer = setInterval(() => trickle.write(Buffer.from([22])), 50);
    await dealWith(trickle);
    clearInterval(timer);
    await stillServes();
  });

  it('that is known but shows nothing after the handshake, byte by byte or not at all, is closed in time', async () => {
    const silent = tls(world.control);
    expect(await dealWith(silent)).toBe(0);
    const slow = tls(world.control);
    await once(slow, 'secureConnect');
    const bytes = message({ request: 1, method: 'hello', params: hello });
    let at = 0;
    const timer = setInterval(() => slow.write(bytes.subarray(at, ++at)), 50);
    expect(await dealWith(slow)).toBe(0);
    clearInterval(timer);
    await logged(/did not show who it is in time/);
  });

  it('that announces absurd lengths or unknown frames is closed before anything is allocated', async () => {
    const before = process.memoryUsage().rss;
    for (const change of [
      { length: 0xffffffff, type: FRAME.message },
      { length: LIMITS.firstMessageBytes + 1, type: FRAME.message },
      { length: 1024 * 1024, type: FRAME.block },
      { length: 16, type: 99 },
    ]) {
      const socket = tls(world.control);
      await once(socket, 'secureConnect');
      const head = Buffer.alloc(16);
      head.writeUInt32LE(change.length, 0);
      head.writeUInt8(change.type, 4);
      socket.write(head);
      expect(await dealWith(socket)).toBe(0);
    }
    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
    await logged(/longer than/);
    await stillServes();
  });

  it('that sends what is no request in a first message gets not a byte', async () => {
    for (const content of [
      '[]',
      '{',
      '{"request":1,"method":"__proto__","params":{}}',
      '{"request":1,"method":"hello","params":{}}',
    ]) {
      const socket = tls(world.control);
      await once(socket, 'secureConnect');
      socket.write(makeFrame(FRAME.message, Buffer.from(content)));
      expect(await dealWith(socket)).toBe(0);
    }
    await stillServes();
  });

  it('in a crowd cannot take more places than there are, and the engine serves again when they are gone', async () => {
    const crowd = Array.from({ length: LIMITS.unprovenConnections * 2 }, () => {
      const socket = connectTcp({ host: '127.0.0.1', port });
      socket.on('error', () => undefined);
      return socket;
    });
    await Promise.all(crowd.map((socket) => (socket.destroyed ? undefined : dealWith(socket))));
    await logged(/too many/);
    await until('it serves again', () =>
      stillServes().then(
        () => true,
        () => false,
      ),
    );
  });
});
