import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { Names, NetworkName } from "../stack/names";
import { labels } from "./labels";

export interface NetworksArgs {
  readonly names: Names;
  /** The edge network also has IPv6. */
  readonly ipv6: boolean;
  /** There is something to measure. */
  readonly metrics: boolean;
  /** There is a database server. */
  readonly database: boolean;
}

/**
 * The stack's Docker networks: `edge` for the proxies and what they serve, `metrics` and `database` without a way out.
 */
export class Networks extends pulumi.ComponentResource {
  private readonly networks: Partial<Record<NetworkName, docker.Network>>;

  constructor(name: string, args: NetworksArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:docker:Networks", name, {}, opts);
    const network = (role: NetworkName, internal: boolean, ipv6 = false) =>
      new docker.Network(
        `${name}-${role}`,
        {
          name: args.names.network(role),
          driver: "bridge",
          internal,
          ipv6,
          ipamConfigs: [
            { subnet: args.names.subnet(role), gateway: args.names.gateway(role) },
            ...(ipv6 ? [{ subnet: args.names.edgeSubnet6 }] : []),
          ],
          labels: labels(args.names, role),
        },
        // Two networks cannot share a subnet, not even for a moment.
        { parent: this, deleteBeforeReplace: true },
      );
    this.networks = {
      edge: network("edge", false, args.ipv6),
      metrics: args.metrics ? network("metrics", true) : undefined,
      database: args.database ? network("database", true) : undefined,
    };
    this.registerOutputs({});
  }

  /** Name of a network, known once it exists. */
  name(network: NetworkName): pulumi.Output<string> {
    const found = this.networks[network];
    if (!found) throw new Error(`This stack has no ${network} network.`);
    return found.name;
  }
}
