import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import {
  renderAlertmanagerConfig,
  renderAlertTemplates,
  secretFiles,
  templateFolder,
} from "../configs/alertmanager";
import { ports } from "../stack/names";
import type { AlertSettings } from "../settings";
import { dataVolume, serviceContainer, type StackContext } from "./service";

export interface AlertmanagerArgs {
  readonly image: string;
  readonly stack: StackContext;
  readonly settings: AlertSettings;
  /** Seconds. */
  readonly scrapeInterval: number;
  /** The stack is meant for people, so somebody ought to be told. */
  readonly isPublic: boolean;
}

const configFile = "/etc/alertmanager/alertmanager.yml";

/** Alertmanager, which tells the receivers what Prometheus finds. Its silences and what it has told are in a volume. */
export class Alertmanager extends pulumi.ComponentResource {
  public readonly volume: docker.Volume;
  public readonly container: docker.Container;

  constructor(name: string, args: AlertmanagerArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Alertmanager", name, {}, opts);
    const { receivers, delay } = args.settings;
    const secrets = secretFiles(receivers);
    if (args.isPublic && !Object.values(receivers).some((receiver) => receiver !== undefined))
      void pulumi.log.warn(
        "Nobody is told of alerts. To name somebody: pulumi config set --secret --path alertReceivers.ntfy.url https://ntfy.sh/<a topic that nobody guesses> (or another kind, see docs/monitoring.md)",
        this,
      );

    this.volume = dataVolume(name, "alertmanager", args.stack, { parent: this });
    this.container = serviceContainer(
      name,
      {
        service: "alertmanager",
        image: args.image,
        // Receivers are outside: the metrics network has no way there.
        networks: ["edge", "metrics"],
        user: "65534:0",
        command: [
          `--config.file=${configFile}`,
          "--storage.path=/alertmanager",
          // It is alone.
          "--cluster.listen-address=",
          // Its counters tell which receiver fails, not only which kind of integration.
          "--enable-feature=receiver-name-in-metrics",
        ],
        files: [
          {
            path: configFile,
            content: renderAlertmanagerConfig({ receivers, delay, scrapeInterval: args.scrapeInterval }),
          },
          { path: `${templateFolder}/torrust.tmpl`, content: renderAlertTemplates(args.stack.names.prefix) },
          ...secrets.map(({ path, secret }) => ({ path, content: secret, private: true })),
        ],
        data: [{ volume: this.volume, path: "/alertmanager" }],
        healthCommand: ["wget", "--spider", "-q", `http://127.0.0.1:${ports.alertmanager}/-/ready`],
        waitUntilHealthy: true,
        memory: 128,
        // When Telegram cannot be reached, it writes the address that it asked, token included.
        discardLog: receivers.telegram !== undefined,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({ volume: this.volume.name });
  }
}
