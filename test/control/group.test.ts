import { afterEach, describe, expect, it } from 'vitest';
import { createGroup, editGroup, removeGroup, viewOf } from '../../src/control/group/definition.ts';
import { checkedFile, fileFromGroup, groupFileFromYaml, yamlOfGroup } from '../../src/control/group/file.ts';
import { membersAtOnce } from '../../src/control/group/limits.ts';
import { groupNamed } from '../../src/control/group/named.ts';
import { bringGroupBack, proposeBack } from '../../src/control/group/recover.ts';
import { resumeGroup } from '../../src/control/group/resume.ts';
import { stopGroup } from '../../src/control/group/run.ts';
import { groupStatus } from '../../src/control/group/status.ts';
import {
  type GroupChoice,
  proposeGroupSwitchover,
  switchGroupOver,
} from '../../src/control/group/switchover.ts';
import { resume } from '../../src/control/runs.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { type GroupWorld, groupWorld } from './group-world.ts';

const worlds: GroupWorld[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

const NAMES = ['db', 'web1', 'web2'];
const SHOP = {
  standbyGroup: 1,
  name: 'shop',
  waves: [{ scenarios: ['db'] }, { scenarios: ['web1', 'web2'] }],
};

async function shop(change: object = {}): Promise<GroupWorld> {
  const world = await groupWorld(NAMES);
  worlds.push(world);
  await createGroup(world.context, await checkedFile({ ...SHOP, ...change }));
  return world;
}

async function liveShop(): Promise<GroupWorld> {
  const world = await groupWorld(NAMES, { live: true });
  worlds.push(world);
  const waves = [{ scenarios: ['db'], pause: 'Look' }, { scenarios: ['web1', 'web2'] }];
  await createGroup(world.context, await checkedFile({ ...SHOP, waves }));
  return world;
}

async function switchShop({ context }: Pick<GroupWorld, 'context'>, choice: GroupChoice = {}) {
  return switchGroupOver(context, await proposeGroupSwitchover(context, 'shop', {}, choice), choice);
}

/** Each of them once, and nothing is left to go on with. */
async function allStand(world: GroupWorld, names: readonly string[]): Promise<void> {
  for (const name of names) expect((await world.state(name)).state).toBe('switched-over');
  expect(world.counts()).toMatchObject({
    ...{ virtualMachines: 1 + names.length, 'made virtualMachines': names.length },
    ...{ 'made snapshots': names.length, 'made networkInterfaces': names.length },
    ...{ disks: NAMES.length + names.length, 'made disks': NAMES.length + names.length },
  });
  expect(await world.context.store.runs.list({ statuses: ['running', 'failed'] })).toEqual([]);
}

const states = (world: GroupWorld) => Promise.all(NAMES.map(async (name) => (await world.state(name)).state));

describe('A group', () => {
  it('is written with names, and read again as it was', async () => {
    const world = await shop({
      waves: [{ scenarios: ['DB'], delaySeconds: 5, pause: 'Look' }, SHOP.waves[1]],
    });
    const group = await groupNamed(world.context, 'SHOP');
    const yaml = await yamlOfGroup(await fileFromGroup(world.context, group));
    expect(yaml).toContain('- db\n');
    await removeGroup(world.context, 'shop');
    const again = await createGroup(world.context, await groupFileFromYaml(yaml));
    expect(again).toEqual({ ...group, id: again.id, createdAtMs: again.createdAtMs });
  });

  it('refuses strangers, members of two groups, and what would hold nothing back', async () => {
    const world = await shop();
    const wrong = async (change: object) =>
      createGroup(world.context, await checkedFile({ ...SHOP, name: 'other', ...change }));
    await expect(wrong({ waves: [{ scenarios: ['nobody'] }] })).rejects.toMatchObject({
      code: 'GROUP_INVALID',
      next: expect.stringContaining('there is no scenario nobody'),
    });
    await expect(wrong({})).rejects.toMatchObject({ next: expect.stringContaining('in group shop already') });
    await expect(wrong({ waves: [{ scenarios: ['db', 'Db'] }] })).rejects.toMatchObject({
      next: expect.stringContaining('named twice'),
    });
    await expect(wrong({ waves: [{ scenarios: ['db'], pause: 'Look' }] })).rejects.toMatchObject({
      next: expect.stringContaining('after the last wave'),
    });
    expect((await world.context.store.groups.list()).map((one) => one.name)).toEqual(['shop']);
    await world.context.store.statuses.update('scenario-db', (one) => ({ ...one, state: 'stopped' }));
    await expect(removeScenario(world.context, 'db', { deleteReplica: true })).rejects.toMatchObject({
      code: 'SCENARIO_IN_GROUP',
    });
  });

  it('gives its members what they have not set themselves, also when one switches over alone', async () => {
    const check = { kind: 'tcp', port: 443 } as const;
    const world = await shop({
      common: { fallbackSizes: ['Standard_B2s', 'Standard_D2s_v5'], healthChecks: [check] },
    });
    await world.context.store.scenarios.update('scenario-web1', (one) => ({
      ...one,
      healthChecks: [{ kind: 'tcp', port: 80 }],
    }));
    const { members } = await viewOf(world.context, await groupNamed(world.context, 'shop'));
    expect(members.map(({ scenario }) => scenario.healthChecks[0]?.port)).toEqual([443, 80, 443]);
    // A member's own size is not tried twice.
    expect(members[0]?.scenario.vm.fallbackSizes).toEqual(['Standard_B2s']);
    world.cloud.noRoom = (size) => (size === 'Standard_D2s_v5' ? 'AllocationFailed' : undefined);
    const proposal = await proposeSwitchover(world.context, 'db');
    expect(proposal.input.scenario.healthChecks).toEqual([check]);
    const { report } = await switchOver(world.context, proposal);
    expect(report.vm).toMatchObject({ size: 'Standard_B2s' });
  });

  it('computes how many may go at once from what each of them writes', () => {
    expect(membersAtOnce([{ first: 1, all: 4 }])).toBe(100);
    expect(membersAtOnce([{ first: 17, all: 35 }])).toBe(9);
    expect(membersAtOnce([{ first: 500, all: 1000 }])).toBe(1);
  });
});

describe('Switching a group over', () => {
  it('takes wave after wave, says what each member loses, and each member once', async () => {
    const world = await shop({ waves: [{ scenarios: ['db'], delaySeconds: 1 }, SHOP.waves[1]] });
    const proposal = await proposeGroupSwitchover(world.context, 'shop');
    expect(proposal.members.map(({ wave, loss }) => [wave, loss?.text.slice(0, 34)])).toEqual([
      [1, 'The standby will have the data of '],
      [2, 'The standby will have the data of '],
      [2, 'The standby will have the data of '],
    ]);
    const outcome = await switchGroupOver(world.context, proposal);
    expect(outcome.members.map((one) => one.outcome)).toEqual(NAMES.map(() => 'switched-over'));
    const machines = world.cloud.made.filter((id) => id.includes('/virtualMachines/'));
    expect(machines[0]).toMatch(/vm-db$/);
    expect(await groupStatus(world.context, 'shop')).toMatchObject({ state: 'standbys' });
    // Again there is nothing left to do, and nothing is done.
    const again = await switchShop(world);
    expect(again.members.map((one) => one.outcome)).toEqual(NAMES.map(() => 'already'));
    expect(world.counts()['made virtualMachines']).toBe(3);
  });

  it('never has more members under way than it may', async () => {
    const world = await shop({ waves: [{ scenarios: NAMES }], parallel: 2 });
    let now = 0;
    let most = 0;
    const under = new Set<string>();
    world.cloud.beforeChange = (name, id) => {
      if (name === 'disks.createSnapshot') under.add(id);
      now =
        under.size - [...world.cloud.machines.values()].filter((one) => one.name.startsWith('vm-')).length;
      most = Math.max(most, now);
    };
    await switchShop(world);
    expect(most).toBe(2);
    expect(await states(world)).toEqual(NAMES.map(() => 'switched-over'));
  });

  it('stops at a pause, also when asked again, and goes on when a person says so', async () => {
    const world = await shop({
      waves: [{ scenarios: ['db'], pause: 'Does the database answer?' }, SHOP.waves[1]],
    });
    const first = await switchShop(world);
    expect(first).toMatchObject({
      pause: { stepId: 'pause-after-1' },
      failed: [],
      run: { status: 'running' },
    });
    expect(await groupStatus(world.context, 'shop')).toMatchObject({
      state: 'paused',
      sentence: expect.stringContaining('Does the database answer?'),
    });
    expect((await switchShop(world)).pause).toBeDefined();
    expect(await states(world)).toEqual(['switched-over', 'synchronised', 'synchronised']);
    await expect(editGroup(world.context, 'shop', await checkedFile(SHOP))).rejects.toMatchObject({
      code: 'GROUP_BUSY',
    });
    const done = await resumeGroup(world.context, 'shop', {});
    expect(done).toMatchObject({ run: { status: 'done' }, failed: [] });
    expect(await states(world)).toEqual(NAMES.map(() => 'switched-over'));
  });

  it('passes all pauses when nobody is there', async () => {
    const world = await shop({ waves: [{ scenarios: ['db'], pause: 'Look' }, SHOP.waves[1]] });
    expect(await switchShop(world, { continuePauses: true })).toMatchObject({ run: { status: 'done' } });
  });

  it('refuses as a whole while a member cannot switch over, or leaves it behind when told', async () => {
    const world = await shop();
    await world.context.store.statuses.update('scenario-web1', (one) => ({ ...one, state: 'stopped' }));
    await expect(switchShop(world)).rejects.toMatchObject({
      code: 'GROUP_NOT_READY',
      kind: 'input',
      what: expect.stringContaining('web1'),
    });
    expect(world.counts().virtualMachines).toBe(1);
    const outcome = await switchShop(world, { pastFailures: true });
    expect(outcome).toMatchObject({ failed: ['web1'], run: { status: 'done' } });
    expect(await states(world)).toEqual(['switched-over', 'stopped', 'switched-over']);
    expect(await groupStatus(world.context, 'shop')).toMatchObject({
      state: 'mixed',
      sentence: expect.stringContaining('2 of 3 members'),
    });
  });

  it('one failure stops nobody of its wave; the next wave waits until it is mended or passed', async () => {
    const world = await shop({ waves: [{ scenarios: ['web1', 'web2'] }, { scenarios: ['db'] }] });
    world.unsealable.add('web1');
    const outcome = await switchShop(world);
    expect(outcome).toMatchObject({ failed: ['web1'], run: { status: 'failed' } });
    expect(await states(world)).toEqual(['synchronised', 'switching-over', 'switched-over']);
    expect(await groupStatus(world.context, 'shop')).toMatchObject({ state: 'failed' });
    await expect(resume(world.context, outcome.run.id)).rejects.toMatchObject({
      code: 'GROUP_MEMBERS_FAILED',
    });
    expect(await resumeGroup(world.context, 'shop', { pastFailures: true })).toMatchObject({
      failed: ['web1'],
      run: { status: 'done' },
    });
    expect(await states(world)).toEqual(['switched-over', 'switching-over', 'switched-over']);
    // The side of the standbys: those that are left are switched over, and nobody else is touched.
    world.unsealable.clear();
    expect(await switchShop(world)).toMatchObject({ failed: [] });
    expect(world.counts()).toMatchObject({ 'made virtualMachines': 3, 'made snapshots': 3 });
  });
});

describe('The side of the masters', () => {
  it('takes back what is not complete and removes the standbys, after it has told what is lost', async () => {
    const world = await shop({
      waves: [{ scenarios: ['db'] }, { scenarios: ['web1'] }, { scenarios: ['web2'] }],
    });
    const before = world.counts();
    world.unsealable.add('web1');
    await switchShop(world);
    const proposal = await proposeBack(world.context, 'shop', { remove: true });
    expect(proposal.members.map((one) => one.text)).toEqual([
      expect.stringMatching(/removed: everything that was written there since .* is LOST/),
      expect.stringContaining('is not complete and is taken back'),
      'It is on its master; nothing is done.',
    ]);
    world.unsealable.clear();
    const report = await bringGroupBack(world.context, proposal);
    expect(report.members.map((one) => one.outcome)).toEqual(['removed', 'taken-back', 'already']);
    expect(await states(world)).toEqual(['stopped', 'synchronised', 'synchronised']);
    const { 'made disks': _, 'made snapshots': __, ...left } = world.counts();
    expect(left).toMatchObject({ disks: before.disks, virtualMachines: before.virtualMachines });
    expect(world.sealed.has('web1')).toBe(false);
    await expect(proposeBack(world.context, 'shop', { remove: false })).rejects.toMatchObject({
      code: 'NOTHING_TO_RECOVER',
    });
  });

  it('without --remove only stops them: nothing that they hold is lost', async () => {
    const world = await shop();
    await switchShop(world);
    const proposal = await proposeBack(world.context, 'shop', { remove: false });
    const report = await bringGroupBack(world.context, proposal);
    expect(report.members.map((one) => one.outcome)).toEqual(['stopped', 'stopped', 'stopped']);
    const powers = [...world.cloud.machines.values()].map((one) => one.power);
    expect(powers.filter((power) => power === 'deallocated')).toHaveLength(3);
    expect((await stopGroup(world.context, 'shop')).members.map((one) => one.state)).toEqual([
      'stopped',
      'stopped',
      'stopped',
    ]);
  });
});

describe('A control process that is killed', { timeout: 240_000 }, () => {
  it('after any write of a switchover: the next one ends it, and nobody is done twice', async () => {
    for (let writes = 1; ; writes += 1) {
      const world = await shop({ waves: [{ scenarios: ['db'] }] });
      const dying = world.dyingAfter(writes);
      await switchShop(dying).catch((error: unknown) => error);
      if (!dying.died()) break;
      expect(await switchShop(world)).toMatchObject({ failed: [], run: { status: 'done' } });
      await allStand(world, ['db']);
      await worlds.pop()?.close();
    }
  });

  it.each([7, 40, 81])('after write %i of two waves: the next one ends both', async (writes) => {
    const world = await shop();
    const dying = world.dyingAfter(writes);
    await expect(switchShop(dying)).rejects.toThrow();
    expect(dying.died()).toBe(true);
    expect(await switchShop(world)).toMatchObject({ failed: [], run: { status: 'done' } });
    await allStand(world, NAMES);
  });

  it.each([2, 6, 11, 17, 25])('after write %i of the way back: the next one ends it', async (writes) => {
    const world = await shop();
    await switchShop(world);
    const dying = world.dyingAfter(writes);
    await bringGroupBack(dying.context, await proposeBack(dying.context, 'shop', { remove: true })).catch(
      () => undefined,
    );
    expect(dying.died()).toBe(true);
    const back = await bringGroupBack(
      world.context,
      await proposeBack(world.context, 'shop', { remove: true }),
    );
    expect(back.run.status).toBe('done');
    expect(await states(world)).toEqual(['stopped', 'stopped', 'stopped']);
    expect(world.counts()).toMatchObject({ virtualMachines: 1, disks: 3 });
    expect(world.counts().snapshots ?? 0).toBe(0);
  });
});

describe('One moment for a whole group', () => {
  it('is the same for each member, is told before with what it loses, and is kept by the run', async () => {
    const world = await liveShop();
    const { context } = world;
    const atMs = context.clock.now() - 60_000;
    for (const name of NAMES) world.rewindFromMs.set(name, atMs - 1000);
    const point = { timeMs: atMs };
    const proposal = await proposeGroupSwitchover(context, 'shop', { point });
    for (const { loss } of proposal.members) expect(loss).toMatchObject({ point });
    expect(await switchGroupOver(context, proposal)).toMatchObject({ pause: { stepId: 'pause-after-1' } });
    expect([...world.sealedTo]).toEqual([['db', point]]);
    const other = { point: { timeMs: atMs + 1 } };
    await expect(proposeGroupSwitchover(context, 'shop', other)).rejects.toMatchObject({
      code: 'POINT_IS_CHOSEN',
      kind: 'input',
    });
    // Nobody says the moment again.
    expect(await resumeGroup(context, 'shop', {})).toMatchObject({ failed: [], run: { status: 'done' } });
    expect([...world.sealedTo.values()]).toEqual([point, point, point]);
  });

  it('refuses members that cannot be taken there, by name and before anything is done, or leaves them behind', async () => {
    const world = await liveShop();
    const { context } = world;
    const atMs = context.clock.now() - 60_000;
    world.rewindFromMs.set('db', atMs - 1000);
    world.rewindFromMs.set('web1', atMs - 1000);
    world.rewindFromMs.set('web2', atMs + 1000);
    const request = { point: { timeMs: atMs } };
    const refusal = proposeGroupSwitchover(context, 'shop', request);
    await expect(refusal).rejects.toMatchObject({
      code: 'GROUP_NOT_READY',
      what: expect.stringMatching(/^1 member of group shop cannot switch over now\. web2: .*taken back to/),
    });
    await expect(
      proposeGroupSwitchover(context, 'shop', { point: { bookmark: 'evening' } }),
    ).rejects.toMatchObject({ what: expect.stringContaining('There is no bookmark evening of db.') });
    expect(world.sealed).toEqual(new Set());
    const choice = { pastFailures: true, continuePauses: true };
    const outcome = await switchGroupOver(
      context,
      await proposeGroupSwitchover(context, 'shop', request, choice),
      choice,
    );
    expect(outcome).toMatchObject({ failed: ['web2'], run: { status: 'done' } });
    expect([...world.sealedTo.keys()]).toEqual(['db', 'web1']);
  });

  it('is refused for members that were copied at rest: they have one state', async () => {
    const { context } = await shop();
    await expect(proposeGroupSwitchover(context, 'shop', { point: { timeMs: 1 } })).rejects.toMatchObject({
      what: expect.stringContaining('copied at rest: there is one state'),
    });
  });
});
