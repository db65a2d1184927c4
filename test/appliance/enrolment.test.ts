import { once } from 'node:events';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { createServer } from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { makeAuthority, makeSelfSigned } from '../../src/wire/certificates.ts';
import { Connection } from '../../src/wire/connection.ts';
import { connectControl } from '../../src/wire/control-client.ts';
import { dialUnproven } from '../../src/wire/dial.ts';
import { enrolAppliance } from '../../src/wire/enrol-client.ts';
import { ALPN, TIMINGS } from '../../src/wire/limits.ts';
import { connect, enrol, makeWorld, startAppliance, type World } from '../fixtures/engines.ts';

let world: World;
afterEach(() => world.end());

describe('an appliance without a certificate', () => {
  it('is enrolled once with its token, keeps that over a restart, and says what it is before and after', async () => {
    world = await makeWorld();
    const first = await startAppliance(world);
    const dial = { address: '127.0.0.1', port: first.port, credentials: world.control, clock: systemClock };
    await expect(connectControl(dial)).rejects.toMatchObject({ code: 'APPLIANCE_NOT_ENROLLED' });
    await enrol(world, first.port);
    expect((await connect(world, first.port)).hello.applianceId).toBe(world.applianceId);
    await expect(enrol(world, first.port)).rejects.toMatchObject({ code: 'ALREADY_ENROLLED' });
    expect((await stat(join(world.folder, 'appliance', 'identity.json'))).mode & 0o777).toBe(0o600);
    await first.stop();
    const second = await startAppliance(world);
    const session = await connect(world, second.port);
    expect(session.hello.applianceId).toBe(world.applianceId);
    expect(Math.abs(session.hello.clockDifferenceMs)).toBeLessThan(1000);
    const wrong = { address: '127.0.0.1', port: second.port, credentials: world.control, clock: systemClock };
    await expect(connectControl({ ...wrong, applianceId: 'other' })).rejects.toMatchObject({
      code: 'APPLIANCE_WRONG',
    });
    expect(world.log.lines.join('\n')).not.toContain(world.token);
  });

  it('refuses a wrong token and a wrong authority, and can still be enrolled by its own control', async () => {
    world = await makeWorld();
    const { port } = await startAppliance(world);
    await expect(enrol(world, port, { token: 'x'.repeat(40) })).rejects.toMatchObject({
      code: 'ENROLMENT_REFUSED',
    });
    const authority = await makeAuthority();
    const { applianceId, token } = world;
    const stranger = {
      address: '127.0.0.1',
      port,
      applianceId,
      token,
      authority,
      addresses: [],
      clock: systemClock,
    };
    await expect(enrolAppliance(stranger)).rejects.toMatchObject({ code: 'CERTIFICATE_WRONG' });
    await enrol(world, port);
    await connect(world, port);
  });

  it('gives nothing to somebody who asks to store a certificate without a proof', async () => {
    world = await makeWorld();
    const { port } = await startAppliance(world);
    const socket = await dialUnproven({ address: '127.0.0.1', port, clock: systemClock }, ALPN.enrol);
    const options = {
      name: 'it',
      clock: systemClock,
      log: silentLog,
      timings: TIMINGS,
      proven: true,
      handlers: {},
    };
    const connection = new Connection(socket, options);
    const certificates = {
      certificatePem: world.authority.certificatePem,
      caPem: world.authority.certificatePem,
    };
    await expect(connection.request('enrolStore', certificates)).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
    });
    await enrol(world, port);
  });

  it('cannot be enrolled through somebody in the middle, who learns nothing of use', async () => {
    world = await makeWorld();
    const { port } = await startAppliance(world);
    const selfSigned = await makeSelfSigned();
    const tlsOptions = {
      cert: selfSigned.certificatePem,
      key: selfSigned.keyPem,
      ALPNProtocols: [ALPN.enrol],
    };
    const middle = createServer({ ...tlsOptions, minVersion: 'TLSv1.3' }, async (toControl) => {
      toControl.on('error', () => undefined);
      const toAppliance = await dialUnproven({ address: '127.0.0.1', port, clock: systemClock }, ALPN.enrol);
      toAppliance.on('error', () => toControl.destroy());
      toAppliance.on('close', () => toControl.destroy());
      toControl.pipe(toAppliance).pipe(toControl);
    });
    middle.listen(0, '127.0.0.1');
    await once(middle, 'listening');
    const address = middle.address();
    const middlePort = typeof address === 'object' && address ? address.port : 0;
    await expect(enrol(world, middlePort)).rejects.toMatchObject({ code: 'ENROLMENT_REFUSED' });
    middle.close();
    await expect(readFile(join(world.folder, 'appliance', 'identity.json'))).rejects.toThrow(/ENOENT/);
    await enrol(world, port);
  });
});
