import { randomUUID } from 'node:crypto';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { isStandbyError } from '../../src/errors.ts';
import { silentLog } from '../../src/log.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import { runPlan } from '../../src/plan/runner.ts';
import { chaosPlan } from './chaos-plan.ts';

/**
 * A process that works on every unfinished run of a store until there is none: chaos-worker.ts URL WORLD [STEP:PHASE].
 * With a point it dies there. Half of the workers hide who they are, so that their leases must run out.
 */
const [url = '', world = '', crashAt] = process.argv.slice(2);
const store = await openStore(url);
const owner = crashAt !== undefined || process.pid % 2 === 0 ? makeOwner() : `somewhere/${randomUUID()}`;
for (;;) {
  const runs = await store.runs.list({ statuses: ['running', 'failed'] });
  if (runs.length === 0) break;
  const run = runs[Math.floor(Math.random() * runs.length)];
  if (run === undefined) break;
  try {
    await runPlan({
      store: store.runs,
      plan: chaosPlan(world),
      run,
      owner,
      clock: systemClock,
      log: silentLog,
      signal: new AbortController().signal,
      leaseMs: 500,
      atPoint: ({ stepId, phase }) => {
        if (crashAt === `${stepId}:${phase}`) process.kill(process.pid, 'SIGKILL');
      },
    });
  } catch (error) {
    if (!isStandbyError(error) || error.code !== 'LEASE_HELD') throw error;
  }
}
await store.close();
