import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { sshCommandLine, sshOptions } from "../../configs/ssh-client";
import type { SshHostSettings } from "../../settings";
import { EngineGate } from "../gates";
import type { Host } from "./host";

/** A Docker host that is there already, reached over SSH. */
export class SshHost extends pulumi.ComponentResource implements Host {
  public readonly engine: docker.Provider;
  public readonly addresses: Host["addresses"];
  public readonly ssh: pulumi.Output<string>;

  constructor(name: string, args: SshHostSettings, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:host:Ssh", name, {}, opts);
    const { host, port, user, hostKey, keyFile, timeout, ipv4, ipv6 } = args;
    const target = { host, port, user, hostKey, keyFile };
    const gate = new EngineGate(`${name}-ready`, { target, setsItselfUp: false, timeout }, { parent: this });
    this.engine = sshEngine(`${name}-engine`, target, { parent: this, dependsOn: gate });
    this.addresses = { ipv4, ipv6 };
    this.ssh = pulumi.output(sshCommandLine(target));
    this.registerOutputs({});
  }
}

/** The Docker engine of a host that is logged in at over SSH. */
export function sshEngine(
  name: string,
  target: pulumi.Input<Parameters<typeof sshCommandLine>[0]>,
  opts: pulumi.CustomResourceOptions,
): docker.Provider {
  const known = pulumi.output(target);
  return new docker.Provider(
    name,
    {
      host: known.apply(
        ({ user, host, port }) => `ssh://${user}@${host.includes(":") ? `[${host}]` : host}:${port}`,
      ),
      sshOpts: known.apply(sshOptions),
    },
    opts,
  );
}
