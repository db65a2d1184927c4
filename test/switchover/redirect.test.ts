import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { MOMENTS_OF } from '../../src/model/redirect.ts';
import type { RecordState, Redirect } from '../../src/redirect/redirect.ts';
import { reportNotices, switchoverReport } from '../../src/switchover/report.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { vmStartPlan, vmStopPlan } from '../../src/switchover/vm.ts';
import type { Work } from '../../src/switchover/work.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench } from '../fakes/bench.ts';
import { DNS_UPDATE, scenario } from '../fakes/scene.ts';

/** Where a redirection and scripts stand in the plans, and what is left when the process dies there. */
const RUN = 'run-1';
const OLD: RecordState = { addresses: ['192.0.2.10'], ttlSeconds: 300 };
const NEW: RecordState = { addresses: ['20.0.0.4'], ttlSeconds: 300 };
const made: Bench[] = [];

/** A record that outlives the "processes"; it fails where a test says. */
class Dns implements Redirect {
  readonly title = 'A record www.example.test';
  record = OLD;
  beforeChange: () => void = () => undefined;
  readonly current = async () => this.record;
  readonly rehearse = async () => undefined;
  async change(from: RecordState, to: RecordState): Promise<void> {
    this.beforeChange();
    expect(this.record.addresses).toEqual(from.addresses);
    this.record = to;
  }
}

interface Scene {
  readonly on: Bench;
  readonly dns: Dns;
  readonly scripts: { at: string; facts: Readonly<Record<string, string>> }[];
}

async function scene(more: Partial<Work> = {}): Promise<Scene> {
  const on = await Bench.open();
  made.push(on);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  const dns = new Dns();
  const scripts: Scene['scripts'] = [];
  on.changes = {
    scenario: scenario({
      redirect: DNS_UPDATE,
      scripts: [
        ...MOMENTS_OF.SWITCHOVER.map((at) => ({ at, command: ['/bin/true'], timeoutSeconds: 5 })),
        // Of other events: a switchover must not run them.
        { at: 'before-seal', events: ['DRILL'], command: ['/bin/false'], timeoutSeconds: 5 },
        { at: 'before-restore', events: ['FAILBACK'], command: ['/bin/false'], timeoutSeconds: 5 },
      ],
    }),
    redirect: async () => dns,
    runScript: async ({ at }, { event, facts }) => {
      expect(event).toBe('SWITCHOVER');
      scripts.push({ at, facts });
      return { seconds: 0, logFile: `${at}.log` };
    },
    ...more,
  };
  return { on, dns, scripts };
}

afterEach(async () => {
  for (const one of made.splice(0)) await one.close();
});

const plan = (on: Bench) => switchoverPlan(on.work(RUN));

async function world({ on, dns }: Scene) {
  const { state, redirected, activeRunId, standbyVmId } = await on.status();
  return { resources: on.fake.all(), record: dns.record, state, redirected, activeRunId, standbyVmId };
}

describe('A switchover with a redirection and scripts', () => {
  it('runs each script at its moment, with what is known then', async () => {
    const { on, scripts } = await scene();
    await on.run(RUN, plan(on));
    expect(scripts.map((one) => one.at)).toEqual(MOMENTS_OF.SWITCHOVER);
    expect(scripts[0]?.facts).toEqual({ SCENARIO: 'web', RUN_ID: RUN, MASTER: 'web01', VM_NAME: 'web01' });
    expect(scripts.at(-1)?.facts).toMatchObject({
      PUBLIC_IP: '20.0.0.4',
      PRIVATE_IP: '10.0.1.20',
      VM_ID: expect.stringContaining('/virtualMachines/web01'),
    });
  });

  it('changes the record after the boot proof, keeps the old value, and tells people the name', async () => {
    const { on, dns } = await scene();
    const run = await on.run(RUN, plan(on));
    expect(dns.record).toEqual(NEW);
    const record = { name: 'www.example.test', before: OLD, after: NEW };
    expect((await on.status()).redirected).toEqual(record);
    const report = switchoverReport(on.work(RUN), run);
    expect(report.redirected).toEqual(record);
    expect(report.tell).toEqual([
      'Clients find the standby as www.example.test: 20.0.0.4 (it was 192.0.2.10). Clients keep the old address for up to 300 s.',
    ]);
    expect(report.events.at(-1)).toMatchObject({ code: 'REDIRECTED' });
    expect(JSON.stringify(reportNotices(report))).not.toContain('No redirection is set');
  });

  it('that cannot redirect stops before the commit point, and goes live without when it is told to', async () => {
    const { on, dns } = await scene();
    dns.beforeChange = () => {
      throw new StandbyError({
        code: 'DNS_REFUSED',
        what: 'The DNS server refused.',
        next: 'Check the key.',
      });
    };
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'DNS_REFUSED',
      next: expect.stringContaining('standby switchover web --no-redirect'),
    });
    expect((await on.status()).state).toBe('switching-over');
    on.changes = { ...on.changes, leaveOut: { redirect: true } };
    const report = switchoverReport(on.work(RUN), await on.run(RUN, plan(on)));
    expect(report.live).toBe(true);
    expect(report.tell.join(' ')).toContain('The redirection was left out');
    expect(report.tell.join(' ')).toContain('20.0.0.4');
    expect(dns.record).toEqual(OLD);
  });

  it('left out after a change that nobody heard of, says what the record is and takes it home', async () => {
    const { on, dns } = await scene();
    dns.beforeChange = () => {
      dns.record = NEW;
      throw new StandbyError({ code: 'DNS_UNREACHABLE', what: 'No answer came.' });
    };
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({ code: 'DNS_UNREACHABLE' });
    on.changes = { ...on.changes, leaveOut: { redirect: true } };
    const report = switchoverReport(on.work(RUN), await on.run(RUN, plan(on)));
    expect(report.tell.join(' ')).toContain('Clients find the standby as www.example.test: 20.0.0.4');
    expect((await on.status()).redirected).toEqual({ name: 'www.example.test', before: OLD, after: NEW });
  });

  it('left out while nobody can tell what the record is, keeps its old value for the way home', async () => {
    const { on, dns } = await scene();
    const silent = async () => {
      throw new StandbyError({ code: 'DNS_UNREACHABLE', what: 'No answer came.' });
    };
    dns.beforeChange = () => {
      Object.assign(dns, { current: silent });
      throw new StandbyError({ code: 'DNS_UNREACHABLE', what: 'No answer came.' });
    };
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({ code: 'DNS_UNREACHABLE' });
    on.changes = { ...on.changes, leaveOut: { redirect: true } };
    const report = switchoverReport(on.work(RUN), await on.run(RUN, plan(on)));
    expect(report.tell.join(' ')).toContain('The redirection was left out');
    expect((await on.status()).redirected).toMatchObject({ before: OLD });
  });

  it('that has a broken script stops there and says where its words are', async () => {
    const { on } = await scene({
      runScript: async ({ at }) => {
        if (at !== 'before-build') return { seconds: 0, logFile: '' };
        throw new StandbyError({ code: 'SCRIPT_FAILED', what: 'It failed.', next: 'See its log.' });
      },
    });
    const before = on.fake.all();
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'SCRIPT_FAILED',
      next: expect.stringMatching(/See its log\..* --no-scripts/),
    });
    expect(on.fake.all()).toEqual(before);
  });
});

describe('The way home', () => {
  it('vm stop puts the old value back first, and vm start sends clients there again', async () => {
    const all = await scene();
    const { on, dns } = all;
    await on.run(RUN, plan(on));
    const { standbyVmId: vmId = '', redirected } = await on.status();
    if (!redirected) throw new Error('it is redirected');
    await on.run('stop', vmStopPlan(on.work('stop'), { vmId, remove: false, redirected }));
    expect(dns.record).toEqual(OLD);
    expect((await on.status()).redirected).toBeUndefined();
    await on.run('start', vmStartPlan(on.work('start'), { existingVmId: vmId }));
    expect(dns.record).toEqual(NEW);
    expect((await on.status()).redirected).toEqual(redirected);
  });

  it('leaves alone what somebody else has changed since, and stops the VM all the same', async () => {
    const { on, dns } = await scene();
    await on.run(RUN, plan(on));
    const { standbyVmId: vmId = '', redirected } = await on.status();
    if (!redirected) throw new Error('it is redirected');
    dns.record = { addresses: ['198.51.100.1'], ttlSeconds: 60 };
    await on.run('stop', vmStopPlan(on.work('stop'), { vmId, remove: false, redirected }));
    expect(dns.record.addresses).toEqual(['198.51.100.1']);
    const events = await on.store.events.list({ runId: 'stop' });
    expect(events.map((one) => `${one.level} ${one.code}`)).toContain('warning REDIRECTED_BACK');
    expect(on.fake.machines.get(vmId.toLowerCase())?.power).toBe('deallocated');
  });
});

describe('Killed around a redirection', async () => {
  const undisturbed = await scene();
  made.pop();
  const steps = plan(undisturbed.on).stages.flat();
  const before = await world(undisturbed);
  await undisturbed.on.run(RUN, plan(undisturbed.on));
  const expected = await world(undisturbed);
  await undisturbed.on.close();
  const ids = steps.map((step) => step.id).filter((id) => /^(run-script-after|redirect)/.test(id));
  const points = ids.flatMap((stepId) =>
    (['started', 'acted', 'before-done'] as const).map((phase) => ({ stepId, phase })),
  );
  const last = [
    ...points.filter((one) => one.stepId === 'redirect-clients'),
    { stepId: 'commit-switchover', phase: 'before-done' as const },
  ];

  it.each([...points, { saved: 'redirect-clients' }])(
    'at %o, a resume ends in the same world',
    async (point) => {
      const all = await scene();
      await all.on.crash(RUN, plan(all.on), point);
      await all.on.run(RUN, plan(all.on));
      expect(await world(all)).toEqual(expected);
    },
  );

  it.each([...last, { saved: 'redirect-clients' }])('at %o, an undo puts the record back', async (point) => {
    const all = await scene();
    await all.on.crash(RUN, plan(all.on), point);
    await all.on.undo(RUN, plan(all.on));
    expect(await world(all)).toEqual(before);
  });
});
