import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runScenario } from '../../src/control/run.ts';
import { makeWork, type ScenarioRunInput } from '../../src/control/scenario-work.ts';
import { stopScenario } from '../../src/control/stop.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { proposeVmStart, startVm } from '../../src/control/vm.ts';
import { StandbyError } from '../../src/errors.ts';
import { DEFAULT_PATIENCE, patienceOf } from '../../src/switchover/work.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;
let azureIsFull: boolean;
beforeEach(async () => {
  world = await scenarioWorld();
  azureIsFull = true;
  await scenarioWizard(world.context, { preset: ANSWERS, yes: true });
  await runScenario(world.context, 'web');
  world.cloud.beforeChange = (name) => {
    if (azureIsFull && name.startsWith('machines.create'))
      throw new StandbyError({ code: 'AllocationFailed', what: 'No machine is free.' });
  };
});
afterEach(() => world.close());

async function waitOf(proposal: { readonly runId: string; readonly input: ScenarioRunInput }) {
  const { runId, input } = proposal;
  return patienceOf(await makeWork(world.context, { runId, input, moment: 'switchover' })).bootMs;
}

describe('How long a sign of life is waited for', () => {
  it('is what the operator of a switchover says, also when it is gone on with without a word', async () => {
    const { context } = world;
    const proposal = await proposeSwitchover(context, 'web', { bootWaitMs: 30_000 });
    expect(await waitOf(proposal)).toBe(30_000);
    await expect(switchOver(context, proposal)).rejects.toMatchObject({ code: 'AllocationFailed' });
    expect(await waitOf(await proposeSwitchover(context, 'web'))).toBe(30_000);
    const again = await proposeSwitchover(context, 'web', { bootWaitMs: 60_000 });
    expect([again.runId, await waitOf(again)]).toEqual([proposal.runId, 60_000]);
    azureIsFull = false;
    expect((await switchOver(context, again)).status.state).toBe('switched-over');
  });

  it('is ten minutes when nobody says, and patience for everything else stays', async () => {
    const proposal = await proposeSwitchover(world.context, 'web');
    const { runId, input } = proposal;
    expect(await waitOf(proposal)).toBe(600_000);
    const options = { ...input.options, bootWaitMs: 20_000 };
    const work = await makeWork(world.context, {
      ...{ runId, moment: 'switchover' },
      input: { ...input, options },
    });
    expect(patienceOf(work)).toEqual({ ...DEFAULT_PATIENCE, bootMs: 20_000 });
  });

  it('is said of the start of a VM in the same way', async () => {
    const { context } = world;
    await stopScenario(context, 'web');
    const proposal = await proposeVmStart(context, 'web', { bootWaitMs: 45_000 });
    await expect(startVm(context, proposal)).rejects.toMatchObject({ code: 'AllocationFailed' });
    const again = await proposeVmStart(context, 'web');
    expect([again.runId, await waitOf(again)]).toEqual([proposal.runId, 45_000]);
    azureIsFull = false;
    expect((await startVm(context, again)).status.state).toBe('switched-over');
  });
});
