import { inputError } from '../errors.ts';
import {
  ASKED_IN_SUBNET,
  admissionText,
  admittedTo,
  askFromProblem,
  drillSubnetOf,
} from '../model/drill-place.ts';
import { parseDrillSchedule } from '../model/drill-schedule.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { inherited } from './group/named.ts';
import { scenarioNamed } from './scenario-named.ts';

/**
 * What a scenario says about its drills. It may be set at any time, also while the scenario replicates: it counts from
 * the next drill on, and one that is there goes on as it was begun.
 */

export interface DrillChange {
  /** Null takes it away. */
  readonly schedule?: string | null;
  /** Null: nobody may ask. */
  readonly askFrom?: string | null;
}

/** All of it is looked at before any of it is saved. */
export async function setDrills(context: Context, name: string, change: DrillChange): Promise<Scenario> {
  const scenario = await scenarioNamed(context, name);
  const { schedule, askFrom } = change;
  if (typeof schedule === 'string' && !parseDrillSchedule(schedule)) {
    throw inputError(
      'SCHEDULE_UNKNOWN',
      `"${schedule}" is no schedule.`,
      'Write daily 03:00, weekly sun 03:00, monthly 1 03:00 (in UTC), or off.',
    );
  }
  if (askFrom !== undefined) refuseAsker(scenario, askFrom);
  return context.store.scenarios.update(scenario.id, ({ drill, drillSchedule, ...rest }) => {
    const place = askFrom === undefined ? drill : askFrom === null ? undefined : { askFrom };
    const when = schedule === undefined ? drillSchedule : (schedule ?? undefined);
    return {
      ...rest,
      ...(place === undefined ? {} : { drill: place }),
      ...(when === undefined ? {} : { drillSchedule: when }),
    };
  });
}

function refuseAsker(scenario: Scenario, askFrom: string | null): void {
  if (drillSubnetOf(scenario)) {
    throw inputError(
      'DRILL_HAS_SUBNET',
      `Nobody is to be named for drills of ${scenario.name}: ${ASKED_IN_SUBNET}.`,
      'Leave --ask-from out.',
    );
  }
  const problem = askFrom === null ? undefined : askFromProblem(askFrom);
  if (problem !== undefined) throw inputError('ASK_FROM_WRONG', `"${askFrom}" cannot be let in.`, problem);
}

export interface DrillSettings {
  readonly scenario: string;
  /** Its own or its group's. Null: by hand only. */
  readonly schedule: string | null;
  /** Null: nobody. */
  readonly askFrom: string | null;
  /** In words. */
  readonly place: string;
}

export async function settingsOf(context: Context, name: string): Promise<DrillSettings> {
  const scenario = await scenarioNamed(context, name);
  const { drill } = scenario;
  const asHeld = await inherited(context, scenario);
  return {
    scenario: scenario.name,
    schedule: asHeld.drillSchedule ?? null,
    askFrom: drill && 'askFrom' in drill ? drill.askFrom : null,
    place: placeText(asHeld),
  };
}

/** Where a drill is held, and who may ask there. */
export function placeText(scenario: Scenario): string {
  const subnet = drillSubnetOf(scenario);
  if (subnet)
    return `In ${subnet.virtualNetworkId.split('/').at(-1)}/${subnet.subnetName}; that nothing leaves it is looked at first.`;
  const admitted = admittedTo(scenario);
  if (admitted)
    return `In a network of its own: nothing leaves it, and only ${admissionText(admitted)} enters it, for the health check.`;
  const unasked = scenario.healthChecks.length > 0;
  const hint = unasked
    ? ` So its health check is skipped; to have it asked: standby drill ${scenario.name} --ask-from ADDRESS`
    : '';
  return `In a network of its own that nothing leaves and nothing enters.${hint}`;
}
