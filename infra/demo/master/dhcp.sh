#!/bin/sh
case $1 in
  deconfig)
    ip addr flush dev "$interface"
    ip link set "$interface" up
    ;;
  bound | renew)
    ip addr add "$ip/${mask:-24}" dev "$interface" 2>/dev/null
    [ -n "$router" ] && ip route replace default via "$router"
    echo "nameserver $dns" > /etc/resolv.conf
    echo "NET-OK $interface $ip"
    ;;
esac
