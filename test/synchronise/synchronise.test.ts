import { afterEach, describe, expect, it } from 'vitest';
import { StandbyError } from '../../src/errors.ts';
import { replicaDiskName } from '../../src/model/names.ts';
import { CopyRate } from '../../src/synchronise/copy-rate.ts';
import { chooseLuns } from '../../src/synchronise/steps/attach-replica-disks.ts';
import { synchronisePlan } from '../../src/synchronise/synchronise.ts';
import { Bench, type Phase } from '../fakes/bench.ts';
import { APPLIANCE_VM_ID } from '../fakes/fake-cloud.ts';
import { inventory, scenario } from '../fakes/scene.ts';

const OPTIONS = { lanes: 2, compression: 'none' } as const;
const benches: Bench[] = [];

async function bench(): Promise<Bench> {
  const made = await Bench.open();
  benches.push(made);
  return made;
}

afterEach(async () => {
  for (const made of benches.splice(0)) await made.close();
});

const plan = (on: Bench, runId = 'run-1') => synchronisePlan(on.work(runId), OPTIONS);

/** What is left of a run, whoever did it in however many tries. */
async function outcome(on: Bench, runId = 'run-1') {
  const { state, epoch, digests, activeRunId } = await on.status();
  const machine = on.fake.machines.get(APPLIANCE_VM_ID.toLowerCase());
  return {
    resources: on.fake.all(),
    made: [...on.fake.made].sort(),
    attached: machine?.dataDisks,
    state,
    epoch,
    digests,
    activeRunId,
    epochs: on.appliance.opened.map((spec) => spec.epoch),
    events: (await on.store.events.list({ runId })).map((event) => event.code),
    run: (await on.store.runs.get(runId))?.status,
  };
}

describe('the first copy', () => {
  it('ends synchronised, with both disks attached from LUN 1 on and the digests in the status', async () => {
    const on = await bench();
    await on.run('run-1', plan(on));
    const found = await outcome(on);
    expect(found).toMatchObject({
      state: 'synchronised',
      epoch: 1,
      epochs: [1],
      events: ['SYNCHRONISED'],
      run: 'done',
    });
    expect(found.attached?.map((disk) => disk.lun)).toEqual([0, 1, 2]);
    expect(found.digests?.map((disk) => disk.diskId)).toEqual(['disk0', 'disk1']);
    expect(on.appliance.opened[0]?.disks.map((disk) => disk.blank)).toEqual([true, true]);
  });

  it('shows progress that ends with everything', async () => {
    const on = await bench();
    await on.run('run-1', plan(on));
    const last = on.progress.at(-1);
    expect(on.progress.length).toBeGreaterThan(2);
    expect(last?.doneBytes).toBe(last?.totalBytes);
    expect(on.progress.some((one) => one.bytesPerSecond > 0 && one.secondsLeft !== undefined)).toBe(true);
  });

  it('says preparing-disks, not replication, while there is nothing to copy to', async () => {
    const on = await bench();
    const states: string[] = [];
    on.fake.beforeChange = () => void on.status().then((status) => states.push(status.state));
    await on.run('run-1', plan(on));
    expect(new Set(states)).toEqual(new Set(['preparing-disks']));
  });

  it('is refused with kind checks, and changes nothing, while a check finds an error', async () => {
    const on = await bench();
    const verdict = {
      code: 'QUOTA_EXCEEDED',
      status: 'error',
      title: 'Quota',
      found: 'Too little.',
    } as const;
    on.changes = { verify: async () => [verdict] };
    await expect(on.run('run-1', plan(on))).rejects.toMatchObject({
      kind: 'checks',
      code: 'CHECKS_FOUND_ERRORS',
    });
    expect(on.fake.made).toEqual([]);
    expect((await on.status()).state).toBe('stopped');
  });
});

describe('a second copy', () => {
  it('uses the same disks and LUNs under a new epoch, and calls none of them blank', async () => {
    const on = await bench();
    await on.run('run-1', plan(on));
    const before = await outcome(on);
    await on.run('run-2', plan(on, 'run-2'));
    const after = await outcome(on, 'run-2');
    expect(after.resources).toEqual(before.resources);
    expect(after.attached).toEqual(before.attached);
    expect(after).toMatchObject({ state: 'synchronised', epoch: 2, epochs: [1, 2] });
    expect(on.appliance.opened[1]?.disks.map((disk) => disk.blank)).toEqual([false, false]);
  });

  it('no longer claims the old copy from the moment the replica may be overwritten', async () => {
    const on = await bench();
    await on.run('run-1', plan(on));
    await on.crash('run-2', plan(on, 'run-2'), { stepId: 'open-replica', phase: 'acted' });
    const status = await on.status();
    expect(status.state).toBe('synchronising');
    expect(status.synchronisedAtMs).toBeUndefined();
    expect(status.digests).toBeUndefined();
  });
});

describe('trouble while copying', () => {
  it('waits for a master that is away, and says so once', async () => {
    const on = await bench();
    on.appliance.masterAwayTimes = 5;
    await on.run('run-1', plan(on));
    expect(on.lines.filter((line) => line.includes('not connected'))).toHaveLength(1);
    expect((await on.status()).state).toBe('synchronised');
  });

  it('waits for an appliance that cannot be reached for a while', async () => {
    const on = await bench();
    const gone = new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' });
    on.appliance.refusals = [gone, gone, gone];
    await on.run('run-1', plan(on));
    expect(on.lines.filter((line) => line.startsWith('No answer.'))).toHaveLength(1);
  });

  it('gives up on an appliance that refuses us for good', async () => {
    const on = await bench();
    on.appliance.refusals = [
      new StandbyError({ code: 'APPLIANCE_WRONG', what: 'Another appliance answers.' }),
    ];
    await expect(on.run('run-1', plan(on))).rejects.toMatchObject({ code: 'APPLIANCE_WRONG' });
  });

  it('a disk that changed leaves resync-needed with the reason, and a resume copies again', async () => {
    const on = await bench();
    on.appliance.failure = { code: 'DISK_CHANGED', what: 'disk1 changed while it was read.' };
    await expect(on.run('run-1', plan(on))).rejects.toMatchObject({ code: 'DISK_CHANGED' });
    expect(await on.status()).toMatchObject({
      state: 'resync-needed',
      reason: 'disk1 changed while it was read.',
    });
    await on.run('run-1', plan(on));
    const found = await outcome(on);
    expect(found).toMatchObject({ state: 'synchronised', epoch: 1, events: ['COPY_FAILED', 'SYNCHRONISED'] });
    expect((await on.status()).reason).toBeUndefined();
  });

  it('a copy that somebody stopped on the appliance is not started again behind his back', async () => {
    const on = await bench();
    const work = on.work('run-1');
    const tellProgress = () => {
      on.appliance.phase = 'idle';
    };
    const stopping = { ...work, tellProgress };
    await expect(on.run('run-1', synchronisePlan(stopping, OPTIONS))).rejects.toMatchObject({
      code: 'COPY_STOPPED',
    });
    expect(on.appliance.starts).toBe(1);
  });

  it('is never called finished without a digest of all of every disk', async () => {
    const on = await bench();
    on.appliance.digests = () => [{ diskId: 'disk0', sizeBytes: 512, digest: 'a'.repeat(64) }];
    await expect(on.run('run-1', plan(on))).rejects.toMatchObject({ code: 'DIGESTS_INCOMPLETE' });
    expect((await on.status()).state).not.toBe('synchronised');
  });

  it('does not take a disk of somebody else for its replica', async () => {
    const on = await bench();
    const name = replicaDiskName(scenario(), 'disk1');
    await on.run('run-1', plan(on));
    for (const disk of on.fake.disks.values()) if (disk.name === name) disk.tags = {};
    await expect(on.run('run-2', plan(on, 'run-2'))).rejects.toMatchObject({ code: 'NOT_OURS' });
  });
});

describe('killed at every boundary', async () => {
  const undisturbed = await Bench.open();
  const steps = plan(undisturbed).stages.flat();
  await undisturbed.run('run-1', plan(undisturbed));
  const expected = await outcome(undisturbed);
  await undisturbed.close();

  const phases: Phase[] = ['started', 'acted', 'before-done'];
  const points = steps.flatMap((step) => phases.map((phase) => ({ stepId: step.id, phase })));

  it.each(points)('dead at $stepId, $phase: a resume ends in the same world', async (point) => {
    const on = await bench();
    await on.crash('run-1', plan(on), point);
    expect((await on.store.runs.get('run-1'))?.status).toBe('running');
    await on.run('run-1', plan(on));
    expect(await outcome(on)).toEqual(expected);
  });

  it.each(['disk0', 'disk1'])(
    'dead after Azure made the replica of %s and before anybody knew',
    async (diskId) => {
      const on = await bench();
      await on.crash('run-1', plan(on), { made: replicaDiskName(scenario(), diskId) });
      await on.run('run-1', plan(on));
      expect(await outcome(on)).toEqual(expected);
      expect(on.appliance.opened[0]?.disks.map((disk) => disk.blank)).toEqual([true, true]);
    },
  );

  it('dead twice at each point of the copy', async () => {
    const on = await bench();
    for (const phase of phases) await on.crash('run-1', plan(on), { stepId: 'copy-disks', phase });
    await on.run('run-1', plan(on));
    expect(await outcome(on)).toEqual(expected);
  });
});

describe('LUNs', () => {
  const work = { scenario: scenario(), inventory: inventory() };
  const attached = (diskId: string, lun: number) => ({ diskId: `/x/${diskId}`, lun });
  const name = (diskId: string) => replicaDiskName(scenario(), diskId);

  it('are the first free ones from 1 on, in the master’s order', () => {
    const dataDisks = [attached('journal', 0), attached('other', 2)];
    expect(chooseLuns(work, { dataDisks })).toEqual({ disk0: 1, disk1: 3 });
  });

  it('stay where a disk is attached already, and where they were remembered', () => {
    const dataDisks = [attached('journal', 0), attached(name('disk1').toUpperCase(), 1)];
    expect(chooseLuns(work, { dataDisks }, { disk0: 5 })).toEqual({ disk0: 5, disk1: 1 });
  });

  it('are chosen again when another scenario has taken a remembered one', () => {
    const dataDisks = [attached('journal', 0), attached('other', 1)];
    expect(chooseLuns(work, { dataDisks }, { disk0: 1, disk1: 2 })).toEqual({ disk0: 2, disk1: 3 });
  });

  it('are chosen again as often as other scenarios are quicker', async () => {
    const on = await bench();
    let others = 5;
    on.fake.beforeChange = (change) => {
      const machine = on.fake.machines.get(APPLIANCE_VM_ID.toLowerCase());
      if (change !== 'machines.attachDisks' || !machine || others === 0) return;
      const lun = machine.dataDisks.length;
      machine.dataDisks = [...machine.dataDisks, { diskId: `/x/other-${lun}`, lun }];
      others -= 1;
    };
    await on.run('run-1', plan(on));
    const { attached: found, run } = await outcome(on);
    expect([run, others]).toEqual(['done', 0]);
    expect(found?.map((disk) => disk.lun)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
    expect(on.appliance.opened[0]?.disks.map(({ lun }) => lun)).toEqual([6, 7]);
  });
});

describe('the rate of a copy', () => {
  it('looks ten seconds back, and knows no time left while nothing moves', () => {
    const rate = new CopyRate();
    expect(rate.add(0, { doneBytes: 0, totalBytes: 1000 })).toEqual({ bytesPerSecond: 0 });
    expect(rate.add(1000, { doneBytes: 100, totalBytes: 1000 })).toEqual({
      bytesPerSecond: 100,
      secondsLeft: 9,
    });
    for (let second = 2; second <= 30; second++)
      rate.add(second * 1000, { doneBytes: 100, totalBytes: 1000 });
    expect(rate.add(31_000, { doneBytes: 100, totalBytes: 1000 })).toEqual({ bytesPerSecond: 0 });
  });

  it('begins anew when a restarted copy counts from less', () => {
    const rate = new CopyRate();
    rate.add(0, { doneBytes: 900, totalBytes: 1000 });
    expect(rate.add(1000, { doneBytes: 100, totalBytes: 1000 })).toEqual({ bytesPerSecond: 0 });
  });
});
