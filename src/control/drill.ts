import { randomUUID } from 'node:crypto';
import { timeText } from '../clock.ts';
import { inputError, type StandbyError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import { ownerIsGone } from '../plan/owner.ts';
import type { Plan, RunRecord } from '../plan/plan.ts';
import { type DrillOptions, drillPlan, drillRemovePlan, refusalToDrill } from '../switchover/drill.ts';
import { type DrillReport, drillReport } from '../switchover/drill-report.ts';
import { drillSentence } from '../switchover/drill-text.ts';
import { DECLARE_DRILLED, type DrillDeclared } from '../switchover/steps/declare-drilled.ts';
import type { Work } from '../switchover/work.ts';
import type { Context } from './context.ts';
import { drillFolder, keepDrillFile, readDrillReport, writeDrillReport } from './drill-files.ts';
import { placeText } from './drill-settings.ts';
import { priceTable } from './price-file.ts';
import { DRILL, DRILL_REMOVE, scenarioNamed } from './scenario-named.ts';
import { changeStatus, statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, type ScenarioRunInput } from './scenario-work.ts';

/** A drill that has been looked at but not begun: what the person confirms. */
export interface DrillProposal {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly runId: string;
  readonly input: ScenarioRunInput;
  readonly makes: readonly { readonly type: string; readonly name: string }[];
  /** In whose network, and who may ask there; for people. */
  readonly place: string;
  readonly keepHours?: number;
  /** An interrupted drill that is gone on with. */
  readonly unfinished?: RunRecord;
}

export interface DrillRequest {
  readonly keepHours?: number;
  /** The copy is to start as it is. */
  readonly leaveOutPatch?: boolean;
}

export interface DrillResult {
  readonly scenario: Scenario;
  readonly run: RunRecord;
  readonly report: DrillReport;
  readonly sha256: string;
  readonly folder: string;
}

const HOUR_MS = 3_600_000;

/** Refuses what cannot be tried now, and shows what would be made. Changes nothing. */
export async function proposeDrill(
  context: Context,
  name: string,
  request: DrillRequest = {},
): Promise<DrillProposal> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  const [unfinished] = await unfinishedDrills(context, scenario);
  const refusal = unfinished ? undefined : refusalToDrill(scenario, status);
  if (refusal) throw refusal;
  const runId = unfinished?.id ?? randomUUID();
  if (unfinished && isUnderWay(context, unfinished)) throw underWay(scenario);
  const kept = unfinished?.input as ScenarioRunInput | undefined;
  if (kept) refuseOtherRequest(kept, request);
  const input = kept ?? (await freshInput(context, scenario, optionsOf(request)));
  const { plan } = await drillOf(context, runId, input, { isGivenUp: false });
  const makes = plan.stages.flat().flatMap((step) => step.makes ?? []);
  const keepHours = keepHoursOf(input);
  return {
    ...{ scenario, status, runId, input, makes, place: placeText(input.scenario) },
    ...(keepHours === undefined ? {} : { keepHours }),
    ...(unfinished ? { unfinished } : {}),
  };
}

/** Kept drills whose time is over go first. */
export async function startDrill(context: Context, proposal: DrillProposal): Promise<DrillResult> {
  const { scenario, runId, input, unfinished } = proposal;
  await removeExpiredDrills(context, scenario);
  const { id: subject, name } = scenario;
  const run =
    unfinished ??
    (await context.store.runs.create({ id: runId, kind: DRILL, subject, title: `Drill of ${name}`, input }));
  return goOn(context, run, { isGivenUp: false });
}

export async function resumeDrill(context: Context, run: RunRecord): Promise<DrillResult> {
  return goOn(context, run, { isGivenUp: false });
}

/** Nothing more is tried, and all that it has made goes. */
export async function giveUpDrill(context: Context, run: RunRecord): Promise<DrillResult> {
  return goOn(context, run, { isGivenUp: true });
}

/** The report for people, in a sentence. */
export { drillSentence };

export interface RemovedDrills {
  readonly scenario: Scenario;
  /** Interrupted ones that were given up, and kept ones. */
  readonly removed: readonly string[];
}

/** Everything of all drills of a scenario, whether they were interrupted or kept. */
export async function removeDrills(context: Context, name: string): Promise<RemovedDrills> {
  const scenario = await scenarioNamed(context, name);
  const removed: string[] = [];
  for (const run of await unfinishedDrills(context, scenario)) {
    await giveUpDrill(context, run);
    removed.push(run.id);
  }
  for (const { run } of await keptDrills(context, scenario)) {
    await removeKept(context, run);
    removed.push(run.id);
  }
  return { scenario, removed };
}

export async function removeExpiredDrills(context: Context, scenario: Scenario): Promise<void> {
  for (const { run, untilMs } of await keptDrills(context, scenario)) {
    if (untilMs <= context.clock.now()) await removeKept(context, run);
  }
}

export async function resumeDrillRemove(context: Context, run: RunRecord): Promise<RunRecord> {
  const input = run.input as ScenarioRunInput;
  const work = await makeWork(context, { runId: String(input.options.of), input, moment: 'switchover' });
  const declare = () =>
    work.event({
      level: 'info',
      code: 'DRILL_REMOVED',
      text: `The drill of "${input.scenario.name}" that was kept is removed; nothing of it is left.`,
    });
  return carryOut(context, run, drillRemovePlan(work, declare));
}

export async function unfinishedDrills(
  context: Pick<Context, 'store'>,
  { id: subject }: Scenario,
): Promise<readonly RunRecord[]> {
  return context.store.runs.list({ subject, kind: DRILL, statuses: ['running', 'failed'] });
}

/** Somebody carries it out now; else it was interrupted, or could not remove everything. */
export function isUnderWay({ clock }: Pick<Context, 'clock'>, { held }: RunRecord): boolean {
  return held !== undefined && held.untilMs > clock.now() && !ownerIsGone(held.owner);
}

export interface KeptDrill {
  readonly run: RunRecord;
  readonly untilMs: number;
}

/** Those whose resources are still to be removed. */
export async function keptDrills(
  context: Pick<Context, 'store'>,
  { id: subject }: Scenario,
): Promise<readonly KeptDrill[]> {
  const { runs } = context.store;
  const gone = (await runs.list({ subject, kind: DRILL_REMOVE, statuses: ['done'] })).map(ofWhich);
  const drills = await runs.list({ subject, kind: DRILL, statuses: ['done'] });
  return drills.flatMap((run) => {
    const untilMs = keptUntilMs(run);
    return untilMs === undefined || gone.includes(run.id) ? [] : [{ run, untilMs }];
  });
}

/** Newest first. */
export async function listDrills(context: Context, name?: string): Promise<readonly RunRecord[]> {
  const subject = name === undefined ? undefined : (await scenarioNamed(context, name)).id;
  const runs = await context.store.runs.list({ kind: DRILL, ...(subject === undefined ? {} : { subject }) });
  return runs.toSorted((a, b) => b.createdAtMs - a.createdAtMs);
}

// --- inside

const optionsOf = ({ keepHours, leaveOutPatch }: DrillRequest): ScenarioRunInput['options'] => ({
  ...(keepHours === undefined ? {} : { keepHours }),
  ...(leaveOutPatch ? { leaveOutPatch } : {}),
});

function underWay({ name }: Scenario): StandbyError {
  return inputError(
    'DRILL_UNDER_WAY',
    `A drill of ${name} is being held by another process.`,
    `Its report comes at its end: standby drill ${name} --list`,
  );
}

/** An interrupted drill ends as it was begun: its snapshots may be there already, and its time runs. */
function refuseOtherRequest({ scenario, options }: ScenarioRunInput, request: DrillRequest): void {
  const other = Object.entries(optionsOf(request)).some(([name, value]) => options[name] !== value);
  if (!other) return;
  throw inputError(
    'DRILL_IS_BEGUN',
    `The interrupted drill of ${scenario.name} was begun otherwise.`,
    `Go on with it as it was begun: standby drill ${scenario.name}; or remove it first: standby drill ${scenario.name} --remove`,
  );
}

const ofWhich = (run: RunRecord) => String((run.input as ScenarioRunInput).options.of);

/** From its beginning: what it costs can be foreseen. */
function keptUntilMs(run: RunRecord): number | undefined {
  const keepHours = keepHoursOf(run.input as ScenarioRunInput);
  return keepHours === undefined ? undefined : run.createdAtMs + keepHours * HOUR_MS;
}

function keepHoursOf({ options }: ScenarioRunInput): number | undefined {
  return typeof options.keepHours === 'number' ? options.keepHours : undefined;
}

async function goOn(
  context: Context,
  run: RunRecord,
  how: Pick<DrillOptions, 'isGivenUp'>,
): Promise<DrillResult> {
  const input = run.input as ScenarioRunInput;
  const { plan } = await drillOf(context, run.id, input, how);
  const done = await carryOut(context, run, plan);
  const declared = done.steps.find((step) => step.stepId === DECLARE_DRILLED)?.output as DrillDeclared;
  const { folder, sha256 } = declared;
  return { scenario: input.scenario, run: done, report: await readDrillReport(folder), folder, sha256 };
}

async function drillOf(
  context: Context,
  runId: string,
  input: ScenarioRunInput,
  { isGivenUp }: Pick<DrillOptions, 'isGivenUp'>,
): Promise<{ readonly plan: Plan }> {
  const work = await makeWork(context, { runId, input, moment: 'switchover' });
  const folder = drillFolder(context, input.scenario.id, runId);
  const plan = drillPlan(work, {
    isGivenUp,
    isKept: input.options.keepHours !== undefined,
    keep: (name, content) => keepDrillFile(folder, name, content),
    declare: () => declare(context, work, folder),
  });
  return { plan };
}

/** The report first, then the word of it; a second time the same. */
async function declare(context: Context, work: Work, folder: string): Promise<DrillDeclared> {
  const { scenario, runId } = work;
  const run = await context.store.runs.get(runId);
  if (!run) throw new Error(`Run ${runId} has gone from the store`);
  const { drilled } = await statusOf(context, scenario);
  const previousSha256 = drilled?.runId === runId ? drilled.previousSha256 : drilled?.sha256;
  const untilMs = keptUntilMs(run);
  const report = drillReport({
    work,
    run,
    prices: await priceTable(context),
    ...(untilMs === undefined ? {} : { keptUntilMs: untilMs }),
    ...(previousSha256 === undefined ? {} : { previousSha256 }),
  });
  const sha256 = await writeDrillReport(folder, report);
  const { outcome } = report;
  const chain = { sha256, ...(previousSha256 === undefined ? {} : { previousSha256 }) };
  await changeStatus(context, scenario, {
    drilled: { runId, atMs: Date.parse(report.endedAt), outcome, ...chain },
  });
  await work.event({ ...drillEvent(report), data: { outcome, folder, sha256 } });
  return { outcome, sha256, folder };
}

function drillEvent(report: DrillReport) {
  const { outcome, removal } = report;
  const kept = removal.state === 'kept' ? ` It is kept until ${timeText(Date.parse(removal.until))}.` : '';
  const text = `${drillSentence(report)}${kept}`;
  if (outcome === 'passed') return { level: 'info', code: 'DRILL_PASSED', text } as const;
  if (outcome === 'failed') return { level: 'error', code: 'DRILL_FAILED', text } as const;
  return { level: 'warning', code: 'DRILL_NOT_PROVEN', text } as const;
}

async function removeKept(context: Context, drill: RunRecord): Promise<void> {
  const { store } = context;
  const { scenario, inventory } = drill.input as ScenarioRunInput;
  const unfinished = await store.runs.list({
    subject: drill.subject,
    kind: DRILL_REMOVE,
    statuses: ['running', 'failed'],
  });
  // Only one at a time; another one's removal is gone on with first.
  for (const other of unfinished) await resumeDrillRemove(context, other);
  if (unfinished.some((run) => ofWhich(run) === drill.id)) return;
  const run = await store.runs.create({
    id: randomUUID(),
    kind: DRILL_REMOVE,
    subject: drill.subject,
    title: `Remove the drill of ${scenario.name}`,
    input: { scenario, inventory, options: { of: drill.id } },
  });
  await resumeDrillRemove(context, run);
}
