import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { nodeExporterCommand, textfileFolder } from "../configs/node-exporter";
import { serviceContainer, type StackContext } from "./service";

export interface NodeExporterArgs {
  readonly image: string;
  readonly stack: StackContext;
  /** Where others leave metrics as text files (`*.prom`). */
  readonly textfiles: docker.Volume;
}

/** Measures the host: processors, memory, disks, clock. It sees no more of it than any container does. */
export class NodeExporter extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: NodeExporterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:NodeExporter", name, {}, opts);
    this.container = serviceContainer(
      name,
      {
        service: "node-exporter",
        image: args.image,
        networks: ["metrics"],
        user: "65534:65534",
        command: nodeExporterCommand(),
        files: [],
        data: [{ volume: args.textfiles, path: textfileFolder, readOnly: true }],
        waitUntilHealthy: false,
        memory: 64,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
