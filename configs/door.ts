import { ports } from "../stack/names";
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
import { renderScript } from "./script";
import { shellWord } from "./shell";

/** Where Pingoo's volume is mounted: `<domain>.pem`, `<domain>.key`, and the same of `default`. */
export const pingooCertificates = "/etc/pingoo/tls";
/** `<domain>.pem`: certificate chain and private key in one file, replaced as a whole. */
const served = "/tmp/served";

export interface DoorModel {
  /** What Pingoo serves over TLS, on the port that all share or on one of its own. */
  readonly sites: readonly NginxSite[];
  /** HTTP trackers that are announced to without TLS as well, and their port in the container and of the host. */
  readonly plain?: {
    readonly port: number;
    readonly publicPort: number;
    readonly sites: readonly Upstream[];
  };
  /** `address:port` of Pingoo's https listener, which answers to certificate authorities. */
  readonly pingoo: string;
}

/**
 * Renders nginx.conf of the door, for nginx 1.19.4 and later: over IPv6 what Pingoo serves over IPv4, with its certificates
 * and as strict as it is. Authorities check a name by a handshake that only Pingoo can make (RFC 8737), on the shared port,
 * so that one is looked at before anything is done with it. Whoever asks for anything besides is no authority.
 */
export function renderDoorConfig({ sites, plain, pingoo }: DoorModel): string {
  const shared = sites.some(({ port }) => port === ports.https);
  const own = new Set(sites.map(({ port }) => port).filter((port) => port !== ports.https));
  const addresses = (port: number) => [
    port === ports.https ? `${httpsSocket} ssl http2 proxy_protocol` : `[::]:${port} ssl http2`,
  ];
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
# Pingoo's keys are root's. Without any privilege a worker can set no groups, says so, and goes on.
user root;
worker_processes auto;
pid /tmp/nginx.pid;
error_log stderr notice;

events {
  worker_connections 8192;
}
${shared ? handshakes(pingoo) : ""}
http {
${httpBasics}
  ssl_protocols TLSv1.3;
${clientConnections}
  # Where handshakes are looked at first, that is who brings the client's address.
  set_real_ip_from unix:;
  real_ip_header proxy_protocol;

${upstreamConnections}${certificatesIn(served)}
${upstreams([...sites, ...(plain?.sites ?? [])])}
${healthServer}${plain ? plainServers(plain) : ""}
${[
  ...[...(shared ? [ports.https] : []), ...own].map((port) => defaultServer(addresses(port))),
  ...sites.map((site) => siteServer(site, addresses(site.port), false)),
].join("\n")}}
`;
}

const httpsSocket = "unix:/tmp/https.sock";
const challengesSocket = "unix:/tmp/challenges.sock";

/** The client's address goes ahead of each handshake, as one line that Pingoo does not know: it is taken off again. */
function handshakes(pingoo: string): string {
  return `
stream {
  map $ssl_preread_alpn_protocols $handshake {
    acme-tls/1 ${challengesSocket};
    default ${httpsSocket};
  }
  server {
    listen [::]:${ports.https};
    ssl_preread on;
    preread_timeout 10s;
    proxy_protocol on;
    # Who answers decides when a connection has been idle for too long.
    proxy_timeout 1d;
    proxy_pass $handshake;
  }
  server {
    listen ${challengesSocket} proxy_protocol;
    proxy_connect_timeout 5s;
    proxy_timeout 10s;
    proxy_pass ${pingoo};
  }
}
`;
}

function plainServers({ port, publicPort, sites }: NonNullable<DoorModel["plain"]>): string {
  const addresses = [`[::]:${port}`];
  return `
  server {
${listen(addresses, " default_server")}    return 404;
  }
${sites
  .map(
    ({ name, domain }) => `  server {
${listen(addresses)}    server_name ${domain};
${announced(name, [port, publicPort])}    location / {
      return 404;
    }
  }
`,
  )
  .join("")}`;
}

/** Renders `door.sh`, which runs nginx and hands it Pingoo's certificates. */
export function renderDoorScript(source: string, domains: readonly string[]): string {
  return renderScript(source, {
    tls: pingooCertificates,
    served,
    domains: shellWord([...domains].sort().join(" ")),
  });
}
