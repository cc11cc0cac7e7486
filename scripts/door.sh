#!/bin/sh
## Runs nginx as the door for IPv6, with the certificates that Pingoo has at the moment.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

tls=/etc/pingoo/tls
served=/tmp/served
domains='api.example.org tracker.example.org'

# The configuration with which nginx itself says whether a certificate is one and the key is its.
mkdir -p "$served"
cat >"$served/check.conf" <<END
error_log stderr;
pid $served/check.pid;
events {}
stream {
  server {
    listen unix:$served/check.sock ssl;
    ssl_certificate $served/new.pem;
    ssl_certificate_key $served/new.pem;
    return "";
  }
}
END

# Serves a pair of Pingoo's for the domain: chain and key in one file, replaced at once. It fails where the pair is not
# there or damaged.
serve() {
  cat "$tls/$1.pem" "$tls/$1.key" >"$served/new.pem" 2>/dev/null || return
  cmp -s "$served/new.pem" "$served/$domain.pem" && return
  nginx -e stderr -q -t -c "$served/check.conf" >/dev/null 2>&1 || return
  mv "$served/new.pem" "$served/$domain.pem"
  echo "$domain: served with $tls/$1.pem"
}

# Pingoo writes certificate and key one after the other: what does not fit yet has until the next look.
serve_each() {
  for domain in $domains; do
    serve "$domain" || { [ -s "$served/$domain.pem" ] && [ "$1" = changed ]; } || serve default
  done
}

state() {
  stat -c '%n %Y %Z %s %i' "$tls"/*.pem "$tls"/*.key 2>/dev/null
}

# What an engine that crashed left there.
rm -f /tmp/*.sock
last=$(state)
serve_each settled
nginx -g 'daemon off;' &
nginx=$!
## A shell that is process 1 heeds no signal but those it traps.
trap 'kill "$nginx"; wait "$nginx"; exit' TERM INT
changed=
while kill -0 "$nginx" 2>/dev/null; do
  sleep 1 &
  wait $!
  now=$(state)
  if [ "$now" != "$last" ]; then
    serve_each changed
    changed=1
  elif [ "$changed" ]; then
    serve_each settled
    changed=
  fi
  last=$now
done
wait "$nginx"
