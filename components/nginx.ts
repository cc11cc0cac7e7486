import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import {
  nginxFolders,
  nginxHealthPort,
  renderNginxConfig,
  renderNginxSite,
  renderNginxStart,
  type NginxSite,
} from "../configs/nginx";
import { ports } from "../names";
import { serviceContainer, type PublishedPort, type StackContext } from "./service";

export interface NginxArgs {
  readonly image: string;
  readonly stack: StackContext;
  readonly sites: readonly NginxSite[];
  /** Where a request by plain HTTP is sent: host name to URL without path. */
  readonly redirects: Readonly<Record<string, string>>;
  /** Certificates, written by certbot. */
  readonly letsencrypt: docker.Volume;
  /** Answers to challenges, written by certbot. */
  readonly webroot: docker.Volume;
  /** Host port of plain HTTP. */
  readonly httpPort: number;
  /** Ports with TLS: of the container, of the host. */
  readonly httpsPorts: readonly { readonly container: number; readonly host: number }[];
  /** Container of the proxy that serves the rest: it gives up a port before this one takes it, and the other way round. */
  readonly after?: pulumi.Input<string>;
  /** Pingoo's container, where Pingoo did this before. */
  readonly replaces?: pulumi.Input<pulumi.URN>;
  /** Host addresses on which they are published. */
  readonly addresses: readonly string[];
}

const startScript = "/etc/nginx/start.sh";

/** nginx as TLS proxy: for Grafana in hybrid mode, or for everything. */
export class Nginx extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: NginxArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Nginx", name, {}, opts);
    const domains = args.sites.map(({ domain }) => domain);
    const config = renderNginxConfig({
      httpPort: ports.http,
      httpsPorts: args.httpsPorts.map(({ container }) => container),
      redirects: args.redirects,
    });
    this.container = serviceContainer(
      name,
      {
        service: "nginx",
        image: args.image,
        networks: ["edge"],
        // Inside the network each public name leads here: to probes, and to an ACME server of one's own.
        edgeAliases: domains,
        entrypoint: ["/bin/sh", startScript],
        files: [
          { path: "/etc/nginx/nginx.conf", content: config },
          { path: startScript, content: renderNginxStart(domains) },
          ...args.sites.map((site) => ({
            path: `${nginxFolders.sites}/${site.domain}.conf`,
            content: renderNginxSite(site),
          })),
        ],
        data: [
          { volume: args.letsencrypt, path: nginxFolders.letsencrypt, readOnly: true },
          { volume: args.webroot, path: nginxFolders.webroot, readOnly: true },
        ],
        // The master process reads the keys as root; its workers become another user.
        capabilities: ["CAP_CHOWN", "CAP_NET_BIND_SERVICE", "CAP_SETGID", "CAP_SETUID"],
        publish: args.addresses.flatMap((address): PublishedPort[] => [
          { host: args.httpPort, container: ports.http, protocol: "tcp", address },
          ...args.httpsPorts.map(({ host, container }) => ({
            host,
            container,
            protocol: "tcp" as const,
            address,
          })),
        ]),
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${nginxHealthPort}/`],
        waitUntilHealthy: true,
        // The image's own signal waits for open WebSockets.
        stopSignal: "SIGTERM",
        after: args.after,
        replaces: args.replaces,
        memory: 256,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
