#!/bin/sh
# The server's database: rows that are only ever appended. Standard input and output are one client's connection.
# It greets with the number of its last row; a row is answered only after it is durable (fdatasync). A row is
# `NUMBER TIME PAYLOAD CHECKSUM`, and numbers have no gaps. One client writes at a time: the one that began last.
rows=/var/www/rows.txt
owner=/run/database.pid
last_row() {
  last=$(tail -n 1 $rows | cut -d' ' -f1)
  last=${last:-0}
}
begin() {
  if previous=$(cat $owner 2>/dev/null); then
    kill "$previous" 2>/dev/null
    while kill -0 "$previous" 2>/dev/null; do usleep 10000; done
  fi
  echo $$ > $owner
  last_row
  begun=yes
}
last_row
echo "last $last"
while read -r number row; do
  [ "$begun" ] || begin
  if [ "$number" != $((last + 1)) ]; then
    echo "refused $number: the next row is $((last + 1))"
    continue
  fi
  echo "$number $row" >> $rows || exit 1
  sync -d $rows || exit 1
  last=$number
  echo "kept $number"
done
