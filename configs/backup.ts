import { passedFunction, shellWord } from "./shell";

/** Where things are in the backup's containers. */
export const backupPaths = {
  /** The backup's own volume. */
  home: "/var/lib/torrust-backup",
  /** Secrets, readable by root alone. */
  secrets: "/etc/torrust-backup",
  script: "/opt/torrust/backup.sh",
  /** What is backed up as it is, read-only. */
  data: "/data",
  /** The repository, where it is a folder of the host. */
  repository: "/repository",
} as const;

/** Consistent copies of the databases, by file name; they exist while a backup runs. */
export const databaseFolder = `${backupPaths.home}/databases`;
export const metricsFile = `${backupPaths.home}/metrics/backup.prom`;

/** Numbers that match, of UTC; see `Schedule` of the settings. */
export interface BackupSchedule {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  readonly weekdays: readonly number[];
  readonly eitherDay: boolean;
}

export interface BackupModel {
  /** Whose backups these are; several stacks may share a repository. */
  readonly stack: string;
  readonly schedule: BackupSchedule;
  /** `daily`, `weekly` and so on, as restic has them, to how many stay. */
  readonly retention: Readonly<Record<string, number>>;
  /** Folders that are backed up besides the databases. */
  readonly folders: readonly string[];
  /** Services that copy databases when asked. */
  readonly workers: readonly string[];
}

/** Seconds. */
const firstDelay = 60;
const longestDelay = 3600;
const tick = 5;
const checkInterval = 7 * 86400;
/** How far back a run that was missed is looked for. */
const lookBack = 8 * 86400;
/** A copier that has not begun by then does not run. */
const answerWithin = 30;
const copyWithin = 3600;
/** Docker kills what has not ended ten seconds after it was asked to. */
const restWithin = 8;
/** How many earlier host names of the container are known. */
const hostsKept = 99;

/**
 * What the scripts that call restic share: its environment, `call` with the reasons why it fails, values that are kept,
 * and the lock that lets one of them run at a time. They expect $home, $secrets and $state.
 */
export const resticFunctions = `export RESTIC_REPOSITORY_FILE="$secrets/repository"
export RESTIC_PASSWORD_FILE="$secrets/password"
export RESTIC_CACHE_DIR="$home/cache"
export AWS_SHARED_CREDENTIALS_FILE="$secrets/s3"
mkdir -p "$state" "$home/answers" "$home/metrics" ${databaseFolder}

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
  if [ $$ -eq 1 ]; then
    # Everything in the container ends with it, what other scripts run too.
    end_restic
  elif [ -n "$child" ]; then
    { kill -INT "$child" && wait "$child"; } 2>/dev/null
  fi
  [ "$(cat "$home/lock/owner" 2>/dev/null)" != "$$" ] || rm -r "$home/lock"
  rm -rf "$work"
  exit "$1"
}
trap 'finish 143' TERM INT
# By this signal restic asks whether the process is there that took a lock; its number may be another's by now.
trap '' HUP

is_restic() {
  case $(tr '\\0' ' ' <"/proc/$1/cmdline") in "restic "*) ;; *) return 1 ;; esac
} 2>/dev/null

# Asked by SIGINT, which all versions heed, restic removes its lock from the repository before it ends.
end_restic() {
  tries=0 running=yes
  while [ "$running" = yes ] && [ "$tries" -lt ${restWithin} ]; do
    running=no
    for process in /proc/[0-9]*; do
      if is_restic "\${process#/proc/}"; then
        running=yes
        kill -INT "\${process#/proc/}"
      fi
    done
    [ "$running" = no ] || sleep 1
    tries=$((tries + 1))
  done
}

# A shell that is process 1 heeds no signal while it waits for a program in front.
rest() {
  sleep "$1" &
  wait $!
}

# Runs restic; its output goes to $work/out, why it failed to $why. Locks that were left behind do not stop it.
call() {
  once "$@" && return 0
  grep -q 'already locked' "$work/err" || return 1
  locked=$why
  if remove_locks; then
    once "$@"
  else
    why=$locked
    return 1
  fi
}

# The same without another try. Where somebody watches, its progress is passed on.
once() {
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
  sed -n 's/.*"message":"\\(\\([^"\\\\]\\|\\\\.\\)*\\)".*/\\1/p' "$work/err" >"$work/said"
  [ -s "$work/said" ] || sed -e 's/.*"item":"\\([^"]*\\)".*/\\1 cannot be read/' "$work/err" >"$work/said"
  # Not what only says that something was said.
  grep -v -e '^$' -e 'retrying after' -e 'There were [0-9]* errors' -e 'contains errors' -e 'at least one source file' "$work/said" >"$work/telling"
  why=$(grep -m 1 '^Fatal' "$work/telling" || head -n 1 "$work/telling")
  # What ssh says is lost when it ends at once.
  if grep -q 'unable to start the sftp session' "$work/err"; then
    server=$(sed -n -e 's|^sftp://\\([^/]*\\)/.*|ssh://\\1|p' -e 's|^sftp:\\([^/:]*\\):.*|\\1|p' "$secrets/repository")
    ssh "$server" exit </dev/null 2>"$work/ssh" >/dev/null
    cat "$work/ssh" >>"$work/err"
    [ ! -s "$work/ssh" ] || why=$(tail -n 1 "$work/ssh" | tr -d '\\r')
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
  *"already locked"*) why="another program uses the repository; a lock that a lost machine left behind counts for half an hour ($why)" ;;
  *"verification failed"* | *"does not match"* | *"is damaged"* | *"invalid data"* | *"not found in index"*)
    why="the repository is damaged; docs/backup.md says what to do ($why)" ;;
  esac
  [ -n "$why" ] || why="restic ended with exit code $1"
}

# Removes all locks if each of them is left over from this stack; of others' those that were not renewed for half an hour.
remove_locks() {
  once list locks --no-lock || return 1
  cp "$work/out" "$work/locks"
  while read -r lock; do
    once cat lock "$lock" --no-lock || return 1
    if ! left_over; then
      once unlock
      return
    fi
  done <"$work/locks"
  once unlock --remove-all
}

# Whether the lock in $work/out was taken in a container of this stack that is gone, or by a process of this one that is.
left_over() {
  host=$(sed -n 's/.*"hostname": *"\\([^"]*\\)".*/\\1/p' "$work/out")
  process=$(sed -n 's/.*"pid": *\\([0-9]*\\).*/\\1/p' "$work/out")
  grep -q -x -F -e "$host" "$state/hosts" 2>/dev/null || return 1
  [ "$host" != "$(uname -n)" ] || ! is_restic "$process"
}

# Whether the repository has been seen where it is now.
place() {
  cksum <"$secrets/repository"
}
seen_before() {
  [ "$(cat "$state/repository" 2>/dev/null)" = "$(place)" ]
}

decide() {
  put installation "$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')"
}

take_lock() {
  mkdir "$home/lock" 2>/dev/null || {
    kill -0 "$(cat "$home/lock/owner" 2>/dev/null)" 2>/dev/null && return 1
    rm -rf "$home/lock"
    mkdir "$home/lock" 2>/dev/null || return 1
  }
  echo $$ >"$home/lock/owner"
}

`;

/**
 * Renders the script that runs in restic's container (POSIX sh, busybox' or another). Without arguments it backs up on
 * schedule; `now` backs up at once, `list` prints the snapshots as JSON, `restic ARGUMENTS` calls restic with the repository and its secrets.
 */
export function renderBackupScript(model: BackupModel): string {
  const { schedule, retention } = model;
  const list = (numbers: readonly number[]) => shellWord(` ${numbers.join(" ")} `);
  const keep = Object.entries(retention)
    .filter(([, count]) => count > 0)
    .map(([period, count]) => `--keep-${period} ${count}`)
    .join(" ");
  return `#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

home=${backupPaths.home}
secrets=${backupPaths.secrets}
state=$home/state
stack=${shellWord(model.stack)}
workers=${shellWord(model.workers.join(" "))}
minutes=${list(schedule.minutes)}
hours=${list(schedule.hours)}
days=${list(schedule.days)}
months=${list(schedule.months)}
weekdays=${list(schedule.weekdays)}
either_day=${schedule.eitherDay ? "yes" : "no"}

${resticFunctions}say() {
  printf '%s %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

${passedFunction}
# A value that was kept, or what it is by default: get NAME DEFAULT.
get() {
  if [ -s "$state/$1" ]; then cat "$state/$1"; else echo "$2"; fi
}

if [ "\${1:-}" = restic ]; then
  shift
  rm -r "$work"
  exec restic "$@"
fi

if [ "\${1:-}" = list ]; then
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
  if [ -n "$(ls -A ${backupPaths.repository}/data ${backupPaths.repository}/keys 2>/dev/null)" ]; then
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
  request=$(od -An -N8 -tx1 /dev/urandom | tr -d ' \\n')
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
        why=\${answer#"$request failed "}
        return 1
        ;;
      "$request "*) limit=${copyWithin} ;;
      *) limit=${answerWithin} ;;
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
  sed -n "s/.*\\"message_type\\":\\"summary\\".*\\"$1\\":\\([0-9.e+]*\\).*/\\1/p" "$work/out" | cut -d . -f 1
}

back_up() {
  started=$(date +%s)
  copy_databases || return 1
  call backup --json --host "$stack" --tag "installation=$(get installation '')" \\
    ${[...model.folders, databaseFolder].join(" ")} || return 1
  size=$(number total_bytes_processed) added=$(number data_added)
  snapshot=$(sed -n 's/.*"snapshot_id":"\\([0-9a-f]\\{8\\}\\).*/\\1/p' "$work/out")
  put size "\${size:-0}"
  put added "\${added:-0}"
  put duration "$(($(date +%s) - started))"
  put success "$(date +%s)"
  say "snapshot $snapshot: \${size:-?} bytes, \${added:-?} of them new, $(get duration 0) s"
  call forget --host "$stack" --tag "installation=$(get installation '')" --group-by host ${keep} --prune || {
    why="the snapshot is made, but old ones cannot be removed: $why"
    return 1
  }
}

# Each week the structure and a quarter of the data are read.
check() {
  part=$(($(date +%s) / ${checkInterval} % 4 + 1))
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
  } >"$work/metrics" && cp "$work/metrics" ${metricsFile}.new && mv ${metricsFile}.new ${metricsFile}
}
gauge() {
  printf '# HELP torrust_backup_%s %s\\n# TYPE torrust_backup_%s gauge\\ntorrust_backup_%s %s\\n' "$1" "$2" "$1" "$1" "$3"
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
  rm -f ${databaseFolder}/*
  [ "$result" -eq 0 ] || return 1
  ! passed "$(get checked 0)" ${checkInterval} || check
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

if [ "\${1:-}" = new-repository ]; then
  rm -f "$state/repository" "$state/installation"
  finish 0
fi

if [ "\${1:-}" = now ]; then
  [ "\${2:-}" != live ] || live=yes
  until take_lock; do
    [ -n "\${told:-}" ] || say "waiting for the backup that runs"
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
  [ $((last - minute)) -le $((${lookBack} / 60)) ] || minute=$((last - ${lookBack} / 60))
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
  case $months in *" \${month#0} "*) ;; *) return 1 ;; esac
  case $days in *" \${day#0} "*) of_month=yes ;; esac
  case $weekdays in *" $weekday "*) of_week=yes ;; esac
  case $either_day$of_month$of_week in
  yesyes* | yesnoyes | noyesyes) return 0 ;;
  *) return 1 ;;
  esac
}

# Seconds from a failure to the next try.
delay() {
  delay=${firstDelay} step=1
  while [ "$step" -lt "$1" ] && [ "$delay" -lt ${longestDelay} ]; do
    delay=$((delay * 2)) step=$((step + 1))
  done
  [ "$delay" -le ${longestDelay} ] || delay=${longestDelay}
  echo "$delay"
}

if [ "\${1:-}" = schedule ]; then
  "$2" "$3" "\${4:-}"
  finish $?
fi

rm -rf "$home/lock"
# Two machines never have the same: whoever has it in its lock was here.
put hosts "$(tail -n ${hostsKept} "$state/hosts" 2>/dev/null; uname -n)"
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
  rest ${tick}
done
`;
}
