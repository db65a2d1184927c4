import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { listEvents } from '../../src/control/events.ts';
import {
  awaitMaster,
  beginMaintenance,
  declareMaintenanceEnded,
  maintenanceEndNeeds,
} from '../../src/control/maintenance.ts';
import { runScenario } from '../../src/control/run.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld();
});

afterEach(() => world.close());

async function replicating(change: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const preset = { ...ANSWERS, capture: 'compare', ...change };
  await scenarioWizard(world.context, { preset, yes: true });
  await runScenario(world.context, 'web');
}

describe('Maintenance of a master', () => {
  it('lets a scenario go on that runs after a reboot, and ends when all has come', async () => {
    await replicating();
    const live = world.appliance.live;
    expect(await beginMaintenance(world.context, 'web')).toMatchObject({
      stopped: false,
      status: { state: 'replicating', maintenanceSinceMs: expect.any(Number) },
      steps: expect.arrayContaining([expect.stringContaining('maintenance end web')]),
    });
    if (live) live.masterHere = false;
    const away = await scenarioStatus(world.context, 'web');
    expect(away.sentence).toMatch(/the master is away since .* \(maintenance\)/);
    const waiting = awaitMaster(world.context, 'web');
    setTimeout(() => {
      if (live) live.masterHere = true;
    }, 300);
    expect(await maintenanceEndNeeds(world.context, 'web')).toBe('wait');
    expect(await waiting).toBe('back');
    const ended = await declareMaintenanceEnded(world.context, 'web');
    expect(ended.maintenanceSinceMs).toBeUndefined();
    const codes = (await listEvents(world.context, { scenario: 'web' })).map((event) => event.code);
    expect(codes).toEqual(expect.arrayContaining(['MAINTENANCE_BEGUN', 'MAINTENANCE_ENDED']));
    await expect(maintenanceEndNeeds(world.context, 'web')).rejects.toMatchObject({
      code: 'NOT_IN_MAINTENANCE',
    });
  });

  it('ends when nothing was written: marks alone are not waited for', async () => {
    await replicating();
    const live = world.appliance.live;
    if (!live) throw new Error('nothing is replicated yet');
    await beginMaintenance(world.context, 'web');
    live.rate = 0n;
    live.marks = 1000n;
    expect(await awaitMaster(world.context, 'web')).toBe('back');
  });

  it('stops one that does not, says that it is unprotected, and ends with a run', async () => {
    await replicating({ runAfterReboot: 'no' });
    expect(await beginMaintenance(world.context, 'web')).toMatchObject({
      stopped: true,
      status: { state: 'stopped' },
    });
    expect((await scenarioStatus(world.context, 'web')).sentence).toMatch(
      /^stopped for maintenance, UNPROTECTED since /,
    );
    expect(await maintenanceEndNeeds(world.context, 'web')).toBe('run');
    const { status } = await runScenario(world.context, 'web');
    expect(status).toMatchObject({ state: 'replicating', epoch: 1 });
    expect(status.maintenanceSinceMs).toBeUndefined();
  });

  it('tells of a reboot that nobody announced: unprotected until it runs again, and then by its stream alone', async () => {
    await replicating({ runAfterReboot: 'no' });
    expect(world.appliance.spec?.stopAfterReboot).toBe(true);
    world.appliance.live?.waitAfterReboot();
    expect((await scenarioStatus(world.context, 'web')).sentence).toMatch(
      /^stopped \(its master was rebooted.*\), UNPROTECTED since /,
    );
    await scenarioStatus(world.context, 'web');
    const codes = (await listEvents(world.context, { scenario: 'web' })).map((event) => event.code);
    expect(codes.filter((code) => code === 'STOPPED_AFTER_REBOOT')).toHaveLength(1);
    const { status, run } = await runScenario(world.context, 'web');
    expect(status).toMatchObject({ state: 'replicating', epoch: 1 });
    expect(run.input).toMatchObject({ options: { sync: { mode: 'stream' } } });
    expect((await scenarioStatus(world.context, 'web')).sentence).toMatch(/^replicating;/);
  });

  it('asks for a run when the changes meanwhile cannot be told', async () => {
    await replicating();
    await beginMaintenance(world.context, 'web');
    world.appliance.live?.needResync('The map is gone.');
    expect(await awaitMaster(world.context, 'web')).toBe('run');
    expect((await scenarioStatus(world.context, 'web')).status.state).toBe('resync-needed');
  });
});
