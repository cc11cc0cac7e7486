import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { renderCertbotScript } from "../configs/certbot";
import { nginxFolders } from "../configs/nginx";
import type { Acme } from "../settings";
import { serviceContainer, type ConfigFile, type StackContext } from "./service";

export interface CertbotArgs {
  readonly image: string;
  readonly stack: StackContext;
  readonly domains: readonly string[];
  readonly acme: Acme;
  readonly email?: string;
  readonly letsencrypt: docker.Volume;
  readonly webroot: docker.Volume;
}

const script = "/opt/torrust/certbot.sh";
const caFile = "/opt/torrust/acme-ca.pem";

/** certbot, which obtains and renews what nginx serves. */
export class Certbot extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: CertbotArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Certbot", name, {}, opts);
    const { acme, email, domains } = args;
    if (acme.kind === "directory" && !email)
      void pulumi.log.warn(
        "certbot registers without an e-mail address: nobody is told of a problem. Run: pulumi config set acmeEmail admin@example.org",
        this,
      );
    const ca = acme.kind === "directory" ? acme.caCertificate : undefined;
    const caFiles: ConfigFile[] = ca ? [{ path: caFile, content: ca }] : [];
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
            content: renderCertbotScript({
              domains,
              acme: acme.kind === "directory" ? { directoryUrl: acme.directoryUrl, email } : undefined,
            }),
          },
          ...caFiles,
        ],
        data: [
          { volume: args.letsencrypt, path: nginxFolders.letsencrypt },
          { volume: args.webroot, path: nginxFolders.webroot },
        ],
        waitUntilHealthy: false,
        memory: 256,
      },
      args.stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}
