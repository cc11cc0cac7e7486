import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { isIPv6 } from "node:net";

import { certificateVolume, renderNginxConfig } from "../configs/nginx";
import { nginxHealthPort } from "../configs/nginx-parts";
import { ports } from "../stack/names";
import { ipv6Alias, plainHttpAlias, plainHttpIpv6Alias, type Site } from "../stack/sites";
import { published, serviceContainer, type StackContext, type Succession, tlsProxyType } from "./service";

export interface NginxArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** What it serves. */
  readonly sites: readonly Site[];
  /** What plain HTTP is redirected to: its own sites and those of another proxy. */
  readonly redirected: readonly Site[];
  /** What answers announces and the like without TLS: its own sites or those of another proxy. */
  readonly plain: readonly Site[];
  /** Holds what certbot hands over; read only. */
  readonly certificates: docker.Volume;
  /** The certificates are such as browsers trust. */
  readonly trusted: boolean;
  /** Host port of plain HTTP. */
  readonly httpPort: number;
  /** Host addresses on which all of it is published. */
  readonly addresses: readonly string[];
  /** Requests a second from one client's address; 0: without a limit. */
  readonly rateLimit: number;
  readonly succession: Succession;
}

/** nginx as TLS proxy, with certificates from certbot. */
export class Nginx extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: NginxArgs, opts?: pulumi.ComponentResourceOptions) {
    super(tlsProxyType, name, {}, opts);
    const { sites, redirected, plain } = args;
    const { names } = args.stack;
    const ipv6 = args.addresses.some((address) => isIPv6(address));
    this.container = serviceContainer(
      name,
      {
        service: "nginx",
        image: args.image,
        networks: ["edge"],
        // Inside the network each public name leads here: to probes, and to an ACME server of one's own.
        edgeAliases: [
          ...sites.map(({ domain }) => domain),
          ...(ipv6 ? sites.map(ipv6Alias) : []),
          ...(plain.length > 0 ? [plainHttpAlias, ...(ipv6 ? [plainHttpIpv6Alias] : [])] : []),
        ],
        // The official image's own user, in the group that reads the certificates.
        user: "101:0",
        files: [
          {
            path: "/etc/nginx/nginx.conf",
            content: renderNginxConfig({
              sites,
              plain,
              httpPort: ports.http,
              publicHttpPort: args.httpPort,
              redirects: Object.fromEntries(redirected.map(({ domain, publicUrl }) => [domain, publicUrl])),
              strictTransport: args.trusted,
              ipv6,
              // What comes through the engine's own proxy has its address, whoever sent it.
              rateLimit: {
                requests: args.rateLimit,
                exempt: [names.gateway("edge"), ...(ipv6 ? [names.edgeGateway6] : [])],
              },
            }),
          },
        ],
        data: [{ volume: args.certificates, path: certificateVolume, readOnly: true }],
        publish: published(args.addresses, [
          [ports.http, args.httpPort],
          ...sites.map(({ port, hostPort }): [number, number] => [port, hostPort]),
        ]),
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${nginxHealthPort}/`],
        waitUntilHealthy: true,
        // The image's own signal waits for open WebSockets to end.
        stopSignal: "SIGTERM",
        memory: 256,
        // It listens on 80 and 443 without being root.
        sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
        succession: args.succession,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
