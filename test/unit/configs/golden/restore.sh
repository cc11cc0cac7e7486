#!/bin/sh
set -u
umask 077

home=/var/lib/torrust-backup
secrets=/etc/torrust-backup
state=$home/state
fetched=/var/lib/torrust-backup/restore
replaced=/var/lib/torrust-backup/replaced

export RESTIC_REPOSITORY_FILE="$secrets/repository"
export RESTIC_PASSWORD_FILE="$secrets/password"
export RESTIC_CACHE_DIR="$home/cache"
export AWS_SHARED_CREDENTIALS_FILE="$secrets/s3"
mkdir -p "$state" "$home/answers" "$home/metrics" /var/lib/torrust-backup/databases

# The ssh program takes a key that nobody else can read, and asks nobody.
if [ -s "$secrets/ssh-key" ]; then
  mkdir -p /root/.ssh
  cat "$secrets/ssh-key" >/root/.ssh/backup
  cat >/root/.ssh/config <<END
Host *
  IdentityFile /root/.ssh/backup
  IdentitiesOnly yes
  UserKnownHostsFile $secrets/known_hosts
  StrictHostKeyChecking yes
  BatchMode yes
  ConnectTimeout 20
  ServerAliveInterval 30
  ServerAliveCountMax 4
END
fi

# Keeps a value: put NAME VALUE.
put() {
  echo "$2" >"$state/$1.new" && mv "$state/$1.new" "$state/$1"
}

child='' live=no why='' work=$(mktemp -d)
finish() {
  [ -z "$child" ] || { kill "$child" && wait "$child"; } 2>/dev/null
  [ "$(cat "$home/lock/owner" 2>/dev/null)" != "$$" ] || rm -r "$home/lock"
  rm -rf "$work"
  exit "$1"
}
trap 'finish 143' TERM INT HUP

# A shell that is process 1 heeds no signal while it waits for a program in front.
rest() {
  sleep "$1" &
  child=$!
  wait "$child"
  child=''
}

# Runs restic; its output goes to $work/out, why it failed to $why. Where somebody watches, its progress is passed on.
call() {
  restic "$@" >"$work/out" 2>"$work/err" </dev/null &
  child=$!
  while [ "$live" = yes ] && [ "$1" = backup ] && kill -0 "$child" 2>/dev/null; do
    sleep 1
    tail -n 1 "$work/out" | grep '^{"message_type":"status".*}$'
  done
  wait "$child"
  code=$?
  child=''
  [ "$code" -eq 0 ] || explain "$code"
  return "$code"
}

explain() {
  sed -n 's/.*"message":"\(\([^"\\]\|\\.\)*\)".*/\1/p' "$work/err" >"$work/said"
  [ -s "$work/said" ] || sed -e 's/.*"item":"\([^"]*\)".*/\1 cannot be read/' "$work/err" >"$work/said"
  # Not what only says that something was said.
  grep -v -e '^$' -e 'retrying after' -e 'There were [0-9]* errors' -e 'contains errors' -e 'at least one source file' "$work/said" >"$work/telling"
  why=$(grep -m 1 '^Fatal' "$work/telling" || head -n 1 "$work/telling")
  # What ssh says is lost when it ends at once.
  if grep -q 'unable to start the sftp session' "$work/err"; then
    server=$(sed -n -e 's|^sftp://\([^/]*\)/.*|ssh://\1|p' -e 's|^sftp:\([^/:]*\):.*|\1|p' "$secrets/repository")
    ssh "$server" exit </dev/null 2>"$work/ssh" >/dev/null
    cat "$work/ssh" >>"$work/err"
    [ ! -s "$work/ssh" ] || why=$(tail -n 1 "$work/ssh" | tr -d '\r')
  fi
  case $(cat "$work/err") in
  *"Is there a repository"* | *"repository does not exist"*)
    ! seen_before || why="the repository is gone; is its disk mounted? To begin a new one: npm run backup -- --new-repository ($why)"
    ;;
  *"wrong password"*) why="the repository has another password than backupPassword ($why)" ;;
  *[Nn]"o space left"*) why="the disk is full ($why)" ;;
  *SSH_FX_FAILURE*) why="the server does not take what is written, which is what a full disk looks like over SFTP ($why)" ;;
  *"Host key verification failed"*) why="the server's key is not among backup.knownHosts ($why)" ;;
  *"Permission denied (publickey"*) why="the server does not take backupSshKey ($why)" ;;
  *"already locked"*) why="another program uses the repository; a lock that was left behind counts for half an hour ($why)" ;;
  *"verification failed"* | *"does not match"* | *"is damaged"* | *"invalid data"* | *"not found in index"*)
    why="the repository is damaged; docs/backup.md says what to do ($why)" ;;
  esac
  [ -n "$why" ] || why="restic ended with exit code $1"
}

# The same; what is in its way is cleared if its owner is known to be gone, or has not renewed it for half an hour.
call_unlocking() {
  call "$@" && return 0
  grep -q 'already locked' "$work/err" || return 1
  call unlock && call "$@"
}

# Whether the repository has been seen where it is now.
place() {
  cksum <"$secrets/repository"
}
seen_before() {
  [ "$(cat "$state/repository" 2>/dev/null)" = "$(place)" ]
}

decide() {
  put installation "$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')"
}

take_lock() {
  mkdir "$home/lock" 2>/dev/null || {
    kill -0 "$(cat "$home/lock/owner" 2>/dev/null)" 2>/dev/null && return 1
    rm -rf "$home/lock"
    mkdir "$home/lock" 2>/dev/null || return 1
  }
  echo $$ >"$home/lock/owner"
}


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
  touch /tmp/held
  # Who restores says all the time that it is still there.
  while [ $(($(date +%s) - $(stat -c %Y /tmp/held))) -lt 120 ]; do rest 5; done
  ;;

fetch)
  rm -rf "$fetched"
  mkdir -p "$fetched"
  call_unlocking restore "$2" --target "$fetched" --verify || fail "$why"
  [ ! -e "$fetched/data/tls" ] || echo tls
  [ ! -e "$fetched/data/letsencrypt" ] || echo letsencrypt
  [ ! -e "$fetched/data/config" ] || echo config
  [ ! -e "$fetched/var/lib/torrust-backup/databases/tracker.db" ] || echo tracker
  [ ! -e "$fetched/var/lib/torrust-backup/databases/tracker.sql" ] || echo mysql
  [ ! -e "$fetched/var/lib/torrust-backup/databases/grafana.db" ] || echo grafana
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
  find "$replaced" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sort -r | tail -n +4 | while read -r old; do
    rm -rf "$old"
  done
  ;;
esac
finish 0
