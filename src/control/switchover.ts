import { randomUUID } from 'node:crypto';
import { inputError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Plan, RunRecord } from '../plan/plan.ts';
import { refusalToSwitchOver } from '../switchover/ready.ts';
import { reportNotices, type SwitchoverReport, switchoverReport } from '../switchover/report.ts';
import { type SwitchoverOptions, switchoverPlan } from '../switchover/switchover.ts';
import type { Context } from './context.ts';
import { type Chosen, type LossStatement, lossOf } from './loss.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, type ScenarioRunInput, takeBack } from './scenario-work.ts';
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
  /** The replica does not follow its master, and the operator goes on all the same (G-70). */
  readonly acceptUnprotected?: boolean;
  /** The standby is needed, and its redirection or the scripts do not work. */
  readonly leaveOutRedirect?: boolean;
  readonly leaveOutScripts?: boolean;
}

function planOptions({ options }: ScenarioRunInput): SwitchoverOptions {
  const seal = sealOptionsOf(options);
  return {
    ...(seal ? { seal } : {}),
    ...(options.acceptUnprotected === true ? { acceptUnprotected: true } : {}),
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
    ...(request.leaveOutRedirect ? { leaveOutRedirect: true } : {}),
    ...(request.leaveOutScripts ? { leaveOutScripts: true } : {}),
  };
  const refusal = unfinished ? undefined : refusalToSwitchOver(scenario, status, runId, accepted);
  if (refusal) throw refusal;
  const kept = unfinished?.input as ScenarioRunInput | undefined;
  const chosen = await chosenPoint(context, scenario, request, kept);
  const point = 'latest' in chosen.point ? {} : { point: chosen.point };
  const wait = chosen.waitForJournals ? {} : { waitForJournals: false };
  const input = kept
    ? { ...kept, options: { ...kept.options, ...accepted } }
    : await freshInput(context, scenario, { ...accepted, ...point, ...wait });
  const work = await makeWork(context, { runId, input, moment: 'switchover' });
  const plan = switchoverPlan(work, planOptions(input));
  return {
    scenario,
    status,
    runId,
    input,
    plan,
    makes: plan.stages.flat().flatMap((step) => step.makes ?? []),
    loss: await lossOf(context, scenario, status, chosen),
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
  const { scenario, runId, input, plan } = proposal;
  const run =
    proposal.unfinished ??
    (await context.store.runs.create({
      id: runId,
      kind: SWITCHOVER,
      subject: scenario.id,
      title: `Switch ${scenario.name} over`,
      input,
    }));
  const done = await carryOut(context, run, plan);
  const work = await makeWork(context, { runId, input, moment: 'switchover' });
  return {
    scenario,
    status: await statusOf(context, scenario),
    run: done,
    report: switchoverReport(work, done),
    loss: proposal.loss,
  };
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

/** Takes back exactly what an unfinished switchover has made; refused after its commit point. */
export async function undoSwitchover(context: Context, name: string): Promise<UndoReport> {
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
  return undoSwitchoverRun(context, unfinished);
}

function pastCommit({ name }: Scenario): Error {
  return inputError(
    'PAST_COMMIT',
    `The switchover of ${name} is complete; it can no longer be undone.`,
    `Only forward from here: standby status ${name}. To give the standby up, and what it has written: standby vm stop ${name} --remove`,
  );
}

/** Also `standby resume RUN --undo`. */
export async function undoSwitchoverRun(context: Context, unfinished: RunRecord): Promise<UndoReport> {
  const input = unfinished.input as ScenarioRunInput;
  const work = await makeWork(context, { runId: unfinished.id, input, moment: 'switchover' });
  const run = await takeBack(context, unfinished, switchoverPlan(work, planOptions(input)));
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run };
}

async function unfinishedOf(context: Context, scenario: Scenario): Promise<RunRecord | undefined> {
  return (await unfinishedRuns(context, scenario)).find((run) => run.kind === SWITCHOVER);
}
