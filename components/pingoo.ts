import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import {
  guardAlias,
  renderGuardConfig,
  renderGuardRules,
  spreadPorts,
  type GuardedPort,
} from "../configs/guard";
import {
  renderPingooConfig,
  type PingooHost,
  type PingooModel,
  type PingooPassthrough,
  type PingooPlainHttp,
} from "../configs/pingoo";
import { ports } from "../stack/names";
import { plainHttpAlias } from "../stack/sites";
import type { Acme } from "../settings";
import { guardedImage } from "./guarded-image";
import {
  published,
  serviceContainer,
  type ConfigFile,
  type StackContext,
  type Succession,
  tlsProxyType,
} from "./service";

export interface PingooArgs {
  readonly images: { readonly pingoo: string; readonly guardBase: string };
  readonly stack: StackContext;
  /** Holds `/etc/pingoo/tls`: certificates and ACME account. */
  readonly volume: docker.Volume;
  readonly succession: Succession;
  /** What the https listener serves; without any there is none. */
  readonly hosts: readonly PingooHost[];
  readonly passthrough?: Passthrough;
  /** What is answered without TLS as well. */
  readonly plainHttp?: PlainHttp;
  readonly acme: Acme;
  /** Host port of the https listener. */
  readonly httpsPort: number;
  /** Host addresses on which all listeners are published; IPv4. */
  readonly addresses: readonly string[];
  /** Listeners that share the https listener's connections; with more than one, a guard stands beside Pingoo. */
  readonly listeners: number;
  /** There is a metrics network, on which the guard tells what it does. */
  readonly metrics: boolean;
}

/** A site with a listener of its own. */
export interface Passthrough extends Pick<PingooPassthrough, "name" | "upstream"> {
  readonly domain: string;
  /** Port in Pingoo's container. */
  readonly port: number;
  readonly hostPort: number;
}

/** HTTP trackers without TLS, and the host port of their listener. */
export interface PlainHttp extends Pick<PingooPlainHttp, "hosts"> {
  readonly hostPort: number;
}

/** Dashboards have few visitors: so many listeners let them in while as many of them stall. */
const passthroughListeners = 8;

const guardFolder = "/etc/guard";
const caFile = "/etc/pingoo/acme-ca.pem";

/** Pingoo as TLS proxy, with its guard unless there is but one listener. */
export class Pingoo extends pulumi.ComponentResource {
  public readonly container: docker.Container;

  constructor(name: string, args: PingooArgs, opts?: pulumi.ComponentResourceOptions) {
    super(tlsProxyType, name, {}, opts);
    const { passthrough, plainHttp, acme, stack, listeners } = args;
    const guarded = listeners > 1;
    const domains = [...args.hosts.map(({ domain }) => domain), ...(passthrough ? [passthrough.domain] : [])];
    const httpsPorts = spreadPorts(ports.https, ports.spreadHttps, listeners);
    const passthroughPorts =
      passthrough &&
      spreadPorts(passthrough.port, ports.spreadGrafana, Math.min(listeners, passthroughListeners));
    const model: PingooModel = {
      httpsPorts,
      publicHttpsPort: args.httpsPort,
      hosts: args.hosts,
      passthrough: passthrough &&
        passthroughPorts && {
          name: passthrough.name,
          ports: passthroughPorts,
          upstream: passthrough.upstream,
        },
      plainHttp: plainHttp && { port: ports.http, publicPort: plainHttp.hostPort, hosts: plainHttp.hosts },
      acme: acme.kind === "directory" ? { directoryUrl: acme.directoryUrl, domains } : undefined,
    };
    const ca = acme.kind === "directory" ? acme.caCertificate : undefined;
    const caFiles: ConfigFile[] = ca ? [{ path: caFile, content: ca }] : [];
    // Plain HTTP is none of the guard's business: there is no handshake in which a client could hold up others.
    const shared: GuardedPort[] = [
      ...(args.hosts.length > 0 ? [{ name: "https", ports: httpsPorts }] : []),
      ...(passthrough && passthroughPorts ? [{ name: passthrough.name, ports: passthroughPorts }] : []),
    ];

    this.container = serviceContainer(
      name,
      {
        service: "pingoo",
        image: guarded
          ? guardedImage(
              name,
              { names: stack.names, pingoo: args.images.pingoo, base: args.images.guardBase },
              { parent: this },
            )
          : args.images.pingoo,
        networks: guarded && args.metrics ? ["edge", "metrics"] : ["edge"],
        // Inside the network each public name leads here: to probes, and to an ACME server of one's own.
        edgeAliases: [...domains, ...(plainHttp ? [plainHttpAlias] : [])],
        metricsAliases: guarded ? [guardAlias] : [],
        user: "0:0",
        environment: ca ? { SSL_CERT_FILE: caFile } : {},
        files: [
          { path: "/etc/pingoo/pingoo.yml", content: renderPingooConfig(model) },
          ...caFiles,
          ...(guarded ? guardFiles(args, model, shared) : []),
        ],
        data: [{ volume: args.volume, path: "/etc/pingoo/tls" }],
        // The guard's supervisor gives Pingoo the second of these alone, and the guard the first.
        capabilities: guarded
          ? ["CAP_NET_ADMIN", "CAP_NET_BIND_SERVICE", "CAP_SETPCAP"]
          : ["CAP_NET_BIND_SERVICE"],
        publish: published(args.addresses, publishedPorts(args)),
        // Pingoo's own image holds nothing but the program: there is no command that could ask it.
        healthCommand: guarded ? ["python3", "-I", "/opt/guard", "health", String(ports.guard)] : undefined,
        waitUntilHealthy: false,
        memory: 512,
        succession: args.succession,
      },
      stack,
      { parent: this },
    );
    this.registerOutputs({});
  }
}

/** Ports of the container, each with the host's that leads to it. */
function publishedPorts({ hosts, httpsPort, passthrough, plainHttp }: PingooArgs): [number, number][] {
  return [
    ...(hosts.length > 0 ? [[ports.https, httpsPort] as [number, number]] : []),
    ...(passthrough ? [[passthrough.port, passthrough.hostPort] as [number, number]] : []),
    ...(plainHttp ? [[ports.http, plainHttp.hostPort] as [number, number]] : []),
  ];
}

function guardFiles(
  { stack: { names }, metrics }: PingooArgs,
  model: PingooModel,
  shared: readonly GuardedPort[],
): ConfigFile[] {
  const { acme } = model;
  const files = {
    "guard.json": renderGuardConfig({
      shared,
      // What comes through the engine's own proxy has its address, whoever sent it.
      exempt: [names.gateway("edge")],
      metricsAddress: metrics ? names.address("metrics", "pingoo") : undefined,
      metricsPort: ports.guard,
      acmeDomains: acme?.domains ?? [],
    }),
    "rules.nft": renderGuardRules(shared, metrics ? names.subnet("metrics") : undefined),
    ...(acme && { "pingoo-without-acme.yml": renderPingooConfig({ ...model, acme: undefined }) }),
  };
  return Object.entries(files).map(([file, content]) => ({ path: `${guardFolder}/${file}`, content }));
}
