import { randomUUID } from 'node:crypto';
import { inputError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import { refusalToStartVm } from '../switchover/ready.ts';
import { type SwitchoverReport, switchoverReport } from '../switchover/report.ts';
import { type VmStopOptions, vmStartPlan, vmStopPlan } from '../switchover/vm.ts';
import type { Context } from './context.ts';
import { onlyUnfinished, scenarioNamed } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, type ScenarioRunInput, takeBack } from './scenario-work.ts';

/** `standby vm start|stop` (G-81, G-82): the standby of a stopped scenario, from its copied disks as they are. */
export const VM_START = 'vm-start';
export const VM_STOP = 'vm-stop';

export interface VmReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
  /** What was made and proven; only of a start. */
  readonly report?: SwitchoverReport;
}

export interface VmStartProposal {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly runId: string;
  readonly input: ScenarioRunInput;
  readonly makes: readonly { readonly type: string; readonly name: string }[];
  readonly unfinished?: RunRecord;
}

/** Refuses what cannot start, and shows what would be made. Changes nothing. */
export async function proposeVmStart(
  context: Context,
  name: string,
  request: { readonly bootWaitMs?: number } = {},
): Promise<VmStartProposal> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  const unfinished = await onlyUnfinished(context, scenario, VM_START);
  const runId = unfinished?.id ?? randomUUID();
  const refusal = unfinished ? undefined : refusalToStartVm(scenario, status, runId);
  if (refusal) throw refusal;
  const { standbyVmId } = status;
  const kept = unfinished?.input as ScenarioRunInput | undefined;
  const input = kept
    ? { ...kept, options: { ...kept.options, ...request } }
    : await freshInput(context, scenario, {
        ...(standbyVmId === undefined ? {} : { existingVmId: standbyVmId }),
        ...request,
      });
  const plan = await startPlan(context, runId, input);
  const makes = plan.stages.flat().flatMap((step) => step.makes ?? []);
  return { scenario, status, runId, input, makes, ...(unfinished ? { unfinished } : {}) };
}

export async function startVm(context: Context, proposal: VmStartProposal): Promise<VmReport> {
  const { scenario, runId, input } = proposal;
  const run =
    proposal.unfinished ??
    (await context.store.runs.create({
      id: runId,
      kind: VM_START,
      subject: scenario.id,
      title: `Start the VM of ${scenario.name}`,
      input,
    }));
  return goOnStarting(context, { ...run, input });
}

export async function resumeVmStart(context: Context, run: RunRecord): Promise<VmReport> {
  return goOnStarting(context, run);
}

async function goOnStarting(context: Context, run: RunRecord): Promise<VmReport> {
  const input = run.input as ScenarioRunInput;
  const done = await carryOut(context, run, await startPlan(context, run.id, input));
  const work = await makeWork(context, { runId: run.id, input, moment: 'switchover' });
  const { scenario } = input;
  return {
    scenario,
    status: await statusOf(context, scenario),
    run: done,
    report: switchoverReport(work, done),
  };
}

export async function undoVmStart(context: Context, run: RunRecord): Promise<VmReport> {
  const input = run.input as ScenarioRunInput;
  const undone = await takeBack(context, run, await startPlan(context, run.id, input));
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run: undone };
}

async function startPlan(context: Context, runId: string, input: ScenarioRunInput) {
  const work = await makeWork(context, { runId, input, moment: 'switchover' });
  const { existingVmId } = input.options;
  return vmStartPlan(work, typeof existingVmId === 'string' ? { existingVmId } : {});
}

/** Deallocates the standby VM; with `remove` everything of the standby goes, and only the replica stays. */
export async function stopVm(
  context: Context,
  name: string,
  options: { readonly remove: boolean },
): Promise<VmReport> {
  const scenario = await scenarioNamed(context, name);
  const unfinished = await onlyUnfinished(context, scenario, VM_STOP);
  if (unfinished) {
    const removes = (unfinished.input as ScenarioRunInput).options.remove === true;
    if (removes && !options.remove) throw removalUnfinished(scenario);
    const report = await resumeVmStop(context, unfinished);
    if (removes === options.remove) return report;
  }
  const status = await statusOf(context, scenario);
  if (status.state === 'failing-back') {
    throw inputError(
      'FAILBACK_UNFINISHED',
      `The standby VM of ${scenario.name} is what its failback comes from.`,
      `Finish it: standby failback ${scenario.name} --finish, or give it up: standby failback ${scenario.name} --undo`,
    );
  }
  if (status.standbyVmId === undefined) {
    throw inputError(
      'NO_STANDBY',
      `Scenario ${scenario.name} has no standby VM.`,
      `Look: standby status ${scenario.name}`,
    );
  }
  const run = await context.store.runs.create({
    id: randomUUID(),
    kind: VM_STOP,
    subject: scenario.id,
    title: `${options.remove ? 'Remove' : 'Stop'} the VM of ${scenario.name}`,
    input: await freshInput(context, scenario, {
      vmId: status.standbyVmId,
      remove: options.remove,
      ...(status.redirected ? { redirected: status.redirected } : {}),
    }),
  });
  return resumeVmStop(context, run);
}

/** Whoever asks for a VM to be stopped has not agreed to lose what it wrote. */
function removalUnfinished({ name }: Scenario): Error {
  return inputError(
    'REMOVAL_UNFINISHED',
    `The removal of the standby of ${name} was begun and is not finished; it can no longer be only stopped.`,
    `Go on with the removal: standby vm stop ${name} --remove`,
  );
}

export async function resumeVmStop(context: Context, run: RunRecord): Promise<VmReport> {
  const input = run.input as ScenarioRunInput;
  const work = await makeWork(context, { runId: run.id, input, moment: 'switchover' });
  const { vmId, remove, redirected } = input.options as Partial<VmStopOptions>;
  const plan = vmStopPlan(work, {
    vmId: String(vmId),
    remove: remove === true,
    ...(redirected ? { redirected } : {}),
  });
  const done = await carryOut(context, run, plan);
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run: done };
}
