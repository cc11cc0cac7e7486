import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import type { DataVolume, Names, NetworkName, Service } from "../stack/names";
import { labels } from "./labels";
import type { Networks } from "./networks";

/**
 * Type of the components that terminate TLS. They share it: whichever of them stands in front is the same resource to
 * Pulumi, which would otherwise create the new one while the old one still holds its ports.
 */
export const tlsProxyType = "torrust:proxy:TlsProxy";

/** What every component of a stack is given. */
export interface StackContext {
  readonly names: Names;
  readonly networks: Networks;
  /** Volumes refuse deletion and outlive the stack. */
  readonly protectData: boolean;
  /** Is told the generated files of each service. */
  readonly onFiles?: (files: readonly ServiceFile[]) => void;
}

/** A generated file, and whose it is. */
export interface ServiceFile extends ConfigFile {
  readonly service: Service;
}

/** A file that is put into a container before it starts. */
export interface ConfigFile {
  /** Absolute path in the container. */
  readonly path: string;
  /** Text, a secret where it holds one. */
  readonly content: pulumi.Input<string>;
  /** Readable by the service alone; otherwise by everybody in the container. */
  readonly private?: boolean;
}

export interface ServiceArgs {
  readonly service: Service;
  /** Reference of an image to pull, or one that is made otherwise. */
  readonly image: string | docker.RemoteImage;
  readonly networks: readonly NetworkName[];
  /** Names on the edge network besides the service's own. */
  readonly edgeAliases?: readonly string[];
  /** Names on the metrics network besides the service's own. */
  readonly metricsAliases?: readonly string[];
  /** `uid:gid`. Group 0 reads the private files. Absent: the image's own. */
  readonly user?: string;
  /** What is run instead of the image's own entry point. */
  readonly entrypoint?: readonly string[];
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly files: readonly ConfigFile[];
  /** Data volumes and where they are mounted. */
  readonly data?: readonly DataMount[];
  /** Folders of the host and where they are mounted. */
  readonly hostFolders?: readonly { readonly host: string; readonly path: string }[];
  /** The container's host name is its identifier, like no other in the world, instead of the service's name. */
  readonly uniqueHostname?: boolean;
  /** Linux capabilities that stay, each with its `CAP_` prefix; all others are dropped. */
  readonly capabilities?: readonly string[];
  /** Published ports. */
  readonly publish?: readonly PublishedPort[];
  /** Command that succeeds while the service is well; absent: the image's own, if `waitUntilHealthy`. */
  readonly healthCommand?: readonly string[];
  /** The container counts as created when it is healthy. */
  readonly waitUntilHealthy: boolean;
  /** Signal that asks the service to stop; absent: the image's own. */
  readonly stopSignal?: string;
  /** Seconds after which a service that was asked to stop is killed. @default 20 */
  readonly graceSeconds?: number;
  /** Megabytes. */
  readonly memory: number;
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly succession?: Succession;
  /** Output is thrown away: for programs that write secrets into their log. */
  readonly discardLog?: boolean;
}

/** What one container has to do with another that wants the same host ports, or with an earlier name of itself. */
export type Succession = Pick<pulumi.CustomResourceOptions, "aliases" | "dependsOn" | "replaceWith">;

export interface DataMount {
  readonly volume: docker.Volume;
  readonly path: string;
  readonly readOnly?: boolean;
}

export interface PublishedPort {
  readonly host: number;
  readonly container: number;
  readonly protocol: "tcp" | "udp";
  /** Host address. */
  readonly address: string;
}

/** Ports of a proxy on each of the addresses, given as pairs of the container's and the host's. */
export function published(
  addresses: readonly string[],
  pairs: Iterable<readonly [container: number, host: number]>,
): PublishedPort[] {
  const ports = new Map(pairs);
  return addresses.flatMap((address) =>
    [...ports].map(([container, host]): PublishedPort => ({ host, container, protocol: "tcp", address })),
  );
}

/** Not `unless-stopped`: an engine that crashed takes what it finds running for stopped by hand, and leaves it so. */
export const restartPolicy = "always";

/**
 * Creates the container of a service, hardened and configured as all of them are. A change of any file replaces it;
 * the old one goes first, because the two would share name, addresses and ports.
 */
export function serviceContainer(
  name: string,
  args: ServiceArgs,
  { names, networks, onFiles }: StackContext,
  opts: pulumi.CustomResourceOptions,
): docker.Container {
  onFiles?.(args.files.map((file) => ({ ...file, service: args.service })));
  const image =
    typeof args.image === "string"
      ? new docker.RemoteImage(`${name}-image`, { name: args.image, keepLocally: true }, opts)
      : args.image;
  const aliases: Partial<Record<NetworkName, readonly string[]>> = {
    edge: args.edgeAliases,
    metrics: args.metricsAliases,
  };
  return new docker.Container(
    `${name}-container`,
    {
      name: names.container(args.service),
      hostname: args.uniqueHostname ? undefined : args.service,
      image: image.imageId,
      entrypoints: args.entrypoint && [...args.entrypoint],
      command: args.command && [...args.command],
      user: args.user,
      envs: Object.entries(args.environment ?? {})
        .map(([key, value]) => `${key}=${value}`)
        .sort(),
      labels: labels(names, args.service),
      restart: restartPolicy,
      ...logging(args.discardLog ?? false),
      ...hardening(args),
      stopSignal: args.stopSignal,
      sysctls: args.sysctls && { ...args.sysctls },
      networksAdvanced: args.networks.map((network) => ({
        name: networks.name(network),
        ipv4Address: names.address(network, args.service),
        aliases: [args.service, ...(aliases[network] ?? [])],
      })),
      ports: args.publish?.map(({ host, container, protocol, address }) => ({
        external: host,
        internal: container,
        protocol,
        ip: address,
      })),
      volumes: mounts(args),
      uploads: args.files.map(({ path, content, private: isPrivate }) => ({
        file: path,
        content,
        permissions: isPrivate ? "0640" : "0644",
      })),
      healthcheck: args.healthCommand && {
        tests: ["CMD", ...args.healthCommand],
        interval: "5s",
        timeout: "5s",
        startPeriod: "30s",
        retries: 5,
      },
      wait: args.waitUntilHealthy,
      waitTimeout: 180,
      destroyGraceSeconds: args.graceSeconds ?? 20,
    },
    // The provider plans an update for a changed health check, reports success and changes nothing.
    { ...opts, ...args.succession, deleteBeforeReplace: true, replaceOnChanges: ["healthcheck"] },
  );
}

function mounts({ data, hostFolders = [] }: ServiceArgs) {
  const volumes = data?.map(({ volume, path, readOnly }) => ({
    volumeName: volume.name,
    containerPath: path,
    readOnly,
  }));
  if (hostFolders.length === 0) return volumes;
  return [
    ...(volumes ?? []),
    ...hostFolders.map(({ host, path }) => ({ hostPath: host, containerPath: path })),
  ];
}

function hardening({ capabilities = [], files, memory }: ServiceArgs) {
  return {
    // The provider cannot put files into a root file system that is not writable.
    readOnly: files.length === 0,
    capabilities: { drops: ["ALL"], adds: [...capabilities] },
    securityOpts: ["no-new-privileges"],
    memory,
    // Twice the memory is what Docker assumes; left out, every preview would show a difference.
    memorySwap: 2 * memory,
  };
}

function logging(discard: boolean) {
  return discard
    ? { logDriver: "none" }
    : { logDriver: "json-file", logOpts: { "max-size": "10m", "max-file": "5" } };
}

/** Creates a volume for data that outlives its container. */
export function dataVolume(
  name: string,
  volume: DataVolume,
  { names, protectData }: StackContext,
  opts: pulumi.CustomResourceOptions,
): docker.Volume {
  return new docker.Volume(
    `${name}-volume`,
    { name: names.volume(volume), labels: labels(names, volume) },
    { ...opts, protect: protectData, retainOnDelete: protectData },
  );
}
