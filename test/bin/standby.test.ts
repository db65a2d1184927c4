import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import pkg from '../../package.json' with { type: 'json' };
import { systemClock } from '../../src/clock.ts';
import { makeWorkshop, pretendOldNode, type Workshop } from './workshop.ts';

const LAUNCHER = fileURLToPath(new URL('../../bin/standby.cjs', import.meta.url));
const run = (args: readonly string[]) => spawnSync(process.execPath, args, { encoding: 'utf8' });

describe('The launcher', () => {
  let workshop: Workshop;
  beforeEach(() => {
    workshop = makeWorkshop();
  });
  afterEach(() => workshop.remove());

  it('runs on the pinned Node under npm', () => {
    expect(process.version).toMatch(/^v24\./);
  });

  it('answers --version in less than 100 ms', () => {
    // The best of many: the machine may be busy with something else.
    let bestMs = Number.POSITIVE_INFINITY;
    for (let tries = 0; tries < 30 && bestMs >= 100; tries++) {
      const began = systemClock.now();
      expect(run([LAUNCHER, '--version']).stdout).toBe(`${pkg.version}\n`);
      bestMs = Math.min(bestMs, systemClock.now() - began);
    }
    expect(bestMs).toBeLessThan(100);
  });

  it('hands over arguments and exit code, on a Node that is new enough and on one that is not', () => {
    workshop.write('src/main.ts', PRINTS_AND_ENDS);
    const old = pretendOldNode(workshop);
    for (const before of [[], old]) {
      const { stdout, status } = run([...before, workshop.path('bin/standby.cjs'), 'run', '--x', 'a b']);
      expect(stdout).toContain('["run","--x","a b"]');
      expect(stdout).toContain(before === old ? 'another process' : 'the same process');
      expect(status).toBe(3);
    }
  });

  it('takes the built bundle where there are no sources', () => {
    workshop.write('dist/main.mjs', "process.stdout.write('the bundle');\n");
    expect(run([workshop.path('bin/standby.cjs'), 'x']).stdout).toBe('the bundle');
  });

  it.each([
    ['6.3.9600', true],
    ['10.0.10240', true],
    ['10.0.14393', false],
    ['10.0.26100', false],
  ])('sends Windows %s to a copy at rest: %s', (windows, isOld) => {
    workshop.write(
      'windows.cjs',
      `Object.defineProperty(process, 'platform', { value: 'win32' });
require('node:os').release = () => '${windows}';`,
    );
    workshop.write('src/main.ts', "process.stdout.write('it runs');\n");
    const { stdout, stderr, status } = run([
      '--require',
      workshop.path('windows.cjs'),
      workshop.path('bin/standby.cjs'),
      'master',
      'join',
    ]);
    if (isOld) {
      expect(stderr).toMatch(/needs Windows Server 2016[\s\S]*capture at-rest/);
      expect([stdout, status]).toEqual(['', 1]);
    } else expect([stdout, status]).toEqual(['it runs', 0]);
  });

  it('says what to do when no Node is new enough', () => {
    workshop.write('old.cjs', "Object.defineProperty(process, 'version', { value: 'v18.0.0' });\n");
    const { stderr, status } = run([
      '--require',
      workshop.path('old.cjs'),
      workshop.path('bin/standby.cjs'),
      'x',
    ]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/needs Node 24\.15 or newer; this is v18\.0\.0[\s\S]*npm ci/);
  });

  it.each(['SIGTERM', 'SIGINT', 'SIGHUP'] as const)(
    'passes %s on once and ends as its child ends',
    async (signal) => {
      workshop.write('src/main.ts', WAITS_FOR_SIGNALS);
      // A session of its own: no terminal's foreground, so nobody but us sends the signal.
      const launcher = spawn(
        process.execPath,
        [...pretendOldNode(workshop), workshop.path('bin/standby.cjs'), 'x'],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
          detached: true,
        },
      );
      let text = '';
      const ready = Promise.withResolvers<void>();
      launcher.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
        if (text.includes('ready')) ready.resolve();
      });
      await ready.promise;
      launcher.kill(signal);
      const [code] = await once(launcher, 'close');
      expect(text).toBe(`ready\n${signal}\n`);
      expect(code).toBe(7);
    },
  );

  it('dies by the signal that its child died by', async () => {
    workshop.write('src/main.ts', "process.kill(process.pid, 'SIGTERM');\nsetInterval(() => {}, 1000);\n");
    const launcher = spawn(process.execPath, [
      ...pretendOldNode(workshop),
      workshop.path('bin/standby.cjs'),
      'x',
    ]);
    expect(await once(launcher, 'exit')).toEqual([null, 'SIGTERM']);
  });
});

const PRINTS_AND_ENDS = `
const isSame: boolean = process.argv[1]?.endsWith('standby.cjs') ?? false;
process.stdout.write(JSON.stringify(process.argv.slice(2)) + (isSame ? ' the same process' : ' another process'));
process.exitCode = 3;
`;

/** Ends a little after the first signal, so that a second one would be seen. */
const WAITS_FOR_SIGNALS = `
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) {
  process.on(signal, () => {
    process.stdout.write(signal + '\\n');
    process.exitCode = 7;
    setTimeout(() => clearInterval(waiting), 150);
  });
}
const waiting = setInterval(() => {}, 1000);
process.stdout.write('ready\\n');
`;
