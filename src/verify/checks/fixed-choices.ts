import type { Check, Finding } from '../check.ts';
import { error, ok, wrong } from '../check.ts';

/** What a scenario file may not say, however it was written: only a person switches over. */
export const fixedChoices: Check = {
  id: 'fixed-choices',
  title: 'Switchover by hand, monitoring',
  group: 'Master',
  uses: [],
  codes: {
    SWITCHOVER_NOT_MANUAL: error(
      'A full-system scenario to Azure switches over by hand only.',
      'Set switchoverMode to manual.',
    ),
    IS_ALIVE_ON_FOR_MIGRATION: error(
      'A migration has no path from the appliance to the master.',
      'Turn is-alive off.',
    ),
  },
  async run({ scenario }): Promise<readonly Finding[]> {
    const findings: Finding[] = [];
    // Read as text: an edited or imported file can hold anything.
    const mode: string = scenario.switchoverMode;
    if (mode !== 'manual') {
      const found = `Switchover mode is "${mode}"; a full-system scenario to Azure switches over by hand only.`;
      findings.push(wrong('SWITCHOVER_NOT_MANUAL', found, 'manual', 'Set switchoverMode to manual.'));
    }
    if (scenario.purpose === 'migration' && scenario.isAlive.ping) {
      const found =
        'Is-alive ping is on; a migration has no path from the appliance to the master to rely on.';
      findings.push(wrong('IS_ALIVE_ON_FOR_MIGRATION', found, 'off', 'Turn is-alive off.'));
    }
    if (findings.length > 0) return findings;
    return [ok('FIXED_CHOICES_OK', `manual switchover, is-alive ${scenario.isAlive.ping ? 'on' : 'off'}`)];
  },
};
