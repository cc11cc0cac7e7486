import type * as pulumi from "@pulumi/pulumi";
import { isIPv6 } from "node:net";

import type { Settings } from "../../settings";
import { HetznerHost } from "./hetzner";
import type { Host } from "./host";
import { LocalHost } from "./local";
import { SshHost } from "./ssh";

export type { Host } from "./host";

/** The host that the settings ask for. */
export function createHost(name: string, settings: Settings, opts?: pulumi.ComponentResourceOptions): Host {
  const { host } = settings;
  const ipv6 = settings.publishAddresses.some((address) => isIPv6(address));
  switch (host.kind) {
    case "local":
      return new LocalHost(name, settings, opts);
    case "ssh":
      return new SshHost(name, { ...host, ipv6: ipv6 ? host.ipv6 : undefined }, opts);
    case "hetzner":
      return new HetznerHost(name, { ...host, settings, ipv6 }, opts);
  }
}
