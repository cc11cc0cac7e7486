#!/bin/sh
## Starts Grafana. The administrator's password of the deployment holds at every start: also for a database that had
## another one, because it was restored or the password has been changed since. It reaches Grafana's own command as
## its input, nothing shows it.
##inline
password_file=/etc/grafana/admin-password
##end
# The first start takes the password from its settings.
if [ -s "$GF_PATHS_DATA/grafana.db" ]; then
  said=$(grafana cli --homepath "$GF_PATHS_HOME" --config "$GF_PATHS_CONFIG" \
    admin reset-admin-password --password-from-stdin <"$password_file" 2>&1) ||
    echo "The administrator's password could not be set, the database's own holds: $said" >&2
fi
exec /run.sh
