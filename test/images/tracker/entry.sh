#!/bin/sh
# Does what the published image's script does: starts as root, makes the user, gives it every file of the tracker
# (mode 2770, a mounted configuration included), puts a default configuration where there is none, becomes the user.
fail() {
  echo "ERROR: $*"
  exit 1
}

[ "${USER_ID:-0}" -ge 1000 ] || fail "USER_ID is not set, or less than 1000"
id torrust >/dev/null 2>&1 || useradd --no-log-init --create-home --shell /bin/sh --uid "$USER_ID" torrust

mkdir -p /var/lib/torrust/tracker/database /etc/torrust/tracker
chown -R "$USER_ID:$USER_ID" /var/lib/torrust /var/log/torrust /etc/torrust
chmod -R 2770 /var/lib/torrust /var/log/torrust /etc/torrust

driver=$(echo "$TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER" | tr -dc 'a-zA-Z0-9-' | tr '[:upper:]' '[:lower:]')
case $driver in
  sqlite3 | mysql) ;;
  '') fail "\"\$TORRUST_TRACKER_CONFIG_OVERRIDE_CORE__DATABASE__DRIVER\" was not set!" ;;
  *) fail "Unsupported Database Type: \"$driver\"." ;;
esac
[ -e /etc/torrust/tracker/tracker.toml ] ||
  install -m 0640 -o torrust -g torrust "/usr/share/torrust/default/config/$driver.toml" /etc/torrust/tracker/tracker.toml

cd /home/torrust || exit 1
exec setpriv --reuid torrust --regid torrust --init-groups "$@"
