import { isStandbyError, messageOf, StandbyError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Verdict } from '../model/verdict.ts';
import { actionsOf } from '../ports/cloud-actions.ts';
import type { Check, CheckFacts, Moment, VerifyFacts } from './check.ts';
import { CHECKS } from './index.ts';
import { regionOf } from './region.ts';
import { isForbidden } from './scopes.ts';

/**
 * Looks at a scenario with every check that fits the moment, side by side, and gives the verdicts in the order of
 * the list. Changes nothing anywhere. A check that could not look says so (CHECK_COULD_NOT_RUN); it is never `ok`.
 */
export async function verifyScenario(
  facts: VerifyFacts,
  checks: readonly Check[] = CHECKS,
): Promise<Verdict[]> {
  const scene: CheckFacts = {
    ...facts,
    otherScenarios: facts.otherScenarios.filter((other) => other.id !== facts.scenario.id),
    region: regionOf(facts.cloud, facts.scenario, facts.appliance),
    looks: actionsOf(...checks.flatMap((check) => check.uses)),
  };
  const fitting = checks.filter((check) => fits(check, facts.moment));
  const verdicts = await Promise.all(fitting.map((check) => runCheck(check, scene)));
  return verdicts.flat();
}

function fits({ moments }: Check, moment: Moment): boolean {
  if (moments === undefined || moments.includes(moment)) return true;
  return moment === 'watch' && moments.includes('create');
}

async function runCheck(check: Check, facts: CheckFacts): Promise<Verdict[]> {
  try {
    const findings = await check.run(facts);
    return findings.map(({ code, status, ...rest }) => ({ code, status, title: check.title, ...rest }));
  } catch (error) {
    return [couldNotRun(check, facts, error)];
  }
}

/**
 * When the scenario is written or run, what could not be looked at counts as an error: there is time to put it
 * right. At switchover it must not stand between the operator and the standby, and Azure itself has the last word.
 * A missing permission to look is never an error: the role may be narrow on purpose.
 */
function couldNotRun(check: Check, facts: CheckFacts, error: unknown): Verdict {
  const forbidden = isForbidden(error);
  return {
    code: 'CHECK_COULD_NOT_RUN',
    status: facts.moment === 'switchover' || forbidden ? 'skipped' : 'error',
    title: check.title,
    found: `The check could not look: ${messageOf(error)}`,
    ...(isStandbyError(error) && error.next ? { next: error.next } : { next: 'Verify again.' }),
  };
}

/** Throws (kind `checks`) when any verdict is an error. */
export function refuseErrors(verdicts: readonly Verdict[], scenario: Pick<Scenario, 'name'>): void {
  const errors = verdicts.filter((verdict) => verdict.status === 'error');
  const first = errors[0];
  if (!first) return;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  throw new StandbyError({
    code: 'CHECKS_FOUND_ERRORS',
    what: `Scenario "${scenario.name}" has ${errors.length === 1 ? 'an error' : `${errors.length} errors`}.`,
    why: `${first.title}: ${first.found}${more}`,
    next: first.next ?? `Look at all of them: standby scenario verify ${scenario.name}`,
    kind: 'checks',
  });
}
