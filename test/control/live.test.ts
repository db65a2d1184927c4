import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusNotices } from '../../src/cli/status-notices.ts';
import { listBookmarks, setBookmark } from '../../src/control/bookmarks.ts';
import { listEvents } from '../../src/control/events.ts';
import { readinessOfBookmark } from '../../src/control/readiness.ts';
import { runScenario } from '../../src/control/run.ts';
import { removeScenario } from '../../src/control/scenario-remove.ts';
import { scrubScenario } from '../../src/control/scrub.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { stopScenario } from '../../src/control/stop.ts';
import { proposeSwitchover, switchOver, undoSwitchover } from '../../src/control/switchover.ts';
import { StandbyError } from '../../src/errors.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import { switchoverWizard } from '../../wizards/switchover.ts';
import type { FakeLive } from '../fakes/fake-live.ts';
import { inventory } from '../fakes/scene.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

const NBD = ['disk0', 'disk1'].map((diskId) => ({ diskId, uri: `nbd+unix:///${diskId}?socket=/run/nbd` }));

let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld({ nbd: NBD });
  await create();
});

afterEach(() => world.close());

async function create(change: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const { capture: _atRest, ...answers } = ANSWERS;
  await scenarioWizard(world.context, { preset: { ...answers, ...change }, yes: true });
}

/** The same scenario made anew in another way. */
async function again(change: Readonly<Record<string, unknown>>): Promise<void> {
  await removeScenario(world.context, 'web', { deleteReplica: true });
  await create(change);
}

const live = (): FakeLive => {
  if (world.appliance.live) return world.appliance.live;
  throw new Error('nothing is replicated yet');
};
const run = (request = {}) => runScenario(world.context, 'web', request);
const status = () => scenarioStatus(world.context, 'web');
const codes = async () => (await listEvents(world.context, { scenario: 'web' })).map((event) => event.code);
const texts = () => world.told.flatMap((one) => (one.kind === 'text' ? [one.text] : []));

describe('A live scenario', () => {
  it('runs until it replicates, and only then says that the changes meanwhile are all here', async () => {
    const states: string[] = [];
    world.appliance.prepare = (made) => {
      const { progress } = made;
      made.progress = (facts) => {
        void world.context.store.statuses.list().then(([one]) => states.push(one?.state ?? ''));
        return progress.call(made, facts);
      };
    };
    const { status: after } = await run();
    expect(after).toMatchObject({ state: 'replicating', epoch: 1 });
    expect(after.activeRunId).toBeUndefined();
    expect(after.digests).toHaveLength(2);
    expect([...new Set(states)]).toEqual(['synchronising', 'draining']);
    expect(live().started).toMatchObject([{ capture: 'nbd', mode: 'volume' }]);
    const event = (await listEvents(world.context, { scenario: 'web' })).find(
      (one) => one.code === 'SYNC_CHANGES_REPLICATED',
    );
    expect(event?.text).toMatch(/all replicated.*position \d+/);
    expect(event?.data).toMatchObject({ position: { sequence: live().proof?.sequence }, epoch: 1 });
    expect(await codes()).not.toContain('SYNCHRONISED');
    await expect(run()).rejects.toMatchObject({ code: 'ALREADY_REPLICATING', kind: 'input' });
  });

  it('says how it synchronises and why: all of it first, what differs later, or what is asked for', async () => {
    await run();
    expect(texts()).toContainEqual(expect.stringMatching(/volume-level: it is the first one/));
    live().journal = 'damaged';
    await stopScenario(world.context, 'web');
    await run();
    expect(texts()).toContainEqual(
      expect.stringMatching(/block-level: 1 synchronisation was completed.*its journal is damaged/),
    );
    expect(live().started).toMatchObject([{ mode: 'block' }]);
    expect((await status()).status.epoch).toBe(2);
    await stopScenario(world.context, 'web');
    await run({ sync: 'volume' });
    expect(live().started).toMatchObject([{ mode: 'volume' }]);
  });

  it('goes on after a stop without a copy when its journal is whole, under the same epoch', async () => {
    await run();
    await stopScenario(world.context, 'web');
    expect(await status()).toMatchObject({
      status: { state: 'stopped' },
      sentence: expect.stringMatching(/^stopped, UNPROTECTED since .*; the replica is at position \d+/),
    });
    const before = live();
    const { status: after } = await run();
    expect(world.appliance.live).toBe(before);
    expect(after).toMatchObject({ state: 'replicating', epoch: 1 });
    expect(before.started.at(-1)).not.toHaveProperty('mode');
    expect(texts()).toContainEqual(expect.stringMatching(/without a copy: .*journal is intact/));
    expect(before.applied >= before.received - before.rate).toBe(true);
  });

  it('compares both ends when going on finds the order lost', async () => {
    await run();
    await stopScenario(world.context, 'web');
    live().lost = true;
    await expect(run()).rejects.toMatchObject({ next: expect.stringContaining('standby run web') });
    expect((await status()).status).toMatchObject({ state: 'resync-needed', epoch: 1 });
    const { status: after } = await run();
    expect(after).toMatchObject({ state: 'replicating', epoch: 2 });
    expect(live().started).toMatchObject([{ mode: 'block' }]);
  });

  it('takes over from the appliance that it must be synchronised anew, with the reason, once', async () => {
    await run();
    live().needResync('The map is gone.');
    expect((await status()).sentence).toMatch(
      /^resync-needed: The order .* The map is gone\.; the replica is at/,
    );
    await status();
    expect((await codes()).filter((code) => code === 'RESYNC_NEEDED')).toHaveLength(1);
  });
});

describe('Status of a live scenario', () => {
  it('tells position, risk, journal and proof, for each disk too', async () => {
    await run();
    const view = await status();
    expect(view.sentence).toMatch(
      /^replicating; the replica is at position \d+ of .* by the master's clock$/,
    );
    expect(view.live).toMatchObject({ appliance: 'answers', master: 'connected', old: false, rpoBytes: 0 });
    expect(view.rpoSeconds).toBeLessThan(5);
    expect(view.replication).toMatchObject({ journal: { state: 'ready' }, proof: { equal: true } });
    expect(view.disks).toMatchObject([
      { diskId: 'disk0', position: view.live?.appliedSequence, digest: expect.any(String) },
      { diskId: 'disk1', position: view.live?.appliedSequence },
    ]);
  });

  it('says since when the master is away, and that the figures are old', async () => {
    await run();
    live().masterHere = false;
    live().heardAtMs = Date.parse('2030-01-15T03:00:00Z');
    const view = await status();
    expect(view.sentence).toMatch(/^the master is away since 2030-01-15 03:00:00 UTC: .*not replicated/);
  });

  it('says since when the appliance is silent, and claims nothing', async () => {
    await run();
    await status();
    world.appliance.refusals = [
      new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'No answer.', retry: 'later' }),
    ];
    const view = await status();
    expect(view.live).toMatchObject({ appliance: 'silent', old: true, rpoSeconds: null, trend: 'unknown' });
    expect(view.live?.silentSinceMs).toBeGreaterThan(0);
    expect(view.sentence).toMatch(
      /as far as is known: the appliance does not answer, last heard at .*when last heard$/,
    );
    expect(view.replication).toBeUndefined();
    expect(view.status.state).toBe('replicating');
  });
});

describe('Bookmarks and scrubs', () => {
  it('name positions, and compare both ends', async () => {
    await run();
    await setBookmark(world.context, 'web', 'before the change');
    await expect(setBookmark(world.context, 'web', 'latest')).rejects.toMatchObject({ kind: 'input' });
    await expect(setBookmark(world.context, 'web', 'before the change')).rejects.toMatchObject({
      code: 'BOOKMARK_EXISTS',
    });
    expect((await listBookmarks(world.context, 'web')).bookmarks).toMatchObject([
      { name: 'before the change' },
    ]);
    expect(await readinessOfBookmark(world.context, 'web', 'before the change')).toMatchObject({
      scenario: 'web',
      verdict: 'ready',
      faults: [],
    });
    world.appliance.readiness = {
      verdict: 'not ready',
      os: { family: 'linux', name: 'Debian' },
      verdicts: [{ code: 'ROOT_NAME', status: 'error', title: 'Root', found: 'root=/dev/sda1' }],
    };
    await setBookmark(world.context, 'web', 'after the change');
    expect(await readinessOfBookmark(world.context, 'web', 'after the change')).toMatchObject({
      verdict: 'not ready',
      faults: [{ code: 'ROOT_NAME', found: 'root=/dev/sda1' }],
    });
    await expect(readinessOfBookmark(world.context, 'web', 'never set')).rejects.toMatchObject({
      code: 'BOOKMARK_NOT_LOOKED_AT',
    });
    expect((await scrubScenario(world.context, 'web')).proof.equal).toBe(true);
    expect((await status()).status.state).toBe('replicating');
    live().differs = true;
    const { proof } = await scrubScenario(world.context, 'web');
    expect(proof).toMatchObject({ equal: false, differing: [{ diskId: 'disk1', bytes: 4096 }] });
    expect((await status()).status).toMatchObject({
      state: 'resync-needed',
      reason: expect.stringContaining('differ'),
    });
    expect(await codes()).toEqual(expect.arrayContaining(['BOOKMARK_SET', 'SCRUB_EQUAL', 'SCRUB_DIFFERENT']));
  });

  it('are refused where there is no journal', async () => {
    await expect(scrubScenario(world.context, 'web')).rejects.toMatchObject({ code: 'NOTHING_COPIED' });
    await again({ capture: 'at-rest' });
    await expect(setBookmark(world.context, 'web', 'one')).rejects.toMatchObject({ code: 'NOT_LIVE' });
  });
});

describe('Switching a live scenario over', () => {
  it('says what is lost before, and ends at the last change received', async () => {
    await run();
    Object.assign(live(), { holding: true, cut: true, written: live().written + 7n });
    const proposal = await proposeSwitchover(world.context, 'web');
    expect(proposal.loss).toMatchObject({
      point: { latest: true },
      waitForJournals: true,
      master: 'connected',
      notHere: { changesAtMost: Number(live().written - live().received) },
      lastReceived: { sequence: String(live().received), ageSeconds: expect.any(Number) },
    });
    expect(proposal.loss.text).toMatch(/Everything received is applied before.*still reachable; \d+ bytes/);
    const { status: after, report } = await switchOver(world.context, proposal);
    expect(after.state).toBe('switched-over');
    expect(JSON.stringify(statusNotices(await status()))).toMatch(/Data at risk +UNPROTECTED: the standby/);
    expect(report.copied?.position).toMatchObject({
      sequence: String(live().received),
      leftOutChanges: 0,
      point: { latest: true },
    });
    expect(report.events.map((event) => event.text).join()).toContain(`at position ${live().received} of`);
  });

  it('tells the time at which both ends were equal when no change came since', async () => {
    await run();
    Object.assign(live(), { rewindFromMs: 0 });
    const { report } = await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    expect(report.copied?.position?.at).toBe(report.copied?.synchronisedAt);
  });

  it('asks nothing with --yes, also on a terminal: everything received is waited for', async () => {
    await run();
    const ask = async (): Promise<never> => {
      throw new Error('it asks');
    };
    const host = { ...world.context.host, interactive: true, ask };
    const preset = { scenario: 'web' };
    const { report } = await switchoverWizard({ ...world.context, host }, { preset, yes: true });
    expect(report.copied?.position?.point).toEqual({ latest: true });
  });

  it('leaves out what is not applied when nobody waits, and says how much', async () => {
    await run();
    Object.assign(live(), { holding: true, received: live().received + 5n });
    const proposal = await proposeSwitchover(world.context, 'web', { waitForJournals: false });
    const leftOut = Number(live().received - live().applied);
    expect(leftOut).toBeGreaterThan(0);
    expect(proposal.loss).toMatchObject({
      leftOutChanges: leftOut,
      leftOutBytes: leftOut * 4096,
      leftOutSeconds: expect.any(Number),
      text: expect.stringMatching(
        new RegExp(
          `Nobody waits for the journal: ${leftOut} received changes \\(${leftOut * 4096} bytes, the last .* s`,
        ),
      ),
    });
    const { report } = await switchOver(world.context, proposal);
    expect(report.copied?.position).toMatchObject({
      leftOutChanges: Number(live().received - live().applied),
    });
  });

  it('goes back to a bookmark, and an undo leads back to replicating', async () => {
    await run();
    const { sequence } = await setBookmark(world.context, 'web', 'good');
    await status();
    world.cloud.beforeChange = (name) => {
      if (name === 'disks.createSnapshot')
        throw new StandbyError({ code: 'QuotaExceeded', what: 'Too many.' });
    };
    const proposal = await proposeSwitchover(world.context, 'web', { point: { bookmark: 'good' } });
    expect(proposal.loss.text).toMatch(/data of bookmark "good".*are given up/);
    await expect(switchOver(world.context, proposal)).rejects.toMatchObject({ code: 'QuotaExceeded' });
    expect(live()).toMatchObject({ phase: 'sealed', applied: BigInt(sequence) });
    await expect(
      proposeSwitchover(world.context, 'web', { point: { bookmark: 'other' } }),
    ).rejects.toMatchObject({
      code: 'POINT_IS_CHOSEN',
    });
    expect((await undoSwitchover(world.context, 'web')).status.state).toBe('replicating');
    expect(live()).toMatchObject({ phase: 'replicating', applied: live().received });
  });

  it('refuses points that cannot be reached before anything is changed', async () => {
    await run();
    const wrong = async (request: Parameters<typeof proposeSwitchover>[2]) =>
      proposeSwitchover(world.context, 'web', request);
    await expect(wrong({ point: { bookmark: 'none' } })).rejects.toMatchObject({ code: 'BOOKMARK_UNKNOWN' });
    await expect(wrong({ point: { timeMs: 1 } })).rejects.toMatchObject({ code: 'TIME_TOO_EARLY' });
    const nextYearMs = world.context.clock.now() + 365 * 86_400_000;
    await expect(wrong({ point: { timeMs: nextYearMs } })).rejects.toMatchObject({ code: 'TIME_IN_FUTURE' });
    await expect(wrong({ point: { bookmark: 'x' }, waitForJournals: false })).rejects.toMatchObject({
      kind: 'input',
    });
    expect((await status()).status.state).toBe('replicating');
  });

  it('goes back no further than to where both ends were equal, also before the first change', async () => {
    await run();
    const { synchronisedAtMs = 0 } = (await status()).status;
    Object.assign(live(), { rewindFromMs: 0 });
    const at = (timeMs: number) => proposeSwitchover(world.context, 'web', { point: { timeMs } });
    await expect(at(synchronisedAtMs - 60_000)).rejects.toMatchObject({
      code: 'TIME_TOO_EARLY',
      what: expect.not.stringContaining('1970'),
    });
    expect((await at(synchronisedAtMs + 1)).loss.text).toContain('are given up');
  });

  it('needs a word of the operator when the replica does not follow its master', async () => {
    await run();
    live().needResync('The map is gone.');
    await status();
    await expect(proposeSwitchover(world.context, 'web')).rejects.toMatchObject({
      code: 'RESYNC_NEEDED',
      next: expect.stringMatching(/--accept-unprotected \(the standby then has the data of .* is lost\)/),
    });
    const proposal = await proposeSwitchover(world.context, 'web', { acceptUnprotected: true });
    expect((await switchOver(world.context, proposal)).status.state).toBe('switched-over');
  });

  it('refuses a replica that lies before what was seen of it', async () => {
    await run();
    await status();
    const { seen } = (await status()).status;
    Object.assign(live(), { holding: true, cut: true, received: 1n, applied: 1n });
    expect(BigInt(seen?.appliedSequence ?? 0)).toBeGreaterThan(1n);
    const proposal = await proposeSwitchover(world.context, 'web');
    await expect(switchOver(world.context, proposal)).rejects.toMatchObject({ code: 'REPLICA_NOT_THE_SAME' });
  });
});

describe('How changes are captured', () => {
  const made = async () => world.context.store.scenarios.byName('web');

  it('is proposed by purpose and by what the master offers', async () => {
    expect((await made())?.capture).toBe('nbd');
    await again({ purpose: 'migration' });
    expect((await made())?.capture).toBe('at-rest');
    await world.context.store.masters.update('master-1', (one) => ({ ...one, inventory: inventory() }));
    await again({ runAfterReboot: 'no' });
    expect(await made()).toMatchObject({ capture: 'compare', runAfterReboot: false });
    await expect(again({ capture: 'nbd' })).rejects.toMatchObject({
      message: expect.stringMatching(/does not serve disk0, disk1 over NBD/),
    });
  });

  it('is checked again before each run: what nbd needs may have gone', async () => {
    await world.context.store.masters.update('master-1', (one) => ({ ...one, inventory: inventory() }));
    await expect(run()).rejects.toMatchObject({
      code: 'CHECKS_FOUND_ERRORS',
      verdicts: expect.arrayContaining([
        expect.objectContaining({ code: 'NBD_NOT_SERVED', status: 'error' }),
      ]),
    });
  });
});
