'use strict';
// The gates: what a machine can say about the code without running the product. `npm run check`.
const { spawn } = require('node:child_process');
const { join } = require('node:path');
const { findNode } = require('./pinned-node.cjs');

const ROOT = join(__dirname, '..');
/** More at once would only slow each other down on a small machine. */
const AT_ONCE = 2;

const modules = (path) => join(ROOT, 'node_modules', path);

const GATES = [
  // The longest first: the others fit beside it. What it learned is kept, so that the next time is short.
  {
    name: 'types: TypeScript has no complaint',
    program: modules('typescript/bin/tsc'),
    args: ['--noEmit', '--incremental', '--tsBuildInfoFile', '.cache/types.tsbuildinfo'],
  },
  {
    name: 'layers: imports go one way',
    program: modules('dependency-cruiser/bin/dependency-cruiser.mjs'),
    args: '--config .dependency-cruiser.cjs --output-type json src infra wizards'.split(' '),
    judge: judgeLayers,
  },
  { name: 'dead code: knip finds none', program: modules('knip/bin/knip.js'), args: ['--no-progress'] },
  {
    name: 'lint: biome has no complaint',
    program: modules('@biomejs/biome/bin/biome'),
    args: ['check', '.'],
  },
  {
    name: 'tidy: the house rules hold',
    program: modules('vitest/vitest.mjs'),
    args: ['run', '--project', 'unit', 'test/tidy.test.ts'],
  },
];

/** Green because nothing was looked at is not green: with a compiler it does not know, the tool cruises no module. */
function judgeLayers(output) {
  let result;
  try {
    result = JSON.parse(output);
  } catch (error) {
    return `The tool gave no result: ${error.message}\n${output.slice(0, 2000)}`;
  }
  const { totalCruised, violations } = result.summary;
  if (!(totalCruised > 0)) return 'No module was cruised, so nothing was checked.';
  const errors = violations.filter((each) => each.rule.severity === 'error');
  const lines = errors.map((each) => {
    const path = each.cycle ? each.cycle.map((step) => step.name || step).join(' -> ') : each.to;
    return `${each.rule.name}: ${each.from} -> ${path}`;
  });
  return lines.length === 0 ? undefined : lines.join('\n');
}

/** Resolves to { name, ok, ms, output }; a gate that cannot be started has failed. */
function runGate(gate, node) {
  return new Promise((resolve) => {
    const began = process.hrtime.bigint();
    const child = spawn(node, [gate.program].concat(gate.args), {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      output += text;
    });
    const end = (ok, text) => {
      const ms = Number((process.hrtime.bigint() - began) / 1000000n);
      resolve({ name: gate.name, ok, ms, output: text });
    };
    child.on('error', (error) => end(false, error.message));
    child.on('close', (code) => {
      if (!gate.judge) return end(code === 0, output);
      const complaint = gate.judge(stdout);
      end(
        complaint === undefined,
        complaint === undefined ? '' : `${complaint}\n${output.slice(stdout.length)}`,
      );
    });
  });
}

async function runGates(gates) {
  const node = findNode();
  if (node === undefined) throw new Error('The pinned Node is not installed: run npm ci --ignore-scripts');
  const waiting = gates.slice();
  const results = [];
  const lane = async () => {
    for (let gate = waiting.shift(); gate !== undefined; gate = waiting.shift()) {
      const result = await runGate(gate, node);
      results.push(result);
      tell(result);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
  return results;
}

function tell(result) {
  const seconds = `${(result.ms / 1000).toFixed(1)} s`;
  process.stdout.write(`${result.ok ? 'ok    ' : 'FAILED'} ${seconds.padStart(7)}  ${result.name}\n`);
  if (!result.ok) process.stdout.write(`${result.output.trimEnd()}\n`);
}

async function main() {
  const results = await runGates(GATES);
  if (results.some((result) => !result.ok)) process.exitCode = 1;
}

module.exports = { GATES, runGates };
if (require.main === module) main();
