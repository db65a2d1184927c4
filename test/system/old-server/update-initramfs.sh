#!/bin/sh
# Packs the initial RAM disk anew, with the modules that are wanted in it, as the command of this name does.
set -e
version=$(uname -r)
mkdir /run/ram
cd /run/ram
zcat "/boot/initrd.img-$version" | cpio -idm
for name in hv_vmbus hv_storvsc hv_netvsc; do
  file=lib/modules/$version/kernel/$name.ko
  rm -f "$file"
  if grep -qx "$name" /etc/initramfs-tools/modules; then cp -p "/$file" "$file"; fi
done
find . | cpio -o -H newc | gzip -1 > "/boot/initrd.img-$version.new"
mv "/boot/initrd.img-$version.new" "/boot/initrd.img-$version"
cd /
rm -r /run/ram
