# shellcheck shell=sh
## `passed SINCE SECONDS`: whether so much time has passed since a Unix time. A time that is still to come counts as
## long past: the clock was wrong when it was noted.
passed() {
  [ "$(date +%s)" -lt "$1" ] || [ "$(date +%s)" -ge $(($1 + $2)) ]
}
