/**
 * Promises that nothing begins before the chosen time. Only waits: dying here leaves nothing, and a resumed run waits
 * for the same time, or goes on at once when it is over.
 */
import { timeText } from '../../clock.ts';
import type { Step } from '../../plan/plan.ts';
import type { Work } from '../../switchover/work.ts';

const LOOK_MS = 30_000;

export function waitToStartStep(work: Work, startAtMs: number): Step<{ readonly begunAtMs: number }> {
  return {
    id: 'wait-to-start',
    title: `Wait until ${timeText(startAtMs)}`,
    async run(context) {
      const { clock } = work;
      while (clock.now() < startAtMs) {
        const leftMs = startAtMs - clock.now();
        context.progress(
          `It begins at ${timeText(startAtMs)}. Ctrl-C ends the wait; standby resume ${work.runId} goes on.`,
        );
        await clock.sleep(Math.min(leftMs, LOOK_MS), context.signal);
      }
      return { begunAtMs: clock.now() };
    },
  };
}
