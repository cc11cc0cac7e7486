#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

dump='/var/lib/torrust-backup/databases/tracker.sql'
database='torrust'

answer() {
  echo "$*" >/var/lib/torrust-backup/answers/backup-dump.new && mv /var/lib/torrust-backup/answers/backup-dump.new /var/lib/torrust-backup/answers/backup-dump
}

# The last line says that the dump is complete.
copy() {
  mysqldump --defaults-extra-file=/etc/x.cnf --single-transaction --no-tablespaces --hex-blob "$database" \
    >"$dump.new" 2>/tmp/problem && tail -n 1 "$dump.new" | grep -q '^-- Dump completed' && mv "$dump.new" "$dump"
}

trap 'exit 0' TERM INT
seen=$(cat /var/lib/torrust-backup/request 2>/dev/null)
while :; do
  asked=$(cat /var/lib/torrust-backup/request 2>/dev/null)
  if [ -n "$asked" ] && [ "$asked" != "$seen" ]; then
    seen=$asked
    answer "$asked started"
    if copy; then
      answer "$asked done"
    else
      rm -f "$dump.new"
      problem=$(tail -n 1 /tmp/problem)
      echo "$database: ${problem:-the dump is not complete}"
      answer "$asked failed the database $database cannot be dumped: ${problem:-the dump is not complete}"
    fi
  fi
  sleep 1 &
  wait $!
done
