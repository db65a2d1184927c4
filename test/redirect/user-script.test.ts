import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { runScript, type ScriptCall } from '../../src/redirect/user-script.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'standby-script-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const world = (signal = new AbortController().signal) => ({
  environment: { PATH: process.env.PATH, STANDBY_CLIENT_SECRET: 'very-secret' },
  clock: systemClock,
  signal,
});

const callOf = (script: string, more: Partial<ScriptCall> = {}): ScriptCall => ({
  command: ['/bin/sh', '-c', script],
  event: 'SWITCHOVER',
  phase: 'after-boot',
  facts: { SCENARIO: 'demo', ADDRESS: '203.0.113.7' },
  timeoutMs: 20_000,
  logFile: join(folder, 'script.log'),
  ...more,
});

const logged = () => readFile(join(folder, 'script.log'), 'utf8');

describe('A script of the user', () => {
  it('gets the facts in its environment, and none of our secrets; its words are kept', async () => {
    await runScript(callOf('env; echo complained >&2'), world());
    const text = await logged();
    expect(text).toContain('STANDBY_EVENT=SWITCHOVER');
    expect(text).toContain('STANDBY_PHASE=after-boot');
    expect(text).toContain('STANDBY_SCENARIO=demo');
    expect(text).toContain('STANDBY_ADDRESS=203.0.113.7');
    expect(text).toContain('complained');
    expect(text).not.toContain('very-secret');
  });

  it('that fails, or is not there, is an error with its ending', async () => {
    await expect(runScript(callOf('exit 7'), world())).rejects.toThrow(/ended with 7/);
    await expect(runScript(callOf('', { command: [join(folder, 'absent')] }), world())).rejects.toThrow(
      /ENOENT/,
    );
  });

  it('that does not end is ended with everything it started', async () => {
    const script = 'sleep 300 & echo $!; wait';
    await expect(runScript(callOf(script, { timeoutMs: 300 }), world())).rejects.toThrow(
      /did not end within/,
    );
    const pid = Number(/^(\d+)$/m.exec(await logged())?.[1]);
    expect(pid).toBeGreaterThan(1);
    await expect.poll(() => isRunning(pid), { timeout: 5000 }).toBe(false);
  });

  it('is ended when Standby is stopped', async () => {
    const stop = new AbortController();
    const running = runScript(callOf('echo begun; sleep 300'), world(stop.signal));
    const refused = expect(running).rejects.toThrow(/Standby was stopped/);
    await expect.poll(logged, { timeout: 5000 }).toContain('begun');
    stop.abort();
    await refused;
  });
});

async function isRunning(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => ' Z ');
  return !/ Z /.test(status);
}
