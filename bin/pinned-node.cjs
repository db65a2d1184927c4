'use strict';
// Old syntax on purpose: this also runs on a Node that is too old for the product, to find the one that is not.
const { existsSync } = require('node:fs');
const { dirname, join } = require('node:path');

const OLDEST = [24, 15];

function isNewEnough(version) {
  const parts = version.replace(/^v/, '').split('.').map(Number);
  return parts[0] > OLDEST[0] || (parts[0] === OLDEST[0] && parts[1] >= OLDEST[1]);
}

/** The running Node when it is new enough, else the one that is pinned in package.json; undefined when there is none. */
function findNode() {
  if (isNewEnough(process.version)) return process.execPath;
  const name = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;
  let folder;
  try {
    folder = dirname(require.resolve(`${name}/package.json`));
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
  const file = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  return existsSync(file) ? file : undefined;
}

module.exports = { OLDEST, findNode };
