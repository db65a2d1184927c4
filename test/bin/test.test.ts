import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { makeWorkshop, type Workshop } from './workshop.ts';

interface Result {
  readonly name: string;
  readonly status: string;
}

describe('The test command', () => {
  let workshop: Workshop;
  beforeEach(() => {
    workshop = makeWorkshop();
    gates([true, true, true]);
    vitest({ unit: [{ name: 'a', status: 'passed' }], system: [{ name: 'b', status: 'passed' }] });
  });
  afterEach(() => workshop.remove());

  const gates = (results: readonly boolean[]) => {
    const list = results.map((ok, index) => ({ name: `gate ${index}`, ok }));
    workshop.write(
      'bin/check.cjs',
      `module.exports = { GATES: ${JSON.stringify([...list, { name: 'tidy: left to vitest', ok: false }])}, runGates: async (gates) => gates };\n`,
    );
  };
  /** Stands in for the real one: writes the results it is told for its project. */
  const vitest = (byProject: Record<string, readonly Result[]>, code = 0, write = true) => {
    const suites = (tests: readonly Result[]) => ({
      testResults: [
        {
          status: tests.some((test) => test.status === 'failed') ? 'failed' : 'passed',
          assertionResults: tests.map(({ name, status }) => ({ fullName: name, status })),
        },
      ],
    });
    const results = Object.fromEntries(
      Object.entries({ traffic: [], ...byProject }).map(([name, tests]) => [name, suites(tests)]),
    );
    workshop.write(
      'node_modules/vitest/vitest.mjs',
      `import { writeFileSync } from 'node:fs';
const project = process.argv[process.argv.indexOf('--project') + 1];
const file = process.argv.find((arg) => arg.startsWith('--outputFile.json=')).split('=')[1];
if (${write}) writeFileSync(file, JSON.stringify(${JSON.stringify(results)}[project]));
process.exitCode = ${code};
`,
    );
  };
  const test = (env: Record<string, string> = {}) => {
    const { stdout, status } = spawnSync(process.execPath, [workshop.path('bin/test.cjs')], {
      encoding: 'utf8',
      env,
    });
    return [stdout.trimEnd().split('\n').at(-1), status];
  };

  it('ends with one line that sums up gates and tests', () => {
    expect(test()).toEqual(['5 passed, 0 failed, 0 skipped', 0]);
  });

  it('fails when a gate or a test fails', () => {
    gates([true, false]);
    expect(test()).toEqual(['3 passed, 1 failed, 0 skipped', 1]);
    vitest({ unit: [{ name: 'a', status: 'failed' }], system: [] }, 1);
    expect(test()).toEqual(['1 passed, 4 failed, 0 skipped', 1]);
  });

  it('fails when a test run crashes without a result, or with an error that belongs to no test', () => {
    vitest({}, 1, false);
    expect(test()).toEqual(['3 passed, 3 failed, 0 skipped', 1]);
    vitest({ unit: [{ name: 'a', status: 'passed' }], system: [] }, 1);
    expect(test()).toEqual(['4 passed, 3 failed, 0 skipped', 1]);
  });

  it('lets a test be skipped, but on continuous integration only for want of what cannot be there', () => {
    const skips = [
      { name: 'recorded traffic (../shared is absent)', status: 'skipped' },
      { name: 'a lazy one', status: 'pending' },
    ];
    vitest({ unit: skips, system: [] });
    expect(test()).toEqual(['3 passed, 0 failed, 2 skipped', 0]);
    expect(test({ CI: 'true' })).toEqual(['3 passed, 1 failed, 1 skipped', 1]);
  });
});
