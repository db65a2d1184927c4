import type { HealthCheck } from './scenario.ts';

/** What scenarios share: what is set here counts for each of them that has not set it itself. */
export interface GroupCommon {
  /** Tried in this order where Azure has no room for a member's own size. */
  readonly fallbackSizes?: readonly string[] | undefined;
  readonly healthChecks?: readonly HealthCheck[] | undefined;
  /** When `standby serve` holds a drill of each member. */
  readonly drillSchedule?: string | undefined;
}

/** Scenarios that switch over side by side. */
export interface GroupWave {
  readonly scenarioIds: readonly string[];
  /** Waited before the next wave begins. */
  readonly delaySeconds?: number | undefined;
  /** The switchover stops behind this wave until a person goes on; what that person is to look at. */
  readonly pause?: string | undefined;
}

/** Scenarios that are switched over together, wave after wave. A scenario is in one group at most. */
export interface Group {
  readonly id: string;
  readonly name: string;
  readonly waves: readonly GroupWave[];
  readonly common: GroupCommon;
  /** So many members switch over at once, at most; what Azure's limits allow unless told. */
  readonly parallel?: number | undefined;
  readonly createdAtMs: number;
}

export const GROUP_MEMBERS_MAX = 200;
export const GROUP_PARALLEL_MAX = 50;
/** A day: longer is a typing error. */
export const GROUP_DELAY_SECONDS_MAX = 86_400;

export function memberIdsOf({ waves }: Pick<Group, 'waves'>): readonly string[] {
  return waves.flatMap((wave) => wave.scenarioIds);
}
