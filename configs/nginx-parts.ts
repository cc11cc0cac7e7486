/**
 * What nginx' configuration has in common wherever nginx terminates TLS: in front of Pingoo's names or all of them, and
 * as the door through which IPv6 comes in.
 */
import { plainFolders, plainPaths } from "./plain-http";

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

/** A site, or as much of it as is announced to without TLS. */
export type Upstream = Pick<NginxSite, "name" | "domain" | "upstream">;

export const httpBasics = `\
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
`;

export const clientConnections = `\
  ssl_session_cache shared:tls:10m;
  ssl_session_timeout 1d;
  ssl_session_tickets off;

  # The tracker takes a scrape's address of 65,534 bytes: 922 info-hashes. Holds for HTTP/2 too.
  large_client_header_buffers 4 65k;

  # Who sends a request in drops keeps a connection no longer than this.
  client_header_timeout 10s;
  client_body_timeout 10s;
`;

export const upstreamConnections = `\
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
`;

/** A certificate's path that holds a variable is read at each full handshake, so that a renewed one needs no reload. */
export function certificatesIn(folder: string): string {
  return `  map "" $certificates {
    default ${folder};
  }
`;
}

export function upstreams(all: readonly Upstream[]): string {
  const addresses = new Map(all.map(({ name, upstream }) => [name, upstream]));
  return `${[...addresses]
    .map(([name, upstream]) => `  upstream ${name} {\n    server ${upstream};\n    keepalive 64;\n  }`)
    .join("\n")}
`;
}

export const healthServer = `\
  server {
    listen 127.0.0.1:${nginxHealthPort};
    return 200;
  }
`;

/** The lines of a server's `listen` directives, one for each address with its options. */
export function listen(addresses: readonly string[], options = ""): string {
  return addresses.map((address) => `    listen ${address}${options};\n`).join("");
}

/** For handshakes without a known name, and for requests whose Host is not the name of their handshake. */
export function defaultServer(addresses: readonly string[]): string {
  return `  server {
${listen(addresses, " default_server")}    ssl_reject_handshake on;
    return 421;
  }
`;
}

/**
 * A site with its certificate.
 *
 * @param strictTransport browsers are told to come by HTTPS only (RFC 6797)
 */
export function siteServer(
  { name, domain, port, hostPort }: NginxSite,
  addresses: readonly string[],
  strictTransport: boolean,
): string {
  const hsts = `    add_header Strict-Transport-Security "max-age=63072000" always;\n`;
  return `  server {
${listen(addresses)}    server_name ${domain};
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

/**
 * What goes to an HTTP tracker without TLS.
 *
 * @param ports those that its name may come with
 */
export function announced(upstream: string, ports: readonly number[]): string {
  const places = [...plainPaths.map((path) => `= ${path}`), ...plainFolders];
  const locations = places.map(
    (place) => `    location ${place} {\n      proxy_pass http://${upstream};\n    }\n`,
  );
  return `${refuseOtherPorts(ports)}${locations.join("")}`;
}

/** nginx itself takes the name in any case, with a trailing dot and with any port; another port is another site. */
function refuseOtherPorts(own: readonly number[]): string {
  return `    if ($http_host !~ "^[^:]*(:(${[...new Set(own)].join("|")}))?$") {
      return 421;
    }
`;
}
