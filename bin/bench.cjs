'use strict';
// `npm run bench`, after bin/setup.cjs: hands over to bench/main.ts, in a network of its own where the system lets us.
// There the loopback carries nothing but the bench, so its counters are the bytes on the wire, and it can be shaped.
const { spawn, spawnSync } = require('node:child_process');
const { constants } = require('node:os');
const { join } = require('node:path');
const { findNode } = require('./pinned-node.cjs');

/** As root, or as an ordinary user that becomes root of nothing but the new network. */
const PRIVATE_NETWORKS = [['--net'], ['--user', '--map-root-user', '--net']];

function main() {
  const node = findNode();
  if (node === undefined) {
    process.stderr.write('The pinned Node is not installed: run npm ci --ignore-scripts\n');
    process.exitCode = 1;
    return;
  }
  const options = PRIVATE_NETWORKS.find((each) => canUnshare(each));
  const args = [join(__dirname, '..', 'bench', 'main.ts'), '--network', options ? 'private' : 'shared'];
  const words = (options ? ['unshare'].concat(options) : []).concat(node, args, process.argv.slice(2));
  const child = spawn(words[0], words.slice(1), { stdio: 'inherit' });
  // A key reaches the child from the terminal by itself.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  child.on('error', (error) => {
    process.stderr.write(`${words[0]} could not be started: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code === null ? 128 + (constants.signals[signal] || 0) : code;
  });
}

function canUnshare(options) {
  return (
    spawnSync('unshare', options.concat('ip', 'link', 'set', 'lo', 'up'), { stdio: 'ignore' }).status === 0
  );
}

main();
