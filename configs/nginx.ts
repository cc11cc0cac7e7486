import { shellWords } from "./shell";

/** Folders in nginx's container. */
export const nginxFolders = {
  /** One file a site, not all of them in force. */
  sites: "/etc/nginx/sites",
  /** Where the start script links the sites that have a certificate. */
  enabled: "/etc/nginx/enabled",
  /** Where it links each site's certificate. */
  certificates: "/etc/nginx/certificates",
  letsencrypt: "/etc/letsencrypt",
  webroot: "/var/www/acme",
} as const;

/** Where the container answers its own health check. */
export const nginxHealthPort = 8081;

export interface NginxSite {
  /** Unique; names the upstream. */
  readonly name: string;
  readonly domain: string;
  /** Port in nginx's container. */
  readonly port: number;
  /** `address:port` */
  readonly upstream: string;
  /** Tells browsers to come by HTTPS only (RFC 6797): for certificates that they trust. */
  readonly strictTransport: boolean;
}

export interface NginxModel {
  readonly httpPort: number;
  /** Ports with TLS in nginx's container. */
  readonly httpsPorts: readonly number[];
  /** Where a request by plain HTTP is sent: host name to URL without path. */
  readonly redirects: Readonly<Record<string, string>>;
}

/**
 * Renders nginx.conf: TLS as Mozilla's intermediate guideline 5.7 has it, HTTP-01 challenges and redirects on port 80, and
 * nothing for names that are not served (RFC 6066: their handshake is rejected).
 */
export function renderNginxConfig({ httpPort, httpsPorts, redirects }: NginxModel): string {
  const { enabled, webroot } = nginxFolders;
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
user nginx;
worker_processes auto;
pid /run/nginx.pid;
error_log stderr notice;

events {
  worker_connections 8192;
}

http {
  access_log off;
  server_tokens off;
  keepalive_timeout 75s;
  client_max_body_size 16m;
  server_names_hash_bucket_size 128;

  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305;
  ssl_prefer_server_ciphers off;
  ssl_session_timeout 1d;
  ssl_session_cache shared:tls:10m;
  ssl_session_tickets off;

  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Connection $upstream_connection;
  proxy_set_header Upgrade $http_upgrade;
  # Overwritten, never appended to: the tracker believes what it reads here.
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Proto https;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header Forwarded "";
  proxy_connect_timeout 5s;

  # A WebSocket is handed on; any other request leaves the connection to the upstream open.
  map $http_upgrade $upstream_connection {
    default upgrade;
    "" "";
  }

  map $host $https_url {
    default "";
${Object.entries(redirects)
  .map(([domain, url]) => `    ${domain} ${url};`)
  .join("\n")}
  }

  server {
    listen ${httpPort} default_server;
    location /.well-known/acme-challenge/ {
      root ${webroot};
      default_type text/plain;
    }
    location / {
      if ($https_url = "") {
        return 444;
      }
      return 308 $https_url$request_uri;
    }
  }

  server {
    listen 127.0.0.1:${nginxHealthPort};
    return 204;
  }

${httpsPorts.map(rejectingServer).join("\n")}
  include ${enabled}/*.conf;
}
`;
}

function rejectingServer(port: number): string {
  return `  server {
    listen ${port} ssl http2 default_server;
    ssl_reject_handshake on;
    return 421;
  }
`;
}

/** Renders the file of one site; the start script puts it in force once there is a certificate. */
export function renderNginxSite({ name, domain, port, upstream, strictTransport }: NginxSite): string {
  const certificate = `${nginxFolders.certificates}/${domain}`;
  const hsts = `  add_header Strict-Transport-Security "max-age=63072000" always;\n`;
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
upstream ${name} {
  server ${upstream};
  keepalive 64;
}

server {
  listen ${port} ssl http2;
  server_name ${domain};
  ssl_certificate ${certificate}/fullchain.pem;
  ssl_certificate_key ${certificate}/privkey.pem;
${strictTransport ? hsts : ""}  location / {
    proxy_pass http://${name};
  }
  location /api/live/ {
    proxy_pass http://${name};
    proxy_read_timeout 1h;
    proxy_send_timeout 1h;
  }
}
`;
}

/**
 * Renders the script that starts nginx (POSIX sh). Sites without a certificate stay out of force; every few seconds it
 * looks whether one has come or was renewed, and if so lets nginx load it, which drops no connection. An issued
 * certificate goes before a self-signed one.
 */
export function renderNginxStart(domains: readonly string[]): string {
  const { sites, enabled, certificates, letsencrypt } = nginxFolders;
  return `#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -eu

link_certificates() {
  for domain in ${shellWords(domains)}; do
    for source in live self-signed; do
      from=${letsencrypt}/$source/$domain
      if [ -s "$from/fullchain.pem" ] && [ -s "$from/privkey.pem" ]; then
        ln -sfn "$from" "${certificates}/$domain"
        ln -sfn "${sites}/$domain.conf" "${enabled}/$domain.conf"
        break
      fi
    done
  done
}

certificates_state() {
  for domain in ${shellWords(domains)}; do
    cksum ${letsencrypt}/live/"$domain"/fullchain.pem ${letsencrypt}/self-signed/"$domain"/fullchain.pem 2>/dev/null || true
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

mkdir -p ${enabled} ${certificates}
state=$(certificates_state)
link_certificates
watch_certificates "$state" &
exec nginx -g 'daemon off;'
`;
}
