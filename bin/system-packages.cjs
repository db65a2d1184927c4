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
  { name: 'tmux', files: ['/usr/bin/tmux'] },
  { name: 'fdisk', files: ['/usr/sbin/sfdisk', '/sbin/sfdisk'] },
  { name: 'ntfs-3g', files: ['/usr/sbin/mkntfs', '/sbin/mkntfs'] },
];

module.exports = {
  APT_LISTS,
  packagesFor: (purpose) => FOR_DEMO.concat(purpose === 'test' ? FOR_TESTS : []),
};
