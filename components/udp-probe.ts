import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderUdpProbe, udpProbeScript } from "../configs/udp-probe";
import { readScript } from "../scripts";
import { ports } from "../stack/names";
import { serviceContainer, type StackContext } from "./service";

export interface UdpProbeArgs {
  readonly image: string;
  readonly stack: StackContext;
}

/** Asks the UDP trackers what clients ask them, and reports whether they answer. */
export class UdpProbe extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: UdpProbeArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:UdpProbe", name, {}, opts);
    this.container = serviceContainer(
      name,
      {
        service: "udp-probe",
        image: args.image,
        networks: ["metrics"],
        user: "65534:65534",
        entrypoint: ["python3", udpProbeScript],
        files: [
          { path: udpProbeScript, content: renderUdpProbe(readScript("udp-probe.py"), ports.udpProbe) },
        ],
        waitUntilHealthy: false,
        memory: 64,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
