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

export interface PingooModel {
  /** Ports of the https listeners in Pingoo's container, all of them alike; the first is the one that is published. */
  readonly httpsPorts: readonly number[];
  /** Port under which the world sees that listener: a client on another port than 443 sends it in the Host header. */
  readonly publicHttpsPort: number;
  readonly hosts: readonly PingooHost[];
  readonly passthrough?: PingooPassthrough;
  /** Absent: Pingoo serves its self-signed certificate. */
  readonly acme?: { readonly directoryUrl: string; readonly domains: readonly string[] };
}

/** Renders pingoo.yml for Pingoo 0.14 (https://pingoo.io/docs/configuration). */
export function renderPingooConfig(model: PingooModel): string {
  const { hosts, passthrough, acme } = model;
  return renderYaml({
    listeners: {
      // Pingoo refuses to start with a listener that has nothing to serve.
      ...(hosts.length > 0 &&
        listeners(
          "https",
          "https",
          model.httpsPorts,
          hosts.map(({ name }) => name),
        )),
      ...(passthrough && listeners(passthrough.name, "tcp+tls", passthrough.ports, [passthrough.name])),
    },
    services: {
      ...Object.fromEntries(
        hosts.map(({ name, domain, upstream }) => [
          name,
          { route: route(domain, model.publicHttpsPort), http_proxy: [upstream] },
        ]),
      ),
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

/** Pingoo compares the Host header as it came: HTTP/1.1 carries the port unless it is 443, HTTP/2 may leave it out. */
function route(domain: string, publicPort: number): string {
  const names = publicPort === 443 ? [domain] : [domain, `${domain}:${publicPort}`];
  return names.map((name) => `http_request.host == "${name}"`).join(" || ");
}
