import { inputError, type StandbyError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';

export type FailbackSource = 'standby' | 'replica';

/** Why a failback cannot begin now; undefined when it can. Asked before the run is made and again by its first step. */
export function refusalToFailBack(
  { name }: Pick<Scenario, 'name'>,
  status: ScenarioStatus,
  source: FailbackSource,
  runId?: string,
): StandbyError | undefined {
  const { state, activeRunId, standbyVmId, synchronisedAtMs } = status;
  if (state === 'failing-back') {
    if (activeRunId === runId || (activeRunId === undefined && source === 'standby')) return undefined;
    return inputError(
      'FAILBACK_UNFINISHED',
      `A failback of "${name}" was begun and is not finished.`,
      activeRunId ? `Go on: standby resume ${activeRunId}` : `Finish it: standby failback ${name} --finish`,
    );
  }
  if (source === 'standby') {
    if (state === 'switched-over' && standbyVmId !== undefined) return undefined;
    return inputError(
      'NOT_SWITCHED_OVER',
      `Scenario "${name}" is ${state}: there is no standby to come home from.`,
      `To write the replica as it stands onto a new disk of the master: standby failback ${name} --from-replica`,
    );
  }
  if (standbyVmId !== undefined) {
    return inputError(
      'STANDBY_EXISTS',
      `Scenario "${name}" has a standby VM, whose data are newer than the replica.`,
      `Come home with its data: standby failback ${name}. To give them up: standby vm stop ${name} --remove`,
    );
  }
  if (FROM_REPLICA.has(state) && synchronisedAtMs !== undefined) return undefined;
  return inputError(
    'NOTHING_COPIED',
    `There is no finished copy of "${name}" to restore from; it is ${state}.`,
    `Look: standby status ${name}`,
  );
}

const FROM_REPLICA = new Set(['synchronised', 'replicating', 'resync-needed', 'stopped']);
