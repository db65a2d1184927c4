import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { isInterrupted } from '../../src/control/runs.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import { makeContext, type TestContext } from './make-context.ts';

let context: TestContext;
beforeEach(async () => {
  context = await makeContext();
  await context.store.runs.create({ id: 'one', kind: 'switchover', subject: 'web', title: 'One', input: {} });
});
afterEach(() => context.close());

const run = async () => {
  const found = await context.store.runs.get('one');
  if (!found) throw new Error('the run is in the store');
  return found;
};

it('A run that nobody carries out is interrupted, whatever was written of it last', async () => {
  expect(await run()).toMatchObject({ status: 'running' });
  expect(isInterrupted(await run())).toBe(true);
  const ownUntilTheEnd = makeOwner();
  const lease = await context.store.runs.claim('one', ownUntilTheEnd, 60_000);
  if (!lease) throw new Error('nobody else has it');
  expect(isInterrupted(await run())).toBe(false);
  await context.store.runs.finish(lease, 'done');
  await context.store.runs.release(lease);
  expect(isInterrupted(await run())).toBe(false);
});

it('A run of a process that is gone is interrupted before its lease has run out', async () => {
  const [host, boot, space] = makeOwner().split('/');
  const { pid } = spawnSync('true');
  await context.store.runs.claim('one', `${host}/${boot}/${space}/${pid}/1`, 60_000);
  expect((await run()).held).toBeDefined();
  expect(isInterrupted(await run())).toBe(true);
});
