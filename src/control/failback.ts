import { randomUUID } from 'node:crypto';
import { inputError, isStandbyError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { Plan, RunRecord } from '../plan/plan.ts';
import {
  type FailbackOptions,
  failbackCancelPlan,
  failbackFromReplicaPlan,
  failbackPlan,
  failbackPreparePlan,
} from '../switchover/failback.ts';
import { refusalToFailBack } from '../switchover/failback-words.ts';
import { AWAIT_RESTORE, type Restored } from '../switchover/steps/open-restore.ts';
import type { Work } from '../switchover/work.ts';
import type { Context } from './context.ts';
import { listMasters } from './master.ts';
import { onlyUnfinished, scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { carryOut, freshInput, makeWork, type ScenarioRunInput, takeBack } from './scenario-work.ts';

/**
 * `standby failback` (G-80): the way home. Each part is a durable run of its own: `prepare` while the standby works,
 * `finish` with the standby stopped, `from-replica` for a master without a standby. They wait for the machine that runs
 * `standby restore`, and let it in when it brings a token.
 */
export const FAILBACK_KINDS = {
  prepare: 'failback-prepare',
  finish: 'failback',
  'from-replica': 'failback-from-replica',
} as const;
export const FAILBACK_CANCEL = 'failback-cancel';
export type FailbackPart = keyof typeof FAILBACK_KINDS;

export interface FailbackReport {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly run: RunRecord;
  /** What the proof says of both ends, and how much travelled. */
  readonly restored?: Restored;
}

export interface FailbackProposal {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  readonly part: FailbackPart;
  readonly makes: readonly { readonly type: string; readonly name: string }[];
  readonly runId: string;
  readonly input: ScenarioRunInput;
  readonly unfinished?: RunRecord;
}

/** Refuses what cannot begin, and shows what would be made. Changes nothing. */
export async function proposeFailback(
  context: Context,
  name: string,
  ask: {
    readonly part: FailbackPart;
    readonly removeStandby?: boolean;
    /** They do not work, and the server is needed; also of a failback that was begun with them. */
    readonly leaveOutScripts?: boolean;
  },
): Promise<FailbackProposal> {
  const scenario = await scenarioNamed(context, name);
  const status = await statusOf(context, scenario);
  const { part } = ask;
  const unfinished = await onlyUnfinished(context, scenario, FAILBACK_KINDS[part]);
  const runId = unfinished?.id ?? randomUUID();
  const source = part === 'from-replica' ? 'replica' : 'standby';
  const refusal = unfinished ? undefined : refusalToFailBack(scenario, status, source, runId);
  if (refusal) throw refusal;
  if (part === 'finish' && !unfinished && status.state !== 'failing-back') throw notPrepared(scenario);
  if (ask.removeStandby && part === 'finish') refuseToRemoveNow(scenario, unfinished);
  const begun =
    (unfinished?.input as ScenarioRunInput | undefined) ??
    (await freshInput(context, scenario, {
      ...(status.standbyVmId === undefined ? {} : { vmId: status.standbyVmId }),
      ...(ask.removeStandby ? { removeStandby: true } : {}),
      ...(status.redirected ? { redirected: status.redirected } : {}),
    }));
  const left = ask.leaveOutScripts ? { leaveOutScripts: true } : {};
  const input = { ...begun, options: { ...begun.options, ...left } };
  const plan = await planOf(context, FAILBACK_KINDS[part], runId, input);
  const makes = plan.stages.flat().flatMap((step) => step.makes ?? []);
  return { scenario, status, part, makes, runId, input, ...(unfinished ? { unfinished } : {}) };
}

/** The standby would stand still for as long as a whole copy takes, and for as long as no machine comes for it. */
function notPrepared({ name }: Scenario): Error {
  return inputError(
    'FAILBACK_NOT_PREPARED',
    `No failback of ${name} is prepared, and the last part stops its standby.`,
    `Prepare it while the standby works: standby failback ${name} --prepare. Both, one after the other: standby failback ${name}`,
  );
}

/** It was begun as one that keeps the standby, and ends so. */
function refuseToRemoveNow({ name }: Scenario, unfinished: RunRecord | undefined): void {
  if (!unfinished || (unfinished.input as ScenarioRunInput).options.removeStandby === true) return;
  throw inputError(
    'FAILBACK_IS_BEGUN',
    `The unfinished failback of ${name} was begun as one that keeps the standby.`,
    `Go on without --remove-standby: standby failback ${name}; then remove it: standby vm stop ${name} --remove`,
  );
}

/** Begins or goes on with what `proposeFailback` showed; ends when both ends are proven equal. */
export async function failBack(context: Context, proposal: FailbackProposal): Promise<FailbackReport> {
  const { scenario, runId, input, part } = proposal;
  const plan = await planOf(context, FAILBACK_KINDS[part], runId, input);
  const { kind, title } = plan;
  const run =
    proposal.unfinished ??
    (await context.store.runs.create({ id: runId, kind, subject: scenario.id, title, input }));
  return goOn(context, run, input);
}

/** `standby resume` for a run of these kinds. */
export async function resumeFailback(context: Context, run: RunRecord): Promise<FailbackReport> {
  return goOn(context, run, run.input as ScenarioRunInput);
}

async function goOn(context: Context, run: RunRecord, input: ScenarioRunInput): Promise<FailbackReport> {
  const plan = await planOf(context, run.kind, run.id, input);
  const over = new AbortController();
  const letting = lettingIn(context, input.scenario, over.signal);
  try {
    return await reportOf(context, input.scenario, await carryOut(context, run, plan));
  } finally {
    over.abort();
    await letting;
  }
}

/** Also `standby resume RUN --undo`. */
export async function undoFailbackRun(context: Context, run: RunRecord): Promise<FailbackReport> {
  const input = run.input as ScenarioRunInput;
  const undone = await takeBack(context, run, await planOf(context, run.kind, run.id, input));
  return reportOf(context, input.scenario, undone);
}

/** Takes an unfinished one back, or gives a prepared one up: the standby goes on. */
export async function undoFailback(context: Context, name: string): Promise<FailbackReport> {
  const scenario = await scenarioNamed(context, name);
  const kinds: readonly string[] = Object.values(FAILBACK_KINDS);
  const unfinished = await unfinishedRuns(context, scenario);
  const taken = unfinished.find((run) => kinds.includes(run.kind));
  if (taken) return undoFailbackRun(context, taken);
  const cancelling = unfinished.find((run) => run.kind === FAILBACK_CANCEL);
  if (cancelling) return resumeFailback(context, cancelling);
  const status = await statusOf(context, scenario);
  if (status.state !== 'failing-back') {
    throw inputError(
      'NOTHING_TO_UNDO',
      `Scenario ${scenario.name} is not coming home; it is ${status.state}.`,
      `Look: standby status ${scenario.name}`,
    );
  }
  const input = await freshInput(context, scenario, {});
  const title = `Give the failback of ${scenario.name} up`;
  const run = { id: randomUUID(), kind: FAILBACK_CANCEL, subject: scenario.id, title, input };
  return resumeFailback(context, await context.store.runs.create(run));
}

async function reportOf(context: Context, scenario: Scenario, run: RunRecord): Promise<FailbackReport> {
  const step = run.steps.find((one) => one.stepId === AWAIT_RESTORE && one.status === 'done');
  const status = await statusOf(context, scenario);
  return { scenario, status, run, ...(step ? { restored: step.output as Restored } : {}) };
}

async function planOf(context: Context, kind: string, runId: string, input: ScenarioRunInput): Promise<Plan> {
  const work: Work = await makeWork(context, { runId, input, moment: 'switchover' });
  if (kind === FAILBACK_CANCEL) return failbackCancelPlan(work);
  if (kind === FAILBACK_KINDS['from-replica']) return failbackFromReplicaPlan(work);
  const { vmId, removeStandby, redirected } = input.options as Partial<FailbackOptions>;
  if (kind === FAILBACK_KINDS.prepare) return failbackPreparePlan(work, { vmId: String(vmId) });
  return failbackPlan(work, {
    vmId: String(vmId),
    removeStandby: removeStandby === true,
    ...(redirected ? { redirected } : {}),
  });
}

const LOOK_EVERY_MS = 3_000;

/** The machine that is to be restored may come with a token at any time; trouble with that is told, and ends nothing. */
async function lettingIn(context: Context, scenario: Scenario, signal: AbortSignal): Promise<void> {
  const { host, clock, store } = context;
  const appliance = await store.appliances.get(scenario.applianceId);
  let told = '';
  while (appliance && !signal.aborted) {
    try {
      const { joined, problems } = await listMasters(context, { appliance: appliance.name });
      for (const name of joined)
        host.tell({ kind: 'text', level: 'success', text: `${name} was let in; it is restored now.` });
      const text = problems.join(' ');
      if (text !== '' && text !== told) host.tell({ kind: 'text', level: 'warning', text });
      told = text;
    } catch (error) {
      if (!isStandbyError(error)) throw error;
      host.tell({ kind: 'text', level: 'warning', text: error.message });
    }
    await clock.sleep(LOOK_EVERY_MS, signal).catch(() => undefined); // The run has ended.
  }
}
