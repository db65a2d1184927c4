import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { differingChunks, LEAF_BYTES, leafOf as leafOfChunk } from '../../src/block/digest.ts';
import { systemClock } from '../../src/clock.ts';
import { type MasterEngineOptions, runMasterEngine } from '../../src/master/engine.ts';
import { type Authority, makeAuthority } from '../../src/wire/certificates.ts';
import { makeChecksum } from '../../src/wire/checksum.ts';
import { LIMITS } from '../../src/wire/limits.ts';
import { NbdClient } from '../capture/nbd-client.ts';
import { overwrite } from '../fixtures/copying.ts';
import { keepingLog, MIB, makeFolder, makeImage, noiseOf, until } from '../fixtures/engines.ts';
import { makeJoined } from '../fixtures/joined.ts';
import { QUICK } from '../fixtures/quick-timings.ts';
import { ScriptedAppliance } from './scripted-appliance.ts';

const PROGRAM = fileURLToPath(new URL('../fixtures/engine-process.ts', import.meta.url));
const SIZE = 48 * MIB;

let folder: string;
let authority: Authority;
let appliance: ScriptedAppliance;
let ends: (() => Promise<unknown>)[];
let log: ReturnType<typeof keepingLog>;

const stateFolder = () => join(folder, 'master');
const disk = () => join(folder, 'disk.img');
const socket = () => join(folder, 'nbd.sock');
const nbdOptions = () => ({ listen: { path: socket() }, spoolBytes: 32 * MIB });

beforeEach(async () => {
  folder = await makeFolder();
  ends = [];
  log = keepingLog();
  await makeImage(disk(), SIZE, { full: [0, 7], seed: 3 });
  authority = await makeAuthority();
  appliance = new ScriptedAppliance(await makeChecksum(), { disk0: await readFile(disk()) });
  await appliance.listen(authority);
  await makeJoined(stateFolder(), { authority, appliance, diskPaths: [disk()] });
});
afterEach(async () => {
  for (const end of ends.reverse()) await end();
  await appliance.leave();
  await rm(folder, { recursive: true, force: true });
});

function startEngine(more: Partial<MasterEngineOptions> = { nbd: nbdOptions() }): () => Promise<void> {
  const stop = new AbortController();
  const options = {
    stateFolder: stateFolder(),
    clock: systemClock,
    log,
    signal: stop.signal,
    timings: QUICK,
  };
  const ended = runMasterEngine({ ...options, ...more });
  ended.catch(() => undefined); // Told by `end`.
  let isOver = false;
  const end = async () => {
    if (isOver) return;
    isOver = true;
    stop.abort();
    await ended;
  };
  ends.push(end);
  return end;
}

/** As a process of its own, to be killed. */
async function spawnEngine(): Promise<ChildProcess> {
  const options = { stateFolder: stateFolder(), nbd: nbdOptions() };
  const engine = spawn(process.execPath, [PROGRAM, 'master', JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  engine.stderr?.resume();
  ends.push(() => kill(engine));
  await once(engine.stdout ?? engine, 'data');
  return engine;
}

async function kill(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return;
  engine.kill('SIGKILL');
  await once(engine, 'exit');
}

async function openGuest(): Promise<NbdClient> {
  let client: NbdClient | undefined;
  await until('the disk is served', async () => {
    const stream = connect(socket());
    const candidate = new NbdClient(stream);
    try {
      await candidate.choose('disk0');
      client = candidate;
      return true;
    } catch {
      stream.destroy();
      return false; // Not yet there.
    }
  });
  if (!client) throw new Error('no guest');
  const { socket: stream } = client;
  ends.push(async () => stream.destroy());
  return client;
}

const untilSession = () => until('the master is connected', () => appliance.session !== undefined);
const stream = (
  fresh: boolean,
  capture = 'nbd',
  excluded: { offsetBytes: number; sizeBytes: number }[] = [],
) => appliance.start({ epoch: 1, capture, fresh, disks: [{ diskId: 'disk0', sizeBytes: SIZE, excluded }] });

/** A stream that began when the appliance had the disk as it was. */
async function begin(): Promise<bigint> {
  await untilSession();
  const origin = await stream(true);
  if (origin === undefined) throw new Error('no origin');
  return origin;
}

const untilEqual = (limitMs = 20_000) =>
  until(
    'the copy equals the disk',
    async () => {
      // Comparing costs more than waiting a little.
      await systemClock.sleep(80);
      const copy = appliance.replica.disks.get('disk0');
      return appliance.replica.openSet === undefined && (copy?.equals(await readFile(disk())) ?? false);
    },
    limitMs,
  );

describe('A master engine that serves its disks', { timeout: 40_000 }, () => {
  it('says where, tells the appliance every write in order and its state, and serves while nobody listens', async () => {
    await appliance.leave();
    const end = startEngine();
    const guest = await openGuest();
    await guest.write(MIB, noiseOf(1)(70_000));
    await guest.flush();
    await appliance.listen(authority);
    await begin();
    const uri = `nbd+unix:///disk0?socket=${socket()}`;
    expect(appliance.hello?.inventory.nbd).toEqual([{ diskId: 'disk0', uri }]);
    expect(log.lines.filter((line) => line.includes('disk served'))).toEqual([expect.stringContaining(uri)]);
    // What was written before the stream began is the copy's matter.
    appliance.hold('disk0', await readFile(disk()));
    for (let write = 0; write < 50; write++) await guest.write(write * 9000, noiseOf(write + 2)(8192));
    await guest.flush();
    await untilEqual();
    expect(appliance.replica.sets).toBe(0);
    await until('everything is durable', () => {
      const state = appliance.states.at(-1);
      return state?.mode === 'ordered' && state.lastSequence === String(appliance.replica.position);
    });
    const told = appliance.states.length;
    await until('the state is told again', () => appliance.states.length > told, 2_500);
    await appliance.leave();
    await guest.write(0, noiseOf(99)(4096));
    await guest.flush();
    await end();
  });

  it('sends again what was not durable, and only that; keeps to the window while the guest goes on', async () => {
    startEngine();
    const guest = await openGuest();
    await begin();
    await guest.write(0, noiseOf(1)(100_000));
    await guest.flush();
    await untilEqual();
    const toldBefore = appliance.replica.toldBytes;
    appliance.isQuick = false;
    for (let write = 0; write < 5000; write++)
      await guest.write(2 * MIB + write * 4096, noiseOf(write)(4096));
    await guest.flush();
    const nearlyFull = LIMITS.changesWindowBytes - LIMITS.changesBodyBytes - 1;
    await until('the window is used', () => appliance.unansweredBytes > nearlyFull);
    await systemClock.sleep(200); // Whoever ignored the window would send more now.
    expect(appliance.mostUnansweredBytes).toBeLessThanOrEqual(LIMITS.changesWindowBytes);
    expect(appliance.records / appliance.frames).toBeGreaterThan(10);
    appliance.isWelcome = false;
    await appliance.cut();
    for (let write = 0; write < 50; write++) await guest.write(write * 4096, noiseOf(write + 7)(4096));
    appliance.isQuick = true;
    appliance.isWelcome = true;
    await untilEqual();
    expect(appliance.replica.toldBytes - toldBefore).toBe(5050 * 4096);
    expect(appliance.replica.sets).toBe(0);
  });

  it('gives up the order when the spool is full, says why, sends a set and is ordered again; memory stays small', async () => {
    const engine = await spawnEngine();
    const guest = await openGuest();
    await begin();
    appliance.isQuick = false;
    for (let at = 0; at < 44; at++) await guest.write(at * MIB, noiseOf(at + 1)(MIB));
    await guest.flush();
    await until('the master says that the order is lost', () => appliance.states.at(-1)?.mode === 'set');
    expect(appliance.states.at(-1)).toMatchObject({ reason: expect.stringContaining('full') });
    expect(appliance.states.at(-1)?.spooledBytes).toBeLessThanOrEqual(32 * MIB);
    appliance.isQuick = true;
    appliance.say();
    await untilEqual();
    await until('it is ordered again', () => appliance.states.at(-1)?.mode === 'ordered');
    expect(appliance.replica.sets).toBe(1);
    const status = await readFile(`/proc/${engine.pid}/status`, 'utf8');
    const peakKib = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]);
    expect(peakKib).toBeLessThan(256 * 1024);
  });

  it('killed under the guest’s writes, it sends again only where the guest was writing', async () => {
    let engine = await spawnEngine();
    let guest = await openGuest();
    await begin();
    for (let at = 0; at < 16; at++) await guest.write(at * MIB, noiseOf(at + 1)(MIB));
    await guest.flush();
    await untilEqual();
    // A clean stop cools everything down.
    engine.kill('SIGTERM');
    await once(engine, 'exit');
    engine = await spawnEngine();
    guest = await openGuest();
    await untilSession();
    await stream(false);
    let writes = 0;
    const writing = (async () => {
      for (;;) {
        await guest.write(8 * MIB + ((writes * 4096) % (4 * MIB)), noiseOf(++writes)(4096));
        if (writes % 10 === 0) await guest.flush();
      }
    })().catch((error: unknown) => error);
    await until('the guest wrote', () => writes > 300);
    await kill(engine);
    expect(await writing).toBeInstanceOf(Error);
    await until('the appliance noticed', () => appliance.session === undefined);
    const before = appliance.replica.toldBytes;
    await spawnEngine();
    await untilSession();
    await stream(false);
    // It may have been equal already: what was told in order is not all that is told again.
    await until('the place came again', () => appliance.replica.sets > 0);
    await untilEqual();
    expect(appliance.replica.toldBytes - before).toBeLessThanOrEqual(8 * MIB);
    expect(appliance.problems).toEqual([]);
  });

  it('proves its disks at one position while the guest writes, excluded ranges as zeros', async () => {
    startEngine();
    const guest = await openGuest();
    await untilSession();
    const excluded = [{ offsetBytes: 4 * MIB - 4096, sizeBytes: 2 * MIB }];
    appliance.hold('disk0', (await readFile(disk())).fill(0, 4 * MIB - 4096, 6 * MIB - 4096));
    await stream(true, 'nbd', excluded);
    appliance.expectsProof = true;
    let isOver = false;
    const writing = (async () => {
      for (let write = 0; !isOver; write++) {
        await guest.write((write * 1_234_567) % (SIZE - 8192), noiseOf(write + 1)(8192));
        if (write % 25 === 24) await guest.flush();
      }
    })();
    try {
      await appliance.session?.request('streamProve', { scenarioId: 's1' });
      await until('the proof is there', () => appliance.provens.length > 0);
    } finally {
      isOver = true;
      await writing;
    }
    const [proven] = appliance.provens;
    expect(appliance.provings).toEqual([proven?.sequence]);
    await until('its mark came', () => appliance.proven.has(proven?.sequence ?? ''));
    const copy = appliance.proven.get(proven?.sequence ?? '')?.disks.get('disk0') ?? Buffer.alloc(SIZE);
    const leaves = Buffer.alloc((SIZE / MIB) * LEAF_BYTES);
    for (let chunk = 0; chunk < SIZE / MIB; chunk++) {
      leaves.set(await leafOfChunk(copy.subarray(chunk * MIB, (chunk + 1) * MIB)), chunk * LEAF_BYTES);
    }
    const answer = await appliance.session?.request('streamLeaves', {
      scenarioId: 's1',
      diskId: 'disk0',
      fromByte: 0,
    });
    expect(differingChunks(leaves, Buffer.from(answer?.leaves ?? '', 'base64'))).toEqual([]);
    const theirs = copy.subarray(4 * MIB - 4096, 6 * MIB - 4096);
    expect(theirs.every((byte) => byte === 0)).toBe(true);
  });
});

describe('A master engine that is asked for a stream', { timeout: 40_000 }, () => {
  it('says that it is lost when it never followed it, or when what it knew is gone', async () => {
    const end = startEngine();
    await untilSession();
    expect(await stream(false)).toBeUndefined();
    await until('it says so', () => appliance.problems.length > 0);
    expect(appliance.problems[0]).toMatchObject({
      scenarioId: 's1',
      lost: true,
      error: { code: 'STREAM_LOST' },
    });
    await begin();
    const guest = await openGuest();
    await guest.write(0, noiseOf(1)(4096));
    await untilEqual();
    await end();
    await rm(join(stateFolder(), 'nbd'), { recursive: true });
    await until('the appliance noticed', () => appliance.session === undefined);
    startEngine();
    await untilSession();
    await stream(false);
    await until('it says so again', () => appliance.problems.length > 1);
    expect(appliance.problems[1]).toMatchObject({ lost: true });
  });

  it('refuses nbd when it does not serve, and a capture that follows nothing', async () => {
    startEngine({});
    await untilSession();
    await expect(stream(true)).rejects.toMatchObject({ code: 'NBD_NOT_SERVED' });
    await expect(stream(true, 'at-rest')).rejects.toMatchObject({ code: 'CAPTURE_NOT_LIVE' });
  });

  it('follows by comparing, goes on after a restart with what changed meanwhile, and forgets when it is told to', async () => {
    const compare = { compare: { intervalMs: 50 } };
    const end = startEngine(compare);
    await untilSession();
    await stream(true, 'compare');
    await overwrite(disk(), 5 * MIB, noiseOf(5)(10_000));
    await untilEqual();
    await end();
    await until('the appliance noticed', () => appliance.session === undefined);
    await overwrite(disk(), 20 * MIB, noiseOf(6)(10_000));
    startEngine(compare);
    await untilSession();
    const before = appliance.replica.toldBytes;
    await stream(false, 'compare');
    await untilEqual();
    expect(appliance.replica.toldBytes - before).toBeLessThanOrEqual(2 * 64 * 1024);
    await appliance.session?.request('streamStop', { scenarioId: 's1', forget: true });
    await stream(false, 'compare');
    await until('it is forgotten', () => appliance.problems.some(({ lost }) => lost));
  });
});
