import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checkAppliance } from '../../src/control/appliance/check.ts';
import { addOwnAppliance, removeAppliance } from '../../src/control/appliance/records.ts';
import { isStandbyError, type StandbyError } from '../../src/errors.ts';
import { freePort, startEngine, type TestEngine } from './appliance-engine.ts';
import { makeContext, type TestContext } from './make-context.ts';

const open: { close(): Promise<void> }[] = [];
let context: TestContext;
beforeEach(async () => {
  context = await makeContext();
  open.push(context);
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function engine(enrolFileText: string, port: number): Promise<TestEngine> {
  const started = await startEngine(enrolFileText, port);
  open.push({ close: () => started.stop() });
  return started;
}

async function failureOf(work: Promise<unknown>): Promise<StandbyError> {
  const outcome = await work.then(
    () => new Error('It did not fail'),
    (error: unknown) => error,
  );
  if (isStandbyError(outcome)) return outcome;
  throw outcome;
}

const add = (port: number) => addOwnAppliance(context, { name: 'gate', address: '127.0.0.1', port });

describe('a server of one’s own as appliance', () => {
  it('is enrolled by the first connection, once, and its token is gone then', async () => {
    const { appliance, enrolFileText } = await add(await freePort());
    const { token } = JSON.parse(enrolFileText);
    expect(context.filesText()).not.toContain(token);
    await engine(enrolFileText, appliance.port);
    const session = await context.connect(appliance);
    expect(session.hello.applianceId).toBe(appliance.id);
    await session.close();
    expect((await context.store.appliances.get(appliance.id))?.enrolment).toBe('enrolled');
    expect(await context.secrets.get(`appliance/${appliance.id}/token`)).toBeUndefined();
    // The record in our hands still says pending: the store's word counts.
    await (await context.connect(appliance)).close();
  });

  it('settles a record that a process which died left as pending', async () => {
    const { appliance, enrolFileText } = await add(await freePort());
    await engine(enrolFileText, appliance.port);
    await (await context.connect(appliance)).close();
    await context.store.appliances.update(appliance.id, (saved) => ({ ...saved, enrolment: 'pending' }));
    await context.secrets.set(`appliance/${appliance.id}/token`, JSON.parse(enrolFileText).token);
    await (await context.connect(appliance)).close();
    expect((await context.store.appliances.get(appliance.id))?.enrolment).toBe('enrolled');
    expect(await context.secrets.get(`appliance/${appliance.id}/token`)).toBeUndefined();
  });

  it('lets two controls of one store enrol at the same moment', async () => {
    const other = await makeContext({ folder: context.folder });
    open.push(other);
    const { appliance, enrolFileText } = await add(await freePort());
    await engine(enrolFileText, appliance.port);
    const sessions = await Promise.all([context.connect(appliance), other.connect(appliance)]);
    for (const session of sessions) await session.close();
    expect((await context.store.appliances.get(appliance.id))?.enrolment).toBe('enrolled');
  });

  it('is not enrolled when it holds another token, and the record stays as it was', async () => {
    const { appliance, enrolFileText } = await add(await freePort());
    const wrong = JSON.stringify({ ...JSON.parse(enrolFileText), token: 'x'.repeat(43) });
    await engine(wrong, appliance.port);
    const error = await failureOf(context.connect(appliance));
    expect([error.code, error.next]).toEqual(['APPLIANCE_UNREACHABLE', 'standby appliance check gate']);
    expect((await context.store.appliances.get(appliance.id))?.enrolment).toBe('pending');
    expect(await context.secrets.get(`appliance/${appliance.id}/token`)).toBeDefined();
  });

  it('is refused when it belongs to another control', async () => {
    const stranger = await makeContext();
    open.push(stranger);
    const port = await freePort();
    const theirs = await addOwnAppliance(stranger, { name: 'theirs', address: '127.0.0.1', port });
    await engine(theirs.enrolFileText, port);
    await (await stranger.connect(theirs.appliance)).close();
    const { appliance } = await add(port);
    const error = await failureOf(context.connect(appliance));
    expect(error.code).toBe('APPLIANCE_UNREACHABLE');
    expect(error.why).toMatch(/is not an appliance of this control|certificate/);
  });

  it('is checked line by line; what Azure would know is skipped, never passed', async () => {
    const { appliance, enrolFileText } = await add(await freePort());
    const closed = await checkAppliance(context, 'GATE');
    expect(closed.map((one) => one.status)).toEqual(['skipped', 'skipped', 'skipped', 'error', 'skipped']);
    expect(closed[0]?.found).toMatch(/server of one’s own/);
    expect(closed[3]?.found).toMatch(/refuses: nothing listens there/);
    await engine(enrolFileText, appliance.port);
    const lines = await checkAppliance(context, 'gate');
    expect(lines.map((one) => one.status)).toEqual(['skipped', 'skipped', 'skipped', 'ok', 'ok']);
    expect(lines[4]?.found).toMatch(/^engine \d+\.\d+\.\d+, protocol \d+, clock difference -?\d+ ms$/);
  });

  it('says of a listener that is no engine that TCP connects and TLS does not', async () => {
    const { createServer } = await import('node:net');
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end('SSH-2.0-OpenSSH_9.2\r\n', () => socket.destroy());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => new Promise((resolve) => server.close(() => resolve())) });
    await add((server.address() as { port: number }).port);
    const lines = await checkAppliance(context, 'gate');
    expect(lines.slice(3).map((one) => one.status)).toEqual(['ok', 'error']);
    expect(lines[4]?.next).not.toContain('appliance check');
  });

  it('refuses a name that is taken and wrong answers, and keeps no token of them', async () => {
    const first = await add(25000);
    expect((await failureOf(add(25001))).code).toBe('NAME_TAKEN');
    for (const answers of [
      { name: 'a b', address: '127.0.0.1' },
      { name: 'ok', address: 'http://x' },
      { name: 'ok', address: 'x', port: 0 },
    ]) {
      expect((await failureOf(addOwnAppliance(context, answers))).code).toBe('ANSWER_WRONG');
    }
    expect((await context.store.appliances.list()).map((one) => one.id)).toEqual([first.appliance.id]);
  });

  it('can be forgotten, token and all', async () => {
    const { appliance } = await add(25000);
    await removeAppliance(context, 'gate');
    expect(await context.store.appliances.list()).toEqual([]);
    expect(await context.secrets.get(`appliance/${appliance.id}/token`)).toBeUndefined();
  });
});
