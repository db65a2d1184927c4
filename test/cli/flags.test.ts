import { describe, expect, it } from 'vitest';
import { ACCOUNT_FLAGS } from '../../src/cli/account.ts';
import { DEPLOY_FLAGS } from '../../src/cli/appliance.ts';
import { SCENARIO_FLAGS } from '../../src/cli/scenario-flags.ts';
import { accountQuestions } from '../../src/control/account-questions.ts';
import { deployScreens } from '../../src/control/appliance/screens.ts';
import { ScenarioLookups } from '../../src/control/scenario-lookups.ts';
import { scenarioScreens } from '../../src/control/scenario-questions.ts';
import { ACCOUNT_ANSWERS } from '../../wizards/account.ts';
import { makeContext } from '../control/make-context.ts';

const namesOf = (flags: readonly { readonly name: string }[]) => flags.map((flag) => flag.name).sort();

describe('Every question', () => {
  it('of an account has its flag, except the secret', () => {
    const asked = accountQuestions({ environment: 'custom' });
    expect(namesOf(asked)).toEqual([...ACCOUNT_ANSWERS].sort());
    expect(namesOf(ACCOUNT_FLAGS)).toEqual(namesOf(asked.filter((question) => !question.noFlag)));
  });

  it('of an appliance and of a scenario has its flag', async () => {
    const context = await makeContext();
    expect(namesOf(DEPLOY_FLAGS)).toEqual(namesOf(deployScreens(context)));
    const screens = scenarioScreens(new ScenarioLookups(context), { offerJoin: false, takenNames: [] });
    expect(namesOf(SCENARIO_FLAGS)).toEqual(namesOf(screens));
    await context.close();
  });
});
