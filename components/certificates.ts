import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { dataVolume, type StackContext } from "./service";

export interface CertificatesArgs {
  readonly stack: StackContext;
  /** nginx runs, or may be switched on by one flag. */
  readonly nginx: boolean;
}

/** What the TLS proxies obtain. It belongs to neither of them, so that it is still there when one of them comes back. */
export class Certificates extends pulumi.ComponentResource {
  /** Pingoo's: `/etc/pingoo/tls`. */
  public readonly tls: docker.Volume;
  /** certbot's: `/etc/letsencrypt`. */
  public readonly letsencrypt?: docker.Volume;

  constructor(name: string, args: CertificatesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:data:Certificates", name, {}, opts);
    const volume = (role: "tls" | "letsencrypt", aliases: pulumi.Input<pulumi.URN>[] = []) =>
      dataVolume(`${name}-${role}`, role, args.stack, { parent: this, aliases });
    this.tls = volume("tls", [formerTlsVolume(opts?.parent)]);
    if (args.nginx) this.letsencrypt = volume("letsencrypt");
    this.registerOutputs({ tls: this.tls.name, letsencrypt: this.letsencrypt?.name });
  }
}

/** Before there was nginx, the volume was a child of Pingoo's component. */
function formerTlsVolume(deployment: pulumi.Resource | undefined): pulumi.Output<pulumi.URN> {
  const pingoo = pulumi.createUrn("torrust-pingoo", "torrust:service:Pingoo", deployment);
  return pulumi.createUrn("torrust-pingoo-volume", "docker:index/volume:Volume", pingoo);
}
