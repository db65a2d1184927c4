'use strict';
// Everything: the gates, then unit and contract tests, then system tests, then the judgement of their traffic. `npm test`, after bin/setup.cjs.
// Ends with one line `N passed, N failed, N skipped` over all of it; a gate counts as one test.
// On continuous integration a skipped test is a failure, unless its name says that ../shared is absent.
const { spawnSync } = require('node:child_process');
const { existsSync, mkdtempSync, readFileSync, rmSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { GATES, runGates } = require('./check.cjs');
const { findNode } = require('./pinned-node.cjs');

const ROOT = join(__dirname, '..');
const VITEST = join(ROOT, 'node_modules', 'vitest', 'vitest.mjs');
const MAY_BE_SKIPPED = '../shared is absent';

async function main() {
  const isCi = Boolean(process.env.CI) && process.env.CI !== 'false';
  const total = { passed: 0, failed: 0, skipped: [] };
  // The tidy gate is one of the unit tests.
  for (const result of await runGates(GATES.filter((gate) => !gate.name.startsWith('tidy')))) {
    total[result.ok ? 'passed' : 'failed'] += 1;
  }
  // What all tests say to Local Azure is gathered, and judged by the last of them.
  const traffic = mkdtempSync(join(tmpdir(), 'standby-traffic-'));
  process.env.LOCAL_AZURE_TRAFFIC = traffic;
  try {
    for (const project of ['unit', 'system', 'traffic']) runVitest(project, total);
  } finally {
    rmSync(traffic, { recursive: true, force: true });
  }
  const forbidden = isCi ? total.skipped.filter((name) => !name.includes(MAY_BE_SKIPPED)) : [];
  for (const name of total.skipped) process.stdout.write(`skipped: ${name}\n`);
  if (forbidden.length > 0) {
    process.stdout.write(
      'Nothing may be skipped on continuous integration: the tests above count as failed.\n',
    );
  }
  const failed = total.failed + forbidden.length;
  const skipped = total.skipped.length - forbidden.length;
  process.stdout.write(`\n${total.passed} passed, ${failed} failed, ${skipped} skipped\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

function runVitest(project, total) {
  const folder = mkdtempSync(join(tmpdir(), 'standby-test-'));
  const file = join(folder, 'result.json');
  const args = ['run', '--project', project, '--passWithNoTests', '--reporter=default', '--reporter=json'];
  try {
    const { status } = spawnSync(findNode(), [VITEST].concat(args, `--outputFile.json=${file}`), {
      cwd: ROOT,
      stdio: 'inherit',
    });
    const failedBefore = total.failed;
    if (existsSync(file)) count(JSON.parse(readFileSync(file, 'utf8')), total);
    // A crash of the runner, or an error that belongs to no test, must not get lost in the sum.
    if (status !== 0 && total.failed === failedBefore) total.failed += 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function count(result, total) {
  for (const suite of result.testResults) {
    // A file that could not be read or whose hook broke has no failed test of its own.
    if (suite.status === 'failed' && !suite.assertionResults.some((test) => test.status === 'failed')) {
      total.failed += 1;
    }
    for (const test of suite.assertionResults) {
      if (test.status === 'passed') total.passed += 1;
      else if (test.status === 'failed') total.failed += 1;
      else total.skipped.push(test.fullName);
    }
  }
}

main();
