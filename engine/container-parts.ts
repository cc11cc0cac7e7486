import type { MountSettings } from "dockerode";
import { readFileSync } from "node:fs";

import type { TarEntry } from "../docker/archive";
import {
  duration,
  fields,
  integer,
  labelMap,
  list,
  optionalFields,
  optionalText,
  SpecError,
  splitOnce,
  text,
  textMap,
  texts,
  withoutEmpty,
} from "./fields";

/** Those inputs of a container that are objects themselves, each as the engine wants it. */

export interface EndpointSpec {
  readonly Aliases?: string[];
  readonly IPAMConfig?: { IPv4Address?: string; IPv6Address?: string; LinkLocalIPs?: string[] };
  readonly MacAddress?: string;
  readonly DriverOpts?: Record<string, string>;
}

/** Ports within the container, and where each is published. */
export function portsOf(value: unknown, path: string) {
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
  return { exposed, bindings };
}

export function endpoint(item: unknown, path: string): { name: string; endpoint: EndpointSpec } {
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

/** Folders that are volumes, what is mounted where, and containers whose mounts are shared. */
export function volumesOf(value: unknown, path: string) {
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
  return { anonymous, binds, from };
}

export function mount(item: unknown, path: string): MountSettings {
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

export function upload(item: unknown, path: string): TarEntry {
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

export function healthcheck(value: unknown, path: string): Record<string, unknown> {
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
