#!/bin/sh
echo "Content-Type: text/plain"
echo
echo "host=$(hostname) starts=$(cat /var/db/starts) root=$(awk '$2=="/"{print $1}' /proc/mounts) kernel=$(uname -r)"
