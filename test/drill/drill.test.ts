import { createHash } from 'node:crypto';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { drillRemovePlan } from '../../src/switchover/drill.ts';
import { drillHtml, drillMarkdown } from '../../src/switchover/drill-text.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { inventory, scenario } from '../fakes/scene.ts';
import {
  asked,
  benches,
  closeBenches,
  LIVE,
  plan,
  RUN,
  ready,
  reportOf,
  SCRIPTS,
  world,
} from './drill-bench.ts';

afterEach(closeBenches);

const KILLED = ['started', 'acted', 'before-done'] as const satisfies readonly Phase[];

describe('a drill', () => {
  it.each([
    ['at rest', {}],
    ['live', LIVE],
  ])('of a scenario %s boots a copy in a network of its own and leaves nothing', async (_, changes) => {
    const on = await ready(changes);
    const before = await world(on);
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(before);
    const report = reportOf();
    expect(report).toMatchObject({ outcome: 'passed', boot: { outcome: 'proven' }, hold: { lasted: true } });
    expect(report.steps.every((step) => step.state === 'done' && step.ms !== undefined)).toBe(true);
    expect(report.removal).toMatchObject({ state: 'proven', notOurs: [] });
    // Two snapshots, two disks, two NICs, a VM, a network and a security group.
    expect(report.removal).toMatchObject({ removed: { length: 9 }, askedFor: { length: 9 } });
    expect(report.evidence.serialLog?.bytes).toBeGreaterThan(10);
    expect(report.position?.sequence === undefined).toBe(changes !== LIVE);
    expect(report.cost.knownTotal).toBeGreaterThan(0);
    expect(report.cost.unknown.join()).toContain('snapshots');
  });

  it('of a live replica that nothing has changed yet tells when both ends agreed', async () => {
    const on = await ready(LIVE);
    const { live } = on.appliance;
    if (!live) throw new Error('it follows');
    live.masterNow = () => 0;
    await on.run(RUN, plan(on));
    expect(reportOf().position).toMatchObject({
      sequence: expect.any(String),
      at: '1970-01-01T00:00:00.001Z',
    });
  });

  it('starts the copy as it is with --no-patch, and says so', async () => {
    const on = await ready({ leaveOut: { patch: true } });
    await on.run(RUN, plan(on));
    expect(on.appliance.patches).toBe(0);
    expect(reportOf().patch).toEqual({ changes: [], left: [], leftOut: '--no-patch was given' });
    expect(drillMarkdown(reportOf())).toContain('Nothing: --no-patch was given.');
  });

  it('never calls passed what was not seen', async () => {
    const healthChecks = [{ kind: 'tcp', port: 80 }] as const;
    const on = await ready({ scenario: scenario({ healthChecks }) });
    on.fake.serial = 'boot skipped: guests are off (--guests none)\n';
    await on.run(RUN, plan(on));
    expect(reportOf().outcome).toBe('skipped');
    expect(reportOf().boot?.verdicts.map((one) => one.code)).toContain('HEALTH_NOT_ASKED');
    on.fake.serial = '';
    await on.run('drill-2', plan(on, {}, 'drill-2'));
    expect(reportOf('drill-2').outcome).toBe('not-proven');
    on.fake.serial = 'Kernel panic - not syncing: VFS: Unable to mount root fs\n';
    await on.run('drill-3', plan(on, {}, 'drill-3'));
    expect(reportOf('drill-3')).toMatchObject({
      outcome: 'failed',
      boot: { outcome: 'failed-but-accepted' },
    });
  });

  it('shows before it begins every resource that it will make', async () => {
    const on = await ready();
    const before = on.fake.all();
    const makes = plan(on)
      .stages.flat()
      .flatMap((step) => step.makes ?? []);
    await on.run(RUN, plan(on, { isKept: true }));
    const names = on.fake
      .all()
      .filter((id) => !before.includes(id))
      .map((id) => id.split('/').at(-1));
    expect(makes.map((made) => made.name).sort()).toEqual(names.sort());
  });

  it('says in Markdown and HTML what the JSON says, and lets nothing of a guest become markup', async () => {
    const on = await ready();
    on.fake.serial = '<script>alert(1)</script> | x\n';
    await on.run(RUN, plan(on));
    const html = drillHtml(reportOf());
    expect(html).not.toContain('<script>');
    expect(html).toContain('PASSED');
    const markdown = drillMarkdown(reportOf());
    expect(reportOf().patch?.changes).toEqual(on.appliance.patch.changes);
    expect(markdown).toContain(on.appliance.patch.changes[0]?.text);
    expect(markdown).toContain('\\| x');
    expect(markdown).toContain(reportOf().evidence.serialLog?.sha256);
  });
});

describe('a drill whose guest has spoken', () => {
  const GRUB = 'GRUB loading.\r\n';
  it.each([
    [
      'panics after it',
      `${GRUB}Kernel panic - not syncing: VFS: Unable to mount root fs\r\n`,
      'running',
      'panic',
    ],
    ['turns itself off after it', `${GRUB}reboot: Power down\r\n`, 'stopped', 'The VM is stopped'],
  ] as const)('and %s has failed, and its evidence is kept', async (_, then, power, words) => {
    const on = await ready();
    let looks = 0;
    const { machines } = on.fake.cloud;
    const serialLog = async () => (looks++ < 4 ? GRUB : then);
    const instance: typeof machines.instance = async (vmId) => {
      const found = await machines.instance(vmId);
      return found && looks > 4 ? { ...found, power } : found;
    };
    on.changes = { cloud: { ...on.fake.cloud, machines: { ...machines, serialLog, instance } } };
    await on.run(RUN, plan(on));
    expect(reportOf()).toMatchObject({
      outcome: 'failed',
      cause: expect.stringContaining(words),
      evidence: { serialLog: { bytes: then.length } },
      removal: { state: 'proven' },
    });
  });

  it('is followed until it is quiet, and not for ever', async () => {
    const on = await ready();
    let lines = 0;
    const serialLog = async () => 'kernel: and on it goes\r\n'.repeat(++lines);
    const { machines } = on.fake.cloud;
    on.changes = { cloud: { ...on.fake.cloud, machines: { ...machines, serialLog } } };
    await on.run(RUN, plan(on));
    expect(reportOf().outcome).toBe('passed');
    expect(reportOf().boot?.verdicts.map((one) => one.code)).toContain('SERIAL_FOLLOWED');
  });
});

describe('the picture of a drill', () => {
  it.each([
    ['png', '89504e470d0a1a0a00'],
    ['jpg', 'ffd8ffe000'],
    ['bmp', '424d00'],
  ])('is kept as screen.%s, by what it is', async (kind, hex) => {
    const on = await ready();
    on.fake.picture = Buffer.from(hex, 'hex');
    await on.run(RUN, plan(on));
    const sha256 = createHash('sha256').update(on.fake.picture).digest('hex');
    expect(reportOf().evidence).toMatchObject({ picture: { name: `screen.${kind}`, sha256 } });
    expect(drillHtml(reportOf())).toContain(`<img src="screen.${kind}"`);
    expect(drillMarkdown(reportOf())).toContain(`(screen.${kind})`);
  });

  it.each([
    ['that is not there', undefined, 'Azure has no picture of its screen'],
    ['that is none', Buffer.from('<html>'), 'is no picture'],
  ])('%s is said, and is no failure', async (_, picture, words) => {
    const on = await ready();
    on.fake.picture = picture;
    await on.run(RUN, plan(on));
    expect(reportOf()).toMatchObject({ outcome: 'passed', evidence: { serialLog: { name: 'serial.log' } } });
    expect(reportOf().evidence.picture).toBeUndefined();
    expect(drillHtml(reportOf())).toContain(words);
    expect(drillMarkdown(reportOf())).toContain(words);
  });
});

describe('killed at every boundary', async () => {
  const some = SCRIPTS.filter(({ at }) => at === 'before-seal' || at === 'after-boot');
  const guest = await asked({ scripts: some });
  afterAll(() => guest.close());
  const LIVE = {
    scenario: guest.scenario,
    runScript: async () => ({ seconds: 0, logFile: 'script.log' }),
  };
  const undisturbed = await ready(LIVE);
  benches.pop();
  const steps = plan(undisturbed).stages.flat();
  const made = steps.flatMap((step) => step.makes ?? []).map((one) => one.name);
  await undisturbed.close();
  const points = steps.flatMap((step) => KILLED.map((phase) => ({ stepId: step.id, phase })));
  const acted = points.filter(({ phase }) => phase === 'acted');

  it.each(points)('dead at $stepId, $phase: a resume ends with nothing left and a report', async (point) => {
    const on = await ready(LIVE);
    const before = await world(on);
    await on.crash(RUN, plan(on), point);
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(before);
    expect(reportOf().outcome).toBe('passed');
    expect(new Set(on.fake.made).size).toBe(on.fake.made.length);
  });

  it.each(acted)('dead at $stepId, $phase: given up, it ends with nothing left', async (point) => {
    const on = await ready(LIVE);
    const before = await world(on);
    await on.crash(RUN, plan(on), point);
    await on.run(RUN, plan(on, { isGivenUp: true }));
    expect(await world(on)).toEqual(before);
    expect(['failed', 'passed']).toContain(reportOf().outcome);
  });

  it.each(made)('dead after Azure made %s and before anybody knew: nothing is left', async (name) => {
    const on = await ready(LIVE);
    const before = await world(on);
    await on.crash(RUN, plan(on), { made: name });
    await on.run(RUN, plan(on, { isGivenUp: true }));
    expect(await world(on)).toEqual(before);
  });

  it.each(points)(
    'dead at $stepId, $phase and left there: a switchover goes on all the same',
    async (point) => {
      const on = await ready(LIVE);
      await on.crash(RUN, plan(on), point);
      await on.run('switch-1', switchoverPlan(on.work('switch-1')));
      expect(await on.status()).toMatchObject({ state: 'switched-over', switchedOverRunId: 'switch-1' });
      const standby = on.fake.all().filter((id) => roleOf(on, id)?.startsWith('standby-'));
      await on.run(RUN, plan(on));
      expect((await on.status()).state).toBe('switched-over');
      expect(on.fake.all().filter((id) => roleOf(on, id)?.startsWith('standby-'))).toEqual(standby);
      expect(on.fake.all().filter((id) => roleOf(on, id)?.startsWith('drill-'))).toEqual([]);
    },
  );
});

function roleOf({ fake }: Bench, id: string): string | undefined {
  const compute = [fake.machines, fake.disks, fake.snapshots];
  const maps = [...compute, fake.nics, fake.publicIps, fake.ownNetworks, fake.ownGroups];
  const found = maps.map((map) => map.get(id.toLowerCase())).find((one) => one !== undefined);
  return found?.tags['standby-role'];
}

describe('a drill that goes wrong', () => {
  it.each([
    'disks.createSnapshot',
    'network.ensureVirtualNetwork',
    'network.createNetworkInterface',
    'disks.createFromSnapshot',
    'machines.createFromDisks',
  ])('%s fails for good: the drill has failed, says why, and leaves nothing', async (verb) => {
    const on = await ready(LIVE);
    const before = await world(on);
    on.fake.beforeChange = (name) => {
      if (name === verb) throw new StandbyError({ code: 'AllocationFailed', what: 'No room.', why: 'Full.' });
    };
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(before);
    expect(reportOf()).toMatchObject({
      outcome: 'failed',
      failure: { code: 'AllocationFailed', why: 'Full.' },
    });
    expect(reportOf().steps.some((step) => step.state === 'left out')).toBe(true);
  });

  it('takes no snapshot for a good one when the replica moved before it was complete', async () => {
    const on = await ready(LIVE);
    const before = await world(on);
    on.fake.afterMade = (id) => {
      if (id.includes('/snapshots/')) on.appliance.holdEnds = 'the journal had no room for more';
    };
    await on.run(RUN, plan(on));
    expect(reportOf()).toMatchObject({
      outcome: 'failed',
      failure: { code: 'HOLD_ENDED', why: expect.stringContaining('no room') },
      hold: { lasted: false },
    });
    expect(await world(on)).toEqual(before);
  });

  it('an appliance that cannot be reached fails it before anything is made', async () => {
    const on = await ready(LIVE);
    const made = [...on.fake.made];
    const connect = async () => {
      throw new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' });
    };
    on.changes = { ...LIVE, connect };
    await on.run(RUN, plan(on));
    expect(reportOf().failure?.code).toBe('APPLIANCE_UNREACHABLE');
    expect(on.fake.made).toEqual(made);
  });

  it('deletes that fail are tried again; what stays is named, and a resume removes it', async () => {
    const on = await ready(LIVE);
    const before = await world(on);
    let refusals = 2;
    const busy = () => {
      throw new StandbyError({ code: 'Busy', what: 'The disk is busy.' });
    };
    on.fake.beforeChange = (name) => void (name === 'disks.delete' && refusals-- > 0 && busy());
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(before);
    on.fake.beforeChange = (name) => void (name === 'disks.delete' && busy());
    await expect(on.run('drill-2', plan(on, {}, 'drill-2'))).rejects.toMatchObject({
      code: 'DRILL_LEFT_OVER',
      why: expect.stringContaining('The disk is busy.'),
      next: expect.stringContaining('standby resume drill-2'),
    });
    expect(() => reportOf('drill-2')).toThrow('there is a report');
    on.fake.beforeChange = () => undefined;
    await on.run('drill-2', plan(on, {}, 'drill-2'));
    expect(await world(on)).toEqual(before);
    expect(reportOf('drill-2').outcome).toBe('passed');
  });

  it('removes nothing that is not ours, and says that it is there', async () => {
    const on = await ready();
    await on.run(RUN, plan(on, { isKept: true }));
    const [disk] = [...on.fake.disks.values()].filter((one) => one.tags['standby-role'] === 'drill-disk');
    if (!disk) throw new Error('a disk');
    disk.tags = {};
    await on.run(
      'remove-1',
      drillRemovePlan(on.work(RUN), async () => undefined),
    );
    expect(on.fake.all()).toContain(disk.id);
    const removed = (await on.store.runs.get('remove-1'))?.steps[0]?.output;
    expect(removed).toMatchObject({ notOurs: [disk.id] });
  });

  it('is refused while nothing is copied', async () => {
    const on = await Bench.open();
    benches.push(on);
    await on.run(RUN, plan(on));
    expect(reportOf().failure?.code).toBe('DRILL_NOT_NOW');
    expect(on.fake.made).toEqual([]);
  });
});

describe('a drill that is kept', () => {
  it('stays as it is until it is removed, and then nothing is left', async () => {
    const on = await ready(LIVE);
    const before = await world(on);
    await on.run(RUN, plan(on, { isKept: true }));
    expect(on.fake.all().length - before.resources.length).toBe(9);
    expect(reportOf().removal).toMatchObject({ state: 'kept' });
    expect(on.appliance.held).toBeUndefined();
    const remove = () => drillRemovePlan(on.work(RUN), async () => undefined);
    await on.crash('remove-1', remove(), { stepId: 'remove-drill', phase: 'acted' });
    await on.run('remove-1', remove());
    expect(await world(on)).toEqual(before);
  });

  it('counts the licence of Windows as unknown', async () => {
    const os = { family: 'windows', name: 'Windows Server 2022' } as const;
    const on = await ready({ inventory: inventory({ os }) });
    await on.run(RUN, plan(on));
    expect(reportOf().cost.unknown.join()).toContain('licence');
  });
});
