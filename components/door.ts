import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { pingooCertificates, renderDoorConfig, renderDoorScript, type DoorModel } from "../configs/door";
import { nginxHealthPort } from "../configs/nginx-parts";
import { readScript } from "../scripts";
import { ports } from "../stack/names";
import { ipv6Alias, plainHttpIpv6Alias, type Site } from "../stack/sites";
import { published, serviceContainer, type StackContext, type Succession } from "./service";

export interface DoorArgs {
  /** nginx'. */
  readonly image: string;
  readonly stack: StackContext;
  /** What Pingoo serves under host names. */
  readonly sites: readonly Site[];
  /** Host port of plain HTTP. */
  readonly httpPort: number;
  /** Host addresses on which all of it is published; IPv6. */
  readonly addresses: readonly string[];
  /** Pingoo's certificates; read only. */
  readonly certificates: docker.Volume;
  readonly succession: Succession;
}

const script = "/opt/torrust/door.sh";

/** nginx with Pingoo's certificates, through which all that Pingoo serves is reached over IPv6. It keeps nothing. */
export class Door extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: DoorArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Door", name, {}, opts);
    const { stack, sites } = args;
    const plain = sites.filter((site) => site.plain?.proxy === "pingoo");
    const model: DoorModel = {
      sites,
      plain: plain.length > 0 ? { port: ports.http, publicPort: args.httpPort, sites: plain } : undefined,
      pingoo: `${stack.names.address("edge", "pingoo")}:${ports.https}`,
    };
    this.container = serviceContainer(
      name,
      {
        service: "door",
        image: args.image,
        networks: ["edge"],
        edgeAliases: [...sites.map(ipv6Alias), ...(model.plain ? [plainHttpIpv6Alias] : [])],
        // Reads what Pingoo keeps to its own user, root.
        user: "0:0",
        entrypoint: ["/bin/sh", script],
        files: [
          { path: "/etc/nginx/nginx.conf", content: renderDoorConfig(model) },
          {
            path: script,
            content: renderDoorScript(
              readScript("door.sh"),
              sites.map(({ domain }) => domain),
            ),
          },
        ],
        data: [{ volume: args.certificates, path: pingooCertificates, readOnly: true }],
        publish: published(args.addresses, [
          ...sites.map(({ port, hostPort }): [number, number] => [port, hostPort]),
          ...(model.plain ? [[ports.http, args.httpPort] as [number, number]] : []),
        ]),
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${nginxHealthPort}/`],
        waitUntilHealthy: true,
        // The image's own signal is nginx', but process 1 is the script.
        stopSignal: "SIGTERM",
        memory: 256,
        // It listens on 80 and 443 without a capability.
        sysctls: { "net.ipv4.ip_unprivileged_port_start": "0" },
        succession: args.succession,
      },
      stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
