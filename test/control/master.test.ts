import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { addOwnAppliance, removeAppliance } from '../../src/control/appliance/records.ts';
import type { Context } from '../../src/control/context.ts';
import { listMasters, masterNamed, offerMaster, removeMaster } from '../../src/control/master.ts';
import { isStandbyError, type StandbyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { joinMaster } from '../../src/master/join.ts';
import type { Appliance } from '../../src/model/appliance.ts';
import { MIB } from '../../src/model/disk.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import { makeKeyAndRequest } from '../../src/wire/certificates.ts';
import type { ControlSession } from '../../src/wire/control-session.ts';
import { freePort, startEngine, type TestEngine } from './appliance-engine.ts';
import { makeContext, type TestContext } from './make-context.ts';

const open: { close(): Promise<void> }[] = [];
let nowMs: () => number;
let context: TestContext;
let appliance: Appliance;
let engine: TestEngine;
beforeEach(async () => {
  nowMs = systemClock.now;
  context = await makeContext({ clock: { ...systemClock, now: () => nowMs() } });
  open.push(context);
  const added = await addOwnAppliance(context, {
    name: 'gate',
    address: '127.0.0.1',
    port: await freePort(),
  });
  appliance = added.appliance;
  engine = await startEngine(added.enrolFileText, appliance.port);
  open.push({ close: () => engine.stop() });
  await (await context.connect(appliance)).close();
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

/** A server's one disk: an image file with an empty partition table's room. */
function diskImage(name: string): string {
  const folder = join(context.folder, name);
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'disk.img');
  writeFileSync(file, Buffer.alloc(4 * MIB));
  return file;
}

/** A master that asks to come in; it is waiting at the appliance when this returns. */
async function joining(tokenText: string, hostName: string) {
  const diskPath = diskImage(hostName);
  const stopping = new AbortController();
  let joined: ReturnType<typeof joinMaster> | undefined;
  await new Promise<void>((resolve, reject) => {
    joined = joinMaster({
      tokenText,
      diskPaths: [diskPath],
      hostName,
      stateFolder: join(context.folder, hostName, 'state'),
      clock: systemClock,
      log: silentLog,
      signal: stopping.signal,
      onWaiting: resolve,
    });
    joined.catch(reject);
  });
  const work = (joined ?? Promise.reject(new Error('It never began'))).then(
    (result) => result,
    (error: unknown) => error as Error,
  );
  open.push({
    close: async () => {
      stopping.abort();
      await work;
    },
  });
  // Wrapped: a promise that is returned bare would be waited for.
  return { ended: work };
}

/** The same control, whose sessions with the appliance are changed. */
function withSession(change: (session: ControlSession) => ControlSession): Context {
  return { ...context, connect: async (to) => change(await context.connect(to)) };
}

async function failureOf(work: Promise<unknown>): Promise<StandbyError> {
  const outcome = await work.then(
    () => new Error('It did not fail'),
    (error: unknown) => error,
  );
  if (isStandbyError(outcome)) return outcome;
  throw outcome;
}

describe('a master', () => {
  it('joins with a one-time token: waits, is let in by the next look, and is listed with its disks', async () => {
    const offer = await offerMaster(context, { appliance: 'gate' });
    expect(offer.expiresAtMs - systemClock.now()).toBeGreaterThan(3_500_000);
    expect(await listMasters(context)).toEqual({ masters: [], joined: [], problems: [] });
    const master = await joining(offer.tokenText, 'web01');
    const list = await listMasters(context);
    expect([list.joined, list.problems]).toEqual([['web01'], []]);
    expect(await master.ended).toMatchObject({ masterId: list.masters[0]?.master.id });
    expect(list.masters[0]).toMatchObject({ appliance: 'gate', state: 'away' });
    expect(list.masters[0]?.master.inventory.disks).toMatchObject([{ id: 'disk0', sizeBytes: 4 * MIB }]);
    expect((await listMasters(context)).joined).toEqual([]);
    expect(await masterNamed(context, 'WEB01')).toEqual(list.masters[0]?.master);
  });

  it('is the same master when control died between writing it down and granting', async () => {
    const offer = await offerMaster(context, { appliance: 'gate' });
    const master = await joining(offer.tokenText, 'web01');
    const dying = withSession((session) => ({
      ...session,
      grantJoin: () => Promise.reject(new Error('the power failed')),
    }));
    await expect(listMasters(dying)).rejects.toThrow('the power failed');
    const [saved] = await context.store.masters.list();
    expect((await listMasters(context)).joined).toEqual(['web01']);
    expect(await master.ended).toMatchObject({ masterId: saved?.id });
    expect(await context.store.masters.list()).toHaveLength(1);
  });

  it('is let in once when two controls of one store look at the same moment', async () => {
    const other = await makeContext({ folder: context.folder });
    open.push(other);
    const master = await joining((await offerMaster(context, { appliance: 'gate' })).tokenText, 'web01');
    const lists = await Promise.all([listMasters(context), listMasters(other)]);
    expect(lists.flatMap((list) => list.problems)).toEqual([]);
    const [saved, ...more] = await context.store.masters.list();
    expect(await master.ended).toMatchObject({ masterId: saved?.id });
    expect(more).toEqual([]);
  });

  it('is refused under a host name that is taken, until the old one is forgotten', async () => {
    const first = await joining((await offerMaster(context, { appliance: 'gate' })).tokenText, 'web01');
    await listMasters(context);
    await first.ended;
    const { tokenText } = await offerMaster(context, { appliance: 'gate' });
    const folder = join(context.folder, 'web01');
    rmSync(join(folder, 'state'), { recursive: true });
    const second = await joining(tokenText, 'web01');
    const refused = await listMasters(context);
    expect(refused.joined).toEqual([]);
    expect(refused.problems.join()).toMatch(
      /already a master of that host name.*standby master remove web01/,
    );
    await removeMaster(context, 'web01');
    expect((await listMasters(context)).joined).toEqual(['web01']);
    expect(await second.ended).toMatchObject({ inventory: { hostName: 'web01' } });
  });

  it('is refused with a token that ended', async () => {
    const offer = await offerMaster(context, { appliance: 'gate' });
    await joining(offer.tokenText, 'web01');
    nowMs = () => offer.expiresAtMs + 1;
    const list = await listMasters(context);
    expect([list.joined, list.masters]).toEqual([[], []]);
    expect(list.problems.join()).toMatch(/its token ended.*standby master token --appliance gate/);
  });

  it('is refused when the appliance forged the request', async () => {
    const offer = await offerMaster(context, { appliance: 'gate' });
    await joining(offer.tokenText, 'web01');
    const { requestPem } = await makeKeyAndRequest();
    const forging = withSession((session) => ({
      ...session,
      pendingJoins: async () => (await session.pendingJoins()).map((one) => ({ ...one, requestPem })),
    }));
    const list = await listMasters(forging);
    expect([list.joined, await context.store.masters.list()]).toEqual([[], []]);
    expect(list.problems.join()).toMatch(/proof is wrong/);
  });

  it('shows as unknown, not as away, while its appliance cannot be asked', async () => {
    const master = await joining((await offerMaster(context, { appliance: 'gate' })).tokenText, 'web01');
    await listMasters(context);
    await master.ended;
    await engine.stop();
    const list = await listMasters(context);
    expect(list.masters.map((one) => one.state)).toEqual(['unknown']);
    expect(list.problems.join()).toMatch(/standby appliance check gate/);
  });

  it('cannot be forgotten while a scenario protects it', async () => {
    const { ended } = await joining((await offerMaster(context, { appliance: 'gate' })).tokenText, 'web01');
    const [view] = (await listMasters(context)).masters;
    await ended;
    const scenario = { id: 's1', name: 'shop', masterId: view?.master.id, applianceId: appliance.id };
    await context.store.scenarios.insert(scenario as Scenario);
    expect((await failureOf(removeMaster(context, 'web01'))).message).toMatch(/scenario shop protects it/);
    expect((await failureOf(removeAppliance(context, 'gate'))).why).toBe(
      'It is used by scenario shop, master web01.',
    );
  });
});

it('keeps a join token out of files, log and errors until it is shown', async () => {
  const { tokenText } = await offerMaster(context, { appliance: 'gate' });
  const [, payload = ''] = tokenText.split('.');
  expect(payload.length).toBeGreaterThan(80);
  const everything = [context.filesText(), context.logged.join(), JSON.stringify(context.told)];
  for (const text of everything) expect(text).not.toContain(payload);
});
