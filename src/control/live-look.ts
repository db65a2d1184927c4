import { isStandbyError, messageOf } from '../errors.ts';
import type { Scenario, ScenarioStatus, SeenReplica } from '../model/scenario.ts';
import type { CopyProgress } from '../wire/control-session.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { changeStatus } from './scenario-status.ts';

/** What an appliance said of a live replica just now, or why it said nothing. */
export type LiveLook =
  | {
      readonly answered: true;
      readonly progress: CopyProgress;
      readonly atMs: number;
      /** Appliance's clock minus ours. */
      readonly clockDifferenceMs: number;
      readonly masterConnected?: boolean;
    }
  | { readonly answered: false; readonly because: string; readonly atMs: number };

/** Asks once. An appliance that does not answer is a finding, not an error. */
export async function lookAt(context: Context, scenario: Scenario): Promise<LiveLook> {
  const appliance = await context.store.appliances.get(scenario.applianceId);
  const atMs = () => context.clock.now();
  if (!appliance)
    return { answered: false, because: 'its appliance is not known here any more', atMs: atMs() };
  try {
    const session = await context.connect(appliance);
    try {
      const progress = await session.progress(scenario.id);
      const master = (await session.masters()).find((one) => one.masterId === scenario.masterId);
      return {
        answered: true,
        progress,
        atMs: atMs(),
        clockDifferenceMs: session.hello.clockDifferenceMs,
        ...(master ? { masterConnected: master.connected } : {}),
      };
    } finally {
      await session.close();
    }
  } catch (error) {
    if (!isStandbyError(error) || error.kind === 'cancelled') throw error;
    return { answered: false, because: messageOf(error), atMs: atMs() };
  }
}

/** The part of an answer that is kept for when there is none. */
export function seenIn({ replication }: CopyProgress, atMs: number): SeenReplica | undefined {
  if (!replication) return undefined;
  const { receivedSequence, appliedSequence, receivedAtMs, appliedAtMs, lagSeconds, lagBytes } = replication;
  return {
    atMs,
    receivedSequence,
    appliedSequence,
    ...(receivedAtMs === undefined ? {} : { receivedAtMs }),
    ...(appliedAtMs === undefined ? {} : { appliedAtMs }),
    ...(lagSeconds === undefined ? {} : { lagSeconds }),
    ...(lagBytes === undefined ? {} : { lagBytes }),
  };
}

const KEEP_EVERY_MS = 5_000;

/**
 * Takes over what the appliance found out by itself: that a live replica needs a new synchronisation, with its
 * reason, and how far it came. Only where no run or switchover works on the scenario; those write the status themselves.
 */
export async function takeOver(
  context: Context,
  scenario: Scenario,
  status: ScenarioStatus,
  look: LiveLook,
): Promise<ScenarioStatus> {
  if (!look.answered || look.progress.epoch !== status.epoch || status.activeRunId !== undefined)
    return status;
  const { progress } = look;
  const seen = seenIn(progress, look.atMs);
  if (progress.state === 'resync-needed' && status.state === 'replicating') {
    const reason = resyncReason(progress);
    const isStill = { epoch: status.epoch, state: status.state };
    const changed = await changeIfStill(context, scenario, isStill, {
      state: 'resync-needed',
      reason,
      ...(seen ? { seen } : {}),
    });
    await appendEvent(context, {
      id: `${scenario.id}/${status.epoch}/RESYNC_NEEDED/${status.sinceMs}`,
      level: 'error',
      code: 'RESYNC_NEEDED',
      text: `"${scenario.name}" must be synchronised anew: ${reason} Its replica stays at its last consistent position.`,
      scenarioId: scenario.id,
      data: { epoch: status.epoch, ...(progress.error ? { code: progress.error.code } : {}) },
    });
    return changed;
  }
  if (progress.error?.code === 'MASTER_REBOOTED' && status.state === 'replicating') {
    return stopped(context, scenario, status, seen);
  }
  if (!seen || status.state !== 'replicating' || look.atMs - (status.seen?.atMs ?? 0) < KEEP_EVERY_MS)
    return status;
  return changeIfStill(context, scenario, { epoch: status.epoch, state: status.state }, { seen });
}

/** G-86: the appliance has seen a reboot, and `runAfterReboot` is off. */
async function stopped(
  context: Context,
  scenario: Scenario,
  status: ScenarioStatus,
  seen: SeenReplica | undefined,
): Promise<ScenarioStatus> {
  const reason = 'its master was rebooted, and it does not go on by itself after that';
  const change = { state: 'stopped', reason, ...(seen ? { seen } : {}) } as const;
  const now = await changeIfStill(context, scenario, { epoch: status.epoch, state: status.state }, change);
  await appendEvent(context, {
    id: `${scenario.id}/${status.epoch}/STOPPED_AFTER_REBOOT/${status.sinceMs}`,
    level: 'warning',
    code: 'STOPPED_AFTER_REBOOT',
    text: `"${scenario.name}" is stopped and UNPROTECTED: ${reason}. Run it at a quiet time: standby run ${scenario.name}`,
    scenarioId: scenario.id,
  });
  return now;
}

export function resyncReason({ error }: Pick<CopyProgress, 'error'>): string {
  if (!error) return 'The appliance gives no reason.';
  return error.why ? `${error.what} ${error.why}` : error.what;
}

/** Another process may have begun something in this moment: then it is left as that one says. */
async function changeIfStill(
  context: Context,
  scenario: Scenario,
  still: Pick<ScenarioStatus, 'epoch' | 'state'>,
  change: Parameters<typeof changeStatus>[2],
): Promise<ScenarioStatus> {
  let moved: ScenarioStatus | undefined;
  try {
    return await changeStatus(context, scenario, change, (now) => {
      if (now.epoch === still.epoch && now.state === still.state && now.activeRunId === undefined) return;
      moved = now;
      throw new MovedOn();
    });
  } catch (error) {
    if (error instanceof MovedOn && moved) return moved;
    throw error;
  }
}

class MovedOn extends Error {}
