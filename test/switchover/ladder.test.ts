import { afterEach, describe, expect, it } from 'vitest';
import type { Scenario } from '../../src/model/scenario.ts';
import { nextRung, rungsOf } from '../../src/switchover/ladder.ts';
import { switchoverReport } from '../../src/switchover/report.ts';
import { switchoverPlan } from '../../src/switchover/switchover.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench } from '../fakes/bench.ts';
import { scenario } from '../fakes/scene.ts';

const RUN = 'run-1';
const [BIG, MIDDLE, SMALL] = ['Standard_D2s_v5', 'Standard_B2ms', 'Standard_B2s'] as const;
const benches: Bench[] = [];

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

/** A finished copy, and a region that has room for the smallest size in zone 2 only. */
async function full(vm: Partial<Scenario['vm']> = {}): Promise<Bench> {
  const on = await Bench.open();
  benches.push(on);
  await on.run('run-0', synchronisePlan(on.work('run-0'), { lanes: 2, compression: 'none' }));
  const ladder = { zone: '1', fallbackSizes: [MIDDLE, SMALL], fallbackZones: ['2'] };
  on.changes = { scenario: scenario({ vm: { ...scenario().vm, ...ladder, ...vm } }) };
  on.fake.noRoom = (size, zone) => {
    if (size === MIDDLE) return 'QuotaExceeded';
    return size === SMALL && zone === '2' ? undefined : 'ZonalAllocationFailed';
  };
  return on;
}

const plan = (on: Bench) => switchoverPlan(on.work(RUN));

async function world(on: Bench) {
  return {
    resources: on.fake.all(),
    machines: [...on.fake.machines.values()],
    disks: [...on.fake.disks.values()].map(({ id, zone, attachedTo }) => ({ id, zone, attachedTo })),
    status: { ...(await on.status()), sinceMs: 0 },
    events: (await on.store.events.list({ runId: RUN })).map((event) => event.code),
  };
}

describe('the order of the rungs', () => {
  const vm = { ...scenario().vm, size: BIG, fallbackSizes: [SMALL] };

  it('is all sizes in the first zone, and only then the next zone', () => {
    const rungs = rungsOf({ ...vm, zone: '3', fallbackZones: ['1'] });
    expect(rungs.map((one) => `${one.size}/${one.zone}`)).toEqual([
      `${BIG}/3`,
      `${SMALL}/3`,
      `${BIG}/1`,
      `${SMALL}/1`,
    ]);
    expect(rungsOf(vm)).toEqual([{ size: BIG }, { size: SMALL }]);
    expect(rungsOf(scenario().vm)).toHaveLength(1);
  });

  it('leaves out in the next zone what the quota refused, because a quota is the region’s', () => {
    const rungs = rungsOf({ ...vm, zone: '1', fallbackZones: ['2'] });
    const refused = [
      { size: BIG, zone: '1', code: 'QuotaExceeded', why: '' },
      { size: SMALL, zone: '1', code: 'ZonalAllocationFailed', why: '' },
    ];
    expect(nextRung(rungs, refused)).toEqual({ size: SMALL, zone: '2' });
  });
});

describe('a region without room', async () => {
  const undisturbed = await full();
  benches.pop();
  let changes = 0;
  undisturbed.fake.beforeChange = () => void changes++;
  const before = undisturbed.fake.all();
  const run = await undisturbed.run(RUN, plan(undisturbed));
  const expected = await world(undisturbed);
  const made = [...undisturbed.fake.made];
  await undisturbed.close();

  it('is left downwards: the last rung is taken, what fits stays, and people are told', () => {
    expect(run.status).toBe('done');
    const report = switchoverReport(undisturbed.work(RUN), run);
    expect(report.vm).toMatchObject({ size: SMALL, zone: '2' });
    expect(report.vm?.refused?.map(({ size, zone, code }) => `${size}/${zone} ${code}`)).toEqual([
      `${BIG}/1 ZonalAllocationFailed`,
      `${MIDDLE}/1 QuotaExceeded`,
      `${SMALL}/1 ZonalAllocationFailed`,
      `${BIG}/2 ZonalAllocationFailed`,
    ]);
    expect(report.events[0]?.text).toContain(`It runs as ${SMALL} in zone 2`);
    expect(expected.events[0]).toBe('STEPPED_DOWN');
    // Two disks were made again in the other zone, and nothing else was made twice.
    const twice = made.filter((id, index) => made.indexOf(id) !== index);
    expect(twice.every((id) => id.includes('/disks/'))).toBe(true);
    expect(twice).toHaveLength(2);
    expect(undisturbed.lines.join('\n')).toContain(`${SMALL} in zone 1 (ZonalAllocationFailed)`);
  });

  it('that fills up at any moment and any number of deaths leave the same world', async () => {
    const on = await full();
    // One death before each change in the cloud, all in one run: the worst that can happen.
    for (let change = 1; change <= changes + 20; change++) {
      try {
        await on.crash(RUN, plan(on), { change: 2 });
      } catch (error) {
        expect(String(error)).toContain('never came to');
        break;
      }
    }
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  const points = Array.from({ length: changes }, (_, index) => index + 1);
  it.each(points)('dead before change %i in the cloud: a resume ends in the same world', async (change) => {
    const on = await full();
    await on.crash(RUN, plan(on), { change });
    await on.run(RUN, plan(on));
    expect(await world(on)).toEqual(expected);
  });

  it.each(points.filter((point) => point % 2 === 0))(
    'dead before change %i in the cloud: an undo leaves what was there before',
    async (change) => {
      const on = await full();
      await on.crash(RUN, plan(on), { change });
      await on.undo(RUN, plan(on));
      expect(on.fake.all()).toEqual(before);
    },
  );

  it('on no rung fails with Azure’s word and every answer, and a later try begins at the top', async () => {
    const on = await full({ fallbackZones: [] });
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({
      code: 'ZonalAllocationFailed',
      why: expect.stringContaining(
        `${BIG} in zone 1 (ZonalAllocationFailed), ${MIDDLE} in zone 1 (QuotaExceeded)`,
      ),
    });
    on.fake.noRoom = () => undefined;
    const done = await on.run(RUN, plan(on));
    expect(switchoverReport(on.work(RUN), done).vm).toMatchObject({ size: BIG, zone: '1' });
  });

  it('never steps down for an error that another size does not mend', async () => {
    const on = await full();
    on.fake.noRoom = () => 'AuthorizationFailed';
    await expect(on.run(RUN, plan(on))).rejects.toMatchObject({ code: 'AuthorizationFailed' });
    expect(on.lines.join()).not.toContain('trying Standard');
  });
});
