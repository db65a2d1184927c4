import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { BACKUP_DEFAULTS } from '../../src/model/backup.ts';
import { MOMENTS_OF } from '../../src/model/redirect.ts';
import type { Plan } from '../../src/plan/plan.ts';
import { backupPlan } from '../../src/switchover/backup.ts';
import { drillPlan } from '../../src/switchover/drill.ts';
import {
  failbackCancelPlan,
  failbackFromReplicaPlan,
  failbackPlan,
  failbackPreparePlan,
} from '../../src/switchover/failback.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench } from '../fakes/bench.ts';
import { DNS_UPDATE, inventory, NOW_MS, scenario } from '../fakes/scene.ts';

/** The tables of what a death leaves are those of the plans: every step of a plan has a row, and every row a step. */
const DOCS = join(import.meta.dirname, '../../docs');
const COPY = { lanes: 1, compression: 'none' } as const;
const never = () => Promise.reject(new Error('a plan that is only read does nothing'));

let bench: Bench;
afterEach(() => bench.close());

type Table = readonly [file: string, heading: string, plans: (on: Bench) => readonly Plan[]];
const TABLES: readonly Table[] = [
  [
    'SWITCHOVER.md',
    '## `standby run`',
    (on) => [
      synchronisePlan(on.work('a'), COPY),
      synchronisePlan(on.work('b'), { ...COPY, forSeed: true, startAtMs: NOW_MS }),
      synchronisePlan({ ...on.work('c'), scenario: scenario({ capture: 'nbd' }) }, COPY),
    ],
  ],
  ['SWITCHOVER.md', '## `standby switchover`', (on) => [switchoverPlan(on.work('a'), { planned: true })]],
  ['SWITCHOVER.md', '## The backup after a switchover', (on) => [backupPlan(on.work('a'), BACKUP)]],
  [
    'SWITCHOVER.md',
    '## Drills',
    (on) => {
      const { scenario } = on.work('a');
      const own = { ...scenario, drill: { askFrom: '203.0.113.7' } };
      return [on.work('a'), { ...on.work('a'), scenario: own }].map((work) =>
        drillPlan(work, { isKept: false, isGivenUp: false, keep: never, declare: never }),
      );
    },
  ],
  [
    'FAILBACK.md',
    '## Three plans',
    (on) => [
      failbackPreparePlan(on.work('a'), { vmId: 'vm' }),
      failbackPlan(on.work('a'), { vmId: 'vm', removeStandby: true, redirected: REDIRECTED }),
      failbackPlan(on.work('a'), { vmId: 'vm', removeStandby: false }),
      failbackFromReplicaPlan(on.work('a')),
      failbackCancelPlan(on.work('a')),
    ],
  ],
];

const BACKUP = {
  settings: BACKUP_DEFAULTS,
  reason: 'switchover',
  standbyRunId: 'run-1',
  notBeforeMs: 0,
  completeBackups: never,
} as const;
const REDIRECTED = {
  name: 'www.example.test',
  before: { addresses: ['192.0.2.10'], ttlSeconds: 300 },
  after: { addresses: ['20.0.0.4'], ttlSeconds: 300 },
};

it.each(TABLES)('%s, %s names each step of its plans, and nothing else', async (file, heading, plansOf) => {
  bench = await Bench.open();
  const moments = [...new Set(Object.values(MOMENTS_OF).flat())];
  bench.changes = {
    inventory: inventory({ fence: true }),
    scenario: scenario({
      redirect: DNS_UPDATE,
      drill: { virtualNetworkId: '/subscriptions/1/net', subnetName: 'drills' },
      healthChecks: [{ kind: 'tcp', port: 80 }],
      scripts: moments.map((at) => ({
        at,
        events: ['SWITCHOVER', 'DRILL', 'FAILBACK'],
        command: ['/bin/true'],
        timeoutSeconds: 5,
      })),
      backup: BACKUP_DEFAULTS,
    }),
  };
  const steps = plansOf(bench).flatMap((plan) => plan.stages.flat().map((step) => step.id));
  const rows = rowsOf(file, heading);
  expect(steps.filter((step) => !rows.some((row) => row.test(step)))).toEqual([]);
  expect(rows.filter((row) => !steps.some((step) => row.test(step))).map(String)).toEqual([]);
});

/** What the first column of the first table below a heading names. */
function rowsOf(file: string, heading: string): RegExp[] {
  const text = readFileSync(join(DOCS, file), 'utf8');
  const section = text.split(`${heading}\n`)[1]?.split('\n## ')[0] ?? '';
  const table = section.slice(section.indexOf('| step |')).split('\n\n')[0] ?? '';
  const names = table
    .split('\n')
    .slice(2)
    .flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/(?<![a-z-])[a-z]+(?:-[a-z]+)+(?:-\*)?/g)]);
  expect(names.length).toBeGreaterThan(4);
  return names.map(([name]) => new RegExp(`^${name.replace('-*', '-.+')}$`));
}
