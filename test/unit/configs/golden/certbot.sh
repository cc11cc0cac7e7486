#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

say() {
  echo "$(date -u +%Y-%m-%dT%H:%M:%SZ) $*"
}

# A shell that is a container's first process heeds signals only where it says so.
trap 'exit 0' TERM INT
nap() {
  sleep "$1" &
  wait $!
}

self_sign() {
  folder=/etc/letsencrypt/self-signed/$1
  [ ! -s "$folder/fullchain.pem" ] || return 0
  say "$1: self-signed certificate until there is another"
  mkdir -p "$folder"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
    -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
    -keyout "$folder/privkey.pem" -out "$folder/fullchain.new" 2>/dev/null &&
    mv "$folder/fullchain.new" "$folder/fullchain.pem"
}

for domain in api.torrust.org grafana.torrust.org; do
  self_sign "$domain"
done

server=https://acme-v02.api.letsencrypt.org/directory

directory_answers() {
  python3 -c 'import sys, requests; requests.get(sys.argv[1], timeout=10).raise_for_status()' "$server" 2>&1 | tail -n 1
}

has_certificate() {
  [ -s /etc/letsencrypt/live/"$1"/fullchain.pem ] &&
    grep -qxF "server = $server" /etc/letsencrypt/renewal/"$1".conf
}

order() {
  say "$1: ordering a certificate from $server"
  certbot certonly --non-interactive --agree-tos --register-unsafely-without-email --server "$server" \
    --webroot --webroot-path /var/www/acme --cert-name "$1" --domain "$1" --force-renewal
}

renew() {
  certbot renew --non-interactive --no-random-sleep-on-renew --cert-name "$1"
}

retry=300
while :; do
  problem=$(directory_answers)
  if [ -n "$problem" ]; then
    say "$server does not answer, next try in 15 s: $problem"
    nap 15
    continue
  fi
  failed=
  for domain in api.torrust.org grafana.torrust.org; do
    if has_certificate "$domain"; then
      renew "$domain" || failed="$failed $domain"
    else
      order "$domain" || failed="$failed $domain"
    fi
  done
  if [ -z "$failed" ]; then
    retry=300
    nap 43200
  else
    say "failed for$failed (the reason is above), next try in $retry s"
    nap "$retry"
    retry=$((retry * 2))
    [ "$retry" -le 21600 ] || retry=21600
  fi
done
