import { certificateFolder, certificateVolume, webroot } from "./nginx";
import { passedFunction, shellWord } from "./shell";

export interface CertbotModel {
  readonly domains: readonly string[];
  /** Absent: nothing is ordered, the certificates are self-signed. */
  readonly acme?: {
    readonly directoryUrl: string;
    /** Whom the authority may write to; absent: certbot registers without. */
    readonly email?: string;
  };
  /** Folder for metrics as text files; absent: nobody reads them. */
  readonly metricsFolder?: string;
}

/** Seconds. Let's Encrypt allows five failed orders an hour for a name: these make four. */
const firstDelay = 300;
const longestDelay = 6 * 3600;
/** A restart may shorten the wait to this, so that restarting is a way to try again, yet not too often. */
const delayAfterRestart = 900;
/** Between two looks at which certificates are due for renewal. */
const renewalInterval = 12 * 3600;
/** Between two looks at everything else; an authority that cannot be reached is asked this often. */
const tick = 10;

/**
 * Renders the script that runs in certbot's container (POSIX sh). It gives nginx a self-signed certificate for each domain
 * at once, and replaces it as soon as there is an issued one.
 *
 * `sh <script> publish` hands what has been issued to nginx: certbot's hook after each renewal, whoever started it.
 */
export function renderCertbotScript({ domains, acme, metricsFolder }: CertbotModel): string {
  return `#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

home=${certificateVolume}
served=${certificateFolder}
webroot=${webroot}
domains=${shellWord(domains.join(" "))}

say() {
  printf '%s %s\\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*"
}

# A shell that is process 1 heeds no signal but those it traps, and none of them while it waits for a program in front.
trap '${acme && metricsFolder ? `rm -f ${metricsFolder}/${metricsFile}; ` : ""}exit 0' TERM INT
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
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \\
    -subj /CN=self-signed -addext "subjectAltName=DNS:$domain" \\
    -keyout "$folder/privkey.pem" -out "$folder/new.pem" 2>/dev/null &&
    mv "$folder/new.pem" "$folder/fullchain.pem"
}

# Key and chain in one file, replaced at once: nginx, which runs in group 0, never sees half of them.
publish() {
  folder=$home/self-signed/$domain
${acme ? `  [ -s "$home/live/$domain/fullchain.pem" ] && folder=$home/live/$domain\n` : ""}  cat "$folder/privkey.pem" "$folder/fullchain.pem" >"$served/$domain.new" || return
  if cmp -s "$served/$domain.new" "$served/$domain.pem"; then
    rm "$served/$domain.new"
  else
    chmod 640 "$served/$domain.new"
    mv "$served/$domain.new" "$served/$domain.pem"
    say "$domain: nginx has a new certificate, from \${folder#"$home/"}"
  fi
}

if [ "\${1:-}" = publish ]; then
  each_domain publish
  exit
fi

mkdir -p "$served" "$webroot/.well-known/acme-challenge" "$home/orders"
chmod 755 "$home" "$webroot" "$webroot/.well-known" "$webroot/.well-known/acme-challenge"
chmod 750 "$served"
each_domain self_sign
each_domain publish
${acme ? orders(acme, metricsFolder) : `\nwhile :; do\n  run sleep ${renewalInterval}\ndone\n`}`;
}

/** There while the loop is meant to run: what is left of it when certbot is gone on purpose would raise an alarm. */
const metricsFile = "certbot.prom";

function orders({ directoryUrl, email }: NonNullable<CertbotModel["acme"]>, metricsFolder?: string): string {
  const contact = email ? `--email ${shellWord(email)}` : "--register-unsafely-without-email";
  return `
directory=${shellWord(directoryUrl)}

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
  [ "$count" -eq 0 ] || delay=${firstDelay}
  step=1
  while [ "$step" -lt "$count" ] && [ "$delay" -lt ${longestDelay} ]; do
    delay=$((delay * 2)) step=$((step + 1))
  done
  [ "$delay" -le ${longestDelay} ] || delay=${longestDelay}
}

${passedFunction}
order() {
  has_certificate && return
  failures
  case $tried in
  *" $domain "*) ;;
  *) [ "$delay" -le ${delayAfterRestart} ] || delay=${delayAfterRestart} ;;
  esac
  passed "$last" "$delay" || return
  reason=$(obstacle)
  if [ -n "$reason" ]; then
    [ "$reason" = "$said" ] || say "$domain: not ordered yet, asking every ${tick} s: $reason"
    said=$reason
    return
  fi
  said=
  # Counted before, so that a crash counts as well; without a place to count there is no order.
  echo "$((count + 1)) $(date +%s) $directory" >"$home/orders/$domain.failed" || return
  tried="$tried$domain "
  say "$domain: ordering a certificate from $directory"
  if run certbot certonly --non-interactive --agree-tos ${contact} --server "$directory" \\
    --webroot --webroot-path "$webroot" --cert-name "$domain" --domain "$domain" --key-type ecdsa \\
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
    say "$domain: not renewed (certbot says why above), next try in ${renewalInterval} s"
  fi
  publish
}
${metricsFolder ? metrics(metricsFolder) : ""}
said=
# Domains ordered since the start; the others need not wait out a long delay.
tried=" "
last_look=0
while :; do
  each_domain order
  if passed "$last_look" ${renewalInterval}; then
    last_look=$(date +%s)
    each_domain renew
${metricsFolder ? "    last_run=$(date +%s)\n" : ""}  fi
${metricsFolder ? "  metrics\n" : ""}  run sleep ${tick}
done
`;
}

/** What the node exporter reads (https://prometheus.io/docs/instrumenting/exposition_formats/). */
function metrics(folder: string): string {
  return `
metrics_of_domain() {
  failures
  unrenewed=0
  [ -s "$home/orders/$domain.unrenewed" ] && read -r unrenewed <"$home/orders/$domain.unrenewed"
  echo "torrust_certbot_failures{domain=\\"$domain\\"} $((count + unrenewed))"
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
  } >${folder}/${metricsFile}.new &&
    chmod 644 ${folder}/${metricsFile}.new &&
    mv ${folder}/${metricsFile}.new ${folder}/${metricsFile}
}
`;
}
