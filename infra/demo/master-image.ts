import { createHash, randomFillSync } from 'node:crypto';
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  rename,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Firmware } from '../../src/model/disk.ts';
import { command } from './command.ts';
import { kernelFiles } from './master-kernel.ts';

/**
 * Builds the disk of the demo's on-premises server: a Debian kernel, a web server, an append-only database, and data.
 * No mount, no loop device, no root: the file system is made straight into the disk file.
 * The file appears under its name only when it is complete, so a killed build leaves no half disk; what it was
 * making the disk from lies beside it.
 */
export interface MasterImageSpec {
  readonly file: string;
  readonly firmware: Firmware;
  readonly sizeMib: number;
  /** Random data to lay on the disk, besides the system. */
  readonly dataMib: number;
  readonly hostName: string;
  /** Keeps the kernel between builds. */
  readonly cacheFolder: string;
}

export interface MasterImage {
  readonly file: string;
  readonly sizeBytes: number;
  /** The file under / of the web server that proves whose data it is, and its SHA-256 in hex. */
  readonly proofPath: string;
  readonly proofSha256: string;
}

/** Where the server's database takes rows, and where its web server shows them. */
export const DATABASE_PORT = 5433;
export const ROWS_PATH = '/rows.txt';
/** Above 1024, so that an ordinary user may run the demo. */
export const WEB_PORT = 8080;
/** Takes rows too, for whoever reaches the web server only; answers as the database does. */
export const APPEND_PATH = '/cgi-bin/append';
/** Where the root file system begins on the disk. */
export const ROOT_OFFSET_BYTES: Record<Firmware, number> = {
  bios: 1024 ** 2,
  uefi: (2048 + 64 * 2048) * 512,
};

const FILE_SYSTEM_UUID: Record<Firmware, string> = {
  bios: '5b0d5c1e-6a52-4f0e-9a5d-0000000000b1',
  uefi: '5b0d5c1e-6a52-4f0e-9a5d-0000000000e1',
};
const PROOF_MIB = 4;
const MIB = 1024 ** 2;
const ASSETS = join(import.meta.dirname, 'master');
const GRUB_MODULES =
  'ext2 linux normal serial terminal search search_fs_uuid echo test configfile boot sleep'.split(' ');

export async function buildMasterImage(spec: MasterImageSpec, signal?: AbortSignal): Promise<MasterImage> {
  const kernel = await kernelFiles(spec.cacheFolder, signal);
  const work = await mkdtemp(`${spec.file}-parts-`);
  try {
    const root = join(work, 'root');
    const proofSha256 = await fillRoot(root, spec, kernel);
    const disk = `${spec.file}.part`;
    await rm(disk, { force: true });
    await writeFile(disk, '');
    await truncate(disk, spec.sizeMib * MIB);
    const early = join(work, 'early.cfg');
    const uuid = FILE_SYSTEM_UUID[spec.firmware];
    await writeFile(
      early,
      `search --no-floppy --fs-uuid --set=root ${uuid}\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n`,
    );
    await (spec.firmware === 'bios'
      ? layBios(disk, root, early, work, spec)
      : layUefi(disk, root, early, work, spec));
    await rename(disk, spec.file);
    return { file: spec.file, sizeBytes: spec.sizeMib * MIB, proofPath: '/proof.bin', proofSha256 };
  } finally {
    await rm(work, { recursive: true, force: true });
    await rm(`${spec.file}.part`, { force: true });
  }
}

async function fillRoot(
  root: string,
  spec: MasterImageSpec,
  kernel: { kernel: string; initrd: string; modules: string },
) {
  const folders =
    'bin sbin etc proc sys dev tmp run root var/www/cgi-bin var/db var/data boot/grub lib usr/share/udhcpc';
  for (const folder of folders.split(' ')) await mkdir(join(root, folder), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of (await command('/bin/busybox', ['--list']))
    .split('\n')
    .filter((name) => name && name !== 'busybox')) {
    await symlink('/bin/busybox', join(root, 'bin', name));
  }
  await command('cp', ['-a', kernel.modules, join(root, 'lib/modules')]);
  await copyFile(kernel.kernel, join(root, 'boot/vmlinuz'));
  await copyFile(kernel.initrd, join(root, 'boot/initrd.img'));
  await writeFile(join(root, 'etc/hostname'), `${spec.hostName}\n`);
  await writeFile(join(root, 'etc/passwd'), 'root::0:0:root:/root:/bin/sh\n');
  await writeFile(join(root, 'var/www/index.html'), `Production data of ${spec.hostName}\n`);
  await writeFile(join(root, 'var/www/rows.txt'), '');
  for (const [asset, target] of [
    ['init.sh', 'sbin/init'],
    ['dhcp.sh', 'usr/share/udhcpc/default.script'],
    ['status.sh', 'var/www/cgi-bin/status'],
    ['append.sh', 'var/www/cgi-bin/append'],
    ['database.sh', 'sbin/database'],
  ] as const) {
    await copyFile(join(ASSETS, asset), join(root, target));
    await chmod(join(root, target), 0o755);
  }
  await writeFile(
    join(root, 'boot/grub/grub.cfg'),
    grubConfig(FILE_SYSTEM_UUID[spec.firmware], spec.firmware),
  );
  await writeRandom(join(root, 'var/data/records.bin'), spec.dataMib);
  const proofSha256 = await writeRandom(join(root, 'var/www/proof.bin'), PROOF_MIB);
  await writeFile(join(root, 'var/www/proof.bin.sha256'), `${proofSha256}\n`);
  return proofSha256;
}

/** Incompressible on purpose: a copy of it cannot look faster than it is. Returns the hex SHA-256. */
async function writeRandom(file: string, sizeMib: number): Promise<string> {
  const hash = createHash('sha256');
  const block = Buffer.allocUnsafe(MIB);
  const handle = await open(file, 'w');
  try {
    for (let index = 0; index < sizeMib; index++) {
      randomFillSync(block);
      hash.update(block);
      await handle.write(block);
    }
  } finally {
    await handle.close();
  }
  return hash.digest('hex');
}

function grubConfig(uuid: string, firmware: Firmware): string {
  return [
    'serial --unit=0 --speed=115200',
    'terminal_input serial console',
    'terminal_output serial console',
    'set timeout=0',
    `echo "GRUB-OK ${firmware}"`,
    `linux /boot/vmlinuz root=UUID=${uuid} ro console=ttyS0 quiet loglevel=4 panic=5 net.ifnames=0`,
    'initrd /boot/initrd.img',
    'boot',
    '',
  ].join('\n');
}

async function makeFileSystem(
  disk: string,
  root: string,
  uuid: string,
  offsetBytes: number,
  sizeBytes: number,
) {
  const features = '^metadata_csum_seed,^orphan_file';
  const extended = `offset=${offsetBytes},lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0`;
  const size = `${Math.floor(sizeBytes / 4096) * 4}k`;
  const flags = [
    '-q',
    '-t',
    'ext4',
    '-b',
    '4096',
    '-F',
    '-L',
    'root',
    '-U',
    uuid,
    '-O',
    features,
    '-E',
    extended,
  ];
  await command('mke2fs', [...flags, '-d', root, disk, size]);
}

/** MBR, one active Linux partition at 1 MiB, GRUB's core image in the gap before it. */
async function layBios(disk: string, root: string, early: string, work: string, spec: MasterImageSpec) {
  const core = join(work, 'core.img');
  await command('grub-mkimage', [
    ...['-O', 'i386-pc', '-o', core, '-p', '/boot/grub', '-c', early, 'biosdisk', 'part_msdos'],
    ...GRUB_MODULES,
  ]);
  await makeFileSystem(disk, root, FILE_SYSTEM_UUID.bios, MIB, (spec.sizeMib - 1) * MIB);
  const handle = await open(disk, 'r+');
  try {
    const boot = await readAll('/usr/lib/grub/i386-pc/boot.img');
    const sector = Buffer.alloc(512);
    boot.copy(sector, 0, 0, 440);
    sector.writeUInt32LE(0xd15c0001, 440);
    sector.set([0x80, 0xfe, 0xff, 0xff, 0x83, 0xfe, 0xff, 0xff], 446);
    sector.writeUInt32LE(2048, 454);
    sector.writeUInt32LE(spec.sizeMib * 2048 - 2048, 458);
    sector.writeUInt16LE(0xaa55, 510);
    await handle.write(sector, 0, 512, 0);
    const image = await readAll(core);
    if (image.length > 2047 * 512)
      throw new Error(`GRUB's core image has ${image.length} bytes and does not fit the MBR gap`);
    await handle.write(image, 0, image.length, 512);
  } finally {
    await handle.close();
  }
}

/** GPT, an EFI system partition with GRUB as the removable-media loader, and the root partition. */
async function layUefi(disk: string, root: string, early: string, work: string, spec: MasterImageSpec) {
  const loader = join(work, 'BOOTX64.EFI');
  await command('grub-mkimage', [
    ...['-O', 'x86_64-efi', '-o', loader, '-p', '/boot/grub', '-c', early, 'part_gpt', 'fat'],
    ...GRUB_MODULES,
  ]);
  // sgdisk -q silently does nothing; without it it tells, and we do not print it.
  await command('sgdisk', [
    '-o',
    '-n',
    '1:2048:+64M',
    '-t',
    '1:ef00',
    '-c',
    '1:EFI',
    '-n',
    '2:0:0',
    '-t',
    '2:8304',
    '-c',
    '2:root',
    disk,
  ]);
  await command('mkfs.fat', ['-F', '32', '-s', '1', '-n', 'ESP', '--offset', '2048', disk, '65536']);
  await command('mmd', ['-i', `${disk}@@1M`, '::/EFI', '::/EFI/BOOT']);
  await command('mcopy', ['-i', `${disk}@@1M`, loader, '::/EFI/BOOT/BOOTX64.EFI']);
  const firstSector = 2048 + 64 * 2048;
  const lastSector = spec.sizeMib * 2048 - 34;
  await makeFileSystem(
    disk,
    root,
    FILE_SYSTEM_UUID.uefi,
    firstSector * 512,
    (lastSector - firstSector + 1) * 512,
  );
}

async function readAll(file: string): Promise<Buffer> {
  const handle = await open(file, 'r');
  try {
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
