#!/bin/sh
## Runs in restic's container (POSIX sh, busybox' or another). Without arguments it backs up on schedule; `now` backs
## up at once, `list` prints the snapshots as JSON, `restic ARGUMENTS` calls restic with the repository and its
## secrets.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

home=/var/lib/torrust-backup
secrets=/etc/torrust-backup
state=$home/state
stack='torrust-pingoo-dev'
workers='backup-snapshot'
minutes=' 17 '
hours=' 3 '
days=' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 '
months=' 1 2 3 4 5 6 7 8 9 10 11 12 '
weekdays=' 0 1 2 3 4 5 6 '
either_day=no
##inline
## What is backed up, and what restic keeps of it; several words each.
folders="/data/tls /data/config $home/databases"
keep='--keep-daily 7 --keep-weekly 5 --keep-monthly 12'
## The repository, where it is a folder of the host.
repository=/repository
metrics_file=$home/metrics/backup.prom
## Seconds.
first_delay=60
longest_delay=3600
tick=5
## Seven days.
check_interval=604800
## How far back a run that was missed is looked for: eight days.
look_back=691200
## A copier that has not begun by then does not run.
answer_within=30
copy_within=3600
## How many earlier host names of the container are known.
hosts_kept=99
##end

# shellcheck source=restic.sh
. "${0%/*}/restic.sh"

say() {
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# shellcheck source=passed.sh
. "${0%/*}/passed.sh"

# A value that was kept, or what it is by default: get NAME DEFAULT.
get() {
  if [ -s "$state/$1" ]; then cat "$state/$1"; else echo "$2"; fi
}

if [ "${1:-}" = restic ]; then
  shift
  rm -r "$work"
  exec restic "$@"
fi

if [ "${1:-}" = list ]; then
  call snapshots --json && cat "$work/out" && finish 0
  echo "$why" >&2
  finish 1
fi

# Makes the repository if there never was one. One that was there and is not any more is not made anew: the disk may just
# not be mounted.
open_repository() {
  ! seen_before || return 0
  if call cat config; then
    put repository "$(place)"
    return 0
  fi
  grep -q -e 'Is there a repository' -e 'repository does not exist' "$work/err" || return 1
  if [ -n "$(ls -A "$repository"/data "$repository"/keys 2>/dev/null)" ]; then
    why="the repository is damaged: it has data, but no config file"
    return 1
  fi
  call init || return 1
  say "made a new repository"
  put repository "$(place)"
}

# A new stack does not mix its snapshots with those of an earlier one before somebody has decided.
decided() {
  [ ! -s "$state/installation" ] || return 0
  call snapshots --json --host "$stack" || return 2
  ! grep -q '"id"' "$work/out" || return 1
  decide
}
copy_databases() {
  request=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \n')
  why="the backup's volume cannot be written; is its disk full?"
  echo "$request" >"$home/request.new" && mv "$home/request.new" "$home/request" || return 1
  for worker in $workers; do
    waited=0
    while :; do
      answer=''
      read -r answer <"$home/answers/$worker"
      case $answer in
      "$request done") break ;;
      "$request failed "*)
        why=${answer#"$request failed "}
        return 1
        ;;
      "$request "*) limit="$copy_within" ;;
      *) limit="$answer_within" ;;
      esac
      if [ "$waited" -ge "$limit" ]; then
        why="the container $stack-$worker does not answer; is it running?"
        return 1
      fi
      waited=$((waited + 1))
      rest 1
    done 2>/dev/null
  done
}

number() {
  sed -n "s/.*\"message_type\":\"summary\".*\"$1\":\([0-9.e+]*\).*/\1/p" "$work/out" | cut -d . -f 1
}

back_up() {
  started=$(date +%s)
  copy_databases || return 1
  # shellcheck disable=SC2086
  call backup --json --host "$stack" --tag "installation=$(get installation '')" \
    $folders || return 1
  size=$(number total_bytes_processed) added=$(number data_added)
  snapshot=$(sed -n 's/.*"snapshot_id":"\([0-9a-f]\{8\}\).*/\1/p' "$work/out")
  put size "${size:-0}"
  put added "${added:-0}"
  put duration "$(($(date +%s) - started))"
  put success "$(date +%s)"
  say "snapshot $snapshot: ${size:-?} bytes, ${added:-?} of them new, $(get duration 0) s"
  # shellcheck disable=SC2086
  call forget --host "$stack" --tag "installation=$(get installation '')" --group-by host $keep --prune || {
    why="the snapshot is made, but old ones cannot be removed: $why"
    return 1
  }
}

# Each week the structure and a quarter of the data are read.
check() {
  part=$(($(date +%s) / $check_interval % 4 + 1))
  call check --read-data-subset "$part/4" || {
    why="the check of the repository failed: $why"
    return 1
  }
  put checked "$(date +%s)"
  say "checked the repository, and read part $part of 4"
}

write_metrics() {
  {
    gauge last_success_timestamp_seconds "Time of the last backup that succeeded, Unix seconds; 0: none yet." "$(get success 0)"
    gauge last_check_timestamp_seconds "Time of the repository's last check that succeeded, Unix seconds." "$(get checked 0)"
    gauge duration_seconds "How long the last backup took." "$(get duration 0)"
    gauge size_bytes "Size of what the last backup holds." "$(get size 0)"
    gauge added_bytes "How much of it was new." "$(get added 0)"
    gauge failures "Runs that failed since the last success." "$(get failures 0)"
  } >"$work/metrics" && cp "$work/metrics" "$metrics_file".new && mv "$metrics_file".new "$metrics_file"
}
gauge() {
  printf '# HELP torrust_backup_%s %s\n# TYPE torrust_backup_%s gauge\ntorrust_backup_%s %s\n' "$1" "$2" "$1" "$1" "$3"
}

# One run, which nobody else disturbs. Returns 0 done, 1 failed, 2 not decided.
attempt() {
  why=''
  open_repository || return 1
  decided
  case $? in
  1) return 2 ;;
  2) return 1 ;;
  esac
  back_up
  result=$?
  rm -f "$databases"/*
  [ "$result" -eq 0 ] || return 1
  ! passed "$(get checked 0)" "$check_interval" || check
}

run() {
  attempt
  result=$?
  case $result in
  0)
    put failures 0
    rm -f "$state/due"
    ;;
  1)
    put failures "$(($(get failures 0) + 1))"
    put tried "$(date +%s)"
    ;;
  esac
  write_metrics
  rm -rf "$home/lock"
  return "$result"
}

waiting="the repository has snapshots of an earlier stack of this name. To have them back: npm run restore. To go on without: npm run backup"

if [ "${1:-}" = new-repository ]; then
  rm -f "$state/repository" "$state/installation"
  finish 0
fi

if [ "${1:-}" = now ]; then
  [ "${2:-}" != live ] || live=yes
  until take_lock; do
    [ -n "${told:-}" ] || say "waiting for the backup that runs"
    told=yes
    sleep 1
  done
  [ -s "$state/installation" ] || decide
  run && finish 0
  say "no backup: $why"
  finish 1
fi

# Whether one was due after one time and until another, Unix seconds.
due_between() {
  minute=$(($1 / 60 + 1)) last=$(($2 / 60))
  [ $((last - minute)) -le $(($look_back / 60)) ] || minute=$((last - $look_back / 60))
  while [ "$minute" -le "$last" ]; do
    case $minutes in
    *" $((minute % 60)) "*)
      case $hours in
      *" $((minute / 60 % 24)) "*) ! day_matches $((minute * 60)) || return 0 ;;
      esac
      ;;
    esac
    minute=$((minute + 1))
  done
  return 1
}
day_matches() {
  date -u -d "@$1" '+%d %m %w' >"$work/day"
  read -r day month weekday <"$work/day"
  of_month=no of_week=no
  case $months in *" ${month#0} "*) ;; *) return 1 ;; esac
  case $days in *" ${day#0} "*) of_month=yes ;; esac
  case $weekdays in *" $weekday "*) of_week=yes ;; esac
  case $either_day$of_month$of_week in
  yesyes* | yesnoyes | noyesyes) return 0 ;;
  *) return 1 ;;
  esac
}

# Seconds from a failure to the next try.
delay() {
  delay="$first_delay" step=1
  while [ "$step" -lt "$1" ] && [ "$delay" -lt "$longest_delay" ]; do
    delay=$((delay * 2)) step=$((step + 1))
  done
  [ "$delay" -le "$longest_delay" ] || delay="$longest_delay"
  echo "$delay"
}

if [ "${1:-}" = schedule ]; then
  "$2" "$3" "${4:-}"
  finish $?
fi

rm -rf "$home/lock"
# Two machines never have the same: whoever has it in its lock was here.
put hosts "$(tail -n "$hosts_kept" "$state/hosts" 2>/dev/null; uname -n)"
write_metrics
told=''
while :; do
  now=$(date +%s)
  failures=$(get failures 0)
  ! due_between "$(get seen "$now")" "$now" || put due "$now"
  put seen "$now"
  [ "$(get success 0)" != 0 ] || [ -s "$state/due" ] || put due "$now"
  if [ -s "$state/due" ] && { [ "$failures" -eq 0 ] || passed "$(get tried 0)" "$(delay "$failures")"; } &&
    take_lock; then
    run
    case $? in
    1) say "no backup: $why. $(get failures 1) failed in a row, next try in $(delay "$(get failures 1)") s" ;;
    2)
      [ -n "$told" ] || say "no backup: $waiting"
      told=yes
      rest 30
      ;;
    esac
  fi
  rest "$tick"
done
