import { afterEach, beforeEach, expect, it } from 'vitest';
import { ChecksFailed } from '../../src/control/checks-failed.ts';
import { setDrills } from '../../src/control/drill-settings.ts';
import { createScenario } from '../../src/control/scenario.ts';
import { scenarioNamed } from '../../src/control/scenario-named.ts';
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

  await setDrills(world.context, 'web', { schedule: 'weekly sun 03:00' });
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

it('who may ask in a drill is a flag and a line in YAML, outlives an edit, and is taken away by none', async () => {
  const health = { healthCheck: 'http', healthPort: '80' };
  const preset = { ...ANSWERS, ...health, drillAskFrom: '203.0.113.7' };
  const { scenario } = await made((accept) => scenarioWizard(world.context, { preset, yes: true, accept }));
  expect(scenario.drill).toEqual({ askFrom: '203.0.113.7' });
  const { yaml } = await exportScenario(world.context, 'web');
  expect(yaml).toContain('drill:\n  askFrom: 203.0.113.7\n');
  expect((await scenarioFileFromYaml(yaml)).drill).toEqual(scenario.drill);

  const edit = (change: object) =>
    scenarioEditWizard(world.context, { preset: { scenario: 'web', ...change }, yes: true });
  expect((await edit({ vmSize: 'Standard_B2s' })).scenario.drill).toEqual(scenario.drill);
  expect((await edit({ drillAskFrom: 'none' })).scenario.drill).toBeUndefined();
  const set = await setDrills(world.context, 'web', { askFrom: '198.51.100.0/28' });
  expect(set.drill).toEqual({ askFrom: '198.51.100.0/28' });
  const both = { askFrom: '203.0.113.7', schedule: 'sometimes' };
  await expect(setDrills(world.context, 'web', both)).rejects.toMatchObject({ code: 'SCHEDULE_UNKNOWN' });
  const one = await setDrills(world.context, 'web', { schedule: 'daily 03:00' });
  expect(one).toMatchObject({ drill: set.drill, drillSchedule: 'daily 03:00' });
  expect((await setDrills(world.context, 'web', { askFrom: null })).drill).toBeUndefined();
});

it.each([
  ['*', 'neither an IPv4 address'],
  ['Internet', 'neither an IPv4 address'],
  ['::/0', 'neither an IPv4 address'],
  ['0.0.0.0/0', 'too wide'],
  ['203.0.0.0/15', 'too wide'],
  ['203.0.113.5/28', 'begins with its own first address'],
  ['10.1.2.3', 'private address'],
])('%s may not ask in a drill: refused in a flag, by the command and in YAML', async (askFrom, words) => {
  const health = { healthCheck: 'http', healthPort: '80' };
  const preset = { ...ANSWERS, ...health, drillAskFrom: askFrom };
  const alone = scenarioWizard(world.context, { preset, yes: true });
  await expect(alone).rejects.toMatchObject({ what: expect.stringContaining(words) });
  await made((accept) =>
    scenarioWizard(world.context, { preset: { ...ANSWERS, ...health }, yes: true, accept }),
  );
  const setting = setDrills(world.context, 'web', { askFrom });
  await expect(setting).rejects.toMatchObject({ next: expect.stringContaining(words) });
  const { yaml } = await exportScenario(world.context, 'web');
  const wrong = scenarioFileFromYaml(`${yaml}drill:\n  askFrom: "${askFrom}"\n`);
  await expect(wrong).rejects.toMatchObject({ next: expect.stringContaining('/16') });
});

it('who may ask is not named beside a subnet for drills, where control asks at the private address', async () => {
  await made((accept) => scenarioWizard(world.context, { preset: { ...ANSWERS }, yes: true, accept }));
  const { yaml } = await exportScenario(world.context, 'web');
  const both = 'drill:\n  virtualNetwork: recovery/lan\n  subnet: drills\n  askFrom: 203.0.113.7\n';
  await expect(scenarioFileFromYaml(yaml + both)).rejects.toMatchObject({
    next: expect.stringContaining('askFrom alone'),
  });
  const { id } = await scenarioNamed(world.context, 'web');
  const drill = { virtualNetworkId: NETWORK_ID, subnetName: 'drills' };
  await world.context.store.scenarios.update(id, (one) => ({ ...one, drill }));
  await expect(setDrills(world.context, 'web', { askFrom: '203.0.113.7' })).rejects.toMatchObject({
    code: 'DRILL_HAS_SUBNET',
  });
  const preset = { scenario: 'web', healthCheck: 'tcp', healthPort: '80', drillAskFrom: '203.0.113.7' };
  const edit = scenarioEditWizard(world.context, { preset, yes: true });
  await expect(edit).rejects.toMatchObject({ next: expect.stringContaining('drill.askFrom') });
});
