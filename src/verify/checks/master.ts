import type { Clock } from '../../clock.ts';
import type { ControlSession } from '../../wire/control-session.ts';
import type { Check, Finding } from '../check.ts';
import { doubtful, error, ok, skipped, unseen, warning, wrong } from '../check.ts';

const FRESH_MS = 24 * 60 * 60_000;

/** The master is known, what it told of itself is of today, and (when the appliance was asked) it is there. */
export const master: Check = {
  id: 'master',
  title: 'Master',
  group: 'Master',
  uses: [],
  codes: {
    MASTER_UNKNOWN: error(
      'The scenario names a master that has not joined.',
      '`standby master token`, then `standby master join` on it.',
    ),
    INVENTORY_OLD: warning(
      'What is known of the disks of the master is over 24 hours old.',
      'Start its engine anew, then `standby master list`.',
    ),
    MASTER_AWAY: warning(
      'The engine of the master is not connected to the appliance.',
      '`standby engine master` on the master.',
    ),
    MASTER_NOT_ASKED: unseen(
      'The appliance did not answer, so nobody knows whether the master is there.',
      'See the findings about the appliance.',
    ),
  },
  moments: ['create', 'run'],
  async run({ scenario, inventory, session, clock, moment }): Promise<readonly Finding[]> {
    if (!inventory) {
      const found = 'The scenario names a master that has not joined.';
      return [
        wrong('MASTER_UNKNOWN', found, 'a master that has joined', 'Let it join: standby master token'),
      ];
    }
    const findings: Finding[] = [];
    const ageMs = clock.now() - inventory.takenAtMs;
    if (ageMs > FRESH_MS) {
      const found = `What is known of "${inventory.hostName}" is ${Math.floor(ageMs / 3_600_000)} hours old.`;
      const next =
        'Start its engine anew on the master (standby engine master; it looks at the disks then), then: standby master list';
      findings.push(doubtful('INVENTORY_OLD', found, 'not older than 24 hours', next));
    }
    if (session && moment === 'run' && !(await isConnected(session, scenario.masterId, clock))) {
      const found = `Master "${inventory.hostName}" is not connected to the appliance; the copy waits for it.`;
      const next = 'Start its engine: standby engine master';
      findings.push(doubtful('MASTER_AWAY', found, 'connected', next));
    }
    if (findings.length > 0) return findings;
    const known = `"${inventory.hostName}", ${inventory.os.name}, ${inventory.firmware.toUpperCase()}`;
    return [
      ok('MASTER_KNOWN', known),
      ...(session || moment === 'create' ? [] : [skipped('MASTER_NOT_ASKED', 'the appliance was not asked')]),
    ];
  },
};

const LOOKS = 5;
const LOOK_AGAIN_MS = 1000;

/** An engine that has just joined, or whose appliance has just restarted, is there in a moment. */
async function isConnected(session: ControlSession, masterId: string, clock: Clock): Promise<boolean> {
  for (let look = 1; ; look++) {
    const presence = (await session.masters()).find((one) => one.masterId === masterId);
    if (presence?.connected) return true;
    if (look === LOOKS) return false;
    await clock.sleep(LOOK_AGAIN_MS);
  }
}
