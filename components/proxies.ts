import * as pulumi from "@pulumi/pulumi";
import { isIPv4 } from "node:net";

import { ports } from "../names";
import type { Settings } from "../settings";
import type { Site } from "../sites";
import { Certbot } from "./certbot";
import { Certificates } from "./certificates";
import { Nginx } from "./nginx";
import { Pingoo } from "./pingoo";
import { dataVolume, type StackContext } from "./service";

export interface ProxiesArgs {
  readonly stack: StackContext;
  readonly settings: Settings;
  readonly sites: readonly Site[];
}

/** Who terminates TLS: Pingoo, nginx with certbot, or both, and what they have obtained. */
export class Proxies extends pulumi.ComponentResource {
  public readonly certificates: Certificates;

  constructor(name: string, args: ProxiesArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:proxy:Proxies", name, {}, opts);
    const { stack, settings, sites } = args;
    const child = { parent: this };
    this.certificates = new Certificates(
      `${name}-certificates`,
      // Where nginx may be switched on, its certificates have a place to wait for the next time.
      { stack, letsencrypt: settings.grafana !== undefined || settings.nginx !== undefined },
      child,
    );
    const sitesOf = (proxy: Site["proxy"]) => sites.filter((site) => site.proxy === proxy);
    if (settings.tlsProxy === "pingoo")
      createPingoo(`${name}-pingoo`, sitesOf("pingoo"), args, this.certificates, child);
    if (settings.nginx) createNginx(name, sitesOf("nginx"), args, this.certificates, child);
    this.registerOutputs({});
  }
}

function createPingoo(
  name: string,
  sites: readonly Site[],
  { stack, settings }: ProxiesArgs,
  { tls }: Certificates,
  opts: pulumi.ComponentResourceOptions,
): void {
  const shared = sites.filter(({ proxyPort }) => proxyPort === ports.https);
  const own = sites.find(({ proxyPort }) => proxyPort !== ports.https);
  new Pingoo(
    name,
    {
      image: settings.images.pingoo,
      stack,
      volume: tls,
      hosts: shared.map((site) => ({
        name: site.name,
        domain: site.domain,
        upstream: `http://${upstream(site, stack)}`,
      })),
      passthrough: own && {
        name: own.name,
        domain: own.domain,
        port: own.proxyPort,
        hostPort: hostPort(own, settings),
        upstream: `tcp://${upstream(own, stack)}`,
      },
      acme: settings.acme,
      httpsPort: settings.httpsPort,
      addresses: proxyAddresses(settings),
    },
    opts,
  );
}

function createNginx(
  name: string,
  sites: readonly Site[],
  { stack, settings, sites: all }: ProxiesArgs,
  { letsencrypt }: Certificates,
  opts: pulumi.ComponentResourceOptions,
): void {
  const { nginx, images, acme } = settings;
  if (!nginx || !letsencrypt) return;
  const webroot = dataVolume(`${name}-webroot`, "webroot", { ...stack, protectData: false }, opts);
  const httpsPorts = new Map(sites.map((site) => [site.proxyPort, hostPort(site, settings)]));
  new Nginx(
    `${name}-nginx`,
    {
      image: images.nginx,
      stack,
      letsencrypt,
      webroot,
      sites: sites.map((site) => ({
        name: site.name,
        domain: site.domain,
        port: site.proxyPort,
        upstream: upstream(site, stack),
        strictTransport: acme.kind === "directory",
      })),
      redirects: Object.fromEntries(all.map(({ domain, publicUrl }) => [domain, publicUrl])),
      httpPort: nginx.httpPort,
      httpsPorts: [...httpsPorts].map(([container, host]) => ({ container, host })),
      addresses: proxyAddresses(settings),
    },
    opts,
  );
  new Certbot(
    `${name}-certbot`,
    {
      image: images.certbot,
      stack,
      domains: sites.map(({ domain }) => domain),
      acme,
      email: nginx.email,
      letsencrypt,
      webroot,
    },
    opts,
  );
}

function upstream({ upstream: { service, port } }: Site, { names }: StackContext): string {
  return `${names.address("edge", service)}:${port}`;
}

function hostPort({ proxyPort }: Site, { httpsPort, grafana }: Settings): number {
  return proxyPort === ports.https ? httpsPort : (grafana?.port ?? httpsPort);
}

/** Pingoo cannot listen on IPv6, and a name that both proxies serve should be reached alike. */
function proxyAddresses({ publishAddresses }: Settings): string[] {
  return publishAddresses.filter((address) => isIPv4(address));
}
