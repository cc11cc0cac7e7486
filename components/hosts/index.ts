import type * as pulumi from "@pulumi/pulumi";

import type { Settings } from "../../settings";
import { HetznerHost } from "./hetzner";
import type { Host } from "./host";
import { LocalHost } from "./local";
import { SshHost } from "./ssh";

export type { Host } from "./host";

/** The host that the settings ask for. */
export function createHost(name: string, settings: Settings, opts?: pulumi.ComponentResourceOptions): Host {
  const { host } = settings;
  switch (host.kind) {
    case "local":
      return new LocalHost(name, settings, opts);
    case "ssh":
      return new SshHost(name, host, opts);
    case "hetzner":
      return new HetznerHost(name, { ...host, settings }, opts);
  }
}
