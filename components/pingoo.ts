import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderPingooConfig, type PingooHost, type PingooPassthrough } from "../configs/pingoo";
import { ports } from "../names";
import type { Acme } from "../settings";
import { serviceContainer, type ConfigFile, type PublishedPort, type StackContext } from "./service";

export interface PingooArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** Keeps certificates and ACME account. */
  readonly volume: docker.Volume;
  readonly hosts: readonly PingooHost[];
  readonly passthrough?: PingooPassthrough & { readonly domain: string; readonly hostPort: number };
  readonly acme: Acme;
  /** Host port of the https listener. */
  readonly httpsPort: number;
  /** nginx's container, where nginx did this before. */
  readonly replaces?: pulumi.Input<pulumi.URN>;
  /** Host addresses on which both listeners are published; IPv4. */
  readonly addresses: readonly string[];
}

const caFile = "/etc/pingoo/acme-ca.pem";

/** The TLS proxy, with its certificates and its ACME account in a volume. */
export class Pingoo extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: PingooArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Pingoo", name, {}, opts);
    const { passthrough, acme } = args;
    const domains = [...args.hosts.map(({ domain }) => domain), ...(passthrough ? [passthrough.domain] : [])];
    const config = renderPingooConfig({
      httpsPort: ports.https,
      publicHttpsPort: args.httpsPort,
      hosts: args.hosts,
      passthrough: passthrough && {
        name: passthrough.name,
        port: passthrough.port,
        upstream: passthrough.upstream,
      },
      acme: acme.kind === "directory" ? { directoryUrl: acme.directoryUrl, domains } : undefined,
    });
    const ca = acme.kind === "directory" ? acme.caCertificate : undefined;
    const caFiles: ConfigFile[] = ca ? [{ path: caFile, content: ca }] : [];

    this.container = serviceContainer(
      name,
      {
        service: "pingoo",
        image: args.image,
        networks: ["edge"],
        // Inside the network each public name leads here: to probes, and to an ACME server of one's own.
        edgeAliases: domains,
        user: "0:0",
        environment: ca ? { SSL_CERT_FILE: caFile } : {},
        files: [{ path: "/etc/pingoo/pingoo.yml", content: config }, ...caFiles],
        data: [{ volume: args.volume, path: "/etc/pingoo/tls" }],
        capabilities: ["CAP_NET_BIND_SERVICE"],
        publish: args.addresses.flatMap((address): PublishedPort[] => [
          { host: args.httpsPort, container: ports.https, protocol: "tcp", address },
          ...(passthrough
            ? [{ host: passthrough.hostPort, container: passthrough.port, protocol: "tcp" as const, address }]
            : []),
        ]),
        // The image holds nothing but the program: there is no command that could ask it.
        waitUntilHealthy: false,
        replaces: args.replaces,
        memory: 512,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
