import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderCertbotScript } from "../configs/certbot";
import { certificateVolume } from "../configs/nginx";
import { textfileFolder } from "../configs/node-exporter";
import { readScript } from "../scripts";
import type { Acme } from "../settings";
import { serviceContainer, type ConfigFile, type StackContext, type Succession } from "./service";

export interface CertbotArgs {
  readonly image: string;
  readonly stack: StackContext;
  readonly domains: readonly string[];
  readonly acme: Acme;
  /** Holds `/etc/letsencrypt`: account, certificates, and what nginx takes of them. */
  readonly volume: docker.Volume;
  /** Where it leaves metrics, if anybody reads them. */
  readonly textfiles?: docker.Volume;
  readonly succession?: Succession;
}

const script = "/opt/torrust/certbot.sh";
const caFile = "/opt/torrust/acme-ca.pem";

/** certbot, which obtains and renews what nginx serves; without ACME it makes self-signed certificates and rests. */
export class Certbot extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: CertbotArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Certbot", name, {}, opts);
    const acme = args.acme.kind === "directory" ? args.acme : undefined;
    const textfiles = acme && args.textfiles;
    const ca = acme?.caCertificate;
    const caFiles: ConfigFile[] = ca ? [{ path: caFile, content: ca }] : [];
    if (acme && !acme.email)
      void pulumi.log.warn(
        "certbot registers without an e-mail address, so the authority can tell nobody of a problem. To name one: pulumi config set acmeEmail admin@example.org",
        this,
      );
    this.container = serviceContainer(
      name,
      {
        service: "certbot",
        image: args.image,
        networks: ["edge"],
        user: "0:0",
        entrypoint: ["/bin/sh", script],
        environment: ca ? { REQUESTS_CA_BUNDLE: caFile } : {},
        files: [
          {
            path: script,
            content: renderCertbotScript(readScript("certbot.sh"), {
              domains: args.domains,
              acme,
              metricsFolder: textfiles && textfileFolder,
            }),
          },
          ...caFiles,
        ],
        data: [
          { volume: args.volume, path: certificateVolume },
          ...(textfiles ? [{ volume: textfiles, path: textfileFolder }] : []),
        ],
        waitUntilHealthy: false,
        memory: 256,
        succession: args.succession,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
