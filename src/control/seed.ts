import { inputError } from '../errors.ts';
import type { Scenario } from '../model/scenario.ts';
import { ATTACH_REPLICA_DISKS, type AttachedDisks } from '../synchronise/steps/attach-replica-disks.ts';
import type { Context } from './context.ts';
import { runScenario } from './run.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import type { ScenarioRunInput } from './scenario-work.ts';
import { isForSeed, synchronised } from './sync-history.ts';

export interface PreparedReplica {
  readonly scenario: Scenario;
  readonly epoch: number;
  readonly runId: string;
  readonly resumed: boolean;
  readonly disks: readonly { readonly diskId: string; readonly lun: number; readonly sizeBytes: number }[];
}

/**
 * Makes the replica disks of a scenario's first synchronisation and attaches them, so that a seed can be written onto
 * them on the appliance. Nothing is copied; `standby run` afterwards compares and sends what differs.
 */
export async function prepareSeed(
  context: Context,
  name: string,
  accept: readonly string[],
): Promise<PreparedReplica> {
  const scenario = await scenarioNamed(context, name);
  const [copying] = (await unfinishedRuns(context, scenario)).filter((run) => !isForSeed(run));
  if (copying) {
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${name} has an unfinished ${copying.kind} (${copying.id}).`,
      `Give it up first: standby stop ${name}`,
    );
  }
  if ((await synchronised(context, scenario)).length > 0) {
    throw inputError(
      'SEED_NOT_NEEDED',
      `Scenario ${name} was synchronised before: a run sends only what differs.`,
      `Run it: standby run ${name}`,
    );
  }
  const { run, status, resumed } = await runScenario(context, name, { accept, forSeed: true });
  const { inventory } = run.input as ScenarioRunInput;
  const attached = run.steps.find(({ stepId }) => stepId === ATTACH_REPLICA_DISKS);
  const luns = (attached?.output as AttachedDisks | undefined)?.luns ?? {};
  const disks = inventory.disks.flatMap(({ id: diskId, sizeBytes }) => {
    const lun = luns[diskId];
    return lun === undefined ? [] : [{ diskId, lun, sizeBytes }];
  });
  return { scenario, epoch: status.epoch, runId: run.id, resumed, disks };
}
