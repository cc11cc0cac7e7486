import type { Settings } from "../../settings";
import { HetznerHost } from "./hetzner";
import type { Host } from "./host";
import { LocalHost } from "./local";
import { SshHost } from "./ssh";

export type { Host } from "./host";

/** The host that the settings ask for. */
export function createHost(name: string, settings: Settings): Host {
  const { host } = settings;
  switch (host.kind) {
    case "local":
      return new LocalHost(name, settings);
    case "ssh":
      return new SshHost(name, host);
    case "hetzner":
      return new HetznerHost(name, { ...host, settings });
  }
}
