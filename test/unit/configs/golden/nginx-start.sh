#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -eu

link_certificates() {
  for domain in api.torrust.org grafana.torrust.org; do
    for source in live self-signed; do
      from=/etc/letsencrypt/$source/$domain
      if [ -s "$from/fullchain.pem" ] && [ -s "$from/privkey.pem" ]; then
        ln -sfn "$from" "/etc/nginx/certificates/$domain"
        ln -sfn "/etc/nginx/sites/$domain.conf" "/etc/nginx/enabled/$domain.conf"
        break
      fi
    done
  done
}

certificates_state() {
  for domain in api.torrust.org grafana.torrust.org; do
    cksum /etc/letsencrypt/live/"$domain"/fullchain.pem /etc/letsencrypt/self-signed/"$domain"/fullchain.pem 2>/dev/null || true
  done
}

watch_certificates() {
  known=$1
  while sleep 2; do
    now=$(certificates_state)
    [ "$now" != "$known" ] || continue
    link_certificates
    if nginx -t -q && nginx -s reload; then
      known=$now
      echo "certificates changed, reloaded"
    fi
  done
}

mkdir -p /etc/nginx/enabled /etc/nginx/certificates
state=$(certificates_state)
link_certificates
watch_certificates "$state" &
exec nginx -g 'daemon off;'
