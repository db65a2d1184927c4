import { afterEach, beforeEach, expect, it } from 'vitest';
import { ChecksFailed } from '../../src/control/checks-failed.ts';
import { scheduleDrills } from '../../src/control/drill.ts';
import { createScenario } from '../../src/control/scenario.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { exportScenario, scenarioFileFromYaml } from '../../src/control/scenario-yaml.ts';
import { scenarioEditWizard, scenarioWizard } from '../../wizards/scenario.ts';
import { NETWORK_ID } from '../fakes/fake-cloud.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;
beforeEach(async () => {
  world = await scenarioWorld();
});
afterEach(() => world.close());

/** Makes it, accepting whatever is found as long as nothing is wrong about the drills. */
async function made<Report>(make: (accept: readonly string[]) => Promise<Report>): Promise<Report> {
  try {
    return await make([]);
  } catch (error) {
    if (!(error instanceof ChecksFailed)) throw error;
    return make(error.verdicts.filter((one) => one.status === 'warning').map((one) => one.code));
  }
}

it('a subnet for drills is said in YAML, is looked at, comes back as it went out, and outlives an edit', async () => {
  const preset = { ...ANSWERS };
  await made((accept) => scenarioWizard(world.context, { preset, yes: true, accept }));
  const { yaml } = await exportScenario(world.context, 'web');
  await removeScenario(world.context, 'web', { deleteReplica: false });

  const drill = 'drill:\n  virtualNetwork: recovery/lan\n  subnet: drills\n';
  const file = await scenarioFileFromYaml(yaml + drill);
  const imported = await made((accept) => createScenario(world.context, file, { accept, command: 'import' }));
  expect(imported.scenario.drill).toEqual({ virtualNetworkId: NETWORK_ID, subnetName: 'drills' });
  expect(imported.scenario.acceptedWarnings.map((one) => one.code)).toContain('DRILL_SUBNET_UNKNOWN');
  expect((await exportScenario(world.context, 'web')).yaml).toContain(drill);

  const changes = { scenario: 'web', vmSize: 'Standard_B2s' };
  const edited = await scenarioEditWizard(world.context, { preset: changes, yes: true });
  expect(edited.scenario).toMatchObject({ vm: { size: 'Standard_B2s' }, drill: imported.scenario.drill });

  await scheduleDrills(world.context, 'web', 'weekly sun 03:00');
  const again = await scenarioEditWizard(world.context, {
    preset: { scenario: 'web', vmSize: 'Standard_D2s_v5' },
    yes: true,
  });
  expect(again.scenario.drillSchedule).toBe('weekly sun 03:00');
  expect((await exportScenario(world.context, 'web')).yaml).toContain('drillSchedule: weekly sun 03:00');
  const scheduled = await scenarioFileFromYaml(`${yaml}drillSchedule: monthly 1 03:00\n`);
  expect(scheduled.drillSchedule).toBe('monthly 1 03:00');
  await expect(scenarioFileFromYaml(`${yaml}drillSchedule: sometimes\n`)).rejects.toMatchObject({
    next: expect.stringContaining('drillSchedule'),
  });

  const nowhere = await scenarioFileFromYaml(yaml + drill.replace('lan', 'wan'));
  const importing = createScenario(
    world.context,
    { ...nowhere, name: 'other' },
    { accept: [], command: 'import' },
  );
  await expect(importing).rejects.toMatchObject({ next: expect.stringContaining('drill.virtualNetwork') });
});
