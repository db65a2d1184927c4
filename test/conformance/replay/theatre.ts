import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startLocalAzure } from '../../../infra/local/local-azure.ts';
import { sizeFamilies } from '../../../infra/local/sizes.ts';
import { silentLog } from '../../../src/log.ts';
import { compare } from './compare.ts';
import { openClient } from './local-client.ts';
import type { Recording } from './recordings.ts';
import type { Outcome } from './report.ts';
import { locationsIn, replay } from './session.ts';
import { makeVirtualClock, whileTimePasses } from './virtual-clock.ts';

/** What a subscription may use is not in a recording. */
const PLENTY = Object.fromEntries(
  ['cores', ...sizeFamilies().keys()].map((name) => [name, 1_000_000] as const),
);

const LANES = 4;

/** Each recording has a Local Azure of its own, in this process, without guests and with time of its own. */
export async function replayAll(
  recordings: readonly Recording[],
  compareWith: typeof compare = compare,
): Promise<Outcome[]> {
  const outcomes: Outcome[][] = [];
  let next = 0;
  // Much of a replay is waiting for Local Azure: several at once, each with one of its own.
  const lane = async () => {
    for (let index = next++; index < recordings.length; index = next++) {
      const recording = recordings[index];
      if (recording !== undefined) outcomes[index] = await replayOne(recording, compareWith);
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return outcomes.flat();
}

async function replayOne(recording: Recording, compareWith: typeof compare): Promise<Outcome[]> {
  const folder = mkdtempSync(path.join(tmpdir(), 'standby-replay-'));
  const clock = makeVirtualClock(Date.now());
  const options = { folder, guests: 'none', latency: 'azure', blobs: 'none', log: silentLog, clock } as const;
  const local = await whileTimePasses(clock, startLocalAzure(options));
  try {
    const known = local.settings.now().locations;
    const more = locationsIn(recording).filter((name) => !known.some((each) => each.name === name));
    local.settings.change({
      basicPublicIps: true,
      quotas: PLENTY,
      // Days may pass within a recording.
      tokenLifetimeSeconds: 10 * 365 * 86_400,
      locations: [...known, ...more.map((name) => ({ name, displayName: name }))],
    });
    const client = await openClient(local.endpoint);
    try {
      return await replay(recording, { local, client, clock }, compareWith);
    } finally {
      client.close();
    }
  } finally {
    await local.stop();
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  }
}
