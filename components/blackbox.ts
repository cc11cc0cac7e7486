import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderBlackboxConfig } from "../configs/blackbox";
import { serviceContainer, type StackContext } from "./service";

export interface BlackboxArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** Endpoints are served over IPv6 as well. */
  readonly ipv6: boolean;
}

const configFile = "/etc/blackbox_exporter/config.yml";

/** Fetches the public endpoints through the proxy and reports certificates, protocol and response times. */
export class Blackbox extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: BlackboxArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Blackbox", name, {}, opts);
    this.container = serviceContainer(
      name,
      {
        service: "blackbox",
        image: args.image,
        networks: ["edge", "metrics"],
        user: "65534:0",
        command: [`--config.file=${configFile}`],
        files: [{ path: configFile, content: renderBlackboxConfig(args.ipv6) }],
        waitUntilHealthy: false,
        memory: 64,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
