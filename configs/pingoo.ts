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
  /** Port in Pingoo's container. */
  readonly port: number;
  /** `tcp://address:port` */
  readonly upstream: string;
}

export interface PingooModel {
  /** Port of the https listener in Pingoo's container. */
  readonly httpsPort: number;
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
      https: {
        address: `https://0.0.0.0:${model.httpsPort}`,
        services: hosts.map(({ name }) => name),
      },
      ...(passthrough && {
        [passthrough.name]: {
          address: `tcp+tls://0.0.0.0:${passthrough.port}`,
          services: [passthrough.name],
        },
      }),
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

/** Pingoo compares the Host header as it came: HTTP/1.1 carries the port unless it is 443, HTTP/2 may leave it out. */
function route(domain: string, publicPort: number): string {
  const names = publicPort === 443 ? [domain] : [domain, `${domain}:${publicPort}`];
  return names.map((name) => `http_request.host == "${name}"`).join(" || ");
}
