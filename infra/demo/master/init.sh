#!/bin/sh
# The master's process 1: network by DHCP, a web server with the server's data, an append-only database, a count of
# its own starts.
export PATH=/bin:/sbin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
hostname -F /etc/hostname
ip link set lo up
for module in virtio_net hv_netvsc vmxnet3; do modprobe "$module" 2>/dev/null; done
starts=$(($(cat /var/db/starts 2>/dev/null || echo 0) + 1))
echo "$starts" > /var/db/starts
sync -d /var/db/starts
# A row that a crash cut off was never answered: it goes, so that the next one begins on a line of its own.
rows=/var/www/rows.txt
[ -n "$(tail -c 1 $rows)" ] && sed -i '$d' $rows && sync -d $rows
nc -ll -p 5433 -e /sbin/database &
httpd -h /var/www -p 80
# The same site on a port that an ordinary user of the demo machine can forward to.
httpd -h /var/www -p 8080
for path in /sys/class/net/*; do
  name=${path##*/}
  [ "$name" = lo ] && continue
  ip link set "$name" up
  udhcpc -i "$name" -t 20 -T 1 -A 1 -q -s /usr/share/udhcpc/default.script -b > /dev/console 2>&1
done
echo "SERVER-READY host=$(hostname) starts=$starts rows=$(wc -l < $rows) uptime=$(cut -d' ' -f1 /proc/uptime)"
while :; do
  setsid getty -n -l /bin/sh -L 115200 ttyS0 vt100
  sleep 1
done
