import { isStandbyError, messageOf } from '../errors.ts';
import { isLiveCapture } from '../model/capture.ts';
import type { Scenario } from '../model/scenario.ts';
import type { Context } from './context.ts';
import { lookAt } from './live-look.ts';
import { announce, eachScenario, type PeriodicJob } from './periodic-job.ts';
import { scrubScenario } from './scrub.ts';

const LOOK_MS = 60_000;
const HOUR_MS = 3_600_000;

/** Compares both ends of each scenario that asks for it, one after the other: each reads whole disks. */
export function scrubJob(): PeriodicJob {
  /** One that failed is not begun again at once. */
  const notBefore = new Map<string, number>();
  return {
    name: 'scheduled scrubs',
    everyMs: LOOK_MS,
    run: (context) =>
      eachScenario(context, 'scrub', async (scenario, status) => {
        const { scrubEveryHours } = scenario;
        const nowMs = context.clock.now();
        const isOn = scrubEveryHours !== undefined && isLiveCapture(scenario.capture);
        if (!isOn || status.state !== 'replicating' || nowMs < (notBefore.get(scenario.id) ?? 0)) return;
        if (!(await isDue(context, scenario, scrubEveryHours * HOUR_MS))) return;
        notBefore.set(scenario.id, nowMs + Math.min(HOUR_MS, (scrubEveryHours * HOUR_MS) / 2));
        await scrub(context, scenario);
      }),
  };
}

/** Any comparison counts, also one by hand, and the one at the end of the first copy. */
async function isDue(context: Context, scenario: Scenario, everyMs: number): Promise<boolean> {
  const look = await lookAt(context, scenario);
  if (!look.answered || look.progress.state !== 'replicating' || look.progress.replication?.proving)
    return false;
  const atMs = look.progress.replication?.proof?.atMs;
  return atMs === undefined || look.atMs + look.clockDifferenceMs - atMs >= everyMs;
}

async function scrub(context: Context, scenario: Scenario): Promise<void> {
  // How it goes is nobody's news here; how it ended is.
  const quiet = { ...context, host: { ...context.host, tell: () => undefined } };
  try {
    const { proof } = await scrubScenario(quiet, scenario.name);
    const level = proof.equal ? 'info' : 'error';
    const text = `"${scenario.name}": both ends ${proof.equal ? 'are equal' : 'DIFFER'} at position ${proof.sequence}.`;
    context.host.tell({ kind: 'text', level, text });
  } catch (error) {
    context.host.signal.throwIfAborted();
    if (!isStandbyError(error)) throw error;
    await announce(context, scenario, {
      level: 'warning',
      code: 'SCRUB_FAILED',
      text: `The scheduled comparison of "${scenario.name}" did not come to its end: ${messageOf(error)}`,
    });
  }
}
