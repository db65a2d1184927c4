import { isStandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { CopyProgress, Replication } from '../wire/control-session.ts';
import type { CheckFacts } from './check.ts';

/** What the appliance tells of the scenario's replica; or in words why there is nothing to tell. */
export type ReplicaState = { readonly progress: CopyProgress } | { readonly nothing: string };

export async function replicaState({ session, scenario, status }: CheckFacts): Promise<ReplicaState> {
  if (status?.state === 'switched-over') return { nothing: 'it is switched over: the standby is live' };
  if (!session) return { nothing: 'the appliance was not asked' };
  try {
    return { progress: await session.progress(scenario.id) };
  } catch (failure) {
    if (isStandbyError(failure) && failure.code === 'REPLICA_UNKNOWN')
      return { nothing: 'nothing has been copied yet' };
    throw failure;
  }
}

export type LiveState =
  | { readonly live: Replication; readonly progress: CopyProgress }
  | { readonly nothing: string };

/** The same for the stream of a live scenario. */
export async function liveState(facts: CheckFacts): Promise<LiveState> {
  if (!isLiveCapture(facts.scenario.capture))
    return { nothing: 'it is copied at rest: nothing is replicated' };
  const state = await replicaState(facts);
  if ('nothing' in state) return state;
  const live = state.progress.replication;
  return live ? { live, progress: state.progress } : { nothing: 'its replication has not begun' };
}

export function durationText(ms: number): string {
  const minutes = Math.round(ms / 60_000);
  if (minutes < 2) return `${Math.round(ms / 1000)} s`;
  if (minutes < 120) return `${minutes} minutes`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} hours` : `${Math.round(minutes / 1440)} days`;
}

export function bytesText(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : Math.round(value * 10) / 10} ${units[unit]}`;
}
