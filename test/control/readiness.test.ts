import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readinessOfScenario } from '../../src/control/readiness.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;
beforeEach(async () => {
  world = await scenarioWorld();
  await scenarioWizard(world.context, { preset: ANSWERS, yes: true });
});
afterEach(() => world.close());

describe('The readiness of a scenario', () => {
  it('is what its appliance finds on the disk that the master starts from', async () => {
    const fault = { code: 'ROOT_NAME', status: 'error', title: 'Root', found: 'root=/dev/sda1' } as const;
    world.appliance.readiness = {
      verdict: 'not ready',
      os: { family: 'linux', name: 'Debian' },
      generation: 1,
      verdicts: [fault],
    };
    expect(await readinessOfScenario(world.context, 'web')).toEqual({
      scenario: 'web',
      diskId: 'disk0',
      ...world.appliance.readiness,
    });
  });

  it('of a scenario that does not exist names those there are', async () => {
    await expect(readinessOfScenario(world.context, 'wep')).rejects.toMatchObject({
      code: 'SCENARIO_UNKNOWN',
      next: 'Choose one of: web.',
    });
  });
});
