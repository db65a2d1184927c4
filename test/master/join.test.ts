import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { silentLog } from '../../src/log.ts';
import { joinMaster } from '../../src/master/join.ts';
import { makeAuthority, sha256OfCertificate, signRequest } from '../../src/wire/certificates.ts';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { makeJoinToken, parseJoinToken, verifyJoinProof } from '../../src/wire/join-token.ts';
import {
  connect,
  enrol,
  MIB,
  makeImage,
  makeWorld,
  startAppliance,
  until,
  type World,
} from '../fixtures/engines.ts';

let world: World;
let control: ControlSession;
let port: number;
let disk: string;

beforeEach(async () => {
  world = await makeWorld();
  port = (await startAppliance(world)).port;
  await enrol(world, port);
  control = await connect(world, port);
  disk = join(world.folder, 'disk.img');
  await makeImage(disk, 2 * MIB, { full: [1] });
});
afterEach(() => world.end());

async function offered(lifeMs = 60_000) {
  const token = makeJoinToken({
    address: '127.0.0.1',
    port,
    caSha256: sha256OfCertificate(world.authority.certificatePem),
  });
  const { tokenId, tokenSha256 } = token;
  await control.offerJoin({ tokenId, tokenSha256, expiresAtMs: systemClock.now() + lifeMs });
  return token;
}

function start(tokenText: string, folder: string, more: { diskPaths?: string[]; signal?: AbortSignal } = {}) {
  const waiting = Promise.withResolvers<void>();
  const joined = joinMaster({
    tokenText,
    diskPaths: more.diskPaths ?? [disk],
    stateFolder: join(world.folder, folder),
    clock: systemClock,
    log: silentLog,
    signal: more.signal ?? AbortSignal.timeout(10_000),
    onWaiting: () => waiting.resolve(),
  });
  joined.catch(waiting.reject);
  waiting.promise.catch(() => undefined); // Not every test waits for it.
  return { joined, waiting: waiting.promise };
}

async function grant(tokenId: string, masterId: string): Promise<void> {
  const pending = (await control.pendingJoins()).find((one) => one.tokenId === tokenId);
  if (!pending) throw new Error('nobody waits');
  const uri = `standby:master:${masterId}`;
  const { requestPem } = pending;
  const certificatePem = await signRequest({ authority: world.authority, requestPem, uri, days: 1 });
  await control.grantJoin({ tokenId, masterId, certificatePem });
}

describe('a master that joins', () => {
  it('waits until control has checked its proof, and then holds its certificate in a file of its own', async () => {
    const token = await offered();
    const { joined, waiting } = start(token.text, 'm1');
    await waiting;
    const [pending] = await control.pendingJoins();
    if (!pending) throw new Error('nobody waits');
    expect(pending.inventory.disks).toHaveLength(1);
    expect(pending.inventory.nics).toEqual([{ id: 'nic0', name: 'nic0', addresses: [] }]);
    expect(verifyJoinProof(token.text, pending)).toBe(true);
    const other = makeJoinToken({ address: '127.0.0.1', port, caSha256: 'a'.repeat(64) });
    expect(verifyJoinProof(other.text, pending)).toBe(false);
    expect(verifyJoinProof(token.text, { ...pending, proof: 'f'.repeat(64) })).toBe(false);
    const { inventory } = pending;
    for (const forged of [
      { ...inventory, firmware: 'uefi' as const },
      { ...inventory, disks: inventory.disks.map((one) => ({ ...one, sizeBytes: one.sizeBytes + 512 })) },
      { ...inventory, nics: [] },
    ]) {
      expect(verifyJoinProof(token.text, { ...pending, inventory: forged })).toBe(false);
    }
    const reordered = Object.fromEntries(Object.entries(inventory).reverse()) as typeof inventory;
    expect(verifyJoinProof(token.text, { ...pending, inventory: reordered })).toBe(true);
    await grant(token.tokenId, 'master-1');
    expect((await joined).masterId).toBe('master-1');
    expect((await stat(join(world.folder, 'm1', 'master.json'))).mode & 0o777).toBe(0o600);
    expect(await control.pendingJoins()).toEqual([]);
    // The same command again finds that all is done; the same token elsewhere is dead.
    expect((await start(token.text, 'm1').joined).masterId).toBe('master-1');
    await expect(start(token.text, 'thief').joined).rejects.toMatchObject({ code: 'TOKEN_USED' });
    const secret = parseJoinToken(token.text).secret.toString('base64url');
    expect(world.log.lines.join('\n')).not.toContain(secret);
  });

  it('goes on with the same request when it was interrupted', async () => {
    const token = await offered();
    const stop = new AbortController();
    const first = start(token.text, 'm1', { signal: stop.signal });
    await first.waiting;
    const [before] = await control.pendingJoins();
    stop.abort(new Error('Ctrl-C'));
    await expect(first.joined).rejects.toThrow('Ctrl-C');
    const more = join(world.folder, 'more.img');
    await makeImage(more, MIB);
    const second = start(token.text, 'm1', { diskPaths: [disk, more] });
    await second.waiting;
    const [after] = await control.pendingJoins();
    expect(after?.requestPem).toBe(before?.requestPem);
    expect(after?.inventory.disks.map((one) => one.path)).toEqual([disk, more]);
    expect(after && verifyJoinProof(token.text, after)).toBe(true);
    await grant(token.tokenId, 'm1');
    expect((await second.joined).masterId).toBe('m1');
  });

  it('is refused with a token that is expired, unknown, damaged, or of another authority', async () => {
    const expired = await offered(-1);
    await expect(start(expired.text, 'a').joined).rejects.toMatchObject({ code: 'TOKEN_EXPIRED' });
    const caSha256 = sha256OfCertificate(world.authority.certificatePem);
    const unknown = makeJoinToken({ address: '127.0.0.1', port, caSha256 });
    await expect(start(unknown.text, 'b').joined).rejects.toMatchObject({ code: 'TOKEN_REFUSED' });
    await expect(start(`${unknown.text.slice(0, -12)}x`, 'c').joined).rejects.toMatchObject({
      code: 'TOKEN_INVALID',
    });
    await expect(start('hello', 'c').joined).rejects.toMatchObject({ code: 'TOKEN_INVALID', kind: 'input' });
    const stranger = sha256OfCertificate((await makeAuthority()).certificatePem);
    const foreign = makeJoinToken({ address: '127.0.0.1', port, caSha256: stranger });
    await expect(start(foreign.text, 'd').joined).rejects.toMatchObject({ code: 'APPLIANCE_WRONG' });
    expect(await control.pendingJoins()).toEqual([]);
  });

  it('is refused without disks, with a disk that is not there, and with one of a wrong size', async () => {
    const { text } = await offered();
    const odd = join(world.folder, 'odd.img');
    await writeFile(odd, Buffer.alloc(1000));
    const empty = join(world.folder, 'empty.img');
    await writeFile(empty, '');
    const cases: [string[], string][] = [
      [[], 'DISKS_MISSING'],
      [[disk, disk], 'DISKS_REPEATED'],
      [[join(world.folder, 'none.img')], 'DISK_VANISHED'],
      [[odd], 'DISK_SIZE_WRONG'],
      [[empty], 'DISK_SIZE_WRONG'],
      [[world.folder], 'DISK_NOT_A_DISK'],
    ];
    for (const [diskPaths, code] of cases) {
      await expect(start(text, 'm', { diskPaths }).joined).rejects.toMatchObject({ code, kind: 'input' });
    }
    expect(await control.pendingJoins()).toEqual([]);
  });

  it('waits through a restart of the appliance', async () => {
    const token = await offered();
    const { joined, waiting } = start(token.text, 'm1');
    await waiting;
    await world.running.shift()?.stop();
    await startAppliance(world, { port });
    control = await connect(world, port);
    await until('it waits again', async () => (await control.pendingJoins()).length === 1);
    await grant(token.tokenId, 'm1');
    expect((await joined).masterId).toBe('m1');
  });
});
