# shellcheck shell=sh disable=SC2034,SC2154
## What the scripts that call restic share: its environment, `call` with the reasons why it fails, values that are
## kept, and the lock that lets one of them run at a time. Whoever sources it has set $home, $secrets and $state.
##inline
## Consistent copies of the databases, by file name; they exist while a backup runs.
databases=$home/databases
## Seconds; Docker kills what has not ended ten seconds after it was asked to.
rest_within=8
##end
export RESTIC_REPOSITORY_FILE="$secrets/repository"
export RESTIC_PASSWORD_FILE="$secrets/password"
export RESTIC_CACHE_DIR="$home/cache"
export AWS_SHARED_CREDENTIALS_FILE="$secrets/s3"
mkdir -p "$state" "$home/answers" "$home/metrics" "$databases"

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
  case $(tr '\0' ' ' <"/proc/$1/cmdline") in "restic "*) ;; *) return 1 ;; esac
} 2>/dev/null

# Asked by SIGINT, which all versions heed, restic removes its lock from the repository before it ends.
end_restic() {
  tries=0 running=yes
  while [ "$running" = yes ] && [ "$tries" -lt "$rest_within" ]; do
    running=no
    for process in /proc/[0-9]*; do
      if is_restic "${process#/proc/}"; then
        running=yes
        kill -INT "${process#/proc/}"
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
  host=$(sed -n 's/.*"hostname": *"\([^"]*\)".*/\1/p' "$work/out")
  process=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$work/out")
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
