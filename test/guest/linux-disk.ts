import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { emptyFile, MIB, run } from './volumes.ts';

/** Small disks that have what a Linux server's disk has, as far as its start in Azure depends on it. */
export const ROOT_UUID = '0f6ac8ae-22b4-4e3c-9f2e-5d1b0a7c9e31';
const VERSION = '6.1.0-test';
/** Behind the ESP, or behind the boot code. */
const ROOT_AT = { uefi: 20 * MIB, bios: MIB };
const ROOT_BYTES = 8 * MIB;

/** An archive as initramfs tools make it, in the new format of cpio. */
export function cpioOf(folder: string, names: readonly string[]): Buffer {
  const work = mkdtempSync(join(folder, 'cpio-'));
  for (const name of names) {
    mkdirSync(dirname(join(work, name)), { recursive: true });
    writeFileSync(join(work, name), `content of ${name}`.repeat(20));
  }
  const script =
    'cd "$0" && find . -mindepth 1 | sort | sed "s|^./||" | cpio --quiet -o -H newc > ../archive';
  run('sh', '-c', script, work);
  rmSync(work, { recursive: true });
  return readFileSync(join(folder, 'archive'));
}

const module = (path: string) => `usr/lib/modules/${VERSION}/kernel/drivers/${path}`;
export const HYPER_V = [
  module('hv/hv_vmbus.ko'),
  module('scsi/hv_storvsc.ko.xz'),
  module('net/hyperv/hv_netvsc.ko'),
];

export function initrd(
  folder: string,
  names: readonly string[],
  kind: 'gzip' | 'zstd' | 'plain' | 'early',
): Buffer {
  const archive = cpioOf(folder, ['init', 'bin/busybox', ...names]);
  if (kind === 'plain') return archive;
  if (kind === 'gzip') return gzipSync(archive);
  const early = cpioOf(folder, ['kernel/x86/microcode/GenuineIntel.bin']);
  return kind === 'zstd' ? zstdCompressSync(archive) : Buffer.concat([early, zstdCompressSync(archive)]);
}

export type Files = Readonly<Record<string, string | Buffer | null>>;

function grub(options = `root=UUID=${ROOT_UUID} ro console=ttyS0`): string {
  const entry = [`\tlinux\t/boot/vmlinuz-${VERSION} ${options}`, `\tinitrd\t/boot/initrd.img-${VERSION}`];
  return ['set default=0', "menuentry 'Test' {", '\tsearch --no-floppy --set=root', ...entry, '}', ''].join(
    '\n',
  );
}

export const grubWith = grub;

/** The files of a server that is ready. */
function readyFiles(ramDisk: Buffer): Files {
  return {
    'boot/grub/grub.cfg': grub(),
    [`boot/vmlinuz-${VERSION}`]: 'kernel',
    [`boot/initrd.img-${VERSION}`]: ramDisk,
    'etc/fstab': `# comment\nUUID=${ROOT_UUID} / ext4 defaults 0 1\n/dev/sr0 /media/cd iso9660 noauto 0 0\n`,
    'etc/network/interfaces': 'auto lo\niface lo inet loopback\nallow-hotplug eth0\niface eth0 inet dhcp\n',
    'usr/lib/os-release': 'PRETTY_NAME="Test Linux 1"\n',
    [`lib/modules/${VERSION}/modules.builtin`]: 'kernel/fs/ext4/ext4.ko\n',
    [`lib/modules/${VERSION}/modules.dep`]: 'kernel/drivers/net/hyperv/hv_netvsc.ko:\n',
  };
}

export const INITRD = `boot/initrd.img-${VERSION}`;
export const BUILT_IN = `lib/modules/${VERSION}/modules.builtin`;
export const MODULES = `lib/modules/${VERSION}/modules.dep`;

function rootVolume(folder: string, files: Files): Buffer {
  const tree = mkdtempSync(join(folder, 'tree-'));
  for (const [path, content] of Object.entries(files)) {
    if (content === null) continue;
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), content);
  }
  const file = emptyFile(join(folder, 'root.ext4'), ROOT_BYTES);
  run('mke2fs', '-q', '-F', '-t', 'ext4', '-b', '1024', '-U', ROOT_UUID, '-L', 'root', '-d', tree, file);
  rmSync(tree, { recursive: true });
  return readFileSync(file);
}

let ready: Buffer | undefined;
let esp: Buffer | undefined;

export interface LinuxDisk {
  readonly style?: 'uefi' | 'bios';
  readonly files?: Files;
  /** Without the loader at its fallback path, or without a boot program. */
  readonly withoutLoader?: boolean;
}

export function linuxDisk(
  folder: string,
  { style = 'bios', files = {}, withoutLoader = false }: LinuxDisk = {},
): Buffer {
  ready ??= initrd(folder, HYPER_V, 'zstd');
  const root = rootVolume(folder, { ...readyFiles(ready), ...files });
  if (style === 'uefi') {
    esp ??= espDisk(folder);
    const disk = Buffer.from(esp);
    // Its entry in the folder becomes a deleted one.
    const name = disk.indexOf('BOOTX64 EFI');
    if (withoutLoader) disk.writeUInt8(0xe5, name);
    root.copy(disk, ROOT_AT.uefi);
    return disk;
  }
  const disk = Buffer.alloc(ROOT_AT.bios + ROOT_BYTES + MIB);
  if (!withoutLoader) disk.fill(0x90, 0, 440);
  disk.fill(0x90, 512, 4096);
  disk.writeUInt8(0x83, 450);
  disk.writeUInt32LE(ROOT_AT.bios / 512, 454);
  disk.writeUInt32LE(ROOT_BYTES / 512, 458);
  disk.writeUInt16LE(0xaa55, 510);
  root.copy(disk, ROOT_AT.bios);
  return disk;
}

function espDisk(folder: string): Buffer {
  const disk = emptyFile(join(folder, 'linux.img'), ROOT_AT.uefi + ROOT_BYTES + MIB);
  const root = ['-n', `2:${ROOT_AT.uefi / 512}:+${ROOT_BYTES / MIB}M`, '-t', '2:8304'];
  run('sgdisk', '-a', '1', '-n', '1:2048:+16M', '-t', '1:ef00', ...root, disk);
  run('mkfs.fat', '-F', '16', '--offset', '2048', disk, `${16 * 1024}`);
  run('mmd', '-i', `${disk}@@1M`, '::/EFI', '::/EFI/BOOT');
  writeFileSync(join(folder, 'loader'), 'MZ');
  run('mcopy', '-i', `${disk}@@1M`, join(folder, 'loader'), '::/EFI/BOOT/BOOTX64.EFI');
  return readFileSync(disk);
}
