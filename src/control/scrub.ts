import { isoTime } from '../clock.ts';
import { inputError, StandbyError } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario } from '../model/scenario.ts';
import type { ControlSession, CopyProgress, ReplicaProof } from '../wire/control-session.ts';
import { liveScenario, withAppliance } from './bookmarks.ts';
import type { Context } from './context.ts';
import { appendEvent } from './events.ts';
import { resyncReason, takeOver } from './live-look.ts';
import { scenarioNamed } from './scenario-named.ts';
import { changeStatus, statusOf } from './scenario-status.ts';

export interface ScrubReport {
  readonly scenario: Scenario;
  readonly proof: ReplicaProof;
}

const HOLD_MS = 1000;

/** How often `standby serve` does it; undefined takes the schedule away. */
export async function scheduleScrubs(
  context: Context,
  name: string,
  everyHours: number | undefined,
): Promise<Scenario> {
  const scenario = await scenarioNamed(context, name);
  if (!isLiveCapture(scenario.capture)) {
    throw inputError(
      'NOT_LIVE',
      `Scenario ${scenario.name} is copied at rest: both ends are compared at the end of each copy.`,
    );
  }
  const saved = await context.store.scenarios.update(scenario.id, ({ scrubEveryHours: _before, ...rest }) =>
    everyHours === undefined ? rest : { ...rest, scrubEveryHours: everyHours },
  );
  await appendEvent(context, {
    level: 'info',
    code: 'SCRUBS_SCHEDULED',
    text: `Both ends of "${saved.name}" are compared ${everyHours === undefined ? 'by hand only' : `every ${everyHours} hours by standby serve`}.`,
    scenarioId: saved.id,
  });
  return saved;
}

/**
 * Both ends read their disks at one position and compare. The appliance does it; when this process ends, it goes on
 * and `standby status` shows how it ended. A difference makes the scenario `resync-needed` there, and here.
 */
export async function scrubScenario(context: Context, name: string): Promise<ScrubReport> {
  const scenario = await liveScenario(context, name);
  const proof = await withAppliance(context, scenario, (session) => follow(context, scenario, session));
  const status = await statusOf(context, scenario);
  if (proof.equal && status.state === 'replicating') {
    await changeStatus(context, scenario, { digests: proof.digests });
  }
  await appendEvent(context, {
    id: `${scenario.id}/${status.epoch}/SCRUBBED/${proof.atMs}`,
    level: proof.equal ? 'info' : 'error',
    code: proof.equal ? 'SCRUB_EQUAL' : 'SCRUB_DIFFERENT',
    text: `"${scenario.name}": both ends ${proof.equal ? 'are equal' : 'differ'} at position ${proof.sequence} (compared ${isoTime(proof.atMs)}).`,
    scenarioId: scenario.id,
    data: { ...proof },
  });
  return { scenario, proof };
}

async function follow(context: Context, scenario: Scenario, session: ControlSession): Promise<ReplicaProof> {
  const { host, clock } = context;
  const before = await session.progress(scenario.id);
  const last = before.replication?.proof;
  await session.scrub(scenario.id);
  host.tell({
    kind: 'text',
    level: 'info',
    text: 'Both ends read their disks at one position; replication goes on.',
  });
  for (;;) {
    host.signal.throwIfAborted();
    const progress = await session.progress(scenario.id, HOLD_MS);
    const proof = progress.replication?.proof;
    if (proof && (proof.atMs !== last?.atMs || proof.sequence !== last.sequence)) {
      await heard(context, scenario, progress);
      return proof;
    }
    if (!['replicating', 'master-away'].includes(progress.state)) throw gaveUp(scenario, progress);
    const text =
      progress.state === 'master-away'
        ? 'The master is away; the comparison begins anew when it is back.'
        : 'Comparing both ends';
    host.tell({ kind: 'activity', id: 'scrub', text });
    await clock.sleep(HOLD_MS / 4, host.signal);
  }
}

async function heard(context: Context, scenario: Scenario, progress: CopyProgress): Promise<void> {
  const look = { answered: true, progress, atMs: context.clock.now(), clockDifferenceMs: 0 } as const;
  await takeOver(context, scenario, await statusOf(context, scenario), look);
}

function gaveUp(scenario: Scenario, progress: CopyProgress): StandbyError {
  return new StandbyError({
    code: 'SCRUB_STOPPED',
    what: `The comparison of "${scenario.name}" did not come to its end.`,
    why:
      progress.state === 'resync-needed' ? resyncReason(progress) : `The appliance says ${progress.state}.`,
    next: `Look: standby status ${scenario.name}`,
  });
}
