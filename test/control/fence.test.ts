import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runScenario } from '../../src/control/run.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { undoSwitchover } from '../../src/control/switchover.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { switchoverWizard } from '../../wizards/switchover.ts';
import type { FakeLive } from '../fakes/fake-live.ts';
import { scriptedHost, toldText } from '../wizards/scripted-host.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

/** A live scenario whose master's engine can take it off the network: planned switchovers, and a master that is not there. */
const NBD = ['disk0', 'disk1'].map((diskId) => ({ diskId, uri: `nbd+unix:///${diskId}?socket=/run/nbd` }));

let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld({ nbd: NBD, fence: true });
  const { capture: _atRest, ...answers } = ANSWERS;
  await scenarioWizard(world.context, { preset: answers, yes: true });
  await runScenario(world.context, 'web', {});
});
afterEach(() => world.close());

const live = (): FakeLive => {
  if (world.appliance.live) return world.appliance.live;
  throw new Error('nothing is replicated');
};
const switchOver = (preset: Readonly<Record<string, unknown>>, context = world.context) =>
  switchoverWizard(context, { preset: { scenario: 'web', ...preset }, yes: true });

describe('A planned switchover', () => {
  it('stops the master, takes everything it wrote, proves both ends equal, and loses nothing', async () => {
    const { report, loss } = await switchOver({ planned: true });
    expect(loss.text).toContain('Nothing that its clients wrote is lost');
    expect(world.appliance.fenced).toBe(true);
    const written = String(live().written);
    expect(report.planned).toMatchObject({ sequence: written, changesAfter: 0 });
    expect(report.planned?.digests).toHaveLength(2);
    expect(report.copied?.position).toMatchObject({ sequence: written, leftOutChanges: 0 });
    expect(report.events[0]).toMatchObject({ code: 'PLANNED_NOTHING_LOST' });
    const ids = report.steps.map((step) => step.id);
    expect(ids.slice(0, 4)).toEqual(['verify-scenario', 'fence-master', 'drain-master', 'seal-replica']);
  });

  it('whose ends differ goes no further, and an undo lets the master on again', async () => {
    live().differs = true;
    await expect(switchOver({ planned: true })).rejects.toMatchObject({ code: 'ENDS_DIFFER' });
    expect(world.cloud.machines.size).toBe(1);
    await undoSwitchover(world.context, 'web');
    expect(world.appliance.fenced).toBe(false);
  });

  it('whose master leaves meanwhile says that nobody can prove it', async () => {
    const { scrub } = live();
    live().scrub = () => {
      scrub.call(live());
      live().masterHere = false;
    };
    await expect(switchOver({ planned: true })).rejects.toMatchObject({
      code: 'PLANNED_BROKEN_OFF',
      why: expect.stringContaining('--fence'),
    });
  });

  it.each([
    [{ point: { bookmark: 'good' } }, 'PLANNED_MEANS_ALL'],
    [{ waitForJournals: false }, 'PLANNED_MEANS_ALL'],
    [{ masterIsDown: true }, 'PLANNED_MEANS_ALL'],
  ])('refuses %o, because it takes all', async (preset, code) => {
    await expect(switchOver({ planned: true, ...preset })).rejects.toMatchObject({ code, kind: 'input' });
  });

  it('refuses a master that is not there, or that nothing can stop', async () => {
    live().masterHere = false;
    await expect(switchOver({ planned: true })).rejects.toMatchObject({
      code: 'PLANNED_NOT_POSSIBLE',
      what: expect.stringContaining('not reached'),
    });
    live().masterHere = true;
    await world.context.store.masters.update('master-1', (master) => {
      const { fence: _none, ...inventory } = master.inventory;
      return { ...master, inventory };
    });
    await expect(switchOver({ planned: true })).rejects.toMatchObject({
      code: 'PLANNED_NOT_POSSIBLE',
      next: expect.stringContaining('engine master --fence'),
    });
    expect(world.appliance.fenced).toBe(false);
  });
});

describe('A master that is not there', () => {
  beforeEach(() => {
    live().masterHere = false;
    world.appliance.fenceOutcome = 'away';
  });

  it('needs --master-is-down where nobody can be asked', async () => {
    await expect(switchOver({})).rejects.toThrow('--master-is-down');
    expect(world.cloud.machines.size).toBe(1);
    const { report } = await switchOver({ masterIsDown: true });
    expect(report.live).toBe(true);
    expect(world.appliance.fenced).toBe(true);
    live().masterHere = true;
    expect((await scenarioStatus(world.context, 'web')).masterBeside).toBe('told');
  });

  it('is named by the person who knows that it is off', async () => {
    const host = scriptedHost(['latest', true, 'web01']);
    const { report } = await switchOver({}, { ...world.context, host });
    expect(report.live).toBe(true);
    expect(host.asked.at(-1)?.message).toContain("Type the master's name (web01)");
    expect(toldText(host.told)).toContain('two servers do under one name');
  });
});
