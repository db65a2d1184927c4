import {
  type Check,
  type CheckFacts,
  doubtful,
  type Finding,
  ok,
  type Rung,
  skipped,
  unseen,
  warning,
} from '../check.ts';
import { sameName } from '../region.ts';
import { policies } from './policies.ts';
import { quota } from './quota.ts';
import { sizeFit } from './size-fit.ts';
import { vmSize } from './vm-size.ts';

/** What is asked of the first size is asked of each one to fall back on. */
const ASKED: readonly Check[] = [policies, vmSize, sizeFit, quota];
/** About the scenario and not about a size: said once, by the check itself. */
const NOT_OF_A_SIZE = ['POLICY_LOCATION', 'POLICY_TYPE'];

/** The sizes and zones to fall back on when Azure has no room, each judged by itself. */
export const ladder: Check = {
  id: 'ladder',
  title: 'Capacity ladder',
  group: 'Capacity',
  uses: ['catalogue.sizes', 'catalogue.usages', 'access.policies', 'groups.get'],
  codes: {
    RUNG_UNFIT: warning(
      'A size or zone to fall back on could not be used today; the text names everything that is wrong with it.',
      'Put another one in its place: `standby scenario edit`.',
    ),
    LADDER_NONE: unseen(
      'The scenario names one size and zone and nothing to fall back on.',
      'Nothing; should Azure have no room for the size, choose another one then.',
    ),
  },
  async run(facts): Promise<readonly Finding[]> {
    // The first rung is what the scenario asks for; the other checks judge it.
    const rungs = (facts.rungs ?? []).slice(1);
    if (rungs.length === 0)
      return [skipped('LADDER_NONE', `nothing to fall back on is set for ${facts.scenario.vm.size}`)];
    return Promise.all(rungs.map((rung, index) => judge(rung, index + 2, facts)));
  },
};

async function judge(rung: Rung, number: number, facts: CheckFacts): Promise<Finding> {
  const name = rung.zone === undefined ? rung.size : `${rung.size} in zone ${rung.zone}`;
  const onRung = standingOn(rung, facts);
  const found = (await Promise.all(ASKED.map((check) => check.run(onRung)))).flat();
  const bad = found.filter((one) => one.status === 'error' && !NOT_OF_A_SIZE.includes(one.code));
  if (bad.length === 0) return ok('RUNG_FITS', `${number}. ${name}`);
  const text = bad.map((one) => `${one.code}: ${one.found}`).join(' ');
  const next = `Choose another size or zone to fall back on: standby scenario edit ${facts.scenario.name}`;
  return doubtful('RUNG_UNFIT', `${number}. ${name} cannot be used. ${text}`, 'one that can be used', next);
}

/** The scenario as it would be with this size in this zone. */
function standingOn({ size, zone }: Rung, facts: CheckFacts): CheckFacts {
  const { zone: _, ...rest } = facts.scenario.vm;
  const vm = { ...rest, size, ...(zone === undefined ? {} : { zone }) };
  const { region } = facts;
  const find = async () => (await region.sizes()).find((one) => sameName(one.name, size));
  return { ...facts, scenario: { ...facts.scenario, vm }, region: { ...region, size: find } };
}
