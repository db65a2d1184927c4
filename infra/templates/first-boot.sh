#!/bin/sh
# First boot of a Standby appliance: fetch the engine's bundle, prove its digest, install it as a service.
# Promise: nothing is unpacked or started unless the digest is right, and no disk is formatted unless it is blank.
# Running it again finishes what an earlier run began. With STANDBY_ROOT set, every path lies below that folder,
# no disk is touched, and `systemctl` is whatever PATH gives.
set -eu
umask 077

ROOT="${STANDBY_ROOT:-}"
ENGINE="$ROOT/opt/standby/engine"
STATE="$ROOT/var/lib/standby"
UNIT="$ROOT/etc/systemd/system/standby-appliance.service"

say() {
  echo "standby: $*"
  if [ -z "$ROOT" ] && [ -w /dev/console ]; then echo "standby: $*" >/dev/console || true; fi
}
fail() {
  say "failed: $*"
  exit 1
}

# BUNDLE_URL holds a signature, so it goes to the downloader through its standard input, never its arguments.
download() {
  if command -v curl >/dev/null 2>&1; then
    printf 'url = "%s"\n' "$BUNDLE_URL" | curl --config - --fail --silent --show-error --proto '=https' \
      --connect-timeout 20 ${CA_FILE:+--cacert "$CA_FILE"} --output "$1"
  elif command -v wget >/dev/null 2>&1; then
    printf '%s\n' "$BUNDLE_URL" | wget --input-file=- --quiet --https-only --timeout=20 --tries=1 \
      ${CA_FILE:+--ca-certificate="$CA_FILE"} --output-document="$1"
  else
    fail "neither curl nor wget is installed"
  fi
}

fetch_engine() {
  if [ -x "$ENGINE/node" ] && [ "$(cat "$ENGINE/.sha256" 2>/dev/null || true)" = "$BUNDLE_SHA256" ]; then
    say "the engine is already here"
    return 0
  fi
  work="$ROOT/opt/standby/fetch"
  rm -rf "$work" "$ENGINE.new"
  mkdir -p "$work" "$ENGINE.new"
  tries=0
  until download "$work/bundle.tar.gz"; do
    tries=$((tries + 1))
    [ "$tries" -lt "${STANDBY_DOWNLOAD_TRIES:-30}" ] || fail "the bundle could not be downloaded"
    say "the bundle could not be downloaded, trying again ($tries)"
    sleep "${STANDBY_DOWNLOAD_PAUSE:-10}"
  done
  if ! echo "$BUNDLE_SHA256  $work/bundle.tar.gz" | sha256sum -c - >/dev/null 2>&1; then
    found=$(sha256sum "$work/bundle.tar.gz" | cut -d ' ' -f 1)
    rm -rf "$work" "$ENGINE.new"
    fail "the bundle has the digest $found, not $BUNDLE_SHA256; nothing was started"
  fi
  tar -xzf "$work/bundle.tar.gz" -C "$ENGINE.new"
  echo "$BUNDLE_SHA256" >"$ENGINE.new/.sha256"
  rm -rf "$ENGINE"
  mv "$ENGINE.new" "$ENGINE"
  rm -rf "$work"
  say "the engine is unpacked"
}

# The journal disk is LUN 0. Azure's udev rules name it in one of two ways.
journal_disk() {
  waited=0
  while [ "$waited" -lt 120 ]; do
    for disk in /dev/disk/azure/scsi1/lun0 /dev/disk/azure/data/by-lun/0; do
      if [ -b "$disk" ]; then
        echo "$disk"
        return 0
      fi
    done
    sleep 2
    waited=$((waited + 2))
  done
  return 1
}

is_blank() {
  if blkid -p "$1" >/dev/null 2>&1; then return 1; fi
  [ "$(head -c 1048576 "$1" | tr -d '\000' | wc -c)" -eq 0 ]
}

mount_journal() {
  mkdir -p "$STATE"
  if [ -n "$ROOT" ] || mountpoint -q "$STATE"; then return 0; fi
  disk=$(journal_disk) || fail "there is no disk at LUN 0 for the journal"
  if is_blank "$disk"; then
    say "formatting the blank journal disk"
    mkfs.ext4 -q -L standby-journal "$disk"
  elif [ "$(blkid -p -s LABEL -o value "$disk" 2>/dev/null)" != standby-journal ]; then
    fail "the disk at LUN 0 is not blank and is not a journal of ours; it was left as it is"
  fi
  if ! grep -q '^LABEL=standby-journal ' /etc/fstab; then
    echo "LABEL=standby-journal $STATE ext4 defaults,nofail,x-systemd.device-timeout=120 0 2" >>/etc/fstab
  fi
  mount "$disk" "$STATE"
}

write_unit() {
  mkdir -p "$(dirname "$UNIT")"
  cat >"$UNIT.new" <<UNIT_END
[Unit]
Description=Standby appliance engine
Wants=network-online.target
After=network-online.target
RequiresMountsFor=$STATE

[Service]
ExecStart=$ENGINE/node $ENGINE/engine.mjs engine appliance --state $STATE --enrol $ROOT/etc/standby/enrol.json --luns $ROOT/dev/disk/azure/scsi1 --listen 0.0.0.0:25000
Restart=always
RestartSec=2
UMask=0077
NoNewPrivileges=true
ProtectHome=true
PrivateTmp=true

[Install]
WantedBy=multi-user.target
UNIT_END
  chmod 644 "$UNIT.new"
  mv "$UNIT.new" "$UNIT"
}

[ -r "$ROOT/etc/standby/first-boot.env" ] || fail "$ROOT/etc/standby/first-boot.env is missing"
BUNDLE_URL='' BUNDLE_SHA256='' BUNDLE_CA_FILE=''
. "$ROOT/etc/standby/first-boot.env"
[ -n "$BUNDLE_URL" ] && [ -n "$BUNDLE_SHA256" ] || fail "first-boot.env names no bundle"
CA_FILE="${BUNDLE_CA_FILE:+$ROOT$BUNDLE_CA_FILE}"

say "first boot of the appliance"
fetch_engine
mount_journal
write_unit
systemctl enable --now standby-appliance || fail "the service did not start"
say "the appliance engine is started"
