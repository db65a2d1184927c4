'use strict';
// What the product and its tests take from the system, each with the files of which one shows that it is there.

/** Where apt keeps its lists of packages. */
const APT_LISTS = '/var/lib/apt/lists';
const GRUB = '/usr/lib/grub';

const FOR_DEMO = [
  { name: 'qemu-system-x86', files: ['/usr/bin/qemu-system-x86_64'] },
  { name: 'ovmf', files: ['/usr/share/OVMF/OVMF_CODE_4M.fd'] },
  // The shared-library busybox has the same path and cannot run in an initramfs.
  { name: 'busybox-static', files: ['/var/lib/dpkg/info/busybox-static.list'] },
  { name: 'gdisk', files: ['/usr/sbin/sgdisk', '/sbin/sgdisk'] },
  { name: 'dosfstools', files: ['/usr/sbin/mkfs.fat', '/sbin/mkfs.fat'] },
  { name: 'e2fsprogs', files: ['/usr/sbin/mke2fs', '/sbin/mke2fs'] },
  { name: 'mtools', files: ['/usr/bin/mcopy'] },
  { name: 'grub-common', files: ['/usr/bin/grub-mkimage'] },
  { name: 'grub-pc-bin', files: [`${GRUB}/i386-pc/boot.img`] },
  { name: 'grub-efi-amd64-bin', files: [`${GRUB}/x86_64-efi/moddep.lst`] },
  { name: 'kmod', files: ['/usr/sbin/depmod', '/sbin/depmod'] },
  { name: 'cpio', files: ['/usr/bin/cpio', '/bin/cpio'] },
  { name: 'curl', files: ['/usr/bin/curl', '/usr/bin/wget'] },
];

const FOR_TESTS = [
  { name: 'postgresql', files: ['/usr/lib/postgresql/*/bin/initdb'] },
  { name: 'bind9', files: ['/usr/sbin/named'] },
  { name: 'tmux', files: ['/usr/bin/tmux'] },
  { name: 'fdisk', files: ['/usr/sbin/sfdisk', '/sbin/sfdisk'] },
  { name: 'azure-cli', files: ['/usr/bin/az'] },
  { name: 'ntfs-3g', files: ['/usr/sbin/mkntfs', '/sbin/mkntfs'] },
  // Judges of the served disks that are not ours.
  { name: 'libnbd-bin', files: ['/usr/bin/nbdcopy'] },
  { name: 'qemu-utils', files: ['/usr/bin/qemu-img'] },
  { name: 'fio', files: ['/usr/bin/fio'] },
  { name: 'libhivex-bin', files: ['/usr/bin/hivexml'] },
];

/** The peers of `npm run bench`, and what measures beside them. */
const FOR_BENCH = [
  { name: 'rsync', files: ['/usr/bin/rsync'] },
  { name: 'stunnel4', files: ['/usr/bin/stunnel4', '/usr/bin/stunnel'] },
  { name: 'nbdkit', files: ['/usr/bin/nbdkit', '/usr/sbin/nbdkit'] },
  { name: 'libnbd-bin', files: ['/usr/bin/nbdcopy'] },
  { name: 'qemu-utils', files: ['/usr/bin/qemu-img'] },
  { name: 'socat', files: ['/usr/bin/socat'] },
  { name: 'fio', files: ['/usr/bin/fio'] },
  { name: 'e2fsprogs', files: ['/usr/sbin/mke2fs', '/sbin/mke2fs'] },
  { name: 'iproute2', files: ['/usr/sbin/tc', '/sbin/tc'] },
];

function packagesFor(purpose) {
  if (purpose === 'conformance') return [];
  if (purpose === 'bench') return FOR_BENCH;
  return FOR_DEMO.concat(purpose === 'test' ? FOR_TESTS : []);
}

module.exports = { APT_LISTS, packagesFor };
