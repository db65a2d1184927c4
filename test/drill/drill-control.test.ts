import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import type { Context } from '../../src/control/context.ts';
import {
  type DrillResult,
  keptDrills,
  proposeDrill,
  removeDrills,
  startDrill,
  unfinishedDrills,
} from '../../src/control/drill.ts';
import { checkDrillReports } from '../../src/control/drill-files.ts';
import { drillsTold } from '../../src/control/drill-list.ts';
import { setDrills, settingsOf } from '../../src/control/drill-settings.ts';
import { listEvents } from '../../src/control/events.ts';
import { createGroup } from '../../src/control/group/definition.ts';
import { runScenario } from '../../src/control/run.ts';
import { resume, undo } from '../../src/control/runs.ts';
import { scenarioNamed } from '../../src/control/scenario-named.ts';
import { statusOf } from '../../src/control/scenario-status.ts';
import { drillJob } from '../../src/control/serve-drills.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { lastDrillTimeMs, parseDrillSchedule } from '../../src/model/drill-schedule.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from '../control/scenario-world.ts';

let world: ScenarioWorld;
let resources: string[];

beforeEach(async () => {
  world = await scenarioWorld();
  world.cloud.picture = Buffer.from('89504e470d0a1a0aff', 'hex');
  world.cloud.serial = 'Debian GNU/Linux 12 web01 ttyS0\n';
  await scenarioWizard(world.context, { preset: { ...ANSWERS, capture: 'compare' }, yes: true });
  await runScenario(world.context, 'web');
  resources = world.cloud.all();
});
afterEach(() => world.close());

const drill = async (context = world.context, keepHours?: number): Promise<DrillResult> =>
  startDrill(context, await proposeDrill(context, 'web', keepHours === undefined ? {} : { keepHours }));
const scenario = () => scenarioNamed(world.context, 'web');
const codes = async () => (await listEvents(world.context, { scenario: 'web' })).map(({ code }) => code);

/** The same world, seen so much later. */
function later(ms: number): Context {
  const { clock } = world.context;
  return { ...world.context, clock: { ...clock, now: () => systemClock.now() + ms } };
}

const HOUR_MS = 3_600_000;

describe('standby drill', () => {
  it('writes a report, an event and the last drill, and leaves the state of the scenario alone', async () => {
    const before = await statusOf(world.context, await scenario());
    const { report, folder, sha256 } = await drill();
    expect(report.outcome).toBe('passed');
    const { drilled, ...status } = await statusOf(world.context, await scenario());
    expect(status).toEqual(before);
    expect(drilled).toMatchObject({ outcome: 'passed', sha256, runId: report.runId });
    expect(await codes()).toContain('DRILL_PASSED');
    expect(world.cloud.all()).toEqual(resources);
    expect(await readFile(join(folder, 'serial.log'), 'utf8')).toContain('web01');
    for (const page of ['report.md', 'report.html'])
      expect(await readFile(join(folder, page), 'utf8')).toContain('PASSED');
    expect(await drillsTold(world.context, 'web')).toMatchObject([{ outcome: 'passed', folder }]);
  });

  it('is refused before a run is made when there is nothing to try', async () => {
    await world.context.store.statuses.update((await scenario()).id, (one) => ({ ...one, state: 'stopped' }));
    await expect(drill()).rejects.toMatchObject({ code: 'DRILL_NOT_NOW', kind: 'input' });
    expect(await unfinishedDrills(world.context, await scenario())).toEqual([]);
  });

  it('that fails says so in an event, and the next one goes on in the chain', async () => {
    world.cloud.noRoom = () => 'AllocationFailed';
    const first = await drill();
    expect(first.report.failure?.code).toBe('AllocationFailed');
    expect((await listEvents(world.context, { scenario: 'web' })).at(-1)).toMatchObject({
      code: 'DRILL_FAILED',
      text: expect.stringContaining(first.report.failure?.what ?? 'a failure'),
    });
    expect(world.cloud.all()).toEqual(resources);
    world.cloud.noRoom = () => undefined;
    const second = await drill();
    expect(second.report).toMatchObject({ outcome: 'passed', previousSha256: first.sha256 });
  });
});

describe('the chain of reports', () => {
  const check = async () => checkDrillReports(world.context, await scenario());

  it('is whole as long as nobody changes a byte of reports or evidence', async () => {
    expect(await check()).toEqual({ reports: [], problems: [] });
    await drill();
    const { folder } = await drill();
    await drill();
    expect(await check()).toMatchObject({ reports: { length: 3 }, problems: [] });
    for (const name of ['report.json', 'report.md', 'report.html', 'serial.log']) {
      const file = join(folder, name);
      const text = await readFile(file, 'utf8');
      await writeFile(file, text.replace(/web/, 'wob'));
      expect((await check()).problems.join('\n')).toContain(name === 'report.json' ? 'names' : name);
      await writeFile(file, text);
    }
    expect((await check()).problems).toEqual([]);
    await writeFile(join(folder, 'screen.png'), Buffer.from('89504e470d0a1a0afe', 'hex'));
    expect((await check()).problems.join('\n')).toContain('screen.png is not what was kept');
  });

  it('shows that the last report is gone', async () => {
    await drill();
    const { folder } = await drill();
    await writeFile(join(folder, 'report.json'), '{');
    expect((await check()).problems.join('\n')).toMatch(/is no report[\s\S]*the store knows/);
  });
});

describe('what a drill leaves', () => {
  it('kept, it stays its hours; then serve removes it, and proves that nothing is left', async () => {
    await drill(world.context, 4);
    expect(world.cloud.all().length).toBe(resources.length + 9);
    await drillJob.run(later(3 * HOUR_MS));
    expect(world.cloud.all().length).toBe(resources.length + 9);
    expect(await drillsTold(world.context, 'web')).toMatchObject([{ keptUntil: expect.any(String) }]);
    await drillJob.run(later(5 * HOUR_MS));
    expect(world.cloud.all()).toEqual(resources);
    expect(await keptDrills(world.context, await scenario())).toEqual([]);
    expect(await codes()).toContain('DRILL_REMOVED');
  });

  it('kept and expired, the next drill removes it first; two may be kept beside each other', async () => {
    await drill(world.context, 1);
    await drill(world.context, 48);
    expect(world.cloud.all().length).toBe(resources.length + 18);
    await drill(later(2 * HOUR_MS));
    expect(world.cloud.all().length).toBe(resources.length + 9);
    expect((await removeDrills(world.context, 'web')).removed).toHaveLength(1);
    expect(world.cloud.all()).toEqual(resources);
  });

  it('interrupted, an hour later serve gives it up and removes it', async () => {
    await interrupted();
    await drillJob.run(later(HOUR_MS / 2));
    expect(await unfinishedDrills(world.context, await scenario())).toHaveLength(1);
    await drillJob.run(later(2 * HOUR_MS));
    expect(await unfinishedDrills(world.context, await scenario())).toEqual([]);
    expect(world.cloud.all()).toEqual(resources);
    expect(await drillsTold(world.context, 'web')).toMatchObject([{ outcome: 'failed' }]);
  });

  it.each(['resume', 'undo', 'remove', 'drill'] as const)(
    'interrupted, `%s` ends with nothing left',
    async (how) => {
      const runId = await interrupted();
      if (how === 'resume') await resume(world.context, runId);
      if (how === 'undo') await undo(world.context, runId);
      if (how === 'remove') await removeDrills(world.context, 'web');
      if (how === 'drill') expect((await drill()).run.id).toBe(runId);
      expect(world.cloud.all()).toEqual(resources);
      const outcome = how === 'resume' || how === 'drill' ? 'passed' : 'failed';
      expect(await drillsTold(world.context, 'web')).toMatchObject([{ outcome }]);
    },
  );

  it('under way, a second one is refused, and the list says so', async () => {
    let seen: unknown[] | undefined;
    const look = async () => {
      const second = await drill().catch((error: { code: string }) => error.code);
      return [second, (await drillsTold(world.context, 'web'))[0]?.outcome];
    };
    const cloudFor: Context['cloudFor'] = async (account) => {
      const cloud = await world.context.cloudFor(account);
      const serialLog: typeof cloud.machines.serialLog = async (vmId) => {
        seen ??= await look();
        return cloud.machines.serialLog(vmId);
      };
      return { ...cloud, machines: { ...cloud.machines, serialLog } };
    };
    await drill({ ...world.context, cloudFor });
    expect(seen).toEqual(['DRILL_UNDER_WAY', 'under way']);
  });

  it('interrupted, it is not gone on with otherwise than it was begun', async () => {
    const runId = await interrupted();
    for (const request of [{ keepHours: 4 }, { leaveOutPatch: true }])
      await expect(proposeDrill(world.context, 'web', request)).rejects.toMatchObject({
        code: 'DRILL_IS_BEGUN',
        next: expect.stringContaining('standby drill web --remove'),
      });
    expect((await proposeDrill(world.context, 'web')).runId).toBe(runId);
  });

  it('hinders no switchover, interrupted or kept', async () => {
    await drill(world.context, 4);
    const runId = await interrupted();
    await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    expect(JSON.stringify(world.told)).toContain('standby drill web --remove');
    expect((await statusOf(world.context, await scenario())).state).toBe('switched-over');
    await resume(world.context, runId);
    await removeDrills(world.context, 'web');
    const status = await statusOf(world.context, await scenario());
    expect(status.state).toBe('switched-over');
    const names = [...world.cloud.machines.values()].map(({ name }) => name).sort();
    expect(names).toEqual(['appliance', 'web01']);
  });

  /** It dies when its VM was made, and nobody holds its lease any more. */
  async function interrupted(): Promise<string> {
    const death = new AbortController();
    const { host } = world.context;
    const signal = AbortSignal.any([host.signal, death.signal]);
    world.cloud.afterMade = (id) => {
      if (!id.includes('/virtualMachines/')) return;
      death.abort();
      throw new Error('killed');
    };
    const context = { ...world.context, host: { ...host, signal } };
    await expect(drill(context)).rejects.toThrow('interrupted');
    world.cloud.afterMade = () => undefined;
    const [run] = await unfinishedDrills(world.context, await scenario());
    if (!run) throw new Error('an unfinished drill');
    return run.id;
  }
});

describe('scheduled drills', () => {
  it('are held by serve once when they are due, and not when one was held since', async () => {
    const due = new Date(systemClock.now() - 5 * 60_000).toISOString().slice(11, 16);
    await setDrills(world.context, 'web', { schedule: `daily ${due}` });
    await drillJob.run(world.context);
    await drillJob.run(world.context);
    expect(await drillsTold(world.context, 'web')).toMatchObject([{ outcome: 'passed' }]);
  });

  it('that cannot begin are told once', async () => {
    await setDrills(world.context, 'web', { schedule: 'daily 00:00' });
    await world.context.store.statuses.update((await scenario()).id, (one) => ({ ...one, state: 'stopped' }));
    const now = systemClock.now();
    const atMidnight = later(24 * HOUR_MS - (now % (24 * HOUR_MS)) + 60_000);
    await drillJob.run(atMidnight);
    await drillJob.run(atMidnight);
    expect((await codes()).filter((code) => code === 'DRILL_NOT_HELD')).toHaveLength(1);
  });

  it('are those of its group while it has none of its own', async () => {
    const { context } = world;
    const waves = [{ scenarios: ['web'] }];
    await createGroup(context, {
      ...{ standbyGroup: 1, name: 'shop', waves, common: { drillSchedule: 'daily 00:00' } },
    });
    expect(await settingsOf(context, 'web')).toMatchObject({ schedule: 'daily 00:00' });
    await context.store.statuses.update((await scenario()).id, (one) => ({ ...one, state: 'stopped' }));
    const now = systemClock.now();
    await drillJob.run(later(24 * HOUR_MS - (now % (24 * HOUR_MS)) + 60_000));
    expect(await codes()).toContain('DRILL_NOT_HELD');
    await setDrills(context, 'web', { schedule: 'weekly sun 03:00' });
    expect(await settingsOf(context, 'web')).toMatchObject({ schedule: 'weekly sun 03:00' });
  });

  it('are left out when it is long past their time', async () => {
    await setDrills(world.context, 'web', { schedule: 'daily 00:00' });
    const now = systemClock.now();
    await drillJob.run(later(24 * HOUR_MS - (now % (24 * HOUR_MS)) + 3 * HOUR_MS));
    expect(await drillsTold(world.context, 'web')).toEqual([]);
  });

  it('have a schedule that is understood, or is refused', async () => {
    for (const wrong of ['', 'sometimes', 'weekly 03:00', 'weekly sun 25:00', 'monthly 31 03:00', 'daily 3'])
      await expect(setDrills(world.context, 'web', { schedule: wrong })).rejects.toMatchObject({
        code: 'SCHEDULE_UNKNOWN',
      });
    expect((await setDrills(world.context, 'web', { schedule: 'weekly sun 03:00' })).drillSchedule).toBe(
      'weekly sun 03:00',
    );
    expect((await setDrills(world.context, 'web', { schedule: null })).drillSchedule).toBeUndefined();
  });

  it.each([
    ['daily 03:00', '2030-01-15T02:59:00Z', '2030-01-14T03:00:00Z'],
    ['daily 03:00', '2030-01-15T03:00:00Z', '2030-01-15T03:00:00Z'],
    ['weekly tue 03:00', '2030-01-15T02:00:00Z', '2030-01-08T03:00:00Z'],
    ['weekly mon 23:30', '2030-01-15T02:00:00Z', '2030-01-14T23:30:00Z'],
    ['monthly 28 03:00', '2030-03-01T00:00:00Z', '2030-02-28T03:00:00Z'],
  ])('%s, at %s: the last time was %s', (text, now, last) => {
    const schedule = parseDrillSchedule(text);
    expect(schedule && lastDrillTimeMs(schedule, Date.parse(now))).toBe(Date.parse(last));
  });
});
