#!/bin/sh
# Process 1 of a server as somebody set it up years ago. What its /etc says is what it does: names of NICs by MAC,
# mounts that the start waits for, an address for the NICs that are named and for no others.
export PATH=/bin:/sbin:/usr/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
ip link set lo up
modprobe virtio_net
mkdir -p /dev/disk/by-uuid
for uuid in $(cat /etc/uuids); do
  device=$(findfs "UUID=$uuid") && ln -s "$device" "/dev/disk/by-uuid/$uuid"
done
cat /etc/udev/rules.d/*-persistent-net.rules | sed -n 's/.*address}=="\([^"]*\)".*NAME="\([^"]*\)".*/\2 \1/p' > /run/names
while read -r name mac; do nameif "$name" "$mac"; done < /run/names
# The words are systemd's, which stops at the same place.
if ! mount -a; then
  echo 'You are in emergency mode. The root account is locked.'
  exec sh
fi
for path in /sys/class/net/*; do
  name=${path##*/}
  grep -q "^iface $name inet dhcp" /etc/network/interfaces || continue
  ip link set "$name" up
  udhcpc -i "$name" -t 20 -T 1 -A 1 -q -s /usr/share/udhcpc/default.script -b
done
httpd -h /srv -p 8080
echo SERVER-READY
# At home, where its own disk is sda, it finds work on one of another kind.
if [ -b /dev/sda ] && [ -b /dev/vda ]; then
  mount -t ext4 -o ro /dev/vda /mnt
  sh /mnt/work.sh < /dev/null > /dev/ttyS0 2>&1
  # Nothing may be left in the journals: the disk is looked into, and changed, while it is off.
  killall httpd
  umount /srv
  mount -o remount,ro / && echo WORK-SAVED > /dev/ttyS0
  poweroff -f
fi
while :; do sleep 3600; done
