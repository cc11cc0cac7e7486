import { nginxFolders } from "./nginx";
import { shellWords } from "./shell";

export interface CertbotModel {
  readonly domains: readonly string[];
  /** Absent: nothing is ordered, the self-signed certificates stay. */
  readonly acme?: {
    readonly directoryUrl: string;
    /** Whom the authority may write to; absent: it registers without. */
    readonly email?: string;
  };
}

/** Seconds: a public authority allows five failed orders an hour for a name; this makes four. */
const firstRetry = 300;
const longestRetry = 6 * 3600;
/** Seconds until an authority that did not answer at all is asked again, which counts against no limit. */
const directoryRetry = 15;
/** Seconds between two looks at what is due for renewal. */
const renewInterval = 12 * 3600;

/**
 * Renders the script that the certbot container runs (POSIX sh): a self-signed certificate for each name at once, so that
 * nginx has something to serve; then one issued certificate a name, renewed twice a day where due. A failed order is
 * repeated after 5 minutes, then after twice the time, up to 6 hours.
 */
export function renderCertbotScript(model: CertbotModel): string {
  const selfSigned = `#!/bin/sh
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
  folder=${nginxFolders.letsencrypt}/self-signed/$1
  [ ! -s "$folder/fullchain.pem" ] || return 0
  say "$1: self-signed certificate until there is another"
  mkdir -p "$folder"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \\
    -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \\
    -keyout "$folder/privkey.pem" -out "$folder/fullchain.new" 2>/dev/null &&
    mv "$folder/fullchain.new" "$folder/fullchain.pem"
}

for domain in ${shellWords(model.domains)}; do
  self_sign "$domain"
done
`;
  return `${selfSigned}\n${model.acme ? orderLoop(model.domains, model.acme) : "while :; do nap 86400; done\n"}`;
}

function orderLoop(domains: readonly string[], acme: NonNullable<CertbotModel["acme"]>): string {
  const contact = acme.email
    ? `--email ${shellWords([acme.email])} --no-eff-email`
    : "--register-unsafely-without-email";
  return `server=${shellWords([acme.directoryUrl])}

directory_answers() {
  python3 -c 'import sys, requests; requests.get(sys.argv[1], timeout=10).raise_for_status()' "$server" 2>&1 | tail -n 1
}

has_certificate() {
  [ -s ${nginxFolders.letsencrypt}/live/"$1"/fullchain.pem ] &&
    grep -qxF "server = $server" ${nginxFolders.letsencrypt}/renewal/"$1".conf
}

order() {
  say "$1: ordering a certificate from $server"
  certbot certonly --non-interactive --agree-tos ${contact} --server "$server" \\
    --webroot --webroot-path ${nginxFolders.webroot} --cert-name "$1" --domain "$1" --force-renewal
}

renew() {
  certbot renew --non-interactive --no-random-sleep-on-renew --cert-name "$1"
}

retry=${firstRetry}
while :; do
  problem=$(directory_answers)
  if [ -n "$problem" ]; then
    say "$server does not answer, next try in ${directoryRetry} s: $problem"
    nap ${directoryRetry}
    continue
  fi
  failed=
  for domain in ${shellWords(domains)}; do
    if has_certificate "$domain"; then
      renew "$domain" || failed="$failed $domain"
    else
      order "$domain" || failed="$failed $domain"
    fi
  done
  if [ -z "$failed" ]; then
    retry=${firstRetry}
    nap ${renewInterval}
  else
    say "failed for$failed (the reason is above), next try in $retry s"
    nap "$retry"
    retry=$((retry * 2))
    [ "$retry" -le ${longestRetry} ] || retry=${longestRetry}
  fi
done
`;
}
