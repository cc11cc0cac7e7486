import {
  announced,
  certificatesIn,
  clientConnections,
  defaultServer,
  healthServer,
  httpBasics,
  listen,
  siteServer,
  upstreamConnections,
  upstreams,
  type NginxSite,
  type Upstream,
} from "./nginx-parts";

/** Folders that nginx and certbot share; the volume is mounted at the same place in both. */
export const certificateVolume = "/etc/letsencrypt";
/** `<domain>.pem`: private key and certificate chain in one file, replaced as a whole. */
export const certificateFolder = `${certificateVolume}/served`;
/** Answers to HTTP-01 challenges. */
export const webroot = `${certificateVolume}/webroot`;

export interface NginxModel {
  readonly sites: readonly NginxSite[];
  /** HTTP trackers that are announced to without TLS as well; another proxy may terminate theirs. */
  readonly plain: readonly Upstream[];
  /** Port of plain HTTP in nginx's container. */
  readonly httpPort: number;
  /** Port of the host that leads there. */
  readonly publicHttpPort: number;
  /** Where plain HTTP is redirected: host name to URL without a path. May name hosts that another proxy serves. */
  readonly redirects: Readonly<Record<string, string>>;
  /** Browsers are told to come by HTTPS only (RFC 6797): where they trust the certificates. */
  readonly strictTransport: boolean;
  /** Listens on IPv6 as well. */
  readonly ipv6: boolean;
  readonly rateLimit: RateLimit;
}

/** What one client's address may ask for. */
export interface RateLimit {
  /** A second, on average over ten; 0: as much as it likes. */
  readonly requests: number;
  /** Addresses that may ask for more: those that many clients share. */
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
  const { sites, plain, redirects, strictTransport, rateLimit } = model;
  const plainDomains = new Set(plain.map(({ domain }) => domain));
  const redirected = Object.keys(redirects).filter((domain) => !plainDomains.has(domain));
  const tlsPorts = [...new Set(sites.map(({ port }) => port))];
  const plainPorts = [model.httpPort, model.publicHttpPort];
  const everywhere = (port: number, options = "") =>
    [`${port}`, ...(model.ipv6 ? [`[::]:${port}`] : [])].map((address) => `${address}${options}`);
  const tls = (port: number) => everywhere(port, " ssl http2");
  const http = everywhere(model.httpPort);
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
worker_processes auto;
pid /tmp/nginx.pid;
error_log stderr notice;

events {
  worker_connections 8192;
}

http {
${httpBasics}
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_ciphers ${ciphers.join(":")};
  ssl_prefer_server_ciphers off;
${clientConnections}${rateLimit.requests > 0 ? limits(rateLimit, model.ipv6) : ""}
${upstreamConnections}${certificatesIn(certificateFolder)}  map $host $https_url {
${entries(redirects)}
  }

${upstreams([...sites, ...plain])}
${healthServer}
  # Plain HTTP: challenges of certificate authorities, redirects, announces to trackers that take them so, nothing for names
  # that are not ours.
  server {
${listen(http, " default_server")}    return 444;
  }
${[
  ...(redirected.length > 0 ? [plainServer(http, redirected)] : []),
  ...plain.map(({ name, domain }) => plainServer(http, [domain], announced(name, plainPorts))),
].join("")}
${[
  ...tlsPorts.map((port) => defaultServer(tls(port))),
  ...sites.map((site) => siteServer(site, tls(site.port), strictTransport)),
].join("\n")}}
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
function limits({ requests, exempt }: RateLimit, ipv6: boolean): string {
  return `
  geo $exempt {
    default 0;
${exempt.map((address) => `    ${address} 1;\n`).join("")}  }
${ipv6 ? clientNetwork : ""}  map $exempt $limited_client {
    0 ${ipv6 ? "$client_network" : "$binary_remote_addr"};
    1 "";
  }
  limit_req_zone $limited_client zone=clients:10m rate=${requests}r/s;
  limit_req zone=clients burst=${10 * requests} nodelay;
  limit_req_status 429;
`;
}

/** Of IPv6's 16 bytes the first half: a client has a /64 to itself (RFC 6177), each address of which would count anew. */
const clientNetwork = `\
  map $binary_remote_addr $client_network {
    "~(?s)^(?<network>.{8}).{8}$" $network;
    default $binary_remote_addr;
  }
`;

function entries(map: Readonly<Record<string, string>>): string {
  return Object.entries(map)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `    ${key} ${value};`)
    .join("\n");
}

/** Plain HTTP of some names. */
function plainServer(addresses: readonly string[], domains: readonly string[], more = ""): string {
  return `  server {
${listen(addresses)}    server_name ${[...domains].sort().join(" ")};
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
