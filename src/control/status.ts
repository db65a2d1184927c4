import { isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { MasterDisk } from '../model/disk.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { CopyProgress, Replication } from '../wire/control-session.ts';
import type { Context } from './context.ts';
import { LagTrend, type LiveFigures, liveFigures } from './live-figures.ts';
import { type LiveLook, lookAt, takeOver } from './live-look.ts';
import { scenarioNamed, unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { RUN } from './scenario-work.ts';
import { type MasterBeside, masterBeside } from './second-head.ts';
import { isWatched, liveSentence, sentenceOf } from './status-words.ts';

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
  /** Live: where its replica stands. All disks of a scenario stand at the same position. */
  readonly position?: string;
  /** Live: what a switchover now would lose. One stream carries the changes of all disks, so all are as far behind. */
  readonly rpoSeconds?: number;
  readonly rpoBytes?: number;
  /** What the last proof found to differ. */
  readonly differingBytes?: number;
  readonly firstDifferingByte?: number;
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
  /** Live scenarios: of when the figures are, and whether they are old. */
  readonly live?: LiveFigures;
  /** Live scenarios, when the appliance answers: all that it knows. */
  readonly replication?: Replication;
  /** What a switchover now would lose of the master's work; unknown at rest, where nothing is watched. */
  readonly rpoSeconds: number | null;
  readonly rpoBytes: number | null;
  /** What `standby serve` found; unknown while it is on and nobody has looked lately. Off is off. */
  readonly isAlive: 'off' | 'alive' | 'silent' | 'unknown';
  /** The scenario asks for it; it takes effect with a live capture method. */
  readonly isAliveWanted: boolean;
  /** Live scenarios whose standby serves: whether their master is heard beside it. */
  readonly masterBeside?: MasterBeside;
  /** Live scenarios whose digests are compared on a schedule. */
  readonly nextScrubAtMs?: number;
}

/** Looks at one scenario. `trend` is kept by those who look again and again. */
export async function scenarioStatus(context: Context, name: string, trend?: LagTrend): Promise<StatusView> {
  const scenario = await scenarioNamed(context, name);
  const [before, master, unfinished] = await Promise.all([
    statusOf(context, scenario),
    context.store.masters.get(scenario.masterId),
    unfinishedRuns(context, scenario),
  ]);
  const look = followsMaster(scenario, before) ? await lookAt(context, scenario) : undefined;
  const status = look ? await takeOver(context, scenario, before, look) : before;
  const replication = look?.answered ? look.progress.replication : undefined;
  const live = look && liveFigures(look, before.seen, trend ?? new LagTrend(before.seen));
  const beside = await masterBeside(context, scenario, status);
  const copying = unfinished.some((run) => run.kind === RUN);
  const copy =
    (copying && (look ? figuresOfLook(look) : await liveCopy(context, scenario))) ||
    (await lastCopy(context, scenario));
  return {
    scenario,
    status,
    sentence: live ? liveSentence(status, live, unfinished) : sentenceOf(status, unfinished),
    disks: (master?.inventory.disks ?? []).map((disk) => diskFigures(disk, status, replication, live)),
    ...(copy ? { copy } : {}),
    ...(live ? { live } : {}),
    ...(replication ? { replication } : {}),
    ...(beside ? { masterBeside: beside } : {}),
    unfinished: unfinished.map(({ id, kind, status: state }) => ({ id, kind, status: state })),
    rpoSeconds: live?.rpoSeconds ?? null,
    rpoBytes: live?.rpoBytes ?? null,
    isAlive: isAliveNow(scenario, status, context.clock.now()),
    isAliveWanted: isWatched(scenario.isAlive),
    ...nextScrub(scenario, replication),
  };
}

/** The appliance has something to say of it: it was opened there, and no standby was made of it. */
function followsMaster(scenario: Scenario, status: ScenarioStatus): boolean {
  return (
    isLiveCapture(scenario.capture) &&
    status.epoch > 0 &&
    !['switched-over', 'failing-back'].includes(status.state)
  );
}

/** Longer ago than this nobody looks. */
const LOOKED_WITHIN_MS = 5 * 60_000;

function isAliveNow(
  scenario: Scenario,
  { isAliveFound }: ScenarioStatus,
  nowMs: number,
): StatusView['isAlive'] {
  if (!isWatched(scenario.isAlive) || !isLiveCapture(scenario.capture)) return 'off';
  if (!isAliveFound || nowMs - isAliveFound.atMs > LOOKED_WITHIN_MS) return 'unknown';
  return isAliveFound.state;
}

function nextScrub({ scrubEveryHours }: Scenario, replication: Replication | undefined) {
  if (scrubEveryHours === undefined || !replication?.proof) return {};
  return { nextScrubAtMs: replication.proof.atMs + scrubEveryHours * 3_600_000 };
}

function diskFigures(
  { id, sizeBytes }: MasterDisk,
  status: ScenarioStatus,
  replication: Replication | undefined,
  live: LiveFigures | undefined,
): DiskFigures {
  const proof = replication?.proof;
  const digests = proof?.equal ? proof.digests : status.digests;
  const digest = digests?.find((one) => one.diskId === id)?.digest;
  const differs = proof?.equal === false ? proof.differing?.find((one) => one.diskId === id) : undefined;
  return {
    diskId: id,
    sizeBytes,
    ...(digest === undefined || differs ? {} : { digest }),
    ...(replication ? { position: replication.appliedSequence } : {}),
    ...(live && live.rpoSeconds !== null ? { rpoSeconds: live.rpoSeconds } : {}),
    ...(live && live.rpoBytes !== null ? { rpoBytes: live.rpoBytes } : {}),
    ...(differs ? { differingBytes: differs.bytes, firstDifferingByte: differs.firstByte } : {}),
  };
}

/** Asks the appliance while a copy is under way. One that does not answer leaves what the record says. */
async function liveCopy(context: Context, scenario: Scenario): Promise<CopyFigures | undefined> {
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

function figuresOfLook(look: LiveLook): CopyFigures | undefined {
  return look.answered ? figuresOf(look.progress) : undefined;
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
