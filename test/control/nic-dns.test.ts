import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ScenarioLookups } from '../../src/control/scenario-lookups.ts';
import { nicScreens } from '../../src/control/scenario-nic-questions.ts';
import { exportScenario, scenarioFileFromYaml } from '../../src/control/scenario-yaml.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

/** A domain controller of the site: it asks itself first, and then another one. */
const NICS = [
  { id: 'nic0', name: 'eth0', addresses: ['10.0.1.30'], dnsServers: ['127.0.0.1', '::1', '10.0.1.9'] },
  { id: 'nic1', name: 'eth1', addresses: ['192.168.9.10'] },
];

let world: ScenarioWorld;
beforeEach(async () => {
  world = await scenarioWorld({ nics: NICS });
});
afterEach(() => world.close());

const create = (answers: Record<string, unknown>) =>
  scenarioWizard(world.context, { preset: { ...ANSWERS, ...answers }, yes: true });

describe('Whom the standby asks for names', () => {
  it('is the virtual network, unless somebody chooses others', async () => {
    const { scenario } = await create({});
    expect(scenario.nics.map(({ dnsServers }) => dnsServers)).toEqual([undefined, undefined]);
  });

  it('is proposed from what the master asks, with what that means', async () => {
    const screens = nicScreens(new ScenarioLookups(world.context));
    const questionOf = (name: string) =>
      screens.find((screen) => screen.name === name)?.question({ ...ANSWERS, region: 'japaneast' });
    expect(await questionOf('dnsServers')).toMatchObject({
      default: 'network',
      choices: [{ value: 'network' }, { value: '10.0.1.9', label: 'those of the master: 10.0.1.9' }],
      before: expect.stringContaining('not when the site is gone'),
    });
    expect((await questionOf('dnsServers1'))?.choices).toHaveLength(1);
  });

  it('is kept by the scenario, by its file, and by whoever edits it', async () => {
    const { scenario } = await create({ dnsServers: '10.0.1.9, 10.0.1.10', dnsServers1: 'Network' });
    expect(scenario.nics.map(({ dnsServers }) => dnsServers)).toEqual([['10.0.1.9', '10.0.1.10'], undefined]);
    const { yaml } = await exportScenario(world.context, 'web');
    expect((await scenarioFileFromYaml(yaml)).nics[0]?.dnsServers).toEqual(['10.0.1.9', '10.0.1.10']);
    const wrong = yaml.replace('10.0.1.10', 'dns.example.com');
    await expect(scenarioFileFromYaml(wrong)).rejects.toMatchObject({ code: 'SCENARIO_INVALID' });
  });

  it.each(['127.0.0.1', '10.0.1.9,', 'dns.example.com', '10.0.1.300'])('is not %s', async (dnsServers) => {
    await expect(create({ dnsServers })).rejects.toMatchObject({ kind: 'input' });
    expect(await world.context.store.scenarios.list()).toEqual([]);
  });
});
