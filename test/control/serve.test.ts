import { once } from 'node:events';
import { createServer, type Server } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { statusNotices } from '../../src/cli/status-notices.ts';
import { setBookmark } from '../../src/control/bookmarks.ts';
import type { Context } from '../../src/control/context.ts';
import { listEvents } from '../../src/control/events.ts';
import { isAliveSettings, tryMaster } from '../../src/control/is-alive.ts';
import { retention } from '../../src/control/retention.ts';
import { runScenario } from '../../src/control/run.ts';
import { listRuns } from '../../src/control/runs.ts';
import { scheduleScrubs } from '../../src/control/scrub.ts';
import { serve } from '../../src/control/serve.ts';
import { isAliveJob } from '../../src/control/serve-is-alive.ts';
import { lead } from '../../src/control/serve-lead.ts';
import { scrubJob } from '../../src/control/serve-scrub.ts';
import { verifyJob } from '../../src/control/serve-verify.ts';
import { watchJob } from '../../src/control/serve-watch.ts';
import { scenarioStatus } from '../../src/control/status.ts';
import { stopScenario } from '../../src/control/stop.ts';
import { proposeSwitchover, switchOver } from '../../src/control/switchover.ts';
import { StandbyError } from '../../src/errors.ts';
import { scenarioWizard } from '../../wizards/scenario.ts';
import type { FakeLive } from '../fakes/fake-live.ts';
import { makeContext } from './make-context.ts';
import { ANSWERS, type ScenarioWorld, scenarioWorld } from './scenario-world.ts';

const LIMITS = { everyMs: 50, lagSeconds: 60 };

let world: ScenarioWorld;

beforeEach(async () => {
  world = await scenarioWorld();
  await scenarioWizard(world.context, { preset: { ...ANSWERS, capture: 'compare' }, yes: true });
  await runScenario(world.context, 'web');
  await setBookmark(world.context, 'web', 'first');
});

afterEach(() => world.close());

const live = (): FakeLive => {
  if (world.appliance.live) return world.appliance.live;
  throw new Error('nothing is replicated yet');
};
const scenario = async () => (await scenarioStatus(world.context, 'web')).scenario;

/** The codes of the events since the last call. */
let heard = 0;
beforeEach(() => {
  heard = 0;
});
async function news(): Promise<string[]> {
  const events = await listEvents(world.context, { scenario: 'web' });
  const fresh = events.slice(heard).map(({ code }) => code);
  heard = events.length;
  return fresh;
}

/** The job of one leader: it looks as often as a change needs to count. */
async function look(job: { run(context: Context): Promise<void> }, times = 2): Promise<string[]> {
  for (let time = 0; time < times; time++) await job.run(world.context);
  return news();
}

const away = () =>
  new StandbyError({ code: 'APPLIANCE_UNREACHABLE', what: 'Nobody answers.', retry: 'later' });

describe('Following how well scenarios are protected', () => {
  it('tells each change once, whoever looks next, and that all is well again', async () => {
    const first = watchJob(LIMITS);
    await news();
    expect(await look(first)).toEqual([]);
    live().masterHere = false;
    expect(await look(first, 1)).toEqual([]);
    expect(await look(first, 1)).toEqual(['MASTER_AWAY']);
    expect(await look(first)).toEqual([]);
    expect(await look(watchJob(LIMITS), 3)).toEqual([]);
    live().masterHere = true;
    expect(await look(first)).toEqual(['PROTECTED']);
    expect((await scenarioStatus(world.context, 'web')).status.watched).toMatchObject({
      condition: 'protected',
    });
  });

  it('tells of a replica that lags, of an appliance that is silent, and of one that is stopped', async () => {
    const job = watchJob({ ...LIMITS, lagSeconds: 0.001 });
    await news();
    live().cut = true;
    live().heardAtMs = world.context.clock.now() - 2_000;
    expect(await look(job)).toEqual(['REPLICATION_LAGS']);
    world.appliance.refusals = [away(), away()];
    expect(await look(job)).toEqual(['APPLIANCE_UNREACHABLE']);
    await stopScenario(world.context, 'web');
    expect(await look(job)).toEqual(['SCENARIO_STOPPED', 'NOT_PROTECTED']);
  });

  it('tells that the master is heard beside its standby, each time that it comes back', async () => {
    const job = watchJob(LIMITS);
    await look(job);
    await switchOver(world.context, await proposeSwitchover(world.context, 'web'));
    live().masterHere = false;
    await look(job);
    const status = async () => JSON.stringify(statusNotices(await scenarioStatus(world.context, 'web')));
    expect(await status()).toMatch(/Master +not heard/);
    for (const _time of ['once', 'again']) {
      live().masterHere = true;
      expect(await look(job)).toEqual(['MASTER_HEARD']);
      expect(await look(job)).toEqual([]);
      expect(await status()).toMatch(/Master +HEARD: two servers may be up/);
      live().masterHere = false;
      expect(await look(job)).toEqual([]);
    }
    world.appliance.refusals = [away()];
    expect(await status()).toMatch(/Master +not known/);
  });

  it('tells once that the replica cannot be brought back as far as asked for', async () => {
    const job = watchJob(LIMITS);
    await look(job);
    live().rewindShrunkAtMs = world.context.clock.now();
    expect(await look(job, 3)).toEqual(['REWIND_WINDOW_SHRUNK']);
    live().rewindShrunkAtMs = undefined;
    expect(await look(job)).toEqual([]);
    live().rewindShrunkAtMs = world.context.clock.now();
    expect(await look(watchJob(LIMITS))).toEqual(['REWIND_WINDOW_SHRUNK']);
  });

  it('takes over that a new synchronisation is needed, and never changes anything at the appliance', async () => {
    const before = world.appliance.starts;
    await news();
    live().needResync('The map is gone.');
    const job = watchJob(LIMITS);
    expect(await look(job, 3)).toEqual(['RESYNC_NEEDED']);
    expect(world.appliance.starts).toBe(before);
    expect(world.appliance.sealed).toBe(false);
    expect(await listRuns(world.context)).toHaveLength(1);
  });
});

describe('Verifying while nobody sits there', () => {
  it('tells what the checks find when it is new, and when it is in order again', async () => {
    await news();
    expect(await look(verifyJob)).toEqual([]);
    live().differs = true;
    live().scrub();
    await until(async () => (await scenarioStatus(world.context, 'web')).status.state === 'resync-needed');
    await news();
    expect(await look(verifyJob)).toEqual(['VERIFY_FOUND']);
    const { status } = await scenarioStatus(world.context, 'web');
    expect(status.verified?.findings).toContainEqual({ code: 'RESYNC_NEEDED', status: 'error' });
    live().differs = false;
    await runScenario(world.context, 'web');
    await setBookmark(world.context, 'web', 'second');
    await news();
    expect(await look(verifyJob)).toEqual(['VERIFY_CLEAR']);
  });
});

describe('Comparing both ends on a schedule', () => {
  it('compares when the last comparison is old enough, and not again', async () => {
    const job = scrubJob();
    await scheduleScrubs(world.context, 'web', 2);
    await news();
    expect(await look(job)).toEqual([]);
    const proof = live().proof;
    if (!proof) throw new Error('the first copy ends with a proof');
    live().proof = { ...proof, atMs: proof.atMs - 2 * 3_600_000 };
    expect(await look(job)).toEqual(['SCRUB_EQUAL']);
    expect((await scenarioStatus(world.context, 'web')).nextScrubAtMs).toBeGreaterThan(
      world.context.clock.now() + 3_600_000,
    );
    live().proof = { ...proof, atMs: 0 };
    await scheduleScrubs(world.context, 'web', undefined);
    await news();
    expect(await look(scrubJob())).toEqual([]);
  });
});

describe('Is-alive', () => {
  const servers: Server[] = [];
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  async function listening(port = 0): Promise<number> {
    const server = createServer((socket) => socket.destroy());
    servers.push(server.listen(port, '127.0.0.1'));
    await once(server, 'listening');
    const address = server.address();
    if (typeof address !== 'object' || !address) throw new Error('no port');
    return address.port;
  }

  it('is off when it is off, and only tells when a master falls silent and when it is back', async () => {
    const job = isAliveJob();
    await news();
    expect(await look(job, 4)).toEqual([]);
    expect(await scenarioStatus(world.context, 'web')).toMatchObject({
      isAlive: 'off',
      isAliveWanted: false,
    });
    const port = await listening();
    await isAliveSettings(world.context, 'web', { tcpPort: port, address: '127.0.0.1' });
    expect((await scenarioStatus(world.context, 'web')).isAlive).toBe('unknown');
    expect(await look(job)).toEqual(['IS_ALIVE_SET']);
    expect((await scenarioStatus(world.context, 'web')).isAlive).toBe('alive');
    servers.pop()?.close();
    expect(await look(job, 2)).toEqual([]);
    expect(await look(job, 3)).toEqual(['MASTER_SILENT']);
    const { isAlive, status } = await scenarioStatus(world.context, 'web');
    expect(isAlive).toBe('silent');
    expect(status.isAliveFound?.found).toBe(`TCP port ${port} of 127.0.0.1 is closed`);
    expect(status.state).toBe('replicating');
    await listening(port);
    expect(await look(job)).toEqual(['MASTER_ALIVE']);
  });

  it('asks a script of one’s own, which gets nothing of our environment and ends in time', async () => {
    const { signal } = new AbortController();
    const script = (text: string) => ({ ping: false, script: ['sh', '-c', text] });
    expect(await tryMaster(script('test "$STANDBY_MASTER" = 10.0.0.4'), '10.0.0.4', signal)).toMatchObject({
      state: 'alive',
    });
    process.env.STANDBY_PASSPHRASE = 'not for scripts';
    try {
      expect(await tryMaster(script('test -z "$STANDBY_PASSPHRASE"'), undefined, signal)).toMatchObject({
        state: 'alive',
      });
    } finally {
      delete process.env.STANDBY_PASSPHRASE;
    }
    expect(await tryMaster(script('exit 3'), undefined, signal)).toEqual({
      state: 'silent',
      found: 'the script sh says no (3)',
    });
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 200);
    expect(await tryMaster(script('sleep 30 & wait'), undefined, stop.signal)).toMatchObject({
      state: 'silent',
    });
    expect(await tryMaster({ ping: false, script: ['/no/such/program'] }, undefined, signal)).toMatchObject({
      state: 'unknown',
      found: 'the script /no/such/program is not there',
    });
  });

  it('is refused for a migration', async () => {
    await world.context.store.scenarios.update((await scenario()).id, (one) => ({
      ...one,
      purpose: 'migration',
    }));
    await expect(isAliveSettings(world.context, 'web', { ping: true })).rejects.toMatchObject({
      code: 'IS_ALIVE_OFF',
    });
  });
});

describe('The rewind window', () => {
  it('is set at the appliance and kept for later epochs, and can be given back', async () => {
    const set = await retention(world.context, 'web', { hours: 6, bytes: 4096 });
    expect(set.wanted).toEqual({ hours: 6, bytes: 4096 });
    expect(world.appliance.spec?.rewind).toEqual({ ms: 6 * 3_600_000, bytes: 4096 });
    live().needResync('The map is gone.');
    await scenarioStatus(world.context, 'web');
    await runScenario(world.context, 'web');
    expect(world.appliance.opened.at(-1)).toMatchObject({ epoch: 2, rewind: { ms: 6 * 3_600_000 } });
    expect((await retention(world.context, 'web', {})).wanted).toBeUndefined();
    expect(world.appliance.spec?.rewind).toEqual({});
    world.appliance.refusals = [away()];
    await expect(retention(world.context, 'web', { hours: 1 })).rejects.toMatchObject({
      code: 'APPLIANCE_UNREACHABLE',
    });
    expect((await scenario()).rewind).toBeUndefined();
    await expect(retention(world.context, 'web', { hours: -1 })).rejects.toMatchObject({ kind: 'input' });
  });
});

describe('standby serve', () => {
  it('does every job once and ends, and stands in no list of runs', async () => {
    await isAliveSettings(world.context, 'web', { script: ['false'] });
    await serve(world.context, { once: true, limits: LIMITS });
    const { status } = await scenarioStatus(world.context, 'web');
    expect(status.watched).toMatchObject({ condition: 'protected' });
    expect(status.verified).toMatchObject({ findings: [] });
    expect(status.isAliveFound).toMatchObject({ state: 'silent' });
    expect(await news()).toContain('MASTER_SILENT');
    expect((await listRuns(world.context)).map(({ kind }) => kind)).toEqual(['run']);
    expect((await world.context.store.runs.get('serve'))?.held).toBeUndefined();
  });

  it('leads alone: another one waits, says who leads, and takes over when that one ends', async () => {
    const stop = new AbortController();
    const other = await makeContext({ folder: world.context.homeFolder });
    try {
      const first = await lead(world.context, stop.signal, () => undefined, 400);
      const waits = Promise.withResolvers<string>();
      const second = lead(other, stop.signal, waits.resolve, 400);
      expect(await waits.promise).toContain(world.context.owner);
      await first.release();
      const lease = await second;
      expect(lease.signal.aborted).toBe(false);
      await lease.release();
    } finally {
      stop.abort();
      await other.close();
    }
  });

  it('ends when it is asked to, without an error, and gives its lead back', async () => {
    const stop = new AbortController();
    const { host } = world.context;
    const context = { ...world.context, host: { ...host, signal: stop.signal } };
    const ended = serve(context, { once: false, limits: LIMITS });
    await until(async () => (await scenarioStatus(world.context, 'web')).status.watched !== undefined);
    stop.abort(new DOMException('The process was asked to stop.', 'AbortError'));
    await ended;
    expect((await world.context.store.runs.get('serve'))?.held).toBeUndefined();
  });
});

async function until(isSo: () => Promise<boolean>): Promise<void> {
  const limit = AbortSignal.timeout(10_000);
  while (!(await isSo())) {
    limit.throwIfAborted();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
