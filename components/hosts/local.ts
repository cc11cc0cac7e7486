import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { isIPv4 } from "node:net";

import type { Host } from "./host";

export interface LocalHostArgs {
  /** Host addresses on which ports are published. */
  readonly publishAddresses: readonly string[];
}

/** The Docker engine of this machine, or the one that `DOCKER_HOST` names. */
export class LocalHost extends pulumi.ComponentResource implements Host {
  public readonly engine: docker.Provider;
  public readonly addresses: Host["addresses"];

  constructor(name: string, args: LocalHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:host:Local", name, {}, opts);
    this.engine = new docker.Provider(`${name}-engine`, {}, { parent: this });
    const ipv4 = args.publishAddresses.find((address) => isIPv4(address));
    const ipv6 = args.publishAddresses.find((address) => !isIPv4(address));
    this.addresses = {
      ipv4: ipv4 === "0.0.0.0" ? "127.0.0.1" : ipv4,
      ipv6: ipv6 === "::" ? "::1" : ipv6,
    };
    this.registerOutputs({});
  }
}
