#!/bin/sh
## Restores a stack's data, in a container that has the volumes mounted for writing:
##
## - `hold` keeps backups from running while it runs;
## - `fetch SNAPSHOT` brings everything out of the repository, touching nothing, and prints which parts there are;
## - `keep TIME PART` copies what is there, so that `place <folder of it> PART` can take it back;
## - `place FOLDER PART` puts a part from a folder in its place;
## - `begin TIME` notes that a restore is not done;
## - `done` says that all of it is in place.
set -u
umask 077

home=/var/lib/torrust-backup
secrets=/etc/torrust-backup
state=$home/state
fetched=$home/restore
replaced=$home/replaced
##inline
## Where a snapshot has what was backed up as it was.
data=/data
## Is there once no backup runs any more. Touched as long as somebody restores.
held=/tmp/held
## Seconds after which a restore of which nothing is heard counts as cut off.
patience=120
## The first of the restores, the newest before it, that cannot be undone any more.
first_dropped=4
##end

# shellcheck source=restic.sh
. "${0%/*}/restic.sh"


fail() {
  echo "$*" >&2
  finish 1
}

# File of a part's database below its volume; empty for a part that is a folder.
database() {
  case $1 in
  tracker) echo database/sqlite3.db ;;
  grafana) echo grafana.db ;;
  esac
}

case $1 in
hold)
  until take_lock; do rest 1; done
  touch "$held"
  # Who restores says all the time that it is still there.
  quiet=0
  while [ "$quiet" -lt "$patience" ]; do
    heard=$(stat -c %Y "$held")
    rest 5
    quiet=$((quiet + 5))
    [ "$(stat -c %Y "$held")" = "$heard" ] || quiet=0
  done
  ;;

fetch)
  rm -rf "$fetched"
  mkdir -p "$fetched"
  call restore "$2" --target "$fetched" --verify || fail "$why"
  [ ! -e "$fetched$data/tls" ] || echo tls
  [ ! -e "$fetched$data/letsencrypt" ] || echo letsencrypt
  [ ! -e "$fetched$data/config" ] || echo config
  [ ! -e "$fetched$databases/tracker.db" ] || echo tracker
  [ ! -e "$fetched$databases/tracker.sql" ] || echo mysql
  [ ! -e "$fetched$databases/grafana.db" ] || echo grafana
  ;;

keep)
  folder=$replaced/$2
  file=$(database "$3")
  rm -rf "$folder/$3.new"
  mkdir -p "$folder"
  if [ -z "$file" ]; then
    cp -a "/restore/$3" "$folder/$3.new" && sync && mv "$folder/$3.new" "$folder/$3"
  elif [ -e "/restore/$3/$file" ]; then
    # Its journal belongs to it: without, what was being written would be lost.
    mkdir "$folder/$3.new" && cp -a "/restore/$3/$file"* "$folder/$3.new" && sync && mv "$folder/$3.new" "$folder/$3"
  else
    mkdir "$folder/$3"
  fi || fail "what is there cannot be copied; is the disk of the backup's volume full?"
  ;;

place)
  target=/restore/$3
  file=$(database "$3")
  [ -e "$2" ] || fail "there is no $2"
  if [ -z "$file" ]; then
    new=$target/.restored-new
    rm -rf "$new"
    # All of it is on the volume before anything goes, so that a full disk is noticed in time.
    if ! cp -a "$2" "$new" || ! sync; then
      rm -rf "$new"
      fail "$3 cannot be written; is its disk full?"
    fi
    find "$target" -mindepth 1 -maxdepth 1 ! -name .restored-new -exec rm -rf {} + || fail "$3 cannot be emptied"
    find "$new" -mindepth 1 -maxdepth 1 -exec mv {} "$target/" \; && chmod "$(stat -c %a "$new")" "$target" &&
      chown "$(stat -c %u:%g "$new")" "$target" && rmdir "$new"
    [ ! -e "$new" ] || fail "$3 cannot be put in place"
  else
    folder=$(dirname "$target/$file")
    mkdir -p "$folder"
    from=$2
    [ ! -d "$from" ] || from=$2/$(basename "$file")
    if [ -e "$from" ]; then
      if ! cp -a "$from" "$target/$file.restored" || ! sync; then
        rm -f "$target/$file.restored"
        fail "$3 cannot be written; is its disk full?"
      fi
    fi
    # The journal of the old database would spoil the new one.
    rm -f "$target/$file-journal" "$target/$file-wal" "$target/$file-shm" "$target/$file"
    for part in "$from"-journal "$from"-wal "$from"-shm; do
      [ ! -e "$part" ] || cp -a "$part" "$folder/" || fail "$3 cannot be put in place"
    done
    [ ! -e "$from" ] || mv "$target/$file.restored" "$target/$file" || fail "$3 cannot be put in place"
  fi
  sync
  ;;

begin)
  put restoring "$2"
  ;;

done)
  rm -rf "$state/restoring" "$fetched"
  [ -s "$state/installation" ] || decide
  find "$replaced" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -r | tail -n +"$first_dropped" | while read -r old; do
    rm -rf "$old"
  done
  ;;
esac
finish 0
