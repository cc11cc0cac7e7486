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

/**
 * Who terminates TLS: Pingoo, nginx with certbot, or both, and what they have obtained.
 *
 * Host ports change hands when the mode is switched, and Pulumi deletes what has left the program only after everything
 * else is there. So whoever serves API and trackers is one and the same resource, replaced when it becomes another
 * program; and Grafana's nginx in hybrid mode depends on it, so that it goes before that one is replaced.
 */
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
    const pingoo =
      settings.tlsProxy === "pingoo"
        ? new Pingoo(
            `${name}-pingoo`,
            {
              ...pingooSites(args),
              image: settings.images.pingoo,
              stack,
              volume: this.certificates.tls,
              acme: settings.acme,
              httpsPort: settings.httpsPort,
              addresses: proxyAddresses(settings),
              replaces: containerUrn(this, `${name}-nginx`, "torrust:service:Nginx"),
            },
            child,
          )
        : undefined;

    const { nginx } = settings;
    const { letsencrypt } = this.certificates;
    if (nginx && letsencrypt) {
      const own = sites.filter(({ proxy }) => proxy === "nginx");
      const webroot = dataVolume(`${name}-webroot`, "webroot", { ...stack, protectData: false }, child);
      new Nginx(
        pingoo ? `${name}-grafana-nginx` : `${name}-nginx`,
        {
          ...nginxSites(args, own),
          image: settings.images.nginx,
          stack,
          letsencrypt,
          webroot,
          httpPort: nginx.httpPort,
          addresses: proxyAddresses(settings),
          after: pingoo?.container.id,
          replaces: pingoo ? undefined : containerUrn(this, `${name}-pingoo`, "torrust:service:Pingoo"),
        },
        child,
      );
      new Certbot(
        `${name}-certbot`,
        {
          image: settings.images.certbot,
          stack,
          domains: own.map(({ domain }) => domain),
          acme: settings.acme,
          email: nginx.email,
          letsencrypt,
          webroot,
        },
        child,
      );
    }
    this.registerOutputs({});
  }
}

/** Identity that the container of a component below `parent` has or had. */
function containerUrn(parent: pulumi.Resource, component: string, type: string): pulumi.Output<pulumi.URN> {
  const componentUrn = pulumi.createUrn(component, type, parent);
  return pulumi.createUrn(`${component}-container`, "docker:index/container:Container", componentUrn);
}

function pingooSites({ stack, settings, sites }: ProxiesArgs) {
  const own = sites.filter(({ proxy }) => proxy === "pingoo");
  const passthrough = own.find(({ proxyPort }) => proxyPort !== ports.https);
  return {
    hosts: own
      .filter((site) => site !== passthrough)
      .map((site) => ({
        name: site.name,
        domain: site.domain,
        upstream: `http://${upstream(site, stack)}`,
      })),
    passthrough: passthrough && {
      name: passthrough.name,
      domain: passthrough.domain,
      port: passthrough.proxyPort,
      hostPort: hostPort(passthrough, settings),
      upstream: `tcp://${upstream(passthrough, stack)}`,
    },
  };
}

function nginxSites({ stack, settings, sites }: ProxiesArgs, own: readonly Site[]) {
  const httpsPorts = new Map(own.map((site) => [site.proxyPort, hostPort(site, settings)]));
  return {
    sites: own.map((site) => ({
      name: site.name,
      domain: site.domain,
      port: site.proxyPort,
      upstream: upstream(site, stack),
      strictTransport: settings.acme.kind === "directory",
    })),
    // Whoever serves a name, plain HTTP is redirected to it.
    redirects: Object.fromEntries(sites.map(({ domain, publicUrl }) => [domain, publicUrl])),
    httpsPorts: [...httpsPorts].map(([container, host]) => ({ container, host })),
  };
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
