import type * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { isIP, isIPv4, isIPv6 } from "node:net";

import type { DnsRecord } from "../configs/dns-records";
import { ports } from "../stack/names";
import type { Settings } from "../settings";
import type { Site } from "../stack/sites";
import { Certbot } from "./certbot";
import { Certificates } from "./certificates";
import { Door } from "./door";
import { DnsGate } from "./gates";
import { Nginx } from "./nginx";
import { Pingoo } from "./pingoo";
import type { StackContext, Succession } from "./service";

export interface ProxiesArgs {
  readonly stack: StackContext;
  readonly settings: Settings;
  readonly sites: readonly Site[];
  /** Where metrics are left as text files, if anybody reads them. */
  readonly textfiles?: docker.Volume;
  /** The records that have to be there before a certificate is ordered. */
  readonly records: pulumi.Output<DnsRecord[]>;
}

/**
 * Creates who terminates TLS: Pingoo in front, nginx in front, Pingoo in front with nginx beside it for Grafana, or nobody
 * where nothing but UDP is served. The volumes with certificates stay whoever it is.
 *
 * A host port has room for one container, but Pulumi creates before it deletes. So the proxy in front is one resource,
 * whichever program it runs, whose old container goes before the new one comes; and what stands beside it is created
 * after that has given up the port, and deleted before that takes it back (`beside`).
 */
export function createProxies(
  name: string,
  { stack, settings, sites, records, textfiles }: ProxiesArgs,
  parent: pulumi.Resource,
): Certificates {
  const { images, acme, httpPort, httpsPort, publishAddresses } = settings;
  const behind = (proxy: Site["proxy"]) => sites.filter((site) => site.proxy === proxy);
  const [byPingoo, byNginx] = [behind("pingoo"), behind("nginx")];
  const certificates = new Certificates(
    `${name}-certificates`,
    { stack, nginx: settings.tlsProxy === "nginx" || settings.grafana !== undefined },
    { parent },
  );
  if (sites.length === 0) return certificates;
  const { tls, letsencrypt } = certificates;
  const names = namesGate(`${name}-names`, settings, records, parent);
  const inFront: Succession = { aliases: [formerPingoo(parent)], dependsOn: names };

  const pingoo =
    byPingoo.length > 0
      ? new Pingoo(
          `${name}-proxy`,
          {
            images,
            stack,
            volume: tls,
            succession: inFront,
            ...pingooSites(byPingoo, httpPort),
            acme,
            httpsPort,
            addresses: publishAddresses.filter((address) => isIPv4(address)),
            listeners: settings.pingooListeners,
            metrics: settings.prometheus !== undefined,
          },
          { parent },
        )
      : undefined;

  if (pingoo) createDoor(`${name}-door`, { stack, settings, sites: byPingoo }, tls, pingoo, parent);
  if (letsencrypt && byNginx.length > 0) {
    const domains = byNginx.map(({ domain }) => domain);
    const nginx = new Nginx(
      pingoo ? `${name}-grafana-proxy` : `${name}-proxy`,
      {
        image: images.nginx,
        stack,
        sites: byNginx,
        redirected: sites,
        plain: sites.filter(({ plain }) => plain?.proxy === "nginx"),
        certificates: letsencrypt,
        trusted: acme.kind === "directory",
        httpPort,
        addresses: publishAddresses,
        rateLimit: settings.nginxRateLimit,
        succession: pingoo ? beside(pingoo) : inFront,
      },
      { parent },
    );
    new Certbot(
      `${name}-certbot`,
      {
        image: images.certbot,
        stack,
        volume: letsencrypt,
        domains,
        acme,
        textfiles,
        // An authority asks nginx, which must not be about to be replaced: a failed order is not repeated at once.
        succession: { dependsOn: [...names, nginx.container] },
      },
      { parent },
    );
  }
  return certificates;
}

/** How a container follows the proxy in front, from which it takes ports over. */
function beside({ container }: Pingoo): Succession {
  return { dependsOn: [container], replaceWith: [container] };
}

/** Pingoo cannot listen on IPv6: a door serves there what it serves, save for those who come by an address, not by a name. */
function createDoor(
  name: string,
  { stack, settings, sites }: Pick<ProxiesArgs, "stack" | "settings" | "sites">,
  certificates: docker.Volume,
  pingoo: Pingoo,
  parent: pulumi.Resource,
): void {
  const addresses = settings.publishAddresses.filter((address) => isIPv6(address));
  const named = sites.filter(({ domain }) => isIP(domain) === 0);
  if (addresses.length === 0 || named.length === 0) return;
  const args = { image: settings.images.nginx, stack, sites: named, httpPort: settings.httpPort, addresses };
  new Door(name, { ...args, certificates, succession: beside(pingoo) }, { parent });
}

/** Lets certificates be ordered once the names lead to the host, where that is asked for. */
function namesGate(
  name: string,
  { dnsCheck }: Settings,
  records: ProxiesArgs["records"],
  parent: pulumi.Resource,
): pulumi.Resource[] {
  if (!dnsCheck) return [];
  const addresses = records.apply((all) => all.filter(({ type }) => type !== "TXT"));
  return [new DnsGate(name, { records: addresses, ...dnsCheck }, { parent })];
}

/** Sites on the shared listener are told apart by their host names; one with a listener of its own is passed through. */
function pingooSites(sites: readonly Site[], httpPort: number) {
  const own = sites.find(({ port }) => port !== ports.https);
  const host = ({ name, domain, upstream }: Site) => ({ name, domain, upstream: `http://${upstream}` });
  const plain = sites.filter((site) => site.plain?.proxy === "pingoo");
  return {
    hosts: sites.filter((site) => site !== own).map(host),
    plainHttp: plain.length > 0 ? { hosts: plain.map(host), hostPort: httpPort } : undefined,
    passthrough: own && { ...own, upstream: `tcp://${own.upstream}` },
  };
}

/** Before there was nginx, the container in front had Pingoo's name. */
function formerPingoo(deployment: pulumi.Resource): pulumi.Output<pulumi.URN> {
  const pingoo = pulumi.createUrn("torrust-pingoo", "torrust:service:Pingoo", deployment);
  return pulumi.createUrn("torrust-pingoo-container", "docker:index/container:Container", pingoo);
}
