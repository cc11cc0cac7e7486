import { describe, expect, test } from "vitest";

import { containerSpec } from "../../../engine/container-spec";
import { parseGoDuration, SpecError } from "../../../engine/fields";
import { networkSpec, volumeSpec } from "../../../engine/specs";

describe("container inputs", () => {
  const host = (inputs: object) => containerSpec({ image: "i:1", ...inputs }, "n").create.HostConfig;
  const config = (inputs: object) =>
    containerSpec({ image: "i:1", ...inputs }, "n").create as Record<string, unknown>;

  test.each([
    ["command", { command: ["a", "b"] }, { Cmd: ["a", "b"] }],
    ["entrypoints", { entrypoints: ["/e"] }, { Entrypoint: ["/e"] }],
    ["envs", { envs: ["A=1"] }, { Env: ["A=1"] }],
    ["user", { user: "65534:0" }, { User: "65534:0" }],
    ["hostname", { hostname: "h", domainname: "d" }, { Hostname: "h", Domainname: "d" }],
    ["workingDir", { workingDir: "/w" }, { WorkingDir: "/w" }],
    ["tty", { tty: true, stdinOpen: true }, { Tty: true, OpenStdin: true }],
    ["stop", { stopSignal: "SIGINT", stopTimeout: 30 }, { StopSignal: "SIGINT", StopTimeout: 30 }],
    ["labels", { labels: [{ label: "a", value: "1" }] }, { Labels: { a: "1" } }],
    [
      "healthcheck",
      {
        healthcheck: {
          tests: ["CMD", "x"],
          interval: "5s",
          timeout: "500ms",
          startPeriod: "1m30s",
          retries: 3,
        },
      },
      { Healthcheck: { Test: ["CMD", "x"], Interval: 5e9, Timeout: 5e8, StartPeriod: 90e9, Retries: 3 } },
    ],
    [
      "a port twice, on two addresses and over both protocols",
      {
        ports: [
          { internal: 443, external: 8443, ip: "127.0.0.1", protocol: "tcp" },
          { internal: 443, external: 8443, ip: "::1" },
          { internal: 443, external: 443, protocol: "udp" },
          { internal: 80 },
        ],
      },
      { ExposedPorts: { "443/tcp": {}, "443/udp": {}, "80/tcp": {} } },
    ],
    ["anonymous volume", { volumes: [{ containerPath: "/a" }] }, { Volumes: { "/a": {} } }],
  ])("%s reach the container", (_, inputs, expected) => {
    expect(config(inputs)).toMatchObject(expected);
  });

  test.each([
    [
      "memory in megabytes",
      { memory: 64, memorySwap: 128, memoryReservation: 32, shmSize: 16 },
      {
        Memory: 67108864,
        MemorySwap: 134217728,
        MemoryReservation: 33554432,
        ShmSize: 16777216,
      },
    ],
    ["unlimited swap", { memorySwap: -1 }, { MemorySwap: -1 }],
    ["cpus", { cpus: "0.5", cpuShares: 2, cpuSet: "0" }, { NanoCpus: 5e8, CpuShares: 2, CpusetCpus: "0" }],
    [
      "capabilities",
      { capabilities: { adds: ["CAP_CHOWN"], drops: ["ALL"] } },
      { CapAdd: ["CAP_CHOWN"], CapDrop: ["ALL"] },
    ],
    [
      "security",
      { securityOpts: ["no-new-privileges"], readOnly: true, privileged: false },
      {
        SecurityOpt: ["no-new-privileges"],
        ReadonlyRootfs: true,
        Privileged: false,
      },
    ],
    [
      "unconfined system paths",
      { securityOpts: ["systempaths=unconfined"] },
      { SecurityOpt: [], MaskedPaths: [], ReadonlyPaths: [] },
    ],
    [
      "restart",
      { restart: "on-failure", maxRetryCount: 3 },
      { RestartPolicy: { Name: "on-failure", MaximumRetryCount: 3 } },
    ],
    [
      "logs",
      { logDriver: "json-file", logOpts: { "max-size": "1m" } },
      {
        LogConfig: { Type: "json-file", Config: { "max-size": "1m" } },
      },
    ],
    ["tmpfs", { tmpfs: { "/t": "mode=1777" } }, { Tmpfs: { "/t": "mode=1777" } }],
    [
      "volumes",
      {
        volumes: [
          { volumeName: "v", containerPath: "/v", readOnly: true },
          { hostPath: "/h", containerPath: "/c" },
        ],
      },
      {
        Binds: ["v:/v:ro", "/h:/c:rw"],
      },
    ],
    [
      "mounts",
      { mounts: [{ type: "tmpfs", target: "/m", tmpfsOptions: { sizeBytes: 5 } }] },
      {
        Mounts: [
          { Type: "tmpfs", Source: "", Target: "/m", ReadOnly: false, TmpfsOptions: { SizeBytes: 5 } },
        ],
      },
    ],
    [
      "names",
      { hosts: [{ host: "h", ip: "1.2.3.4" }], dns: ["9.9.9.9"], dnsOpts: ["o"], dnsSearches: ["s"] },
      {
        ExtraHosts: ["h:1.2.3.4"],
        Dns: ["9.9.9.9"],
        DnsOptions: ["o"],
        DnsSearch: ["s"],
      },
    ],
    [
      "limits",
      { ulimits: [{ name: "nofile", soft: 1, hard: 2 }], sysctls: { a: "1" }, groupAdds: ["5"] },
      {
        Ulimits: [{ Name: "nofile", Soft: 1, Hard: 2 }],
        Sysctls: { a: "1" },
        GroupAdd: ["5"],
      },
    ],
    [
      "modes",
      { init: true, pidMode: "host", ipcMode: "none", networkMode: "none" },
      {
        Init: true,
        PidMode: "host",
        IpcMode: "none",
        NetworkMode: "none",
      },
    ],
    ["the default network", {}, { NetworkMode: "bridge" }],
  ])("%s reach the host configuration", (_, inputs, expected) => {
    expect(host(inputs)).toMatchObject(expected);
  });

  test("one port may be bound on several addresses, a port without a number gets a free one", () => {
    const ports = [
      { internal: 443, external: 8443, ip: "127.0.0.1" },
      { internal: 443, external: 8443, ip: "::1" },
      { internal: 80 },
    ];
    expect(host({ ports })?.PortBindings).toEqual({
      "443/tcp": [
        { HostIp: "127.0.0.1", HostPort: "8443" },
        { HostIp: "::1", HostPort: "8443" },
      ],
      "80/tcp": [{ HostIp: "0.0.0.0", HostPort: "" }],
    });
  });

  test("networks keep their order, addresses and aliases", () => {
    const { networks } = containerSpec(
      {
        image: "i:1",
        networksAdvanced: [
          { name: "a", aliases: ["x"], ipv4Address: "10.0.0.2", ipv6Address: "fd00::2" },
          { name: "b" },
        ],
      },
      "n",
    );
    expect(networks).toEqual([
      {
        name: "a",
        endpoint: { Aliases: ["x"], IPAMConfig: { IPv4Address: "10.0.0.2", IPv6Address: "fd00::2" } },
      },
      { name: "b", endpoint: {} },
    ]);
  });

  test.each([
    [{}, 0o644],
    [{ executable: true }, 0o744],
    [{ permissions: "0400" }, 0o400],
    [{ permissions: "640", executable: true }, 0o640],
  ])("uploads take their mode from %j", (options, mode) => {
    const upload = { file: "/etc/a", content: "ü\n", ...options };
    const encoded = { file: "/b", contentBase64: "AAE=" };
    expect(containerSpec({ image: "i:1", uploads: [upload, encoded] }, "n").uploads).toEqual([
      { path: "/etc/a", content: Buffer.from("ü\n"), mode },
      { path: "/b", content: Buffer.from([0, 1]), mode: 0o644 },
    ]);
  });

  test.each([
    [{ gpus: "all" }, "gpus"],
    [{ surprise: 1 }, "surprise"],
    [{ ports: [{ internal: 1, extra: 2 }] }, "ports[0].extra"],
    [{ ports: [{ internal: "x" }] }, "ports[0].internal"],
    [{ uploads: [{ file: "/a", content: "", source: "" }] }, "uploads[0]"],
    [{ uploads: [{ file: "/a", content: "a", contentBase64: "YQ==" }] }, "uploads[0]"],
    [{ uploads: [{ file: "/a", content: "a", owner: "root" }] }, "uploads[0].owner"],
    [{ uploads: [{ file: "/a", content: "a", permissions: "0999" }] }, "uploads[0].permissions"],
    [{ healthcheck: { tests: ["CMD"], interval: "5 seconds" } }, "healthcheck.interval"],
    [{ volumes: [{ volumeName: "v" }] }, "volumes[0]"],
    [{ image: undefined }, "image"],
    [{ restart: {} }, "restart"],
    [{ readOnly: "true" }, "readOnly"],
    [{ networksAdvanced: [{ name: "a", gwPriority: 1 }] }, "networksAdvanced[0].gwPriority"],
  ])("%j is refused, naming %s", (inputs, path) => {
    const translate = () => containerSpec({ image: "i:1", ...inputs }, "n");
    expect(translate).toThrow(SpecError);
    expect(translate).toThrow(path);
  });

  test("networks and volumes are translated, and refuse what they do not know", () => {
    expect(
      networkSpec(
        {
          name: "n",
          driver: "bridge",
          internal: true,
          ipv6: false,
          options: { mtu: "1400" },
          labels: [{ label: "a", value: "1" }],
          ipamConfigs: [{ subnet: "10.0.0.0/26", gateway: "10.0.0.1" }],
        },
        "f",
      ),
    ).toEqual({
      Name: "n",
      Driver: "bridge",
      Internal: true,
      EnableIPv6: false,
      Options: { mtu: "1400" },
      Labels: { a: "1" },
      IPAM: { Config: [{ Subnet: "10.0.0.0/26", Gateway: "10.0.0.1" }] },
    });
    expect(volumeSpec({ driverOpts: { a: "b" } }, "f")).toEqual({ Name: "f", DriverOpts: { a: "b" } });
    expect(() => networkSpec({ ingress: true }, "f")).toThrow("ingress");
    expect(() => volumeSpec({ cluster: {} }, "f")).toThrow("cluster");
  });
});

test.each([
  ["5s", 5e9],
  ["0s", 0],
  ["0", 0],
  ["1h2m3.5s", 3723.5e9],
  ["250ms", 25e7],
  ["10us", 1e4],
  ["", undefined],
  ["5", undefined],
  ["5 s", undefined],
  ["s", undefined],
  ["1d", undefined],
])("the Go duration %j is %j nanoseconds", (text, nanoseconds) => {
  expect(parseGoDuration(text)).toBe(nanoseconds);
});
