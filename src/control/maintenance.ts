import { inputError } from '../errors.ts';
import type { Scenario, ScenarioStatus } from '../model/scenario.ts';
import type { MasterStream, Replication } from '../wire/control-session.ts';
import { liveScenario } from './bookmarks.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { liveFigures } from './live-figures.ts';
import { lookAt, takeOver } from './live-look.ts';
import { unfinishedRuns } from './scenario-named.ts';
import { changeStatus, statusOf } from './scenario-status.ts';
import { stopScenario } from './stop.ts';

/**
 * A master that is shut down or rebooted on purpose (G-84 to G-87). `runAfterReboot` decides: the scenario goes on by
 * itself when the master is back, or is stopped until `maintenance end` runs it at a time of the operator's choice.
 */
export interface MaintenanceBegun {
  readonly scenario: Scenario;
  readonly status: ScenarioStatus;
  /** It was stopped, and its master is unprotected until it runs again. */
  readonly stopped: boolean;
  /** What to do now, in this order. */
  readonly steps: readonly string[];
  readonly notes: readonly string[];
}

export async function beginMaintenance(
  context: Context,
  name: string,
  options: { readonly stop?: boolean } = {},
): Promise<MaintenanceBegun> {
  const scenario = await liveScenario(context, name);
  const status = await statusOf(context, scenario);
  const [run] = await unfinishedRuns(context, scenario);
  if (run || !['replicating', 'resync-needed', 'stopped'].includes(status.state)) {
    throw inputError(
      'SCENARIO_BUSY',
      `Scenario ${scenario.name} is ${status.state}${run ? ` and has an unfinished ${run.kind} (${run.id})` : ''}.`,
      run ? `Let it end first: standby resume ${run.id}` : `Look: standby status ${scenario.name}`,
    );
  }
  const stops = status.state !== 'stopped' && (options.stop === true || scenario.runAfterReboot === false);
  const { notes } = stops ? await stopScenario(context, name) : { notes: [] };
  const maintenanceSinceMs = status.maintenanceSinceMs ?? context.clock.now();
  const now = await changeStatus(context, scenario, { maintenanceSinceMs });
  const stopped = now.state === 'stopped';
  await appendEvent(context, {
    level: stopped ? 'warning' : 'info',
    code: 'MAINTENANCE_BEGUN',
    text: `Maintenance of the master of "${scenario.name}" has begun. ${stopped ? 'It is UNPROTECTED until it runs again.' : 'It goes on by itself when the master is back.'}`,
    scenarioId: scenario.id,
  });
  return { scenario, status: now, stopped, steps: stepsOf(scenario, stopped), notes };
}

function stepsOf({ name }: Scenario, stopped: boolean): readonly string[] {
  return [
    stopped
      ? 'The scenario is stopped. What changes on the master from now on is not replicated.'
      : 'The scenario goes on. While the master is down it shows as away, which is no reason to switch over.',
    'Stop the applications, then shut the master down or reboot it in an orderly way: after that its engine knows what changed, and need not read whole disks.',
    'When it is back, see that its engine runs (standby engine master, with --nbd if it serves the disks).',
    stopped
      ? `Run it again, at a quiet time (--start-at 22:30): standby maintenance end ${name}`
      : `Let it catch up and be told so: standby maintenance end ${name}`,
  ];
}

/** `run`: it was stopped, or must be synchronised anew. `wait`: it goes on by itself. */
export async function maintenanceEndNeeds(context: Context, name: string): Promise<'run' | 'wait'> {
  const scenario = await liveScenario(context, name);
  const status = await statusOf(context, scenario);
  if (status.maintenanceSinceMs === undefined) {
    throw inputError(
      'NOT_IN_MAINTENANCE',
      `Scenario ${scenario.name} is not in maintenance.`,
      `Look: standby status ${scenario.name}`,
    );
  }
  return status.state === 'replicating' ? 'wait' : 'run';
}

const LOOK_MS = 1000;

/** Until the replica has everything that the master had when it was first heard again. `run` when only that helps. */
export async function awaitMaster(context: Context, name: string): Promise<'back' | 'run'> {
  const scenario = await liveScenario(context, name);
  const { host, clock } = context;
  let target: MasterStream | undefined;
  for (;;) {
    host.signal.throwIfAborted();
    const look = await lookAt(context, scenario);
    const status = await takeOver(context, scenario, await statusOf(context, scenario), look);
    if (status.state !== 'replicating') return 'run';
    const live = liveFigures(look, status.seen);
    const replication = look.answered ? look.progress.replication : undefined;
    const isFollowed = !live.old && live.master === 'connected' && live.says === 'replicating';
    if (replication?.stream && isFollowed) {
      target ??= replication.stream;
      if (replication.stream.mode === 'ordered' && hasCome(scenario, replication, target)) return 'back';
    }
    const waits = live.appliance === 'silent' ? 'Waiting for the appliance' : 'Waiting for the master';
    host.tell({ kind: 'activity', id: 'maintenance', text: target === undefined ? waits : 'Catching up' });
    await clock.sleep(LOOK_MS, host.signal);
  }
}

/** Marks are numbers too, and are never applied: with no change behind them there is nothing to wait for. */
function hasCome({ capture }: Scenario, replication: Replication, target: MasterStream): boolean {
  const { receivedSequence, appliedSequence, receivedAtMs = 0, journal } = replication;
  const last = BigInt(target.lastSequence);
  const isHere = BigInt(receivedSequence) >= last;
  const isApplied = BigInt(appliedSequence) >= last || journal.unappliedChanges === 0;
  // What changed while it was down is found by the first comparison that begins after it came back.
  const isLooked = capture === 'nbd' || receivedAtMs >= target.masterClockMs;
  return isHere && isApplied && isLooked;
}

/** The replica follows its master again: said only after a run, or after the wait. */
export async function declareMaintenanceEnded(context: Context, name: string): Promise<ScenarioStatus> {
  const scenario = await liveScenario(context, name);
  const now = await changeStatus(context, scenario, { maintenanceSinceMs: undefined });
  await appendEvent(context, {
    level: 'info',
    code: 'MAINTENANCE_ENDED',
    text: `Maintenance of the master of "${scenario.name}" has ended; it is ${now.state}.`,
    scenarioId: scenario.id,
  });
  return now;
}
