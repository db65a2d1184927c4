import { timeText } from '../clock.ts';
import { inputError, type StandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';

/**
 * Why a switchover of this scenario cannot begin now; undefined when it can. Asked before the run is made and again
 * by its first step.
 */
export function refusalToSwitchOver(
  scenario: Pick<Scenario, 'name' | 'capture'>,
  status: ScenarioStatus,
  runId?: string,
  options: { readonly acceptUnprotected?: boolean } = {},
): StandbyError | undefined {
  const { name } = scenario;
  if (isBehind(scenario, status)) return options.acceptUnprotected ? undefined : behind(scenario, status);
  switch (status.state) {
    case 'synchronised':
    case 'replicating':
      return undefined;
    case 'switching-over':
      if (status.activeRunId === runId) return undefined;
      return inputError(
        'SWITCHOVER_UNFINISHED',
        `A switchover of "${name}" was begun and is not finished.`,
        status.activeRunId ? `Go on: standby resume ${status.activeRunId}` : 'Look: standby runs',
      );
    case 'stopped':
      return inputError(
        'SCENARIO_STOPPED',
        `Scenario "${name}" is stopped, and a stopped scenario cannot switch over.`,
        status.synchronisedAtMs === undefined
          ? `Nothing has been copied yet: standby run ${name}`
          : `Start the VM from the copied disks: standby vm start ${name}`,
      );
    case 'switched-over':
      return inputError(
        'ALREADY_SWITCHED_OVER',
        `Scenario "${name}" has switched over already (${status.standbyVmId ?? 'its VM is not known'}).`,
        `Look: standby status ${name}`,
      );
    case 'failing-back':
      return inputError(
        'FAILBACK_UNFINISHED',
        `Scenario "${name}" is coming home; its standby exists already (${status.standbyVmId ?? 'its VM is not known'}).`,
        `Finish it: standby failback ${name} --finish, or give it up, so that the standby goes on: standby failback ${name} --undo`,
      );
    case 'resync-needed':
      return inputError(
        'RESYNC_NEEDED',
        `The replica of "${name}" does not equal its master: ${status.reason ?? 'a copy has failed'}`,
        `Copy again: standby run ${name}`,
      );
    default:
      return inputError(
        'COPY_NOT_FINISHED',
        `Scenario "${name}" is ${status.state}: there is no finished copy to boot from.`,
        `Wait until it is synchronised: standby status ${name}`,
      );
  }
}

/** A live replica that was whole once, and does not follow its master now: possible, but only when a person says so (G-70). */
function isBehind(
  { capture }: Pick<Scenario, 'capture'>,
  { state, synchronisedAtMs }: ScenarioStatus,
): boolean {
  return (
    isLiveCapture(capture) && synchronisedAtMs !== undefined && ['resync-needed', 'draining'].includes(state)
  );
}

function behind({ name }: Pick<Scenario, 'name'>, status: ScenarioStatus): StandbyError {
  const at = status.seen?.appliedAtMs ?? status.synchronisedAtMs ?? 0;
  const means = `the standby then has the data of ${timeText(at)} or a little later, and what the master did after that is lost`;
  const reason = status.reason ?? 'what changed meanwhile has not all come yet';
  const isLost = status.state === 'resync-needed';
  return inputError(
    isLost ? 'RESYNC_NEEDED' : 'SYNC_NOT_FINISHED',
    `The replica of "${name}" does not follow its master now (${status.state}): ${reason}`,
    `${isLost ? `Synchronise anew: standby run ${name}` : `Wait: standby status ${name} --watch`}. If the master is lost: standby switchover ${name} --accept-unprotected (${means})`,
  );
}

/** Why `vm start` cannot begin; undefined when it can. It is for stopped scenarios whose copy once was complete. */
export function refusalToStartVm(
  scenario: Pick<Scenario, 'name'>,
  status: ScenarioStatus,
  runId?: string,
): StandbyError | undefined {
  const { name } = scenario;
  if (status.state === 'switching-over' && status.activeRunId === runId) return undefined;
  if (status.state !== 'stopped' && status.state !== 'switched-over') {
    return inputError(
      'SCENARIO_NOT_STOPPED',
      `Scenario "${name}" is ${status.state}; "vm start" is for a stopped scenario.`,
      `Switch over: standby switchover ${name}, or stop it first: standby stop ${name}`,
    );
  }
  if (status.synchronisedAtMs !== undefined || status.standbyVmId !== undefined) return undefined;
  return inputError(
    'NOTHING_COPIED',
    `There is no finished copy of "${name}" to boot from.`,
    `Copy it: standby run ${name}`,
  );
}
