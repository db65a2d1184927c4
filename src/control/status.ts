import { timeText } from '../clock.ts';
import { isStandbyError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import type { CopyProgress } from '../wire/control-session.ts';
import type { Context } from './context.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { RUN } from './scenario-work.ts';

export interface CopyFigures {
  readonly state: CopyProgress['state'];
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly sentBytes: number;
  readonly wireBytes: number;
  readonly resentBlocks: number;
  readonly seconds?: number;
}

export interface DiskFigures {
  readonly diskId: string;
  readonly sizeBytes: number;
  /** What both ends agree on; absent before the first complete copy. */
  readonly digest?: string;
}

export interface StatusView {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  /** One honest sentence: `synchronised at ..., not replicating (at rest)`. */
  readonly sentence: string;
  readonly disks: readonly DiskFigures[];
  /** The copy that is under way, or the last one. */
  readonly copy?: CopyFigures;
  /** Runs that can go on: `standby resume RUN`. */
  readonly unfinished: readonly { readonly id: string; readonly kind: string; readonly status: string }[];
  /** Seconds of the master's work that a switchover now would lose; unknown at rest, where nothing is watched. */
  readonly rpoSeconds: number | null;
  /** Nothing pings a master yet that is copied at rest: monitoring that is not done shows as off. */
  readonly isAlive: 'off';
  /** What the scenario asks for; it takes effect with a live capture method. */
  readonly isAliveWanted: boolean;
}

export async function scenarioStatus(context: Context, name: string): Promise<StatusView> {
  const scenario = await scenarioNamed(context, name);
  const [status, master, unfinished] = await Promise.all([
    statusOf(context, scenario),
    context.store.masters.get(scenario.masterId),
    unfinishedRuns(context, scenario),
  ]);
  const copy = (await liveCopy(context, scenario, unfinished)) ?? (await lastCopy(context, scenario));
  return {
    scenario,
    status,
    sentence: sentenceOf(status, unfinished),
    disks: (master?.inventory.disks ?? []).map(({ id, sizeBytes }) => {
      const digest = status.digests?.find((one) => one.diskId === id)?.digest;
      return { diskId: id, sizeBytes, ...(digest === undefined ? {} : { digest }) };
    }),
    ...(copy ? { copy } : {}),
    unfinished: unfinished.map(({ id, kind, status: state }) => ({ id, kind, status: state })),
    rpoSeconds: null,
    isAlive: 'off',
    isAliveWanted: scenario.isAlive.ping,
  };
}

function sentenceOf(status: ScenarioStatus, unfinished: readonly RunRecord[]): string {
  const at = status.synchronisedAtMs === undefined ? undefined : timeText(status.synchronisedAtMs);
  const [run] = unfinished;
  const goOn = run ? `; the ${run.kind} ${run.id} is not finished: standby resume ${run.id}` : '';
  switch (status.state) {
    case 'synchronised':
      return `synchronised at ${at ?? 'an unknown time'}, not replicating (at rest)${goOn}`;
    case 'stopped': {
      const standby =
        status.standbyVmId === undefined ? '' : `; its standby VM exists: ${status.standbyVmId}`;
      const copies = at === undefined ? 'nothing has been copied yet' : `the copied disks are those of ${at}`;
      return `stopped, ${copies}${standby}${goOn}`;
    }
    case 'switched-over':
      return `switched over; the standby is ${status.standbyVmId ?? 'not known'}`;
    default:
      return `${status.state}${status.reason ? `: ${status.reason}` : ''}${goOn}`;
  }
}

/** Asks the appliance while a copy is under way. One that does not answer leaves what the record says. */
async function liveCopy(
  context: Context,
  scenario: Scenario,
  unfinished: readonly RunRecord[],
): Promise<CopyFigures | undefined> {
  if (!unfinished.some((run) => run.kind === RUN)) return undefined;
  const appliance = await context.store.appliances.get(scenario.applianceId);
  if (appliance?.enrolment !== 'enrolled') return undefined;
  try {
    const session = await context.connect(appliance);
    try {
      return figuresOf(await session.progress(scenario.id));
    } finally {
      await session.close();
    }
  } catch (error) {
    if (isStandbyError(error)) return undefined;
    throw error;
  }
}

async function lastCopy(context: Context, scenario: Scenario): Promise<CopyFigures | undefined> {
  const runs = await context.store.runs.list({ subject: scenario.id, kind: RUN });
  const outputs = runs
    .toSorted((a, b) => b.createdAtMs - a.createdAtMs)
    .flatMap((run) => run.steps.map((step) => step.output));
  const found = outputs.find(isCopied);
  return found ? figuresOf({ ...found, state: 'synchronised', doneBytes: found.totalBytes }) : undefined;
}

/** What the copy's step leaves in its run. */
function isCopied(output: unknown): output is Omit<Figures, 'state' | 'doneBytes'> {
  return typeof output === 'object' && output !== null && 'sentBytes' in output && 'totalBytes' in output;
}

type Figures = Pick<
  CopyProgress,
  | 'state'
  | 'doneBytes'
  | 'totalBytes'
  | 'sentBytes'
  | 'wireBytes'
  | 'resentBlocks'
  | 'startedAtMs'
  | 'endedAtMs'
>;

function figuresOf(progress: Figures): CopyFigures {
  const { state, doneBytes, totalBytes, sentBytes, wireBytes, resentBlocks, startedAtMs, endedAtMs } =
    progress;
  const ms = startedAtMs === undefined || endedAtMs === undefined ? undefined : endedAtMs - startedAtMs;
  return {
    state,
    doneBytes,
    totalBytes,
    sentBytes,
    wireBytes,
    resentBlocks,
    ...(ms === undefined ? {} : { seconds: ms / 1000 }),
  };
}
