# Run by the server itself, at home: the product, from the medium that this lies on.
export STANDBY_HOME=/run/standby
standby() {
  /mnt/lib/ld-linux-x86-64.so.2 --library-path /mnt/lib /mnt/node /mnt/engine/engine.mjs "$@"
}
mkdir -p "$STANDBY_HOME"
ip -4 addr show lan0
if [ -e /var/lib/standby/prepare.json ]; then undo=--undo; fi
standby master prepare --yes --json $undo
echo "WORK-ENDED $?"
