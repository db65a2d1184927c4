'use strict';
// Installs what `npm run demo` and `npm test` need and is not there: npm packages, then system packages.
// Runs on Node 20 with nothing installed. Writes to standard error only: standard output belongs to what comes next.
// If it dies at any line, the next start finds out again what is missing. When all is there it does nothing.
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync, readFileSync } = require('node:fs');
const { dirname, join } = require('node:path');
const { APT_LISTS, packagesFor } = require('./system-packages.cjs');

const ROOT = join(__dirname, '..');

function main(purpose) {
  if (!arePackagesInstalled()) {
    say('Installing the npm packages of package-lock.json ...');
    const status = runNpm(['ci', '--ignore-scripts']);
    if (status !== 0) return fail('npm ci did not succeed. See above for why; then start again.');
  }
  if (process.platform !== 'linux') {
    return fail(
      'Local Azure boots machines with QEMU, which this set-up can install on Debian and Ubuntu only.',
    );
  }
  const missing = packagesFor(purpose).filter((each) => !isThere(each));
  // The demo's kernel is downloaded by apt as well, so its lists must be there even when nothing else is missing.
  if (missing.length > 0 || !hasAptLists()) return installWithApt(missing.map((each) => each.name));
}

/** Compares what npm noted at the end of its last complete install with the lock. */
function arePackagesInstalled() {
  const noted = readPackages(join(ROOT, 'node_modules', '.package-lock.json'));
  const locked = readPackages(join(ROOT, 'package-lock.json'));
  if (noted === undefined || locked === undefined) return false;
  for (const path of Object.keys(locked)) {
    if (path === '') continue;
    const is = noted[path];
    const shall = locked[path];
    if (is === undefined && !(shall.optional || shall.devOptional)) return false;
    if (is !== undefined && (is.version !== shall.version || is.integrity !== shall.integrity)) return false;
    if (is !== undefined && !existsSync(join(ROOT, path))) return false;
  }
  return Object.keys(noted).every((path) => locked[path] !== undefined);
}

function readPackages(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')).packages : undefined;
}

function runNpm(args) {
  // Started by npm, we know which npm; with the system's own Node, since ours may be about to be replaced.
  const script = process.env.npm_execpath;
  if (script && existsSync(script) && /\.c?js$/.test(script))
    return run(process.execPath, [script].concat(args));
  return run(process.platform === 'win32' ? 'npm.cmd' : 'npm', args);
}

function isThere(entry) {
  return entry.files.some((file) => {
    const star = file.indexOf('*');
    if (star < 0) return existsSync(file);
    const folder = dirname(file.slice(0, star + 1));
    const rest = file.slice(star + 1);
    return existsSync(folder) && readdirSync(folder).some((name) => existsSync(join(folder, name + rest)));
  });
}

function hasAptLists() {
  return existsSync(APT_LISTS) && readdirSync(APT_LISTS).some((name) => name.includes('_Packages'));
}

function installWithApt(names) {
  const prefix = adminPrefix();
  if (prefix === undefined || !existsSync('/usr/bin/apt-get')) return tellWhatToInstall(names);
  if (!hasAptLists() && apt(prefix, ['update']) !== 0) return fail('apt-get update did not succeed.');
  if (names.length === 0) return undefined;
  say(`Installing with apt-get: ${names.join(' ')} ...`);
  const install = ['install', '-y', '-qq', '--no-install-recommends'].concat(names);
  if (apt(prefix, install) === 0) return undefined;
  // Lists that are too old name files that are gone.
  if (apt(prefix, ['update']) === 0 && apt(prefix, install) === 0) return undefined;
  return fail('apt-get did not succeed. See above for why; then start again.');
}

/** How to become root without being asked for a password; undefined when that cannot be. */
function adminPrefix() {
  if (process.getuid() === 0) return [];
  const sudo = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return sudo.status === 0 ? ['sudo', '-n'] : undefined;
}

function apt(prefix, args) {
  const words = prefix.concat([
    'env',
    'DEBIAN_FRONTEND=noninteractive',
    'apt-get',
    '-o',
    'DPkg::Lock::Timeout=300',
  ]);
  return run(words[0], words.slice(1).concat(args));
}

function tellWhatToInstall(names) {
  const commands = hasAptLists() ? [] : ['sudo apt-get update'];
  if (names.length > 0) commands.push(`sudo apt-get install --no-install-recommends ${names.join(' ')}`);
  return fail(
    `Some system packages are missing, and installing them needs root once. On Debian or Ubuntu:\n\n  ${commands.join('\n  ')}\n\nThen start again; nothing else needs root.`,
  );
}

/** Their standard output becomes our standard error. */
function run(file, args) {
  const result = spawnSync(file, args, { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (result.error) say(`${file}: ${result.error.message}`);
  return result.status;
}

function say(text) {
  process.stderr.write(`${text}\n`);
}

function fail(text) {
  say(text);
  process.exitCode = 1;
}

main(process.argv[2]);
