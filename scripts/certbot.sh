#!/bin/sh
## Runs in certbot's container. It gives nginx a self-signed certificate for each domain at once, and replaces it as
## soon as there is an issued one.
##
## `sh <script> publish` hands what has been issued to nginx: certbot's hook after each renewal, whoever started it.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

home=/etc/letsencrypt
served=$home/served
webroot=$home/webroot
domains='api.example.org tracker.example.org'
##inline
## Whom the authority may write to; several words.
contact='--email admin@example.org'
## There while the loop is meant to run: what is left of it when certbot is gone on purpose would raise an alarm. The
## node exporter reads it (https://prometheus.io/docs/instrumenting/exposition_formats/).
metrics_file=/var/lib/torrust/metrics/certbot.prom
## Seconds. Let's Encrypt allows five failed orders an hour for a name: these make four.
first_delay=300
longest_delay=21600
## A restart may shorten the wait to this, so that restarting is a way to try again, yet not too often.
delay_after_restart=900
## Between two looks at which certificates are due for renewal.
renewal_interval=43200
## Between two looks at everything else; an authority that cannot be reached is asked this often.
tick=10
##end

say() {
  printf '%s %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# A shell that is process 1 heeds no signal but those it traps, and none of them while it waits for a program in front.
##unless metrics
trap 'exit 0' TERM INT
##end
##if metrics
trap 'rm -f "$metrics_file"; exit 0' TERM INT
##end
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
##if acme
  [ -s "$home/live/$domain/fullchain.pem" ] && folder=$home/live/$domain
##end
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
##if acme

directory='https://acme-v02.api.letsencrypt.org/directory'

# Prints why a URL does not answer, and nothing when it does.
problem_of() {
  python3 -c '
import sys, requests
headers = {"Host": sys.argv[2]} if len(sys.argv) > 2 else {}
requests.get(sys.argv[1], headers=headers, timeout=10).raise_for_status()
' "$@" 2>&1 | tail -n 1
}

# An order that cannot succeed would count against the authority's limits.
obstacle() {
  problem=$(problem_of "$directory")
  [ -z "$problem" ] || { echo "the directory does not answer: $problem"; return; }
  echo ready >"$webroot/.well-known/acme-challenge/ready"
  chmod 644 "$webroot/.well-known/acme-challenge/ready"
  problem=$(problem_of http://nginx/.well-known/acme-challenge/ready "$domain")
  [ -z "$problem" ] || echo "nginx does not answer: $problem"
}

# $home/orders/<domain>.issued: the directory that issued the certificate.
# $home/orders/<domain>.failed: the directory that was asked in vain, how often, and when last.
has_certificate() {
  [ -s "$home/live/$domain/fullchain.pem" ] && [ "$(cat "$home/orders/$domain.issued" 2>/dev/null)" = "$directory" ]
}

failures() {
  count=0 last=0 of=
  [ -s "$home/orders/$domain.failed" ] && read -r count last of <"$home/orders/$domain.failed"
  [ "$of" = "$directory" ] || count=0 last=0
  delay=0
  [ "$count" -eq 0 ] || delay="$first_delay"
  step=1
  while [ "$step" -lt "$count" ] && [ "$delay" -lt "$longest_delay" ]; do
    delay=$((delay * 2)) step=$((step + 1))
  done
  [ "$delay" -le "$longest_delay" ] || delay="$longest_delay"
}

# shellcheck source=passed.sh
. "${0%/*}/passed.sh"

order() {
  has_certificate && return
  failures
  case $tried in
  *" $domain "*) ;;
  *) [ "$delay" -le "$delay_after_restart" ] || delay="$delay_after_restart" ;;
  esac
  passed "$last" "$delay" || return
  reason=$(obstacle)
  if [ -n "$reason" ]; then
    [ "$reason" = "$said" ] || say "$domain: not ordered yet, asking every $tick s: $reason"
    said=$reason
    return
  fi
  said=
  # Counted before, so that a crash counts as well; without a place to count there is no order.
  echo "$((count + 1)) $(date +%s) $directory" >"$home/orders/$domain.failed" || return
  tried="$tried$domain "
  say "$domain: ordering a certificate from $directory"
  # shellcheck disable=SC2086
  if run certbot certonly --non-interactive --agree-tos $contact --server "$directory" \
    --webroot --webroot-path "$webroot" --cert-name "$domain" --domain "$domain" --key-type ecdsa \
    --force-renewal --deploy-hook "sh $0 publish" --max-log-backups 20 &&
    echo "$directory" >"$home/orders/$domain.issued"; then
    rm "$home/orders/$domain.failed"
    publish
  else
    failures
    say "$domain: no certificate (certbot says why above), $count failed in a row, next try in $delay s"
  fi
}

# $home/orders/<domain>.unrenewed: how many renewals have failed in a row.
renew() {
  has_certificate || return
  if run certbot renew --non-interactive --no-random-sleep-on-renew --cert-name "$domain" --max-log-backups 20; then
    rm -f "$home/orders/$domain.unrenewed"
  else
    echo "$(($(cat "$home/orders/$domain.unrenewed" 2>/dev/null || echo 0) + 1))" >"$home/orders/$domain.unrenewed"
    say "$domain: not renewed (certbot says why above), next try in $renewal_interval s"
  fi
  publish
}
##if metrics

metrics_of_domain() {
  failures
  unrenewed=0
  [ -s "$home/orders/$domain.unrenewed" ] && read -r unrenewed <"$home/orders/$domain.unrenewed"
  echo "torrust_certbot_failures{domain=\"$domain\"} $((count + unrenewed))"
}

# Replaced at once, and readable for everybody: the reader, which is nobody in particular, never sees half of it.
metrics() {
  {
    echo "# HELP torrust_certbot_last_run_timestamp_seconds When certbot last looked what has to be renewed."
    echo "# TYPE torrust_certbot_last_run_timestamp_seconds gauge"
    echo "torrust_certbot_last_run_timestamp_seconds $last_run"
    echo "# HELP torrust_certbot_failures Orders and renewals that failed in a row."
    echo "# TYPE torrust_certbot_failures gauge"
    each_domain metrics_of_domain
  } >"$metrics_file".new &&
    chmod 644 "$metrics_file".new &&
    mv "$metrics_file".new "$metrics_file"
}
##end

said=
# Domains ordered since the start; the others need not wait out a long delay.
tried=" "
last_look=0
while :; do
  each_domain order
  if passed "$last_look" "$renewal_interval"; then
    last_look=$(date +%s)
    each_domain renew
##if metrics
    last_run=$(date +%s)
##end
  fi
##if metrics
  metrics
##end
  run sleep "$tick"
done
##end
##unless acme

while :; do
  run sleep "$renewal_interval"
done
##end
