import type {
  ContainerCreateOptions,
  HostConfig,
  MountSettings,
  NetworkCreateOptions,
  VolumeCreateOptions,
} from "dockerode";
import { readFileSync } from "node:fs";

import type { TarEntry } from "../docker/tar";

/**
 * Translates the inputs of the Docker resources into calls of the engine, as the Pulumi provider for Docker does. All
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

export interface EndpointSpec {
  readonly Aliases?: string[];
  readonly IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] };
  readonly MacAddress?: string;
  readonly DriverOpts?: Record<string, string>;
}

type Fields = Readonly<Record<string, unknown>>;

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

  ports: (value, draft, path) => addPorts(draft, value, path),
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

  volumes: (value, draft, path) => addVolumes(draft, value, path),
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

/** @throws {SpecError} naming the field */
export function networkSpec(inputs: Fields, fallbackName: string): NetworkCreateOptions & { Name: string } {
  const spec: Record<string, unknown> & { Name: string } = { Name: fallbackName };
  const ipam: Record<string, unknown> = {};
  const known: Record<string, (value: unknown) => void> = {
    name: (value) => (spec.Name = text(value, "name")),
    driver: (value) => (spec.Driver = text(value, "driver")),
    internal: (value) => (spec.Internal = boolean(value, "internal")),
    attachable: (value) => (spec.Attachable = boolean(value, "attachable")),
    ipv6: (value) => (spec.EnableIPv6 = boolean(value, "ipv6")),
    options: (value) => (spec.Options = textMap(value, "options")),
    labels: (value) => (spec.Labels = labelMap(value, "labels")),
    ipamDriver: (value) => (ipam.Driver = text(value, "ipamDriver")),
    ipamOptions: (value) => (ipam.Options = textMap(value, "ipamOptions")),
    ipamConfigs: (value) =>
      (ipam.Config = list(value, "ipamConfigs").map((item, at) => {
        const config = fields(item, at, ["subnet", "gateway", "ipRange", "auxAddress"]);
        return withoutEmpty({
          Subnet: optionalText(config.subnet, `${at}.subnet`),
          Gateway: optionalText(config.gateway, `${at}.gateway`),
          IPRange: optionalText(config.ipRange, `${at}.ipRange`),
          AuxiliaryAddresses: config.auxAddress && textMap(config.auxAddress, `${at}.auxAddress`),
        });
      })),
  };
  for (const [field, value] of given(inputs)) {
    const translate = known[field];
    if (!translate) throw new SpecError(field, unsupported);
    translate(value);
  }
  return { ...spec, ...(Object.keys(ipam).length > 0 ? { IPAM: ipam } : {}) } as NetworkCreateOptions & {
    Name: string;
  };
}

/** @throws {SpecError} naming the field */
export function volumeSpec(inputs: Fields, fallbackName: string): VolumeCreateOptions & { Name: string } {
  const spec: VolumeCreateOptions & { Name: string } = { Name: fallbackName };
  for (const [field, value] of given(inputs)) {
    if (field === "name") spec.Name = text(value, field);
    else if (field === "driver") spec.Driver = text(value, field);
    else if (field === "driverOpts") spec.DriverOpts = textMap(value, field);
    else if (field === "labels") spec.Labels = labelMap(value, field);
    else throw new SpecError(field, unsupported);
  }
  return spec;
}

/** A field that cannot be translated. */
export class SpecError extends Error {
  constructor(
    readonly path: string,
    problem: string,
  ) {
    super(`${path} ${problem}`);
    this.name = "SpecError";
  }
}

const unsupported =
  "is not supported by the in-process engine. Use the Pulumi CLI for this stack (npm run up)";

/** A duration as Go writes it, e.g. `1m30s` or `500ms`, in nanoseconds. Undefined when it is none. */
export function parseGoDuration(duration: string): number | undefined {
  if (/^[-+]?0$/.test(duration)) return 0;
  const units: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
  const parts = [...duration.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  if (parts.length === 0 || parts.map(([whole]) => whole).join("") !== duration) return undefined;
  return Math.round(
    parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (units[unit ?? ""] ?? NaN), 0),
  );
}

// ---- parts of a container

function addPorts(draft: Draft, value: unknown, path: string): void {
  const exposed: Record<string, object> = {};
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {};
  list(value, path).forEach((item, at) => {
    const port = fields(item, at, ["internal", "external", "ip", "protocol"]);
    const protocol = port.protocol === undefined ? "tcp" : text(port.protocol, `${at}.protocol`);
    const key = `${integer(port.internal, `${at}.internal`)}/${protocol}`;
    exposed[key] = {};
    (bindings[key] ??= []).push({
      HostIp: port.ip === undefined ? "0.0.0.0" : text(port.ip, `${at}.ip`),
      HostPort: port.external === undefined ? "" : String(integer(port.external, `${at}.external`)),
    });
  });
  draft.config.ExposedPorts = exposed;
  draft.host.PortBindings = bindings;
}

function endpoint(item: unknown, path: string): { name: string; endpoint: EndpointSpec } {
  const network = fields(item, path, [
    "name",
    "aliases",
    "ipv4Address",
    "ipv6Address",
    "linkLocalIps",
    "macAddress",
    "driverOpts",
  ]);
  const options =
    network.driverOpts === undefined ? undefined : texts(network.driverOpts, `${path}.driverOpts`);
  return {
    name: text(network.name, `${path}.name`),
    endpoint: withoutEmpty({
      Aliases: network.aliases === undefined ? undefined : texts(network.aliases, `${path}.aliases`),
      IPAMConfig: withoutEmpty({
        IPv4Address: optionalText(network.ipv4Address, `${path}.ipv4Address`),
        IPv6Address: optionalText(network.ipv6Address, `${path}.ipv6Address`),
        LinkLocalIPs:
          network.linkLocalIps === undefined
            ? undefined
            : texts(network.linkLocalIps, `${path}.linkLocalIps`),
      }),
      MacAddress: optionalText(network.macAddress, `${path}.macAddress`),
      DriverOpts: options && Object.fromEntries(options.map((option) => splitOnce(option, "="))),
    }),
  };
}

function addVolumes(draft: Draft, value: unknown, path: string): void {
  const anonymous: Record<string, object> = {};
  const binds: string[] = [];
  const from: string[] = [];
  list(value, path).forEach((item, at) => {
    const volume = fields(item, at, [
      "containerPath",
      "volumeName",
      "hostPath",
      "readOnly",
      "fromContainer",
      "selinuxRelabel",
    ]);
    const target = optionalText(volume.containerPath, `${at}.containerPath`);
    const container = optionalText(volume.fromContainer, `${at}.fromContainer`);
    if ((target === undefined) === (container === undefined))
      throw new SpecError(at, "needs either containerPath or fromContainer");
    if (container !== undefined) {
      from.push(container);
      return;
    }
    anonymous[target!] = {};
    const source =
      optionalText(volume.hostPath, `${at}.hostPath`) ?? optionalText(volume.volumeName, `${at}.volumeName`);
    if (source === undefined) return;
    const relabel = optionalText(volume.selinuxRelabel, `${at}.selinuxRelabel`);
    binds.push(
      `${source}:${target}:${[volume.readOnly === true ? "ro" : "rw", relabel].filter(Boolean).join(",")}`,
    );
  });
  if (Object.keys(anonymous).length > 0) draft.config.Volumes = anonymous;
  if (binds.length > 0) draft.host.Binds = binds;
  if (from.length > 0) draft.host.VolumesFrom = from;
}

function mount(item: unknown, path: string): MountSettings {
  const { type, ...given } = fields(item, path, [
    "type",
    "source",
    "target",
    "readOnly",
    "bindOptions",
    "volumeOptions",
    "tmpfsOptions",
  ]);
  const bind = optionalFields(given.bindOptions, `${path}.bindOptions`, ["propagation"]);
  const tmpfs = optionalFields(given.tmpfsOptions, `${path}.tmpfsOptions`, ["mode", "sizeBytes"]);
  const volume = optionalFields(given.volumeOptions, `${path}.volumeOptions`, [
    "noCopy",
    "labels",
    "driverName",
    "driverOptions",
    "subpath",
  ]);
  return withoutEmpty({
    Type: text(type, `${path}.type`),
    Source: optionalText(given.source, `${path}.source`) ?? "",
    Target: text(given.target, `${path}.target`),
    ReadOnly: given.readOnly === true,
    BindOptions: bind && { Propagation: text(bind.propagation, `${path}.bindOptions.propagation`) },
    TmpfsOptions: tmpfs && withoutEmpty({ SizeBytes: tmpfs.sizeBytes, Mode: tmpfs.mode }),
    VolumeOptions:
      volume &&
      withoutEmpty({
        NoCopy: volume.noCopy === true,
        Labels: volume.labels && labelMap(volume.labels, `${path}.volumeOptions.labels`),
        Subpath: volume.subpath,
        DriverConfig: volume.driverName
          ? { Name: text(volume.driverName, path), Options: textMap(volume.driverOptions ?? {}, path) }
          : undefined,
      }),
  }) as unknown as MountSettings;
}

function upload(item: unknown, path: string): TarEntry {
  const file = fields(item, path, [
    "file",
    "content",
    "contentBase64",
    "source",
    "sourceHash",
    "executable",
    "permissions",
  ]);
  const sources = [file.content, file.contentBase64, file.source].filter(
    (value) => value !== undefined && value !== "",
  );
  if (sources.length !== 1)
    throw new SpecError(
      path,
      "needs exactly one of content, contentBase64 and source, and it may not be empty",
    );
  const permissions = optionalText(file.permissions, `${path}.permissions`);
  if (permissions !== undefined && !/^[0-7]{3,4}$/.test(permissions))
    throw new SpecError(`${path}.permissions`, `is "${permissions}", not an octal mode such as 0644`);
  const content = optionalText(file.content, `${path}.content`);
  const encoded = optionalText(file.contentBase64, `${path}.contentBase64`);
  return {
    path: text(file.file, `${path}.file`),
    content:
      content !== undefined
        ? Buffer.from(content)
        : encoded !== undefined
          ? Buffer.from(encoded, "base64")
          : readFileSync(text(file.source, `${path}.source`)),
    mode: permissions ? parseInt(permissions, 8) : file.executable === true ? 0o744 : 0o644,
  };
}

function healthcheck(value: unknown, path: string): Record<string, unknown> {
  const check = fields(value, path, [
    "tests",
    "interval",
    "timeout",
    "startPeriod",
    "startInterval",
    "retries",
  ]);
  return withoutEmpty({
    Test: check.tests === undefined ? undefined : texts(check.tests, `${path}.tests`),
    Interval: duration(check.interval, `${path}.interval`),
    Timeout: duration(check.timeout, `${path}.timeout`),
    StartPeriod: duration(check.startPeriod, `${path}.startPeriod`),
    StartInterval: duration(check.startInterval, `${path}.startInterval`),
    Retries: check.retries === undefined ? undefined : integer(check.retries, `${path}.retries`),
  });
}

// ---- single values

/** How to build an image. */
export interface BuildSpec {
  /** Folder below the program's. */
  readonly context: string;
  readonly dockerfile?: string;
  readonly buildArgs?: Readonly<Record<string, string>>;
}

/** @throws {SpecError} naming the field that is wrong or cannot be had here */
export function buildSpec(value: unknown): BuildSpec {
  // Which builder makes no difference to what is built.
  const build = fields(value, "build", ["context", "dockerfile", "buildArgs", "useLegacyBuilder"]);
  return {
    context: text(build.context, "build.context"),
    dockerfile: optionalText(build.dockerfile, "build.dockerfile"),
    buildArgs: build.buildArgs === undefined ? undefined : textMap(build.buildArgs, "build.buildArgs"),
  };
}

/** The inputs that were given, in an order that does not depend on the program's. */
function given(inputs: Fields): [string, unknown][] {
  return Object.entries(inputs)
    .filter(([key, value]) => value !== undefined && value !== null && !key.startsWith("__"))
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function fields<const K extends string>(
  value: unknown,
  path: string,
  known: readonly K[],
): { readonly [P in K]?: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SpecError(path, "is no object");
  for (const [field] of given(value as Fields))
    if (!(known as readonly string[]).includes(field)) throw new SpecError(`${path}.${field}`, unsupported);
  return value as { readonly [P in K]?: unknown };
}

function optionalFields<const K extends string>(
  value: unknown,
  path: string,
  known: readonly K[],
): { readonly [P in K]?: unknown } | undefined {
  return value === undefined || value === null ? undefined : fields(value, path, known);
}

interface List {
  map<T>(change: (item: unknown, path: string) => T): T[];
  forEach(act: (item: unknown, path: string) => void): void;
}

/** A list whose elements know their own path. */
function list(value: unknown, path: string): List {
  if (!Array.isArray(value)) throw new SpecError(path, "is no list");
  return {
    map: (change) => value.map((item, index) => change(item, `${path}[${index}]`)),
    forEach: (act) => value.forEach((item, index) => act(item, `${path}[${index}]`)),
  };
}

function text(value: unknown, path: string): string {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  throw new SpecError(path, value === undefined || value === null ? "is missing" : "is no text");
}

function optionalText(value: unknown, path: string): string | undefined {
  return value === undefined || value === null || value === "" ? undefined : text(value, path);
}

function texts(value: unknown, path: string): string[] {
  return list(value, path).map(text);
}

function textMap(value: unknown, path: string): Record<string, string> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new SpecError(path, "is no object");
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, text(item, `${path}.${key}`)]));
}

function labelMap(value: unknown, path: string): Record<string, string> {
  return Object.fromEntries(
    list(value, path).map((item, at) => {
      const label = fields(item, at, ["label", "value"]);
      return [text(label.label, `${at}.label`), text(label.value, `${at}.value`)];
    }),
  );
}

function integer(value: unknown, path: string): number {
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isInteger(number))
    throw new SpecError(path, "is no whole number");
  return number;
}

function boolean(value: unknown, path: string): boolean {
  if (typeof value !== "boolean") throw new SpecError(path, "is neither true nor false");
  return value;
}

function duration(value: unknown, path: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  const nanoseconds = parseGoDuration(text(value, path));
  if (nanoseconds === undefined)
    throw new SpecError(path, `is "${text(value, path)}", not a duration such as 5s`);
  return nanoseconds;
}

function splitOnce(value: string, separator: string): [string, string] {
  const at = value.indexOf(separator);
  return at < 0 ? [value, ""] : [value.slice(0, at), value.slice(at + 1)];
}

/** Without members that are undefined or an empty object. */
function withoutEmpty<T extends Record<string, unknown>>(value: T): T {
  return Object.fromEntries(
    Object.entries(value).filter(
      ([, member]) =>
        member !== undefined &&
        !(
          typeof member === "object" &&
          member !== null &&
          !Array.isArray(member) &&
          Object.keys(member).length === 0
        ),
    ),
  ) as T;
}
