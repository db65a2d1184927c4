#!/bin/sh
# The master's early start: loads the storage drivers of every platform it may wake up on, finds its root
# file system by UUID and goes on there. Boots alike on KVM (virtio), Hyper-V/Azure (hv_storvsc), Xen and VMware.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for module in virtio_pci virtio_blk virtio_scsi sd_mod ata_piix hv_vmbus hv_storvsc xen-blkfront vmw_pvscsi; do
  modprobe "$module" 2>/dev/null
done
for word in $(cat /proc/cmdline); do
  case $word in root=*) root=${word#root=} ;; esac
done
tries=0
while [ $tries -lt 200 ]; do
  device=$(findfs "$root" 2>/dev/null) && break
  usleep 50000
  tries=$((tries + 1))
done
if [ -z "$device" ] || ! mount -t ext4 -o rw "$device" /mnt; then
  echo "INITRD-FAIL: the root file system $root was not found"
  cat /proc/partitions
  exec sh
fi
echo "INITRD-OK root=$device"
umount /sys
umount /proc
mount --move /dev /mnt/dev
exec switch_root /mnt /sbin/init
