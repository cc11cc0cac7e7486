import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dataVolume, type StackContext } from "./service";

export interface CertificatesArgs {
  readonly stack: StackContext;
  /** nginx may be switched on, or is: certbot's volume is there as well. */
  readonly letsencrypt: boolean;
}

/**
 * What the TLS proxies have obtained. Owned by neither of them, so that both sides' certificates and accounts are still
 * there when a proxy comes back.
 */
export class Certificates extends pulumi.ComponentResource {
  /** Pingoo's, `/etc/pingoo/tls`. */
  public readonly tls: docker.Volume;
  /** certbot's, `/etc/letsencrypt`. */
  public readonly letsencrypt?: docker.Volume;

  constructor(name: string, args: CertificatesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:data:Certificates", name, {}, opts);
    this.tls = dataVolume(`${name}-tls`, "tls", args.stack, { parent: this });
    if (args.letsencrypt)
      this.letsencrypt = dataVolume(`${name}-letsencrypt`, "letsencrypt", args.stack, { parent: this });
    this.registerOutputs({ tls: this.tls.name, letsencrypt: this.letsencrypt?.name });
  }
}
