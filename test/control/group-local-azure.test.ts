import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { type Clock, systemClock } from '../../src/clock.ts';
import { createGroup } from '../../src/control/group/definition.ts';
import { groupStatus } from '../../src/control/group/status.ts';
import { proposeGroupSwitchover, switchGroupOver } from '../../src/control/group/switchover.ts';
import { type LocalGroup, localGroup } from '../fixtures/local-group.ts';

/** Azure's durations and pauses, all of them so many times as quick. */
const TIMES = 10;
const BEGAN_MS = systemClock.now();
const quickened: Clock = {
  now: () => BEGAN_MS + (systemClock.now() - BEGAN_MS) * TIMES,
  sleep: (ms, signal) => systemClock.sleep(ms / TIMES, signal),
};
const IN_MEMORY = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

let ground: LocalGroup | undefined;
afterEach(async () => {
  await ground?.close();
  ground = undefined;
});

describe('Fifty scenarios on Local Azure, with the latency of Azure', () => {
  it('switch over in two waves, each once, and all of them stand', { timeout: 240_000 }, async () => {
    const names = Array.from({ length: 50 }, (_, index) => `server${index + 1}`);
    ground = await localGroup({
      ...{ names, disks: 1, publicIp: false, latency: 'azure', clock: quickened, folder: IN_MEMORY },
    });
    const { context, cloud, scenarios } = ground;
    const waves = [{ scenarios: names.slice(0, 10) }, { scenarios: names.slice(10) }];
    await createGroup(context, { standbyGroup: 1, name: 'all', waves });
    const proposal = await proposeGroupSwitchover(context, 'all');
    expect(proposal.input.parallel).toBeGreaterThanOrEqual(40);
    const outcome = await switchGroupOver(context, proposal);
    expect(outcome).toMatchObject({ failed: [], run: { status: 'done' } });
    expect(outcome.members.map((one) => one.outcome)).toEqual(names.map(() => 'switched-over'));
    expect(await groupStatus(context, 'all')).toMatchObject({ state: 'standbys' });
    const [first] = scenarios;
    const machines = await cloud.machines.list(first?.region ?? '');
    const standbys = machines.filter((one) => one.tags['standby-role'] === 'standby-vm');
    expect(standbys.map((one) => one.name).sort()).toEqual(names.map((name) => `vm-${name}`).sort());
    for (const { id } of scenarios.slice(0, 5)) {
      const kinds = (await cloud.listTagged('standby-scenario', id)).map((one) => one.tags['standby-role']);
      expect(kinds.sort()).toEqual(['replica-disk', 'snapshot', 'standby-disk', 'standby-nic', 'standby-vm']);
    }
  });
});
