import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { endProcess, findProcess, isAlive, startProcess } from '../../../../infra/local/guests/processes.ts';
import { systemClock } from '../../../../src/clock.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'standby-processes-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const specOf = (command: string, args: readonly string[]) => ({
  ...{ command, args, cwd: folder, env: { PATH: '/usr/bin:/bin' } },
  ...{ logFile: join(folder, 'log'), pidFile: join(folder, 'pid') },
});

it('is found by its record as soon as it is said to be started, so that nobody starts it twice', async () => {
  const spec = specOf('sleep', ['600']);
  const { pid } = await startProcess(spec, () => {});
  const found = findProcess(spec.pidFile);
  expect(found?.pid).toBe(pid);
  if (!found) return;
  await endProcess(found, systemClock, 20_000);
  expect(isAlive(found)).toBe(false);
});

it('is told to have ended, also when it could not become the program', async () => {
  const ended = new Promise((resolve) => {
    void startProcess(specOf('/not/there', []), resolve);
  });
  expect(await ended).toEqual({ code: 127, signal: null });
});
