#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

home=/etc/letsencrypt
served=/etc/letsencrypt/served
webroot=/etc/letsencrypt/webroot
domains='grafana.localhost'

say() {
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# A shell that is process 1 heeds no signal but those it traps, and none of them while it waits for a program in front.
trap 'exit 0' TERM INT
run() {
  "$@" &
  wait $!
}

each_domain() {
  for domain in $domains; do
    "$1"
  done
}

self_sign() {
  folder=$home/self-signed/$domain
  [ -s "$folder/fullchain.pem" ] && return
  mkdir -p "$folder"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj /CN=self-signed -addext "subjectAltName=DNS:$domain" \
    -keyout "$folder/privkey.pem" -out "$folder/new.pem" 2>/dev/null &&
    mv "$folder/new.pem" "$folder/fullchain.pem"
}

# Key and chain in one file, replaced at once: nginx, which runs in group 0, never sees half of them.
publish() {
  folder=$home/self-signed/$domain
  cat "$folder/privkey.pem" "$folder/fullchain.pem" >"$served/$domain.new" || return
  if cmp -s "$served/$domain.new" "$served/$domain.pem"; then
    rm "$served/$domain.new"
  else
    chmod 640 "$served/$domain.new"
    mv "$served/$domain.new" "$served/$domain.pem"
    say "$domain: nginx has a new certificate, from ${folder#"$home/"}"
  fi
}

if [ "${1:-}" = publish ]; then
  each_domain publish
  exit
fi

mkdir -p "$served" "$webroot/.well-known/acme-challenge" "$home/orders"
chmod 755 "$home" "$webroot" "$webroot/.well-known" "$webroot/.well-known/acme-challenge"
chmod 750 "$served"
each_domain self_sign
each_domain publish

while :; do
  run sleep 43200
done
