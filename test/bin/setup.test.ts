import { spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/clock.ts';
import { makeWorkshop, type Workshop } from './workshop.ts';

const LOCK = {
  packages: {
    '': {},
    'node_modules/a': { version: '1.0.0', integrity: 'x' },
    'node_modules/b': { version: '1.0.0', optional: true },
  },
};
const INSTALLED = { packages: { 'node_modules/a': { version: '1.0.0', integrity: 'x' } } };

describe('Set-up', () => {
  let workshop: Workshop;
  beforeEach(() => {
    workshop = makeWorkshop();
    workshop.write('package-lock.json', JSON.stringify(LOCK));
    workshop.write('node_modules/.package-lock.json', JSON.stringify(INSTALLED));
    workshop.write('node_modules/a/package.json', '{}');
    needs([]);
    workshop.write('lists/some_Packages.lz4', '');
    // No test may install anything: whoever runs it counts as an ordinary user.
    workshop.write('user.cjs', 'process.getuid = () => 1000;\n');
    // Instead of npm and apt: both only say that they were called.
    workshop.write('npm.cjs', "process.stdout.write('npm ' + process.argv.slice(2).join(' '));\n");
  });
  afterEach(() => workshop.remove());

  const needs = (packages: readonly { name: string; files: readonly string[] }[]) =>
    workshop.write(
      'bin/system-packages.cjs',
      `module.exports = { APT_LISTS: ${JSON.stringify(workshop.path('lists'))}, packagesFor: () => ${JSON.stringify(packages)} };\n`,
    );
  const setUp = () =>
    spawnSync(
      process.execPath,
      ['--require', workshop.path('user.cjs'), workshop.path('bin/setup.cjs'), 'demo'],
      {
        encoding: 'utf8',
        env: { npm_execpath: workshop.path('npm.cjs'), PATH: workshop.path('no-sudo-here') },
      },
    );

  it('does nothing, in less than 2 s, when all is there', () => {
    needs([{ name: 'node', files: ['/nowhere/at/all', process.execPath] }]);
    const began = systemClock.now();
    expect(setUp()).toMatchObject({ status: 0, stdout: '', stderr: '' });
    expect(systemClock.now() - began).toBeLessThan(2000);
  });

  it.each([
    ['nothing is installed', 'node_modules/.package-lock.json', '{"packages":{}}'],
    [
      'a version differs',
      'node_modules/.package-lock.json',
      JSON.stringify(INSTALLED).replace('1.0.0', '1.0.1'),
    ],
    ['content differs', 'package-lock.json', JSON.stringify(LOCK).replace('"x"', '"y"')],
    ['too much is installed', 'package-lock.json', '{"packages":{"":{}}}'],
  ])('installs the packages of the lock, without their scripts, when %s', (_, name, text) => {
    workshop.write(name, text);
    expect(setUp()).toMatchObject({ status: 0, stdout: '' });
    expect(setUp().stderr).toContain('npm ci --ignore-scripts');
  });

  it('stops when npm does not succeed', () => {
    workshop.write('node_modules/.package-lock.json', '{"packages":{}}');
    workshop.write('npm.cjs', 'process.exitCode = 5;\n');
    expect(setUp()).toMatchObject({ status: 1, stdout: '' });
  });

  it('tells an ordinary user without sudo exactly what to install, and changes nothing', () => {
    needs([
      { name: 'first-package', files: ['/nowhere/at/all'] },
      { name: 'second-package', files: ['/nowhere/*/bin/x'] },
      { name: 'third-package', files: ['/etc/pass*'] },
    ]);
    const { status, stderr, stdout } = setUp();
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toContain('sudo apt-get install --no-install-recommends first-package second-package\n');
    expect(stderr).not.toContain('third-package');
  });

  it('asks for the lists of packages when there are none', () => {
    rmSync(workshop.path('lists'), { recursive: true });
    expect(setUp().stderr).toMatch(/\n {2}sudo apt-get update\n\n/);
  });
});
