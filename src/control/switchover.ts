import { randomUUID } from 'node:crypto';
import { inputError, isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Plan, RunRecord } from '../plan/plan.ts';
import { refusalToSwitchOver } from '../switchover/ready.ts';
import { reportNotices, type SwitchoverReport, switchoverReport } from '../switchover/report.ts';
import { FENCE_MASTER } from '../switchover/steps/fence-master.ts';
import { type SwitchoverOptions, switchoverPlan } from '../switchover/switchover.ts';
import { withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';
import { keptDrills, unfinishedDrills } from './drill.ts';
import { carryOutOrFollow } from './follow.ts';
import { type Chosen, type LossStatement, lossOf } from './loss.ts';
import { refreshedMaster } from './master.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { freshInput, makeWork, type ScenarioRunInput, takeBack } from './scenario-work.ts';
import { choosePoint, type PointRequest, sealOptionsOf } from './switchover-point.ts';

export const SWITCHOVER = 'switchover';

/** A switchover that has been looked at but not begun: what the person confirms. */
export interface SwitchoverProposal {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly runId: string;
  readonly input: ScenarioRunInput;
  readonly plan: Plan;
  /** Every Azure resource it will make, with its name. */
  readonly makes: readonly { readonly type: string; readonly name: string }[];
  /** Up to which moment of the master the standby will have its data, and what is known to be lost. */
  readonly loss: LossStatement;
  /** An unfinished switchover that is gone on with. */
  readonly unfinished?: RunRecord;
}

export interface SwitchoverRequest extends PointRequest {
  readonly acceptUnprovenBoot?: boolean;
  /** How long signs of life are waited for; else as long as `DEFAULT_PATIENCE` says. */
  readonly bootWaitMs?: number;
  /** The replica does not follow its master, and the operator goes on all the same (G-70). */
  readonly acceptUnprotected?: boolean;
  /** The standby is needed, and its redirection or the scripts do not work. */
  readonly leaveOutRedirect?: boolean;
  /** The master is there: it is stopped, and nothing of it is lost. */
  readonly planned?: boolean;
  /** A person has made sure that the master, which cannot be reached, is off. */
  readonly masterIsDown?: boolean;
  readonly leaveOutScripts?: boolean;
  /** The copy is to start as it is. */
  readonly leaveOutPatch?: boolean;
}

function planOptions({ options }: ScenarioRunInput): SwitchoverOptions {
  const seal = sealOptionsOf(options);
  return {
    ...(seal ? { seal } : {}),
    ...(options.acceptUnprotected === true ? { acceptUnprotected: true } : {}),
    ...(options.planned === true ? { planned: true } : {}),
  };
}

/** A switchover that was begun keeps its position: the replica may have been brought there already. */
async function chosenPoint(
  context: Context,
  scenario: Scenario,
  request: PointRequest,
  kept: ScenarioRunInput | undefined,
): Promise<Chosen> {
  if (!kept) return choosePoint(context, scenario, request);
  const { point = { latest: true }, drain = true } = sealOptionsOf(kept.options) ?? {};
  const isSame = request.point === undefined || JSON.stringify(request.point) === JSON.stringify(point);
  if (isSame && (request.waitForJournals ?? drain) === drain) return { point, waitForJournals: drain };
  throw inputError(
    'POINT_IS_CHOSEN',
    `The unfinished switchover of ${scenario.name} was begun to another position.`,
    `Go on with that (leave --to, --to-time and --no-wait-for-journals out), or take it back first: standby switchover ${scenario.name} --undo`,
  );
}

/** A planned switchover stops a master that is there, and takes everything of it. */
async function refuseToPlan(context: Context, scenario: Scenario, request: SwitchoverRequest): Promise<void> {
  const { name } = scenario;
  if (!isLiveCapture(scenario.capture)) {
    throw inputError(
      'NOT_LIVE',
      `Scenario ${name} is copied at rest: its master stands still already, and nothing is drained.`,
      `Switch over without --planned: standby switchover ${name}`,
    );
  }
  const isLatest = request.point === undefined || 'latest' in request.point;
  if (!isLatest || request.waitForJournals === false || request.masterIsDown) {
    throw inputError(
      'PLANNED_MEANS_ALL',
      'A planned switchover takes all that the master has written, so the master must be there.',
      'Leave out --to, --to-time, --no-wait-for-journals and --master-is-down.',
    );
  }
  const fencing = await fencingOf(context, { scenario });
  if (fencing?.isHere) return;
  throw inputError(
    'PLANNED_NOT_POSSIBLE',
    fencing
      ? `The master ${fencing.hostName} is not reached, so it cannot be stopped and drained.`
      : `The engine of the master of ${name} has no command that takes it off the network.`,
    fencing
      ? `Start its engine, or switch over without --planned: standby switchover ${name}`
      : 'Start it with one on the master: standby engine master --fence COMMAND',
  );
}

function plannedLoss(loss: LossStatement): LossStatement {
  const text =
    'Planned: the master is taken off the network first, everything it has written is waited for, and both ends are ' +
    'compared by digest. Nothing that its clients wrote is lost.';
  return { ...loss, text };
}

/** Whether the master that a switchover has to fence is there; undefined when there is nothing (left) to fence. */
export async function fencingOf(
  context: Context,
  { scenario, unfinished }: Pick<SwitchoverProposal, 'scenario' | 'unfinished'>,
): Promise<{ readonly hostName: string; readonly isHere: boolean } | undefined> {
  const isDone = unfinished?.steps.some((step) => step.stepId === FENCE_MASTER && step.status === 'done');
  const known = isDone ? undefined : await context.store.masters.get(scenario.masterId);
  if (!known) return undefined;
  const { inventory } = await refreshedMaster(context, known);
  if (!inventory.fence) return undefined;
  const { hostName } = inventory;
  try {
    const presences = await withAppliance(context, scenario, (session) => session.masters());
    return { hostName, isHere: presences.some((one) => one.masterId === known.id && one.connected) };
  } catch (error) {
    // Without its appliance nothing can be sealed either: the run says so itself.
    if (!isStandbyError(error) || error.retry !== 'later') throw error;
    return { hostName, isHere: true };
  }
}

/** Refuses what cannot be switched over, and shows what would be made. Changes nothing. */
export async function proposeSwitchover(
  context: Context,
  name: string,
  request: SwitchoverRequest = {},
): Promise<SwitchoverProposal> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  const unfinished = await unfinishedOf(context, scenario);
  const runId = unfinished?.id ?? randomUUID();
  const accepted = {
    ...(request.acceptUnprovenBoot ? { acceptUnprovenBoot: true } : {}),
    ...(request.acceptUnprotected ? { acceptUnprotected: true } : {}),
    ...(request.masterIsDown ? { masterIsDown: true } : {}),
    ...(request.leaveOutRedirect ? { leaveOutRedirect: true } : {}),
    ...(request.leaveOutScripts ? { leaveOutScripts: true } : {}),
    ...(request.leaveOutPatch ? { leaveOutPatch: true } : {}),
    ...(request.bootWaitMs === undefined ? {} : { bootWaitMs: request.bootWaitMs }),
  };
  const refusal = unfinished ? undefined : refusalToSwitchOver(scenario, status, runId, accepted);
  if (refusal) throw refusal;
  const kept = unfinished?.input as ScenarioRunInput | undefined;
  if (request.planned && kept && kept.options.planned !== true) {
    throw inputError(
      'RUN_NOT_PLANNED',
      `The unfinished switchover of ${scenario.name} was not begun as a planned one.`,
      `Go on without --planned, or take it back first: standby switchover ${scenario.name} --undo`,
    );
  }
  if (request.planned && !kept) await refuseToPlan(context, scenario, request);
  const chosen = await chosenPoint(context, scenario, request, kept);
  const point = 'latest' in chosen.point ? {} : { point: chosen.point };
  const wait = chosen.waitForJournals ? {} : { waitForJournals: false };
  const input = kept
    ? { ...kept, options: { ...kept.options, ...accepted } }
    : await freshInput(context, scenario, {
        ...accepted,
        ...point,
        ...wait,
        ...(request.planned ? { planned: true } : {}),
      });
  const work = await makeWork(context, { runId, input, moment: 'switchover' });
  const plan = switchoverPlan(work, planOptions(input));
  return {
    scenario,
    status,
    runId,
    input,
    plan,
    makes: plan.stages.flat().flatMap((step) => step.makes ?? []),
    loss:
      input.options.planned === true
        ? plannedLoss(await lossOf(context, scenario, status, chosen))
        : await lossOf(context, scenario, status, chosen),
    ...(unfinished ? { unfinished } : {}),
  };
}

export interface SwitchoverOutcome {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
  readonly report: SwitchoverReport;
  /** As it was shown before the confirmation. */
  readonly loss: LossStatement;
}

export { offeredPoints, type PointRequest } from './switchover-point.ts';

/** The report for people. */
export { reportNotices };

/** Begins or goes on with what `proposeSwitchover` showed. */
export async function switchOver(context: Context, proposal: SwitchoverProposal): Promise<SwitchoverOutcome> {
  const { scenario } = proposal;
  await tellOfDrills(context, scenario);
  const { run, input, plan } = await begun(context, proposal);
  const done = await carryOutOrFollow(context, run, plan);
  const work = await makeWork(context, { runId: run.id, input, moment: 'switchover' });
  return {
    scenario,
    status: await statusOf(context, scenario),
    run: done,
    report: switchoverReport(work, done),
    loss: proposal.loss,
  };
}

/** They hinder nothing, but what they have made counts in the quota. */
async function tellOfDrills(context: Context, scenario: Scenario): Promise<void> {
  const left =
    (await unfinishedDrills(context, scenario)).length + (await keptDrills(context, scenario)).length;
  if (left === 0) return;
  const text = `A drill of ${scenario.name} is still there and takes its share of the quota. If Azure has no room: standby drill ${scenario.name} --remove`;
  context.host.tell({ kind: 'text', level: 'warning', text });
}

/** Somebody else may have begun the same switchover meanwhile: then it is that one, if it is to the same position in the same way. */
async function begun(
  context: Context,
  { scenario, runId: id, input, plan, unfinished }: SwitchoverProposal,
): Promise<{ readonly run: RunRecord; readonly input: ScenarioRunInput; readonly plan: Plan }> {
  if (unfinished) return { run: unfinished, input, plan };
  const title = `Switch ${scenario.name} over`;
  try {
    const facts = { id, kind: SWITCHOVER, subject: scenario.id, title, input };
    return { run: await context.store.runs.create(facts), input, plan };
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'RUN_IN_PROGRESS') throw error;
    const run = await unfinishedOf(context, scenario);
    const theirs = run?.input as ScenarioRunInput | undefined;
    if (!run || !theirs || JSON.stringify(theirs.options) !== JSON.stringify(input.options)) throw error;
    const work = await makeWork(context, { runId: run.id, input: theirs, moment: 'switchover' });
    return { run, input: theirs, plan: switchoverPlan(work, planOptions(theirs)) };
  }
}

/** `standby resume` for a run of this kind. */
export async function resumeSwitchover(context: Context, run: RunRecord): Promise<SwitchoverOutcome> {
  const { scenario } = run.input as ScenarioRunInput;
  return switchOver(context, await proposeSwitchover(context, scenario.name));
}

export interface UndoReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
}

export interface UndoChoice {
  /** It is lost: what it holds stays as it is. */
  readonly withoutAppliance?: boolean;
}

/** Takes back exactly what an unfinished switchover has made; refused after its commit point. */
export async function undoSwitchover(
  context: Context,
  name: string,
  choice: UndoChoice = {},
): Promise<UndoReport> {
  const scenario = await scenarioNamed(context, name);
  const unfinished = await unfinishedOf(context, scenario);
  if (!unfinished) {
    const status = await statusOf(context, scenario);
    if (status.state === 'switched-over') throw pastCommit(scenario);
    throw inputError(
      'NOTHING_TO_UNDO',
      `Scenario ${scenario.name} has no unfinished switchover.`,
      `Look: standby status ${scenario.name}`,
    );
  }
  return undoSwitchoverRun(context, unfinished, choice);
}

function pastCommit({ name }: Scenario): Error {
  return inputError(
    'PAST_COMMIT',
    `The switchover of ${name} is complete; it can no longer be undone.`,
    `Only forward from here: standby status ${name}. To give the standby up, and what it has written: standby vm stop ${name} --remove`,
  );
}

/** Also `standby resume RUN --undo`. */
export async function undoSwitchoverRun(
  context: Context,
  unfinished: RunRecord,
  choice: UndoChoice = {},
): Promise<UndoReport> {
  const input = unfinished.input as ScenarioRunInput;
  const made = await makeWork(context, { runId: unfinished.id, input, moment: 'switchover' });
  const work = { ...made, ...choice };
  const run = await takeBack(context, unfinished, switchoverPlan(work, planOptions(input)));
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run };
}

async function unfinishedOf(context: Context, scenario: Scenario): Promise<RunRecord | undefined> {
  return (await unfinishedRuns(context, scenario)).find((run) => run.kind === SWITCHOVER);
}
