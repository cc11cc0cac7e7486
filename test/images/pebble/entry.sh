#!/bin/sh
# Ports, certificate lifetime (PEBBLE_VALIDITY, seconds), further names of the API (PEBBLE_NAMES, as of a subjectAltName)
# and a DNS server (PEBBLE_DNS_SERVER, host:port) come from the environment. State is in memory only.
set -eu

cd "$(mktemp -d)"
names="DNS:pebble,DNS:localhost,DNS:$(hostname),IP:127.0.0.1"
for address in $(hostname -I); do names="$names,IP:$address"; done
names="$names${PEBBLE_NAMES:+,$PEBBLE_NAMES}"
printf 'subjectAltName=%s\n' "$names" >extensions
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=pebble -out request.pem 2>/dev/null
openssl x509 -req -in request.pem -CA /etc/pebble/ca.pem -CAkey /etc/pebble/ca.key -days 365 -extfile extensions \
  -out certificate.pem 2>/dev/null

cat >config.json <<END
{ "pebble": {
  "listenAddress": "0.0.0.0:$PEBBLE_PORT", "managementListenAddress": "0.0.0.0:$PEBBLE_MANAGEMENT_PORT",
  "certificate": "certificate.pem", "privateKey": "key.pem",
  "httpPort": $PEBBLE_HTTP_PORT, "tlsPort": $PEBBLE_TLS_PORT,
  "ocspResponderURL": "", "certificateValidityPeriod": ${PEBBLE_VALIDITY:-7776000} } }
END
exec pebble -config config.json ${PEBBLE_DNS_SERVER:+-dnsserver "$PEBBLE_DNS_SERVER"} "$@"
