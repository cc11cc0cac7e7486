import * as pulumi from "@pulumi/pulumi";
import { isIPv4 } from "node:net";

import { ports } from "../names";
import type { Settings } from "../settings";
import type { Site } from "../sites";
import { Certbot } from "./certbot";
import { Certificates } from "./certificates";
import { Nginx } from "./nginx";
import { Pingoo } from "./pingoo";
import type { StackContext, Succession } from "./service";

export interface ProxiesArgs {
  readonly stack: StackContext;
  readonly settings: Settings;
  readonly sites: readonly Site[];
}

/**
 * Creates who terminates TLS: Pingoo in front, nginx in front, or Pingoo in front with nginx beside it for Grafana.
 *
 * A host port has room for one container, but Pulumi creates before it deletes. So the proxy in front is one resource,
 * whichever program it runs, whose old container goes before the new one comes; and the proxy beside it is created
 * after that has given up the port, and deleted before that takes it back (`replaceWith`).
 */
export function createProxies(
  name: string,
  { stack, settings, sites }: ProxiesArgs,
  parent: pulumi.Resource,
): Certificates {
  const { images, acme, httpPort, httpsPort, tlsProxy, grafana } = settings;
  // Pingoo cannot listen on IPv6, and switching the proxy should not change where the stack is reached.
  const addresses = settings.publishAddresses.filter((address) => isIPv4(address));
  const behind = (proxy: Site["proxy"]) => sites.filter((site) => site.proxy === proxy);
  const served = behind("nginx");
  const certificates = new Certificates(
    `${name}-certificates`,
    { stack, nginx: served.length > 0 || grafana !== undefined },
    { parent },
  );
  const { tls, letsencrypt } = certificates;
  const inFront: Succession = { aliases: [formerPingoo(parent)] };

  const pingoo =
    tlsProxy === "pingoo"
      ? new Pingoo(
          `${name}-proxy`,
          {
            images,
            stack,
            volume: tls,
            succession: inFront,
            ...pingooSites(behind("pingoo")),
            acme,
            httpsPort,
            addresses,
            listeners: settings.pingooListeners,
            metrics: settings.prometheus !== undefined,
          },
          { parent },
        )
      : undefined;

  if (letsencrypt && served.length > 0) {
    const domains = served.map(({ domain }) => domain);
    new Certbot(
      `${name}-certbot`,
      { image: images.certbot, stack, volume: letsencrypt, domains, acme },
      { parent },
    );
    new Nginx(
      pingoo ? `${name}-grafana-proxy` : `${name}-proxy`,
      {
        image: images.nginx,
        stack,
        sites: served,
        redirected: sites,
        certificates: letsencrypt,
        trusted: acme.kind === "directory",
        httpPort,
        addresses,
        succession: pingoo ? { dependsOn: [pingoo.container], replaceWith: [pingoo.container] } : inFront,
      },
      { parent },
    );
  }
  return certificates;
}

/** Sites on the shared listener are told apart by their host names; one with a listener of its own is passed through. */
function pingooSites(sites: readonly Site[]) {
  const own = sites.find(({ port }) => port !== ports.https);
  return {
    hosts: sites
      .filter((site) => site !== own)
      .map(({ name, domain, upstream }) => ({ name, domain, upstream: `http://${upstream}` })),
    passthrough: own && { ...own, upstream: `tcp://${own.upstream}` },
  };
}

/** Before there was nginx, the container in front had Pingoo's name. */
function formerPingoo(deployment: pulumi.Resource): pulumi.Output<pulumi.URN> {
  const pingoo = pulumi.createUrn("torrust-pingoo", "torrust:service:Pingoo", deployment);
  return pulumi.createUrn("torrust-pingoo-container", "docker:index/container:Container", pingoo);
}
