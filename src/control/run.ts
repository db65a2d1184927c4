import { randomUUID } from 'node:crypto';
import { inputError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import { type SyncChoice, type SyncMode, syncSentence } from '../synchronise/sync-choice.ts';
import { type SynchroniseOptions, synchronisePlan } from '../synchronise/synchronise.ts';
import { codesOf, refuseFindings } from './checks-failed.ts';
import type { Context } from './context.ts';
import { firstCopyNotices } from './first-copy.ts';
import { acceptWarnings, verdictsFor } from './scenario.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { refuseForeignState, STANDBY_STATES, statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, RUN, type ScenarioRunInput } from './scenario-work.ts';
import { giveUpLostStream, syncChoiceFor } from './sync-history.ts';

export interface RunReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
  /** True when an unfinished run was gone on with. */
  readonly resumed: boolean;
}

export interface RunRequest extends Partial<Pick<SynchroniseOptions, 'lanes' | 'compression' | 'startAtMs'>> {
  readonly accept?: readonly string[];
  /** Without it, history decides. */
  readonly sync?: SyncMode;
  /** Only makes the replica disks (control/seed.ts). */
  readonly forSeed?: true;
}

/** zstd decides on the way, lane by lane, whether it pays. */
const DEFAULT_OPTIONS: Pick<SynchroniseOptions, 'lanes' | 'compression'> = { lanes: 2, compression: 'zstd' };

/**
 * Makes the replica equal to the master. The same command after a crash goes on with the unfinished run. Before a new
 * one, the scenario is verified again: nothing is written while a check finds an error or an open warning.
 */
export async function runScenario(
  context: Context,
  name: string,
  request: RunRequest = {},
): Promise<RunReport> {
  const scenario = await scenarioNamed(context, name);
  await giveUpLostStream(context, scenario);
  const unfinished = await unfinishedRuns(context, scenario);
  const same = unfinished.find((run) => run.kind === RUN);
  if (same) return resumeRun(context, same);
  const status = await statusOf(context, scenario);
  refuseToRun(scenario, status, unfinished[0]);
  const verdicts = await verdictsFor(context, scenario, 'run');
  const accepted = await acceptWarnings(context, scenario, request.accept ?? [], verdicts);
  refuseFindings(verdicts, {
    scenario: scenario.name,
    accepted: codesOf(
      accepted.acceptedWarnings.map((one) => ({ ...one, status: 'warning', title: '', found: '' })),
    ),
    command: `standby run ${scenario.name}`,
  });
  const { forSeed } = request;
  const sync = forSeed ? undefined : await syncChoiceFor(context, accepted, request.sync);
  const options: SynchroniseOptions = {
    lanes: request.lanes ?? DEFAULT_OPTIONS.lanes,
    compression: request.compression ?? DEFAULT_OPTIONS.compression,
    ...(sync ? { sync } : {}),
    ...(forSeed ? { forSeed } : {}),
    ...(request.startAtMs === undefined ? {} : { startAtMs: request.startAtMs }),
  };
  const input = await freshInput(context, accepted, { ...options });
  if (sync && status.epoch === 0) {
    for (const notice of firstCopyNotices(scenario, input.inventory)) context.host.tell(notice);
  }
  if (sync) tellHow(context, scenario, sync);
  const run = await context.store.runs.create({
    id: randomUUID(),
    kind: RUN,
    subject: scenario.id,
    title: forSeed ? `Prepare ${scenario.name} for a seed` : `Copy ${scenario.name}`,
    input,
  });
  return goOn(context, run, false);
}

/** What the next run would do, for a person to choose; undefined while an unfinished one would be gone on with. */
export async function proposeSync(context: Context, name: string): Promise<SyncChoice | undefined> {
  const scenario = await scenarioNamed(context, name);
  const [unfinished] = await unfinishedRuns(context, scenario);
  refuseToRun(scenario, await statusOf(context, scenario), unfinished?.kind === RUN ? undefined : unfinished);
  return unfinished ? undefined : syncChoiceFor(context, scenario);
}

export { type SyncMode, syncSentence };

/** `standby resume` for a run of this kind. */
export async function resumeRun(context: Context, run: RunRecord): Promise<RunReport> {
  const { scenario } = run.input as ScenarioRunInput;
  refuseForeignState(scenario, STANDBY_STATES, run.id)(await statusOf(context, scenario));
  return goOn(context, run, true);
}

async function goOn(context: Context, run: RunRecord, resumed: boolean): Promise<RunReport> {
  const input = run.input as ScenarioRunInput;
  const work = await makeWork(context, { runId: run.id, input, moment: 'run' });
  const options = { ...DEFAULT_OPTIONS, ...input.options };
  const done = await carryOut(context, run, synchronisePlan(work, options));
  return { scenario: input.scenario, status: await statusOf(context, input.scenario), run: done, resumed };
}

function refuseToRun(scenario: Scenario, status: ScenarioStatus, unfinished: RunRecord | undefined): void {
  if (unfinished) {
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${scenario.name} has an unfinished ${unfinished.kind} (${unfinished.id}).`,
      `Let it end first: standby resume ${unfinished.id}`,
    );
  }
  if (status.state === 'replicating') {
    throw inputError(
      'ALREADY_REPLICATING',
      `Scenario ${scenario.name} is replicating: there is nothing to synchronise.`,
      `Look: standby status ${scenario.name}. Compare both ends: standby scrub ${scenario.name}. To synchronise anew, stop it first: standby stop ${scenario.name}`,
    );
  }
  if (!STANDBY_STATES.includes(status.state)) return;
  throw inputError(
    'SCENARIO_BUSY',
    `Scenario ${scenario.name} is ${status.state}; copying now would overwrite the copy that its standby was made from.`,
    `Look: standby status ${scenario.name}. To copy again, remove the standby first: standby vm stop ${scenario.name} --remove`,
  );
}

/** The mode and why (X1), and what a running master should not do unannounced (G-84). */
function tellHow({ host }: Context, { name, capture }: Scenario, sync: SyncChoice): void {
  host.tell({ kind: 'text', level: 'info', text: `${syncSentence(sync)}${otherWay(sync)}` });
  if (!isLiveCapture(capture)) return;
  const text = `Do not shut the master down or reboot it unannounced: standby maintenance begin ${name} says what to do instead.`;
  host.tell({ kind: 'text', level: 'info', text });
}

function otherWay({ mode }: SyncChoice): string {
  if (mode === 'block') return ' The other way, all used data: --sync volume.';
  return ' The other way, both ends compared and only what differs sent: --sync block.';
}
