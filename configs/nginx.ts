import { plainFolders, plainPaths } from "./plain-http";

/** Folders that nginx and certbot share; the volume is mounted at the same place in both. */
export const certificateVolume = "/etc/letsencrypt";
/** `<domain>.pem`: private key and certificate chain in one file, replaced as a whole. */
export const certificateFolder = `${certificateVolume}/served`;
/** Answers to HTTP-01 challenges. */
export const webroot = `${certificateVolume}/webroot`;

/** Port on the container's loopback interface that answers while nginx runs. */
export const nginxHealthPort = 8080;

/** A host name that nginx serves. */
export interface NginxSite {
  /** Unique; names the upstream. */
  readonly name: string;
  readonly domain: string;
  /** Port in nginx's container. */
  readonly port: number;
  /** Port of the host that leads there. */
  readonly hostPort: number;
  /** `address:port` */
  readonly upstream: string;
}

export interface NginxModel {
  readonly sites: readonly NginxSite[];
  /** HTTP trackers that are announced to without TLS as well; another proxy may terminate theirs. */
  readonly plain: readonly Pick<NginxSite, "name" | "domain" | "upstream">[];
  /** Port of plain HTTP in nginx's container. */
  readonly httpPort: number;
  /** Port of the host that leads there. */
  readonly publicHttpPort: number;
  /** Where plain HTTP is redirected: host name to URL without a path. May name hosts that another proxy serves. */
  readonly redirects: Readonly<Record<string, string>>;
  /** Browsers are told to come by HTTPS only (RFC 6797): where they trust the certificates. */
  readonly strictTransport: boolean;
  readonly rateLimit: RateLimit;
}

/** What one client's address may ask for. */
export interface RateLimit {
  /** A second, on average over ten; 0: as much as it likes. */
  readonly requests: number;
  /** IPv4 addresses that may ask for more: those that many clients share. */
  readonly exempt: readonly string[];
}

/**
 * Renders nginx.conf for nginx 1.19.4 and later, run by any user (https://nginx.org/en/docs/): TLS after Mozilla's
 * intermediate profile (https://ssl-config.mozilla.org), one server for each site, nothing for any other name.
 *
 * A certificate's path holds a variable, so nginx reads the file at each full handshake: it starts before there is
 * one, and a renewed one is served from the next handshake on, without a reload and with no connection closed.
 */
export function renderNginxConfig(model: NginxModel): string {
  const { sites, plain, httpPort, redirects, strictTransport, rateLimit } = model;
  const plainDomains = new Set(plain.map(({ domain }) => domain));
  const redirected = Object.keys(redirects).filter((domain) => !plainDomains.has(domain));
  const upstreams = new Map([...sites, ...plain].map(({ name, upstream }) => [name, upstream]));
  const tlsPorts = [...new Set(sites.map(({ port }) => port))];
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
worker_processes auto;
pid /tmp/nginx.pid;
error_log stderr notice;

events {
  worker_connections 8192;
}

http {
  # Requests to the API carry its token, announces to a private tracker the user's key: neither goes into a log.
  access_log off;
  error_log stderr emerg;
  server_tokens off;
  client_max_body_size 16m;
  client_body_temp_path /tmp/client_body;
  proxy_temp_path /tmp/proxy;
  fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi;
  scgi_temp_path /tmp/scgi;
  server_names_hash_bucket_size 512;
  map_hash_bucket_size 512;

  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers ${ciphers.join(":")};
  ssl_prefer_server_ciphers off;
  ssl_session_cache shared:tls:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;

  # The tracker takes a scrape's address of 65,534 bytes: 922 info-hashes. Holds for HTTP/2 too.
  large_client_header_buffers 4 65k;

  # Who sends a request in drops keeps a connection no longer than this.
  client_header_timeout 10s;
  client_body_timeout 10s;
${rateLimit.requests > 0 ? limits(rateLimit) : ""}
  proxy_http_version 1.1;
  proxy_set_header Host $http_host;
  proxy_set_header Upgrade $upgrade;
  proxy_set_header Connection $upstream_connection;
  # Overwritten, not appended to: what a client claims reaches nobody.
  proxy_set_header X-Forwarded-For $remote_addr;
  proxy_set_header X-Forwarded-Host $http_host;
  proxy_set_header X-Forwarded-Proto $scheme;
  proxy_set_header X-Real-IP $remote_addr;
  proxy_set_header Forwarded "";
  proxy_connect_timeout 5s;

  map $http_upgrade $upgrade {
    default "";
    ~*^websocket$ websocket;
  }
  # Without an upgrade the connection to the upstream stays open for the next request.
  map $upgrade $upstream_connection {
    default "";
    websocket upgrade;
  }
  map "" $certificates {
    default ${certificateFolder};
  }
  map $host $https_url {
${entries(redirects)}
  }

${[...upstreams].map(([name, upstream]) => `  upstream ${name} {\n    server ${upstream};\n    keepalive 64;\n  }`).join("\n")}

  server {
    listen 127.0.0.1:${nginxHealthPort};
    return 200;
  }

  # Plain HTTP: challenges of certificate authorities, redirects, announces to trackers that take them so, nothing for names
  # that are not ours.
  server {
    listen ${httpPort} default_server;
    return 444;
  }
${[
  ...(redirected.length > 0 ? [plainServer(httpPort, redirected)] : []),
  ...plain.map(({ name, domain }) => plainServer(httpPort, [domain], announced(name, model))),
].join("")}
${[...tlsPorts.map(defaultServer), ...sites.map((site) => siteServer(site, strictTransport))].join("\n")}}
`;
}

/** Mozilla's intermediate profile 5.7 without the DHE suites, which would need RSA keys. */
const ciphers = [
  "ECDHE-ECDSA-AES128-GCM-SHA256",
  "ECDHE-RSA-AES128-GCM-SHA256",
  "ECDHE-ECDSA-AES256-GCM-SHA384",
  "ECDHE-RSA-AES256-GCM-SHA384",
  "ECDHE-ECDSA-CHACHA20-POLY1305",
  "ECDHE-RSA-CHACHA20-POLY1305",
];

/** Requests whose key is empty are not counted (https://nginx.org/en/docs/http/ngx_http_limit_req_module.html). */
function limits({ requests, exempt }: RateLimit): string {
  return `
  geo $exempt {
    default 0;
${exempt.map((address) => `    ${address} 1;\n`).join("")}  }
  map $exempt $limited_client {
    0 $binary_remote_addr;
    1 "";
  }
  limit_req_zone $limited_client zone=clients:10m rate=${requests}r/s;
  limit_req zone=clients burst=${10 * requests} nodelay;
  limit_req_status 429;
`;
}

function entries(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `    ${key} ${value};`)
    .join("\n");
}

/** For handshakes without a known name, and for requests whose Host is not the name of their handshake. */
function defaultServer(port: number): string {
  return `  server {
    listen ${port} ssl http2 default_server;
    ssl_reject_handshake on;
    return 421;
  }
`;
}

/** nginx itself takes the name in any case, with a trailing dot and with any port; another port is another site. */
function refuseOtherPorts(own: readonly number[]): string {
  return `    if ($http_host !~ "^[^:]*(:(${[...new Set(own)].join("|")}))?$") {
      return 421;
    }
`;
}

/** What goes to an HTTP tracker without TLS. */
function announced(upstream: string, { httpPort, publicHttpPort }: NginxModel): string {
  const places = [...plainPaths.map((path) => `= ${path}`), ...plainFolders];
  const locations = places.map(
    (place) => `    location ${place} {\n      proxy_pass http://${upstream};\n    }\n`,
  );
  return `${refuseOtherPorts([httpPort, publicHttpPort])}${locations.join("")}`;
}

/** Plain HTTP of some names. */
function plainServer(httpPort: number, domains: readonly string[], more = ""): string {
  return `  server {
    listen ${httpPort};
    server_name ${[...domains].sort().join(" ")};
    location /.well-known/acme-challenge/ {
      error_log stderr error;
      default_type text/plain;
      root ${webroot};
    }
${more}    location / {
      return 301 $https_url$request_uri;
    }
  }
`;
}

function siteServer({ name, domain, port, hostPort }: NginxSite, strictTransport: boolean): string {
  const hsts = `    add_header Strict-Transport-Security "max-age=63072000" always;\n`;
  return `  server {
    listen ${port} ssl http2;
    server_name ${domain};
    ssl_certificate $certificates/${domain}.pem;
    ssl_certificate_key $certificates/${domain}.pem;
${strictTransport ? hsts : ""}${refuseOtherPorts([port, hostPort])}    location / {
      proxy_pass http://${name};
    }
    # Grafana's WebSocket.
    location /api/live/ {
      proxy_pass http://${name};
      proxy_read_timeout 1d;
      proxy_send_timeout 1d;
    }
  }
`;
}
