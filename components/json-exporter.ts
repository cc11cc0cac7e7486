import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderJsonExporterConfig } from "../configs/json-exporter";
import { serviceContainer, type StackContext } from "./service";

export interface JsonExporterArgs {
  readonly image: string;
  readonly stack: StackContext;
}

const configFile = "/etc/json_exporter/config.yml";

/** Turns the JSON statistics of Torrust Tracker 3.0.0 into metrics. */
export class JsonExporter extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: JsonExporterArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:JsonExporter", name, {}, opts);
    this.container = serviceContainer(
      name,
      {
        service: "json-exporter",
        image: args.image,
        networks: ["metrics"],
        user: "65534:0",
        command: [`--config.file=${configFile}`],
        files: [{ path: configFile, content: renderJsonExporterConfig() }],
        waitUntilHealthy: false,
        memory: 64,
        // What it writes when the tracker does not answer holds the address that it asked, token included.
        discardLog: true,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
