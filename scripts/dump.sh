#!/bin/sh
## Dumps the tracker's MySQL database when asked.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

dump='/var/lib/torrust-backup/databases/tracker.sql'
database='torrust'
##inline
request=/var/lib/torrust-backup/request
answer=/var/lib/torrust-backup/answers/backup-dump
## File with host, user and password for MySQL's clients.
options_file=/etc/torrust-backup/mysql.cnf
##end

answer() {
  echo "$*" >"$answer".new && mv "$answer".new "$answer"
}

# The last line says that the dump is complete.
copy() {
  mysqldump --defaults-extra-file="$options_file" --single-transaction --no-tablespaces --hex-blob "$database" \
    >"$dump.new" 2>/tmp/problem && tail -n 1 "$dump.new" | grep -q '^-- Dump completed' && mv "$dump.new" "$dump"
}

trap 'exit 0' TERM INT
seen=$(cat "$request" 2>/dev/null)
while :; do
  asked=$(cat "$request" 2>/dev/null)
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
