#!/usr/bin/env node
'use strict';
// The launcher. It finds a Node that is new enough and hands over: in this process when it is one, else in a child.
// Old syntax on purpose: an old Node must be able to read this file to say what is wrong.
const { spawn } = require('node:child_process');
const { existsSync, readFileSync } = require('node:fs');
const { constants, release } = require('node:os');
const { join, sep } = require('node:path');
const { pathToFileURL } = require('node:url');
const { OLDEST, findNode, oldWindows } = require('./pinned-node.cjs');

const ROOT = join(__dirname, '..');
const FORWARDED = ['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'];
/** Keys that a terminal turns into a signal for every process in the foreground. */
const FROM_KEYBOARD = ['SIGINT', 'SIGQUIT'];

function main() {
  const args = process.argv.slice(2);
  // The one answer that needs nothing: it stays quick whatever the rest loads.
  if (args.length === 1 && args[0] === '--version') {
    process.stdout.write(`${require('../package.json').version}\n`);
    return;
  }
  const tooOld = oldWindows(process.platform, release());
  if (tooOld !== undefined) {
    process.stderr.write(`${tooOld}\n`);
    process.exitCode = 1;
    return;
  }
  const node = findNode();
  if (node === undefined) {
    process.stderr.write(
      `Standby needs Node ${OLDEST.join('.')} or newer; this is ${process.version}.\n` +
        'The pinned one is not installed. Run: npm ci --ignore-scripts (or: npm run demo)\n',
    );
    process.exitCode = 1;
    return;
  }
  const program = programFile();
  if (node === process.execPath) import(pathToFileURL(program).href);
  else runIn(node, program, args);
}

/** The sources as they are; installed as a package, where Node does not read TypeScript, the built bundle. */
function programFile() {
  const source = join(ROOT, 'src', 'main.ts');
  const isPackage = ROOT.split(sep).includes('node_modules');
  return existsSync(source) && !isPackage ? source : join(ROOT, 'dist', 'main.mjs');
}

function runIn(node, program, args) {
  const child = spawn(node, [program].concat(args), { stdio: 'inherit' });
  const onSignal = (signal) => {
    // A key reaches the child from the terminal as it reaches us; passed on as well, it would count twice.
    if (FROM_KEYBOARD.includes(signal) && isForeground()) return;
    child.kill(signal);
  };
  for (const signal of FORWARDED) process.on(signal, onSignal);
  child.on('error', (error) => {
    process.stderr.write(`${node} could not be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    for (const each of FORWARDED) process.off(each, onSignal);
    process.exitCode = code === null ? 128 + (constants.signals[signal] || 0) : code;
    // Who started us should see the same end: dying by the signal, where that is still possible.
    if (signal === 'SIGINT' || signal === 'SIGTERM' || signal === 'SIGHUP') process.kill(process.pid, signal);
  });
}

/** Whether this process belongs to the foreground of a terminal. */
function isForeground() {
  if (process.platform !== 'linux') return Boolean(process.stdin.isTTY || process.stderr.isTTY);
  const fields = readFileSync('/proc/self/stat', 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  const group = fields[2];
  const foregroundGroup = fields[5];
  return group === foregroundGroup;
}

main();
