import { isIP } from "node:net";

import { plainFolders, plainPaths } from "./plain-http";
import { renderYaml } from "./yaml";

/** A host name that Pingoo's https listener serves. */
export interface PingooHost {
  /** Name of the service in pingoo.yml; unique. */
  readonly name: string;
  readonly domain: string;
  /** `http://address:port`. The address is literal, because Pingoo caches a name's address for ten minutes. */
  readonly upstream: string;
}

/** A listener of its own that terminates TLS and passes the bytes on, whatever the host name. */
export interface PingooPassthrough {
  readonly name: string;
  /** Ports in Pingoo's container, each with a listener of its own; the first is the one that is published. */
  readonly ports: readonly number[];
  /** `tcp://address:port` */
  readonly upstream: string;
}

/** The listener without TLS, on which HTTP trackers answer announces and the like. */
export interface PingooPlainHttp {
  /** Port in Pingoo's container. */
  readonly port: number;
  /** Port under which the world sees it. */
  readonly publicPort: number;
  readonly hosts: readonly PingooHost[];
}

export interface PingooModel {
  /** Ports of the https listeners in Pingoo's container, all of them alike; the first is the one that is published. */
  readonly httpsPorts: readonly number[];
  /** Port under which the world sees that listener: a client on another port than 443 sends it in the Host header. */
  readonly publicHttpsPort: number;
  readonly hosts: readonly PingooHost[];
  readonly passthrough?: PingooPassthrough;
  readonly plainHttp?: PingooPlainHttp;
  /** Absent: Pingoo serves its self-signed certificate. */
  readonly acme?: { readonly directoryUrl: string; readonly domains: readonly string[] };
}

/** Renders pingoo.yml for Pingoo 0.14 (https://pingoo.io/docs/configuration). */
export function renderPingooConfig(model: PingooModel): string {
  const { hosts, passthrough, plainHttp, acme } = model;
  const services = routed(hosts, model.publicHttpsPort);
  const plainServices = plainHttp
    ? routed(plainHttp.hosts.map(plainly), plainHttp.publicPort, plainRoute)
    : {};
  return renderYaml({
    listeners: {
      // Pingoo refuses to start with a listener that has nothing to serve.
      ...(hosts.length > 0 && listeners("https", "https", model.httpsPorts, Object.keys(services))),
      ...(passthrough && listeners(passthrough.name, "tcp+tls", passthrough.ports, [passthrough.name])),
      // One is enough: without a handshake it accepts the next connection at once.
      ...(plainHttp && listeners("http", "http", [plainHttp.port], Object.keys(plainServices))),
    },
    services: {
      ...services,
      ...plainServices,
      ...(passthrough && { [passthrough.name]: { tcp_proxy: [passthrough.upstream] } }),
    },
    ...(acme && {
      tls: { acme: { directory_url: acme.directoryUrl, domains: [...acme.domains].sort() } },
    }),
  });
}

/** A listener for each port: Pingoo shakes hands one at a time on each, so that many take more new connections than one. */
function listeners(name: string, protocol: string, ports: readonly number[], services: readonly string[]) {
  return Object.fromEntries(
    ports.map((port, index) => [
      index === 0 ? name : `${name}-${index + 1}`,
      { address: `${protocol}://0.0.0.0:${port}`, services },
    ]),
  );
}

/**
 * Services by the name that a request is for, in the order in which Pingoo tries their routes.
 *
 * Pingoo compares the Host header as it came: HTTP/1.1 has the port if the client writes it, HTTP/2 never. Any case and a
 * trailing dot are the same name too (RFC 9110 section 4.2.3), but that takes a regular expression, which Pingoo compiles
 * for each request anew. So those stand behind all others: who spells the name as everybody does never waits for one.
 */
function routed(hosts: readonly PingooHost[], publicPort: number, and = (route: string) => route) {
  const usual = hosts.map(({ name, domain, upstream }) => [
    name,
    { route: and(usualRoute(domain, publicPort)), http_proxy: [upstream] },
  ]);
  const unusual = hosts
    .filter(({ domain }) => isIP(domain) === 0)
    .map(({ name, domain, upstream }) => [
      `${name}-respelt`,
      { route: and(unusualRoute(domain, publicPort)), http_proxy: [upstream] },
    ]);
  return Object.fromEntries([...usual, ...unusual]) as Record<
    string,
    { route: string; http_proxy: string[] }
  >;
}

function usualRoute(domain: string, publicPort: number): string {
  return [domain, `${domain}:${publicPort}`].map((name) => `http_request.host == "${name}"`).join(" || ");
}

/** Without Unicode (`-u`) it compiles in half the time; names are ASCII. */
function unusualRoute(domain: string, publicPort: number): string {
  const pattern = `(?i-u)^${domain.replaceAll(".", "\\.")}\\.?(:${publicPort})?$`;
  return `http_request.host.matches(Regex(${JSON.stringify(pattern)}))`;
}

function plainly(host: PingooHost): PingooHost {
  return { ...host, name: `${host.name}-plain` };
}

/** Pingoo's path has no slashes at its end. */
function plainRoute(route: string): string {
  const paths = [
    ...plainPaths.map((path) => `http_request.path == "${path}"`),
    ...plainFolders.map((folder) => `http_request.path.starts_with("${folder}")`),
  ];
  return `(${route}) && (${paths.join(" || ")})`;
}
