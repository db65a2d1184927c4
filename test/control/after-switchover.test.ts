import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FAILBACK_KINDS, proposeFailback } from '../../src/control/failback.ts';
import { refreshedMaster } from '../../src/control/master.ts';
import { runScenario } from '../../src/control/run.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { stopVm } from '../../src/control/vm.ts';
import { StandbyError } from '../../src/errors.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { inventory } from '../fakes/scene.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

/** Commands that could cost what the standby has written, or its service. */
let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld();
  await scenarioWizard(world.context, { preset: ANSWERS, yes: true });
  await runScenario(world.context, 'web', { accept: [] });
  await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
});
afterEach(() => world.close());

const notNow = (): never => {
  throw new StandbyError({ code: 'Conflict', what: 'Not now.', retry: 'never' });
};

describe('vm stop after one that did not end', () => {
  it('does not go on with a removal that was not asked for now', async () => {
    world.cloud.beforeChange = (name) => (name === 'machines.delete' ? notNow() : undefined);
    await expect(stopVm(world.context, 'web', { remove: true })).rejects.toMatchObject({ code: 'Conflict' });
    world.cloud.beforeChange = () => undefined;
    const before = world.cloud.all();
    await expect(stopVm(world.context, 'web', { remove: false })).rejects.toMatchObject({
      code: 'REMOVAL_UNFINISHED',
      kind: 'input',
      next: expect.stringContaining('standby vm stop web --remove'),
    });
    expect(world.cloud.all()).toEqual(before);
    const { status } = await stopVm(world.context, 'web', { remove: true });
    expect(status.standbyVmId).toBeUndefined();
  });

  it('removes when that is asked for, after it has gone on with the stop', async () => {
    const { machines } = world.cloud.cloud;
    const { deallocate } = machines;
    Object.assign(machines, { deallocate: async () => notNow() });
    await expect(stopVm(world.context, 'web', { remove: false })).rejects.toMatchObject({ code: 'Conflict' });
    Object.assign(machines, { deallocate });
    const { status } = await stopVm(world.context, 'web', { remove: true });
    expect(status).toMatchObject({ state: 'stopped' });
    expect(status.standbyVmId).toBeUndefined();
    expect(world.cloud.machines.size).toBe(1);
  });
});

describe('A failback', () => {
  const finishing = async (ask: { readonly removeStandby?: boolean } = {}) => ({
    ...(await proposeFailback(world.context, 'web', { part: 'finish', ...ask })),
    kind: FAILBACK_KINDS.finish,
  });

  it('does not stop a standby before anything was copied home', async () => {
    await expect(proposeFailback(world.context, 'web', { part: 'finish' })).rejects.toMatchObject({
      code: 'FAILBACK_NOT_PREPARED',
      kind: 'input',
      next: expect.stringContaining('standby failback web --prepare'),
    });
  });

  it('that was begun to keep the standby does not say that it removes it', async () => {
    const { store } = world.context;
    const [status] = await store.statuses.list();
    await store.statuses.update(status?.id ?? '', (now) => ({ ...now, state: 'failing-back' }));
    const { kind, runId, input, scenario } = await finishing();
    await store.runs.create({ id: runId, kind, subject: scenario.id, title: 'Home', input });
    await expect(finishing({ removeStandby: true })).rejects.toMatchObject({
      code: 'FAILBACK_IS_BEGUN',
      next: expect.stringContaining('standby vm stop web --remove'),
    });
    expect((await finishing()).unfinished?.id).toBe(runId);
  });

  it('that is under way is what a switchover points to', async () => {
    const [status] = await world.context.store.statuses.list();
    await world.context.store.statuses.update(status?.id ?? '', (now) => ({ ...now, state: 'failing-back' }));
    await expect(proposeSwitchover(world.context, 'web')).rejects.toMatchObject({
      code: 'FAILBACK_UNFINISHED',
      next: expect.stringContaining('standby failback web --undo'),
    });
  });

  it('onto new hardware leaves the server its name and its NICs, not those of the rescue system', async () => {
    const { context } = world;
    const master = await context.store.masters.get('master-1');
    if (!master) throw new Error('there is a master');
    const takenAtMs = master.inventory.takenAtMs + 1;
    const told = { ...inventory(), hostName: 'rescue', nics: [], takenAtMs };
    const connect: typeof context.connect = async (appliance) => ({
      ...(await context.connect(appliance)),
      masters: async () => [{ masterId: master.id, connected: true, inventory: told }],
    });
    const { hostName, nics } = master.inventory;
    const now = await refreshedMaster({ ...context, connect }, master);
    expect(now.inventory).toEqual({ ...told, hostName, nics });
  });
});
