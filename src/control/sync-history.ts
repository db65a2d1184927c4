import { timeText } from '../clock.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { RunRecord } from '../plan/plan.ts';
import { RESYNC_NEEDED } from '../synchronise/steps/copy-disks.ts';
import { chooseSync, type SyncChoice, type SyncMode } from '../synchronise/sync-choice.ts';
import type { SynchroniseOptions } from '../synchronise/synchronise.ts';
import type { Context } from './context.ts';
import { type LiveLook, lookAt } from './live-look.ts';
import { unfinishedRuns } from './scenario-named.ts';
import { statusOf } from './scenario-status.ts';
import { RUN, type ScenarioRunInput } from './scenario-work.ts';
import { cancelRun } from './stop.ts';

/** How the next run of a scenario synchronises, and why: by what was completed before and what the appliance still has. */
export async function syncChoiceFor(
  context: Context,
  scenario: Scenario,
  wanted?: SyncMode,
): Promise<SyncChoice> {
  const done = await synchronised(context, scenario);
  const status = await statusOf(context, scenario);
  const asked = { ...(wanted === undefined ? {} : { wanted }), completed: done.length };
  const wasLive = isLiveCapture(scenario.capture) && status.state === 'stopped' && done.length > 0;
  if (wanted === undefined && done.length === 0 && status.epoch > 0) {
    const seed = seedIn(await lookAt(context, scenario));
    return chooseSync({ ...asked, canGoOn: false, ...(seed === undefined ? {} : { seed }) });
  }
  if (wanted !== undefined || !wasLive) return chooseSync({ ...asked, canGoOn: false });
  const because = obstacle(status, done, scenario, await lookAt(context, scenario));
  if (because === undefined) return chooseSync({ ...asked, canGoOn: true });
  return chooseSync({ ...asked, canGoOn: false, cannotGoOnBecause: because });
}

/** Runs that came to their end; one that only made disks for a seed has copied nothing. */
export async function synchronised(
  { store }: Pick<Context, 'store'>,
  scenario: Scenario,
): Promise<readonly RunRecord[]> {
  const done = await store.runs.list({ subject: scenario.id, kind: RUN, statuses: ['done'] });
  return done.filter((run) => !isForSeed(run));
}

export function isForSeed(run: RunRecord): boolean {
  return ((run.input as ScenarioRunInput).options as Partial<SynchroniseOptions>).forSeed === true;
}

function seedIn(look: LiveLook): string | undefined {
  const seed = look.answered ? look.progress.seed : undefined;
  return seed && `imported ${timeText(seed.atMs)}`;
}

/** Why a stopped replica cannot go on with its stream; undefined when it can. */
function obstacle(
  status: ScenarioStatus,
  done: readonly RunRecord[],
  scenario: Scenario,
  look: LiveLook,
): string | undefined {
  const last = done.toSorted((a, b) => b.createdAtMs - a.createdAtMs)[0]?.input as
    | ScenarioRunInput
    | undefined;
  if (last?.scenario.capture !== scenario.capture) return 'its changes were captured in another way then';
  if (status.synchronisedAtMs === undefined) return 'its last synchronisation did not come to its end';
  if (!look.answered) return 'the appliance could not be asked for its journal';
  const { epoch, state, replication } = look.progress;
  if (epoch !== status.epoch) return 'the appliance holds another epoch';
  if (state === 'sealed') return 'a standby was made of the replica';
  if (state === 'resync-needed') return 'the appliance says that it must be synchronised anew';
  if (!replication) return 'the appliance has no journal of it';
  if (replication.journal.state !== 'ready') return `its journal is ${replication.journal.state}`;
  // It was never told to stop, or stands where it was stopped.
  return state === 'idle' || state === 'replicating' || state === 'master-away'
    ? undefined
    : `the appliance says ${state}`;
}

/**
 * A run that found its stream lost, when the replica was whole already, can never come to its end under its epoch: it is
 * given up, so that the next one compares both ends.
 */
export async function giveUpLostStream(context: Context, scenario: Scenario): Promise<void> {
  const [run] = (await unfinishedRuns(context, scenario)).filter((one) => one.kind === RUN);
  if (!run) return;
  const { sync } = (run.input as ScenarioRunInput).options as Partial<SynchroniseOptions>;
  const isOver = sync?.mode === 'stream' || run.steps.some((step) => step.error?.code === RESYNC_NEEDED);
  if (!isOver || (await statusOf(context, scenario)).state !== 'resync-needed') return;
  await cancelRun(context, run);
  const text = 'Its stream cannot go on, so both ends are compared instead.';
  context.host.tell({ kind: 'text', level: 'warning', text });
}
