import { isLiveCapture } from '../model/capture.ts';
import type { IsAliveFound, Scenario, ScenarioState, ScenarioStatus } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { tryMaster } from './is-alive.ts';
import { announce, eachScenario, type PeriodicJob } from './periodic-job.ts';
import { changeStatus } from './scenario-status.ts';
import { isWatched } from './status-words.ts';

const EVERY_MS = 10_000;
/** One lost packet is no death. */
const SILENT_TIMES = 3;
/** Masters that do not answer take their time; the others do not wait for them. */
const AT_ONCE = 8;
/** Nobody is asked to keep a live file of each ping: what stays the same is written so often. */
const WRITE_EVERY_MS = 60_000;

/** While its master is followed (G-69). At rest the master is shut down, and a switched-over one is meant to be gone. */
const WATCHED_STATES: readonly ScenarioState[] = [
  'synchronising',
  'draining',
  'replicating',
  'resync-needed',
];

/** Tries each master in the ways its scenario asks for, and tells when one falls silent or is back. Only tells. */
export function isAliveJob(silentTimes = SILENT_TIMES): PeriodicJob {
  const silent = new Map<string, number>();
  return {
    name: 'is-alive',
    everyMs: EVERY_MS,
    run: (context) =>
      eachScenario(context, 'is-alive', (scenario, status) => tryOne(context, scenario, status), AT_ONCE),
  };

  async function tryOne(context: Context, scenario: Scenario, status: ScenarioStatus): Promise<void> {
    const isOn = isWatched(scenario.isAlive) && isLiveCapture(scenario.capture);
    if (!isOn || !WATCHED_STATES.includes(status.state)) return;
    const master = await context.store.masters.get(scenario.masterId);
    const address = master?.inventory.nics.flatMap((nic) => nic.addresses)[0]?.replace(/\/\d+$/, '');
    const found = await tryMaster(scenario.isAlive, address, context.host.signal);
    context.host.signal.throwIfAborted();
    const times = found.state === 'silent' ? (silent.get(scenario.id) ?? 0) + 1 : 0;
    silent.set(scenario.id, times);
    if (times === 0 || times >= silentTimes || status.isAliveFound?.state === 'silent')
      await keep(context, scenario, status, found);
  }
}

const NEWS: Readonly<Record<IsAliveFound['state'], { readonly code: string; readonly says: string }>> = {
  alive: { code: 'MASTER_ALIVE', says: 'answers again' },
  silent: {
    code: 'MASTER_SILENT',
    says: 'does not answer. Nothing is switched over because of it: look, then decide',
  },
  unknown: { code: 'IS_ALIVE_IMPOSSIBLE', says: 'cannot be tried' },
};

async function keep(
  context: Context,
  scenario: Scenario,
  status: ScenarioStatus,
  { state, found }: Pick<IsAliveFound, 'state' | 'found'>,
): Promise<void> {
  const atMs = context.clock.now();
  const before = status.isAliveFound;
  const isSame = before?.state === state;
  if (isSame && atMs - before.atMs < WRITE_EVERY_MS) return;
  const sinceMs = isSame ? before.sinceMs : atMs;
  await changeStatus(context, scenario, { isAliveFound: { state, found, sinceMs, atMs } });
  if (isSame || (before === undefined && state === 'alive')) return;
  const isPlanned = status.maintenanceSinceMs !== undefined;
  const { code, says } = NEWS[state];
  await announce(context, scenario, {
    level: state === 'alive' || (state === 'silent' && isPlanned) ? 'info' : 'warning',
    code,
    text: `The master of "${scenario.name}" ${says} (${found}).`,
    data: { found },
  });
}
