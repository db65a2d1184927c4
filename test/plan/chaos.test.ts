import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { openStore } from '../../src/control/store/open-store.ts';
import { silentLog } from '../../src/log.ts';
import { makeOwner } from '../../src/plan/owner.ts';
import { runPlan } from '../../src/plan/runner.ts';
import type { Store } from '../../src/ports/store.ts';
import { onEachStore } from '../fixtures/stores.ts';
import { chaosPlan } from './chaos-plan.ts';

const WORKER = fileURLToPath(new URL('chaos-worker.ts', import.meta.url));
const RUNS = 10;
const WORKERS = 3;
const KILLS = 8;
/** Dozens of processes start one after the other, and the machine may be busy. */
const TIMEOUT_MS = 120_000;

onEachStore('A run whose processes are killed', (newUrl) => {
  let world = '';
  let url = '';
  let store: Store;
  const alive = new Set<ChildProcess>();
  beforeEach(async () => {
    world = mkdtempSync(join(tmpdir(), 'standby-chaos-'));
    url = await newUrl();
    store = await openStore(url);
  });
  afterEach(async () => {
    for (const worker of alive) worker.kill('SIGKILL');
    await store.close();
    rmSync(world, { recursive: true, force: true });
  });

  const start = (crashAt?: string): ChildProcess => {
    const args = [WORKER, url, world, ...(crashAt === undefined ? [] : [crashAt])];
    const worker = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    alive.add(worker);
    worker.once('exit', () => alive.delete(worker));
    return worker;
  };
  const create = (id: string) =>
    store.runs.create({ id, kind: 'chaos', subject: id, title: `Chaos ${id}`, input: null });
  const resume = async (id: string) => {
    const run = await store.runs.get(id);
    if (run === undefined) throw new Error(`Run ${id} is gone`);
    const { signal } = new AbortController();
    const outside = { owner: makeOwner(), clock: systemClock, log: silentLog, signal };
    const result = await runPlan({ store: store.runs, plan: chaosPlan(world), run, ...outside });
    expect(result.status).toBe('done');
  };
  const logged = () => readFileSync(join(world, 'log'), 'utf8').trim().split('\n');

  it('ends as if nothing had happened, at each point of each step', { timeout: TIMEOUT_MS }, async () => {
    const points = ['a', 'b', 'e'].flatMap((step) =>
      ['started', 'acted', 'before-done'].map((phase) => `${step}:${phase}`),
    );
    for (const [index, point] of points.entries()) {
      const id = `r${index}`;
      await create(id);
      const [, signal] = await once(start(point), 'exit');
      expect(signal, point).toBe('SIGKILL');
      expect(await store.runs.get(id), point).toMatchObject({ status: 'running' });
      await resume(id);
      expect(readFileSync(join(world, `${id}.e`), 'utf8'), point).toBe('abcd');
    }
    const made = logged().filter((line) => line.startsWith('make'));
    expect(made).toHaveLength(points.length * 5);
    expect(logged().filter((line) => line.startsWith('submit'))).toHaveLength(points.length);
  });

  it('ends with everything made once, however often a process dies', { timeout: TIMEOUT_MS }, async () => {
    for (let index = 0; index < RUNS; index++) await create(`r${index}`);
    let kills = 0;
    const failures: unknown[] = [];
    const keepOneRunning = () => {
      start().once('exit', (code, signal) => {
        if (signal === 'SIGKILL' && kills <= KILLS) keepOneRunning();
        else if (code !== 0) failures.push({ code, signal });
      });
    };
    for (let index = 0; index < WORKERS; index++) keepOneRunning();
    while (alive.size > 0) {
      await systemClock.sleep(250 + Math.random() * 200);
      const victim = [...alive][Math.floor(Math.random() * alive.size)];
      if (victim !== undefined && kills < KILLS) {
        kills++;
        victim.kill('SIGKILL');
      }
    }
    expect(failures).toEqual([]);
    const runs = await store.runs.list();
    expect(runs.map((run) => run.status)).toEqual(Array.from({ length: RUNS }, () => 'done'));
    for (const run of runs) {
      expect(run.steps.map((step) => step.status)).toEqual(['done', 'done', 'done', 'done', 'done']);
      expect(readFileSync(join(world, `${run.id}.e`), 'utf8')).toBe('abcd');
    }
    expect(readdirSync(world)).toHaveLength(RUNS * 5 + 1);
    expect(new Set(logged().filter((line) => line.startsWith('make'))).size).toBe(RUNS * 5);
    expect(kills).toBeGreaterThan(1);
  });
});
