import type { Check, Finding } from '../check.ts';
import { doubtful, ok, skipped, wrong } from '../check.ts';

const FRESH_MS = 24 * 60 * 60_000;

/** The master is known, what it told of itself is of today, and (when the appliance was asked) it is there. */
export const master: Check = {
  id: 'master',
  title: 'Master',
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
      const next = 'Start its engine, then: standby master list';
      findings.push(doubtful('INVENTORY_OLD', found, 'not older than 24 hours', next));
    }
    if (session && moment === 'run') {
      const presence = (await session.masters()).find((one) => one.masterId === scenario.masterId);
      if (!presence) {
        const found = `The appliance does not know master "${inventory.hostName}".`;
        findings.push(wrong('MASTER_NOT_JOINED', found, 'joined', 'Let it join: standby master token'));
      } else if (!presence.connected) {
        const found = `Master "${inventory.hostName}" is not connected to the appliance; the copy waits for it.`;
        findings.push(doubtful('MASTER_AWAY', found, 'connected', 'Start its engine: standby engine master'));
      }
    }
    if (findings.length > 0) return findings;
    const known = `"${inventory.hostName}", ${inventory.os.name}, ${inventory.firmware.toUpperCase()}`;
    return [
      ok('MASTER_KNOWN', known),
      ...(session || moment === 'create' ? [] : [skipped('MASTER_NOT_ASKED', 'the appliance was not asked')]),
    ];
  },
};
