import { inputError } from '../errors.ts';
import { ownerIsGone } from '../plan/owner.ts';
import type { RunRecord } from '../plan/plan.ts';
import { resumeDeploy, undoDeploy } from './appliance/deploy.ts';
import { DEPLOY_APPLIANCE } from './appliance/deploy-plan.ts';
import { resumeBackup, undoBackup } from './backup.ts';
import type { Context } from './context.ts';
import { giveUpDrill, resumeDrill, resumeDrillRemove } from './drill.ts';
import { FAILBACK_CANCEL, FAILBACK_KINDS, resumeFailback, undoFailbackRun } from './failback.ts';
import { GROUP_BACK } from './group/back-plan.ts';
import { resumeBackRun, resumeGroupRun } from './group/resume.ts';
import { GROUP_SWITCHOVER } from './group/switch-plan.ts';
import { resumeRun } from './run.ts';
import { BACKUP, DRILL, DRILL_REMOVE, scenarioNamed } from './scenario-named.ts';
import { RUN, type ScenarioRunInput } from './scenario-work.ts';
import { isServe } from './serve-lead.ts';
import { stopScenario } from './stop.ts';
import { resumeSwitchover, SWITCHOVER, undoSwitchoverRun } from './switchover.ts';
import { resumeVmStart, resumeVmStop, undoVmStart, VM_START, VM_STOP } from './vm.ts';

interface RunKind {
  resume(context: Context, run: RunRecord): Promise<unknown>;
  /** Absent: it only goes forward. */
  undo?(context: Context, run: RunRecord): Promise<unknown>;
}

/** How each kind of durable run goes on and is taken back. */
const RUN_KINDS: Readonly<Record<string, RunKind>> = {
  [RUN]: {
    resume: resumeRun,
    undo: (context, run) => stopScenario(context, (run.input as ScenarioRunInput).scenario.name),
  },
  [SWITCHOVER]: { resume: resumeSwitchover, undo: undoSwitchoverRun },
  [VM_START]: { resume: resumeVmStart, undo: undoVmStart },
  [VM_STOP]: { resume: resumeVmStop },
  [FAILBACK_KINDS.prepare]: { resume: resumeFailback, undo: undoFailbackRun },
  [FAILBACK_KINDS.finish]: { resume: resumeFailback, undo: undoFailbackRun },
  [FAILBACK_KINDS['from-replica']]: { resume: resumeFailback, undo: undoFailbackRun },
  [FAILBACK_CANCEL]: { resume: resumeFailback },
  [GROUP_SWITCHOVER]: { resume: resumeGroupRun },
  [GROUP_BACK]: { resume: resumeBackRun },
  [BACKUP]: {
    resume: async (context, run) => ({ run: await resumeBackup(context, run) }),
    undo: async (context, run) => ({ run: await undoBackup(context, run) }),
  },
  [DRILL]: { resume: resumeDrill, undo: giveUpDrill },
  [DRILL_REMOVE]: { resume: async (context, run) => ({ run: await resumeDrillRemove(context, run) }) },
  [DEPLOY_APPLIANCE]: {
    resume: (context, run) => resumeDeploy(context, run.id),
    undo: (context, run) => undoDeploy(context, run.id),
  },
};

/** Newest first. */
export async function listRuns(
  context: Context,
  filter: { readonly scenario?: string; readonly unfinished?: boolean } = {},
): Promise<readonly RunRecord[]> {
  const subject =
    filter.scenario === undefined ? undefined : (await scenarioNamed(context, filter.scenario)).id;
  const runs = await context.store.runs.list({
    ...(subject === undefined ? {} : { subject }),
    ...(filter.unfinished ? { statuses: ['running', 'failed'] as const } : {}),
  });
  return runs.filter((run) => !isServe(run)).toSorted((a, b) => b.createdAtMs - a.createdAtMs);
}

/** `running` is what is written of a run until it ends, also when whoever carried it out is gone. */
export function isInterrupted({ status, held }: RunRecord): boolean {
  return status === 'running' && (!held || ownerIsGone(held.owner));
}

/** By its id, or the first characters of it as long as no other run begins so. */
export async function runNamed(context: Context, idText: string): Promise<RunRecord> {
  const exact = await context.store.runs.get(idText);
  if (exact && !isServe(exact)) return exact;
  const alike = (await context.store.runs.list()).filter(
    (run) => idText.length >= 4 && run.id.startsWith(idText) && !isServe(run),
  );
  const [only] = alike;
  if (only && alike.length === 1) return only;
  throw inputError('RUN_UNKNOWN', `There is no run ${idText}.`, 'List them: standby runs');
}

/** Goes on where an interrupted or failed run stands. What is done already is not done again. */
export async function resume(
  context: Context,
  idText: string,
): Promise<{ readonly run: RunRecord; readonly result: unknown }> {
  const run = await runNamed(context, idText);
  const result = await kindOf(run).resume(context, run);
  return { run: (await context.store.runs.get(run.id)) ?? run, result };
}

/** Takes back exactly what an unfinished run has made. */
export async function undo(
  context: Context,
  idText: string,
): Promise<{ readonly run: RunRecord; readonly result: unknown }> {
  const run = await runNamed(context, idText);
  const { undo: takeBack } = kindOf(run);
  if (!takeBack) {
    throw inputError(
      'NOTHING_TO_UNDO',
      `A ${run.kind} cannot be taken back.`,
      `Go on: standby resume ${run.id}`,
    );
  }
  const result = await takeBack(context, run);
  return { run: (await context.store.runs.get(run.id)) ?? run, result };
}

function kindOf(run: RunRecord): RunKind {
  const kind = RUN_KINDS[run.kind];
  if (kind && ['running', 'failed'].includes(run.status)) return kind;
  throw inputError(
    'RUN_NOT_RESUMABLE',
    kind
      ? `The run ${run.id} is ${run.status}: there is nothing to go on with.`
      : `This version knows no run of kind ${run.kind}.`,
    'List those that can go on: standby runs --unfinished',
  );
}
