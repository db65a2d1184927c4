import { afterEach, beforeEach, expect, it } from 'vitest';
import { createGroup, viewOf } from '../../src/control/group/definition.ts';
import { groupNamed } from '../../src/control/group/named.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { inventory } from '../fakes/scene.ts';
import { toldText } from '../wizards/scripted-host.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld();
  await create({ ...ANSWERS, diskType: 'Premium_LRS' });
  for (const [id, name] of [
    ['master-2', 'web02'],
    ['master-3', 'web03'],
  ] as const) {
    await world.context.store.masters.insert({
      id,
      name,
      applianceId: 'appliance-1',
      inventory: { ...inventory(), hostName: name },
      joinedAtMs: 1,
    });
  }
  await createGroup(world.context, {
    standbyGroup: 1,
    name: 'shop',
    waves: [{ scenarios: ['web'] }],
  });
});

afterEach(() => world.close());

const create = (preset: Readonly<Record<string, unknown>>) =>
  scenarioWizard(world.context, { preset, yes: true });

it('gives a new member what all members have alike, and nothing that is a server’s own', async () => {
  const own = { address: 'dynamic', address1: 'dynamic' };
  const second = await create({ group: 'shop', name: 'web2', master: 'web02', ...own });
  const { nics } = second.scenario;
  const [first] = (await viewOf(world.context, await groupNamed(world.context, 'shop'))).members;
  expect(second.scenario.vm).toEqual({ ...first?.scenario.vm, name: 'web02' });
  expect(nics.map(({ address: _own, ...rest }) => rest)).toEqual(
    first?.scenario.nics.map(({ address: _own, ...rest }) => rest),
  );
  expect(nics[0]?.address).toEqual({ kind: 'dynamic' });
  expect(toldText(world.told)).toContain('It is in wave 1 of group shop');
});

it('lets an answer go before what is shared, and shares no longer what differs', async () => {
  await create({
    group: 'shop',
    name: 'web2',
    master: 'web02',
    diskType: 'Standard_LRS',
    address: 'dynamic',
  });
  const third = await create({ group: 'shop', name: 'web3', master: 'web03', address: 'dynamic' });
  expect(third.scenario.vm.diskType).toBe('StandardSSD_LRS');
  const { waves } = await groupNamed(world.context, 'shop');
  expect(waves.map((wave) => wave.scenarioIds.length)).toEqual([3]);
});

it('refuses a group that is not there before anything is asked', async () => {
  await expect(create({ group: 'shpo', name: 'web2', master: 'web02' })).rejects.toMatchObject({
    code: 'GROUP_UNKNOWN',
    next: expect.stringContaining('shop'),
  });
  expect(await world.context.store.scenarios.list()).toHaveLength(1);
});
