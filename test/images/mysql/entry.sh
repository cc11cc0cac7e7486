#!/bin/sh
# Sets the database up at the first start, by the variables of the image mysql:8.4 or their _FILE forms.
set -eu

fail() {
  echo "[ERROR] [Entrypoint]: $*" >&2
  exit 1
}

# value NAME: what NAME, or the file that NAME_FILE names, holds
value() {
  eval "plain=\${$1:-} file=\${$1_FILE:-}"
  [ -z "$plain" ] || [ -z "$file" ] || fail "Both $1 and $1_FILE are set (but are exclusive)"
  if [ -n "$file" ]; then cat "$file"; else printf %s "$plain"; fi
}

# quoted TEXT: as an SQL string
quoted() {
  printf "'%s'" "$(printf %s "$1" | sed -e 's/\\/\\\\/g' -e "s/'/''/g")"
}

sql() {
  printf '%s\n' "$1"
}

initialize() {
  root=$(value MYSQL_ROOT_PASSWORD)
  database=$(value MYSQL_DATABASE)
  user=$(value MYSQL_USER)
  password=$(value MYSQL_PASSWORD)
  [ -n "$root" ] || [ -n "${MYSQL_ALLOW_EMPTY_PASSWORD:-}" ] || fail "Database is uninitialized and password option is not specified"
  [ "$user" != root ] || fail 'MYSQL_USER="root", MYSQL_USER and MYSQL_PASSWORD are for configuring a regular user and cannot be used for the root user'

  mariadb-install-db --datadir=/var/lib/mysql --auth-root-authentication-method=normal --skip-test-db >/dev/null
  {
    # Only what the other image has: root from everywhere, with the password.
    sql "DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';"
    sql "DELETE FROM mysql.proxies_priv;"
    sql "FLUSH PRIVILEGES;"
    sql "ALTER USER 'root'@'localhost' IDENTIFIED BY $(quoted "$root");"
    sql "CREATE USER 'root'@'%' IDENTIFIED BY $(quoted "$root");"
    sql "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;"
    [ -z "$database" ] || sql "CREATE DATABASE \`$database\`;"
    [ -z "$user" ] || sql "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
    [ -z "$user" ] || [ -z "$database" ] || sql "GRANT ALL ON \`$database\`.* TO $(quoted "$user")@'%';"
  } | mariadbd --bootstrap --datadir=/var/lib/mysql
}

case ${1:-} in
  '' | -*) set -- mysqld "$@" ;;
esac
if [ "$1" = mysqld ]; then
  shift
  if [ "$(id -u)" = 0 ]; then
    chown -R mysql:mysql /var/lib/mysql
    exec setpriv --reuid mysql --regid mysql --clear-groups "$0" mysqld "$@"
  fi
  [ -d /var/lib/mysql/mysql ] || initialize
  # MySQL 8.4 has this one, MariaDB always does what it asks for.
  for option; do
    shift
    case $option in --mysql-native-password*) ;; *) set -- "$@" "$option" ;; esac
  done
  set -- mariadbd "$@"
fi
exec "$@"
