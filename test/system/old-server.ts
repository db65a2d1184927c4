import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { buildMasterImage } from '../../infra/demo/master-image.ts';
import { QEMU } from '../../infra/local/guests/qemu-command.ts';
import { bundleEngine } from '../../infra/templates/engine-bundle.ts';
import { MIB } from '../../src/model/disk.ts';
import { run } from '../guest/volumes.ts';
import { CACHE } from './commands.ts';

/**
 * A Linux server that works at home and would not in Azure: its disk is /dev/sda and its NIC lan0 there, it says nothing
 * on its serial port, and its initial RAM disk knows no Hyper-V. The kernel, the boot loader, mount, DHCP and the rest are
 * real; what makes a boot menu and a RAM disk are short scripts under the names that Debian has for them.
 */
const ASSETS = join(import.meta.dirname, 'old-server');
const DATA_UUID = '5b0d5c1e-6a52-4f0e-9a5d-0000000000d2';
const ROOT_UUID = '5b0d5c1e-6a52-4f0e-9a5d-0000000000b1';
const ROOT_AT = MIB;
const DATA_AT = 160 * MIB;
const DATA_BYTES = 15 * MIB;
const MAC = '52:54:00:5a:00:07';
export const WEB_PORT = 8080;
export const PAGE = 'what the server is there for';

export const FSTAB = 'etc/fstab';
export const INTERFACES = 'etc/network/interfaces';
/** As they are on the server that somebody set up. */
export const OLD_FILES: Readonly<Record<string, string>> = {
  [FSTAB]: '/dev/sda1 / ext4 defaults 0 1\n/dev/sda2 /srv ext4 defaults 0 2\n',
  [INTERFACES]: 'auto lo\niface lo inet loopback\n\nallow-hotplug lan0\niface lan0 inet dhcp\n',
  'etc/udev/rules.d/70-persistent-net.rules': `SUBSYSTEM=="net", ATTR{address}=="${MAC}", NAME="lan0"\n`,
  'usr/lib/udev/rules.d/75-persistent-net-generator.rules': '# notes every NIC that it sees\n',
  'etc/initramfs-tools/modules': '# nothing\n',
  'etc/default/grub': 'GRUB_TIMEOUT=0\nGRUB_CMDLINE_LINUX="quiet"\n',
  'etc/uuids': `${ROOT_UUID}\n${DATA_UUID}\n`,
};

/** A RAM disk that is made anew has other times in it; the servers of names come with the address. */
const CHANGING = /^(boot\/initrd.*|etc\/resolv\.conf)$/;

/** Its files are put in by debugfs: nothing is mounted. */
function debugfs(disk: string, at: number, lines: readonly string[], work: string): string {
  const script = join(work, 'debugfs.cmd');
  writeFileSync(script, `${lines.join('\n')}\n`);
  return run('debugfs', '-w', '-f', script, `${disk}?offset=${at}`);
}

/** One file of the root file system becomes this. */
export function putFile(disk: string, path: string, content: string | Buffer, mode = 0o100644): void {
  const work = mkdtempSync(`${disk}-put-`);
  writeFileSync(join(work, 'content'), content);
  const parents = dirname(path).split('/');
  const folders = parents.map((_, at) => `mkdir ${parents.slice(0, at + 1).join('/')}`);
  const put = [`rm ${path}`, `write ${join(work, 'content')} ${path}`];
  const owned = ['uid 0', 'gid 0', `mode 0${mode.toString(8)}`].map((field) => `sif ${path} ${field}`);
  debugfs(disk, ROOT_AT, [...folders, ...put, ...owned], work);
  rmSync(work, { recursive: true });
}

/** What is below / of its disk, with mode, owner and SHA-256, but for what changes there by itself. */
export function filesOf(disk: string): ReadonlyMap<string, string> {
  const work = mkdtempSync(`${disk}-files-`);
  const dumped = join(work, 'dumped');
  try {
    mkdirSync(dumped);
    debugfs(disk, ROOT_AT, [`rdump etc boot usr var ${dumped}`], work);
    const files = readdirSync(dumped, { recursive: true, encoding: 'utf8', withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name));
    const told = files.map((file): [string, string] => {
      const { mode, uid, gid } = statSync(file);
      const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
      return [file.slice(dumped.length + 1), `${mode.toString(8)} ${uid} ${gid} ${hash}`];
    });
    return new Map(told.filter(([path]) => !CHANGING.test(path)));
  } finally {
    rmSync(work, { recursive: true });
  }
}

export async function makeOldServer(disk: string): Promise<void> {
  await buildMasterImage({
    file: disk,
    firmware: 'bios',
    sizeMib: DATA_AT / MIB,
    dataMib: 0,
    hostName: 'old-server',
    cacheFolder: CACHE,
  });
  const work = mkdtempSync(`${disk}-work-`);
  addDataPartition(disk, work);
  const version = readdirSync(join(CACHE, 'master-kernel/modules'))[0] ?? '';
  const commands = [
    `write ${join(CACHE, 'master-kernel/vmlinuz')} boot/vmlinuz-${version}`,
    ...['boot/vmlinuz', 'boot/initrd.img'].map((path) => `rm ${path}`),
    ...['srv', 'mnt'].map((folder) => `mkdir ${folder}`),
  ];
  debugfs(disk, ROOT_AT, commands, work);
  for (const [path, text] of Object.entries(OLD_FILES)) putFile(disk, path, text);
  putFile(disk, `boot/initrd.img-${version}`, withoutHyperV(work));
  const menu = `linux /boot/vmlinuz-${version} root=UUID=${ROOT_UUID} ro panic=5 quiet`;
  const entry = `menuentry 'Old server' {\n\t${menu}\n\tinitrd /boot/initrd.img-${version}\n}\n`;
  putFile(disk, 'boot/grub/grub.cfg', `set timeout=0\n${entry}`);
  for (const [asset, path] of [
    ['init.sh', 'sbin/init'],
    ['update-grub.sh', 'usr/sbin/update-grub'],
    ['update-initramfs.sh', 'usr/sbin/update-initramfs'],
  ] as const) {
    putFile(disk, path, readFileSync(join(ASSETS, asset)), 0o100755);
  }
  rmSync(work, { recursive: true });
}

/** The second partition, for what the server serves. */
function addDataPartition(disk: string, work: string): void {
  truncateSync(disk, DATA_AT + DATA_BYTES + MIB);
  const entry = Buffer.from([0, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
  entry.writeUInt32LE(DATA_AT / 512, 8);
  entry.writeUInt32LE(DATA_BYTES / 512, 12);
  const file = openSync(disk, 'r+');
  writeSync(file, entry, 0, entry.length, 462);
  mkdirSync(join(work, 'srv'));
  writeFileSync(join(work, 'srv/index.html'), `${PAGE}\n`);
  const place = ['-E', `offset=${DATA_AT}`, '-U', DATA_UUID, '-d', join(work, 'srv')];
  run('mke2fs', '-q', '-F', '-t', 'ext4', ...place, disk, `${DATA_BYTES / 1024}k`);
}

function withoutHyperV(work: string): Buffer {
  const tree = join(work, 'ram');
  const packed = join(work, 'initrd');
  const script =
    'mkdir "$1" && cd "$1" && zcat "$2" | cpio -idm --quiet && find . -name "hv_*.ko" -delete && find . | cpio -o -H newc --quiet | gzip -1 > "$3"';
  run('sh', '-c', script, 'sh', tree, join(CACHE, 'master-kernel/initrd.img'), packed);
  return readFileSync(packed);
}

/** The product, its Node, and the libraries that this wants: a disk that the server finds beside its own. */
export async function makeMedium(file: string): Promise<void> {
  const work = mkdtempSync(`${file}-work-`);
  for (const { name, code } of await bundleEngine(join(ASSETS, '../../..'), 'src/main.ts')) {
    mkdirSync(dirname(join(work, 'engine', name)), { recursive: true });
    writeFileSync(join(work, 'engine', name), code);
  }
  mkdirSync(join(work, 'lib'));
  copyFileSync(process.execPath, join(work, 'node'));
  for (const [library] of run('ldd', process.execPath).matchAll(/\/\S+\.so\.\d+/g)) {
    copyFileSync(library, join(work, 'lib', library.split('/').at(-1) ?? ''));
  }
  copyFileSync(join(ASSETS, 'work.sh'), join(work, 'work.sh'));
  writeFileSync(file, '');
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-d', work, file, '224M');
  rmSync(work, { recursive: true });
}

/** Starts at home with the medium beside it, does the work that is there, and goes off. Gives what its serial port said. */
export async function workAtHome(
  disk: string,
  medium: string,
  limits: { readonly timeoutMs: number },
): Promise<string> {
  const serial = `${disk}.serial`;
  rmSync(serial, { force: true });
  const drive = (id: string, file: string, more = '') => [
    '-drive',
    `id=${id},if=none,format=raw,discard=unmap,file=${file}${more}`,
  ];
  const args = [
    ...['-machine', 'q35', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-smp', '1', '-m', '768'],
    ...['-display', 'none', '-vga', 'none', '-nodefaults', '-monitor', 'none', '-no-reboot'],
    ...['-chardev', `file,id=serial,path=${serial}`, '-serial', 'chardev:serial'],
    ...['-device', 'virtio-scsi-pci', ...drive('os', disk), '-device', 'scsi-hd,drive=os,bootindex=1'],
    // Of another kind: which of two SCSI disks is sda is decided anew at each start.
    ...[...drive('medium', medium, ',readonly=on'), '-device', 'virtio-blk-pci,drive=medium'],
    ...['-netdev', 'user,id=net,restrict=on', '-device', `virtio-net-pci,netdev=net,mac=${MAC},romfile=`],
  ];
  const child = spawn(QEMU, args, {
    stdio: ['ignore', 'ignore', 'pipe'],
    signal: AbortSignal.timeout(limits.timeoutMs),
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text;
  });
  const code = await new Promise((fulfil, reject) => {
    child.once('error', reject).once('close', fulfil);
  });
  if (code !== 0) throw new Error(`QEMU ended with ${String(code)}: ${said}`);
  return readFileSync(serial, 'utf8');
}
