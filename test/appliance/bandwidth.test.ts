import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Bandwidth } from '../../src/appliance/bandwidth.ts';
import { type Clock, systemClock } from '../../src/clock.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'standby-test-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const always = (bytesPerSecond: number) => ({
  bytesPerSecondByHour: Array.from({ length: 24 }, () => bytesPerSecond),
});
const never = new AbortController().signal;

async function secondsFor(
  bandwidth: Bandwidth,
  takers: number,
  times: number,
  bytes: number,
): Promise<number> {
  const startedAt = performance.now();
  const take = async () => {
    for (let time = 0; time < times; time++) await bandwidth.take(bytes, never);
  };
  await Promise.all(Array.from({ length: takers }, take));
  return (performance.now() - startedAt) / 1000;
}

it('holds all takers together to the limit, and is remembered', async () => {
  const first = await Bandwidth.load(folder, systemClock);
  expect(await secondsFor(first, 4, 50, 1_000_000)).toBeLessThan(0.5);
  await first.set(always(1_000_000));
  const again = await Bandwidth.load(folder, systemClock);
  expect(again.schedule).toEqual(always(1_000_000));
  // 1.2 MB at 1 MB/s; a quarter of a second may have been saved up, and the last piece is not waited for.
  const seconds = await secondsFor(again, 4, 6, 50_000);
  expect(seconds).toBeGreaterThan(0.85);
  expect(seconds).toBeLessThan(3);
});

it('follows the hours, and a new schedule holds for those who wait already', async () => {
  let hour = 3;
  const clock: Clock = { now: () => hour * 3_600_000, sleep: systemClock.sleep };
  const bandwidth = await Bandwidth.load(folder, clock);
  const slow = [...always(0).bytesPerSecondByHour];
  slow[4] = 1000;
  await bandwidth.set({ bytesPerSecondByHour: slow });
  expect(await secondsFor(bandwidth, 1, 10, 1_000_000)).toBeLessThan(0.5);
  hour = 4;
  await bandwidth.take(1_000_000, never);
  let isTaken = false;
  const waiting = bandwidth.take(10, never).then(() => {
    isTaken = true;
  });
  await systemClock.sleep(50);
  expect(isTaken).toBe(false);
  await bandwidth.set({});
  await waiting;
});

it('lets go of who gives up, and serves the others', async () => {
  const bandwidth = await Bandwidth.load(folder, systemClock);
  await bandwidth.set(always(100));
  await bandwidth.take(1, never);
  await bandwidth.take(1000, never);
  const over = new AbortController();
  const given = bandwidth.take(10, over.signal);
  over.abort();
  await given;
  await bandwidth.set(always(1_000_000));
  await bandwidth.take(10, never);
});
