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

/** Windows Server 2016 and Windows 10; no older one runs the pinned Node. */
const OLDEST_WINDOWS = [10, 0, 14393];

/** What to say on a Windows that is too old, by its release as `os.release()` has it; undefined on any other system. */
function oldWindows(platform, release) {
  if (platform !== 'win32') return undefined;
  const parts = release.split('.').map(Number);
  for (let at = 0; at < OLDEST_WINDOWS.length; at++) {
    if (parts[at] > OLDEST_WINDOWS[at]) return undefined;
    if (parts[at] < OLDEST_WINDOWS[at]) {
      return (
        `This Windows (${release}) does not run Standby: it needs Windows Server 2016 or newer.\n` +
        'Shut this server down and copy its disks at rest: attach them to a Linux machine, or export them as raw images,\n' +
        'and join from there with capture at-rest (docs/WINDOWS.md).'
      );
    }
  }
  return undefined;
}

module.exports = { OLDEST, findNode, oldWindows };
