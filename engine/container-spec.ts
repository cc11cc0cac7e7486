import type { ContainerCreateOptions, HostConfig } from "dockerode";

import type { TarEntry } from "../docker/archive";
import {
  endpoint,
  healthcheck,
  mount,
  portsOf,
  upload,
  volumesOf,
  type EndpointSpec,
} from "./container-parts";
import {
  boolean,
  fields,
  given,
  integer,
  labelMap,
  list,
  SpecError,
  text,
  textMap,
  texts,
  unsupported,
  type Fields,
} from "./fields";

/**
 * Translates the inputs of a container into calls of the engine, as the Pulumi provider for Docker does. All
 * of it is pure, but for uploads that name a file on disk. Inputs come in plain, with their secrets laid open.
 *
 * A field that is not translated here is an error, never left out in silence.
 */

/** A container as it is to be made. */
export interface ContainerSpec {
  readonly name: string;
  /** Reference or identifier. */
  readonly image: string;
  readonly create: ContainerCreateOptions;
  /** Joined between creation and start, in this order, instead of the default network. */
  readonly networks: readonly { readonly name: string; readonly endpoint: EndpointSpec }[];
  readonly uploads: readonly TarEntry[];
  readonly start: boolean;
  /** It is an error when the container has ended shortly after its start. */
  readonly mustRun: boolean;
  /** Wait until it has ended. */
  readonly attach: boolean;
  /** Keep its output when attached. */
  readonly logs: boolean;
  /** Seconds to wait until it is healthy; undefined: do not wait. */
  readonly waitSeconds?: number;
  /** Seconds that it has to stop before it is killed. */
  readonly graceSeconds: number;
  /** Its anonymous volumes go with it. */
  readonly removeVolumes: boolean;
}

interface Draft {
  name?: string;
  image?: string;
  config: Record<string, unknown>;
  host: HostConfig & Record<string, unknown>;
  labels: Record<string, string>;
  platform?: string;
  networks: { name: string; endpoint: EndpointSpec }[];
  uploads: TarEntry[];
  start: boolean;
  mustRun: boolean;
  attach: boolean;
  logs: boolean;
  wait: boolean;
  waitSeconds: number;
  graceSeconds: number;
  removeVolumes: boolean;
}

const megabyte = 1024 * 1024;

/** Each input of a container and what it means to the engine. */
const containerFields: Record<string, (value: unknown, draft: Draft, path: string) => void> = {
  name: (value, draft, path) => (draft.name = text(value, path)),
  image: (value, draft, path) => (draft.image = text(value, path)),
  command: (value, draft, path) => (draft.config.Cmd = texts(value, path)),
  entrypoints: (value, draft, path) => (draft.config.Entrypoint = texts(value, path)),
  envs: (value, draft, path) => (draft.config.Env = texts(value, path)),
  user: (value, draft, path) => (draft.config.User = text(value, path)),
  hostname: (value, draft, path) => (draft.config.Hostname = text(value, path)),
  domainname: (value, draft, path) => (draft.config.Domainname = text(value, path)),
  workingDir: (value, draft, path) => (draft.config.WorkingDir = text(value, path)),
  tty: (value, draft, path) => (draft.config.Tty = boolean(value, path)),
  stdinOpen: (value, draft, path) => (draft.config.OpenStdin = boolean(value, path)),
  stopSignal: (value, draft, path) => (draft.config.StopSignal = text(value, path)),
  stopTimeout: (value, draft, path) => (draft.config.StopTimeout = integer(value, path)),
  labels: (value, draft, path) => Object.assign(draft.labels, labelMap(value, path)),
  healthcheck: (value, draft, path) => (draft.config.Healthcheck = healthcheck(value, path)),
  platform: (value, draft, path) => (draft.platform = text(value, path)),

  ports: (value, draft, path) => {
    const { exposed, bindings } = portsOf(value, path);
    draft.config.ExposedPorts = exposed;
    draft.host.PortBindings = bindings;
  },
  publishAllPorts: (value, draft, path) => (draft.host.PublishAllPorts = boolean(value, path)),
  networkMode: (value, draft, path) => (draft.host.NetworkMode = text(value, path)),
  networksAdvanced: (value, draft, path) => (draft.networks = list(value, path).map(endpoint)),
  hosts: (value, draft, path) =>
    (draft.host.ExtraHosts = list(value, path).map((item, at) => {
      const host = fields(item, at, ["host", "ip"]);
      return `${text(host.host, `${at}.host`)}:${text(host.ip, `${at}.ip`)}`;
    })),
  dns: (value, draft, path) => (draft.host.Dns = texts(value, path)),
  dnsOpts: (value, draft, path) => (draft.host.DnsOptions = texts(value, path)),
  dnsSearches: (value, draft, path) => (draft.host.DnsSearch = texts(value, path)),

  volumes: (value, draft, path) => {
    const { anonymous, binds, from } = volumesOf(value, path);
    if (Object.keys(anonymous).length > 0) draft.config.Volumes = anonymous;
    if (binds.length > 0) draft.host.Binds = binds;
    if (from.length > 0) draft.host.VolumesFrom = from;
  },
  mounts: (value, draft, path) => (draft.host.Mounts = list(value, path).map(mount)),
  tmpfs: (value, draft, path) => (draft.host.Tmpfs = textMap(value, path)),
  uploads: (value, draft, path) => (draft.uploads = list(value, path).map(upload)),
  readOnly: (value, draft, path) => (draft.host.ReadonlyRootfs = boolean(value, path)),
  storageOpts: (value, draft, path) => (draft.host.StorageOpt = textMap(value, path)),

  capabilities: (value, draft, path) => {
    const capabilities = fields(value, path, ["adds", "drops"]);
    draft.host.CapAdd = texts(capabilities.adds ?? [], `${path}.adds`);
    draft.host.CapDrop = texts(capabilities.drops ?? [], `${path}.drops`);
  },
  securityOpts: (value, draft, path) => {
    const options = texts(value, path);
    draft.host.SecurityOpt = options.filter((option) => option !== "systempaths=unconfined");
    if (options.includes("systempaths=unconfined"))
      Object.assign(draft.host, { MaskedPaths: [], ReadonlyPaths: [] });
  },
  privileged: (value, draft, path) => (draft.host.Privileged = boolean(value, path)),
  groupAdds: (value, draft, path) => (draft.host.GroupAdd = texts(value, path)),
  usernsMode: (value, draft, path) => (draft.host.UsernsMode = text(value, path)),
  pidMode: (value, draft, path) => (draft.host.PidMode = text(value, path)),
  ipcMode: (value, draft, path) => (draft.host.IpcMode = text(value, path)),
  cgroupnsMode: (value, draft, path) => (draft.host.CgroupnsMode = text(value, path)),
  cgroupParent: (value, draft, path) => (draft.host.CgroupParent = text(value, path)),
  runtime: (value, draft, path) => (draft.host.Runtime = text(value, path)),
  init: (value, draft, path) => (draft.host.Init = boolean(value, path)),
  sysctls: (value, draft, path) => (draft.host.Sysctls = textMap(value, path)),
  ulimits: (value, draft, path) =>
    (draft.host.Ulimits = list(value, path).map((item, at) => {
      const limit = fields(item, at, ["name", "soft", "hard"]);
      return {
        Name: text(limit.name, `${at}.name`),
        Soft: integer(limit.soft, `${at}.soft`),
        Hard: integer(limit.hard, `${at}.hard`),
      };
    })),

  memory: (value, draft, path) => (draft.host.Memory = integer(value, path) * megabyte),
  memoryReservation: (value, draft, path) => (draft.host.MemoryReservation = integer(value, path) * megabyte),
  memorySwap: (value, draft, path) => {
    const swap = integer(value, path);
    draft.host.MemorySwap = swap > 0 ? swap * megabyte : swap;
  },
  shmSize: (value, draft, path) => (draft.host.ShmSize = integer(value, path) * megabyte),
  cpus: (value, draft, path) => (draft.host.NanoCpus = Math.round(Number(text(value, path)) * 1e9)),
  cpuShares: (value, draft, path) => (draft.host.CpuShares = integer(value, path)),
  cpuSet: (value, draft, path) => (draft.host.CpusetCpus = text(value, path)),
  cpuPeriod: (value, draft, path) => (draft.host.CpuPeriod = integer(value, path)),
  cpuQuota: (value, draft, path) => (draft.host.CpuQuota = integer(value, path)),

  restart: (value, draft, path) =>
    (draft.host.RestartPolicy = { ...draft.host.RestartPolicy, Name: text(value, path) }),
  maxRetryCount: (value, draft, path) =>
    (draft.host.RestartPolicy = {
      Name: draft.host.RestartPolicy?.Name ?? "no",
      MaximumRetryCount: integer(value, path),
    }),
  logDriver: (value, draft, path) =>
    (draft.host.LogConfig = { Config: draft.host.LogConfig?.Config ?? {}, Type: text(value, path) }),
  logOpts: (value, draft, path) =>
    (draft.host.LogConfig = { Type: draft.host.LogConfig?.Type ?? "", Config: textMap(value, path) }),

  start: (value, draft, path) => (draft.start = boolean(value, path)),
  mustRun: (value, draft, path) => (draft.mustRun = boolean(value, path)),
  attach: (value, draft, path) => (draft.attach = boolean(value, path)),
  logs: (value, draft, path) => (draft.logs = boolean(value, path)),
  rm: (value, draft, path) => (draft.host.AutoRemove = boolean(value, path)),
  wait: (value, draft, path) => (draft.wait = boolean(value, path)),
  waitTimeout: (value, draft, path) => (draft.waitSeconds = integer(value, path)),
  destroyGraceSeconds: (value, draft, path) => (draft.graceSeconds = integer(value, path)),
  removeVolumes: (value, draft, path) => (draft.removeVolumes = boolean(value, path)),
  // How long the provider waits while it reads a container back; nothing is read back here.
  containerReadRefreshTimeoutMilliseconds: (value, _, path) => integer(value, path),
};

/** @throws {SpecError} naming the field */
export function containerSpec(inputs: Fields, fallbackName: string): ContainerSpec {
  const draft: Draft = {
    config: {},
    host: { NetworkMode: "bridge" },
    labels: {},
    networks: [],
    uploads: [],
    start: true,
    mustRun: true,
    attach: false,
    logs: false,
    wait: false,
    waitSeconds: 60,
    graceSeconds: 0,
    removeVolumes: true,
  };
  for (const [field, value] of given(inputs)) {
    const translate = containerFields[field];
    if (!translate) throw new SpecError(field, unsupported);
    translate(value, draft, field);
  }
  if (!draft.image) throw new SpecError("image", "is missing");
  const name = draft.name ?? fallbackName;
  return {
    name,
    image: draft.image,
    create: {
      ...draft.config,
      name,
      Image: draft.image,
      Labels: draft.labels,
      HostConfig: draft.host,
      ...(draft.platform ? { platform: draft.platform } : {}),
    },
    networks: draft.networks,
    uploads: draft.uploads,
    start: draft.start,
    mustRun: draft.mustRun && draft.start && !draft.attach,
    attach: draft.attach,
    logs: draft.logs,
    waitSeconds: draft.wait ? draft.waitSeconds : undefined,
    graceSeconds: draft.graceSeconds,
    removeVolumes: draft.removeVolumes,
  };
}
