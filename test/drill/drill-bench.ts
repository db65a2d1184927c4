import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { MOMENTS_OF } from '../../src/model/redirect.ts';
import type { Scenario } from '../../src/model/scenario.ts';
import { type DrillOptions, drillPlan } from '../../src/switchover/drill.ts';
import { type DrillReport, drillReport } from '../../src/switchover/drill-report.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { LIST_PRICES } from '../../src/verify/prices.ts';
import { Bench } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';

/** A bench whose scenario is synchronised, and a drill's plan on it with the report in memory. */
export const benches: Bench[] = [];
const reports = new Map<string, DrillReport>();

export async function ready(changes: Bench['changes'] = {}): Promise<Bench> {
  const on = await Bench.open();
  benches.push(on);
  on.changes = changes;
  on.fake.publicAddress = '127.0.0.1';
  on.fake.serial = 'Debian GNU/Linux 12 web01 ttyS0\nlogin:\n';
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  return on;
}

export async function closeBenches(): Promise<void> {
  for (const made of benches.splice(0)) await made.close();
  reports.clear();
}

export const RUN = 'drill-1';
export const LIVE = { scenario: scenario({ capture: 'nbd' }) };
/** A guest that answers, and who may ask it. */
export async function asked(change: Partial<Scenario> = {}) {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const healthChecks = [{ kind: 'tcp', port }] as const;
  const drill = { askFrom: '203.0.113.7' };
  return {
    port,
    scenario: scenario({ capture: 'nbd', healthChecks, drill, ...change }),
    close: () => new Promise((resolve) => server.close(resolve)),
  };
}

export const SCRIPTS: NonNullable<Scenario['scripts']> = [
  ...MOMENTS_OF.DRILL.map((at) => ({
    at,
    events: ['SWITCHOVER', 'DRILL'] as const,
    command: ['/bin/true'],
    timeoutSeconds: 5,
  })),
  { at: 'before-redirect', command: ['/bin/false'], timeoutSeconds: 5 },
];

/** The plan as control builds it, with the report in memory. */
export function plan(on: Bench, options: Partial<DrillOptions> = {}, runId = RUN) {
  const work = on.work(runId);
  return drillPlan(work, {
    isKept: false,
    isGivenUp: false,
    keep: async (name, content) => {
      const sha256 = createHash('sha256').update(content).digest('hex');
      return { name, bytes: Buffer.byteLength(content), sha256 };
    },
    declare: async () => {
      const run = await on.store.runs.get(runId);
      if (!run) throw new Error('the run is stored');
      const kept = options.isKept ? { keptUntilMs: 1 } : {};
      const report = drillReport({ work, run, prices: LIST_PRICES, ...kept });
      reports.set(runId, report);
      return { outcome: report.outcome, sha256: 'a'.repeat(64), folder: '/reports' };
    },
    ...options,
  });
}

export const reportOf = (runId = RUN): DrillReport => {
  const report = reports.get(runId);
  if (!report) throw new Error('there is a report');
  return report;
};

/** What a drill must leave as it was. */
export async function world(on: Bench) {
  const { sinceMs: _, ...status } = await on.status();
  return { resources: on.fake.all(), status, held: on.appliance.held, sealed: on.appliance.sealed };
}
