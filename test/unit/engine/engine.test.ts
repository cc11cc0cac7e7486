import type Docker from "dockerode";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { findDocker } from "../../../docker/host";
import { containerLogs, ownerLabel } from "../../../docker/calls";
import { engineBackend } from "../../../engine/backend";
import { containerSpec } from "../../../engine/container-spec";
import { down } from "../../../engine/down";
import { parseGoDuration, SpecError } from "../../../engine/fields";
import { withLock } from "../../../engine/lock";
import { networkSpec, volumeSpec } from "../../../engine/specs";
import { EngineState } from "../../../engine/state";
import type { ResourceRequest } from "../../../program/monitor";
import { reveal, SecretValue } from "../../../program/secrets";
import { firstFile, tar } from "../../../docker/archive";
import { CommandError } from "../../../terminal/terminal";

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

describe("archives", () => {
  const unpack = async (archive: NodeJS.ReadableStream): Promise<Record<string, string>> => {
    const folder = mkdtempSync(join(tmpdir(), "tar-"));
    try {
      execFileSync("tar", ["-xpf", "-", "-C", folder], { input: await buffer(archive) });
      return Object.fromEntries(
        readdirSync(folder, { recursive: true, withFileTypes: true })
          .filter((entry) => entry.isFile())
          .map((entry) => {
            const path = join(entry.parentPath, entry.name);
            const mode = (statSync(path).mode & 0o777).toString(8);
            return [path.slice(folder.length), `${mode} ${readFileSync(path, "utf8").length}`];
          }),
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  };

  test("are read by tar: sizes around the block, long and non-ASCII paths, modes", async () => {
    const long = `/${"d".repeat(100)}/${"e".repeat(40)}/${"f".repeat(95)}`;
    const entries = [
      { path: "/empty", content: Buffer.alloc(0), mode: 0o600 },
      { path: "/block", content: Buffer.alloc(512, "x"), mode: 0o644 },
      { path: "/etc/ключ", content: Buffer.alloc(513, "x"), mode: 0o755 },
      { path: long, content: Buffer.from("l"), mode: 0o640 },
      { path: `/${"x".repeat(101)}`, content: Buffer.from("x"), mode: 0o644 },
    ];
    expect(await unpack(tar(entries))).toEqual({
      "/empty": "600 0",
      "/block": "644 512",
      "/etc/ключ": "755 513",
      [long]: "640 1",
      [`/${"x".repeat(101)}`]: "644 1",
    });
  });

  test("give their first file, and none where they have none", async () => {
    const entry = (path: string, text: string) => ({ path, content: Buffer.from(text), mode: 0o644 });
    expect((await firstFile(tar([entry("a", "ü\n"), entry("b", "2")])))?.toString()).toBe("ü\n");
    expect(await firstFile(tar([]))).toBeUndefined();
  });
});

describe("state", () => {
  const folder = mkdtempSync(join(tmpdir(), "state-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const password = (inputs: object): ResourceRequest =>
    request("random:index/randomPassword:RandomPassword", "p", inputs);

  test("generated values stay the same, in a file that only the owner reads", () => {
    const first = EngineState.open(join(folder, "a"), "s").generate(password({ length: 20, special: false }));
    const again = EngineState.open(join(folder, "a"), "s").generate(password({ length: 20, special: false }));
    expect(first.result).toBeInstanceOf(SecretValue);
    expect(reveal(first)).toEqual(reveal(again));
    expect(String(reveal(first.result))).toMatch(/^[A-Za-z0-9]{20}$/);
    expect(statSync(join(folder, "a", "s.json")).mode & 0o777).toBe(0o600);
    expect(statSync(join(folder, "a")).mode & 0o777).toBe(0o700);
  });

  test("other inputs give another value", () => {
    const state = EngineState.open(join(folder, "b"), "s");
    const first = reveal(state.generate(password({ length: 20 })));
    expect(reveal(state.generate(password({ length: 20, keepers: { a: "1" } })))).not.toEqual(first);
  });

  test("characters obey the classes and their minimums", () => {
    const state = EngineState.open(join(folder, "c"), "s");
    const inputs = { length: 12, upper: false, numeric: false, overrideSpecial: "#", minSpecial: 5 };
    expect(String(reveal(state.generate(password(inputs)).result))).toMatch(/^(?=(?:[^#]*#){5})[a-z#]{12}$/);
    expect(() => state.generate(password({ length: 0 }))).toThrow("length");
    expect(() => state.generate(request("random:index/randomPet:RandomPet", "p", {}))).toThrow("Pulumi CLI");
  });

  test("hashes do not depend on the order of members and need the key", () => {
    const state = EngineState.open(join(folder, "d"), "s");
    expect(state.hash({ a: 1, b: [1, { c: 2, d: undefined }] })).toBe(state.hash({ b: [1, { c: 2 }], a: 1 }));
    expect(state.hash({ a: 1 })).not.toBe(state.hash({ a: 2 }));
    expect(EngineState.open(join(folder, "e"), "s").hash({ a: 1 })).not.toBe(state.hash({ a: 1 }));
  });

  test("a damaged file is said to be one, and what to do", () => {
    mkdirSync(join(folder, "f"));
    execFileSync("sh", ["-c", `echo '{"version": 9}' > ${join(folder, "f", "s.json")}`]);
    expect(() => EngineState.open(join(folder, "f"), "s")).toThrow("--down");
  });

  test("a lock keeps a second process out, and one left behind does not", async () => {
    const path = join(folder, "g");
    await withLock(path, "s", async () => {
      await expect(withLock(path, "s", async () => 1)).rejects.toThrow(`Process ${process.pid}`);
      await expect(withLock(path, "other", async () => 2)).resolves.toBe(2);
    });
    execFileSync("sh", ["-c", `echo 999999999 > ${join(path, "s.lock")}`]);
    await expect(withLock(path, "s", async () => 3)).resolves.toBe(3);
    await expect(withLock(path, "s", async () => Promise.reject(new Error("x")))).rejects.toThrow("x");
    expect(readdirSync(path)).toEqual([]);
  });
});

// ---- against a real engine

describe("on a Docker engine", { timeout: 60_000 }, () => {
  let docker: Docker;
  let reachable = false;
  const stack = `test-${randomBytes(4).toString("hex")}`;
  const image = `torrust-pingoo-test/${stack}:1`;
  const octet = randomBytes(1).readUInt8(0);
  const stateDir = mkdtempSync(join(tmpdir(), "engine-"));
  const lines: string[] = [];
  const progress = {
    step: (name: string) => ({
      update() {},
      succeed: (detail?: string) => void lines.push(`${name} ${detail}`),
      skip() {},
      fail: (detail?: string) => void lines.push(`${name} failed ${detail}`),
    }),
    line: (text: string) => void lines.push(text),
    stop() {},
  };
  const engine = (secrets: string[] = []) => engineBackend({ docker, stack, stateDir, progress, secrets });
  const network = (inputs: object = {}) =>
    request("docker:index/network:Network", "net", {
      name: `${stack}-net`,
      ipamConfigs: [{ subnet: `10.222.${octet}.0/26`, gateway: `10.222.${octet}.1` }],
      ...inputs,
    });
  const volume = () => request("docker:index/volume:Volume", "vol", { name: `${stack}-vol` });
  const container = (inputs: object = {}, name = "box") =>
    request("docker:index/container:Container", name, {
      name: `${stack}-${name}`,
      image,
      command: ["sleep", "1000"],
      init: true,
      ...inputs,
    });
  const inspect = (name: string) => docker.getContainer(`${stack}-${name}`).inspect();
  const run = async (name: string, ...command: string[]) => {
    const options = { Cmd: command, AttachStdout: true, AttachStderr: true, Tty: true };
    const exec = await docker.getContainer(`${stack}-${name}`).exec(options);
    const chunks: Buffer[] = [];
    for await (const chunk of await exec.start({ Tty: true })) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8").replace(/\r/g, "").trim();
  };

  beforeAll(async () => {
    const found = await findDocker();
    reachable = "docker" in found;
    if (!("docker" in found)) return;
    docker = found.docker;
    await importTinyImage(docker, image);
  });
  beforeEach(({ skip }) => skip(!reachable, "no Docker engine answers"));
  afterEach(async () => {
    if (reachable) await down({ docker, stack, stateDir });
    lines.length = 0;
  });
  afterAll(async () => {
    if (reachable) await docker.getImage(image).remove({ force: true });
    rmSync(stateDir, { recursive: true, force: true });
  });

  test("makes a network, a volume and a container with files, address and limits", async () => {
    const backend = engine();
    const net = await backend.create(network());
    const vol = await backend.create(volume());
    const box = await backend.create(
      container({
        networksAdvanced: [{ name: `${stack}-net`, ipv4Address: `10.222.${octet}.20`, aliases: ["boxy"] }],
        volumes: [{ volumeName: `${stack}-vol`, containerPath: "/data" }],
        uploads: [
          { file: "/etc/deep/below/a.conf", content: "hällo\n", permissions: "0640" },
          {
            file: "/run.sh",
            contentBase64: Buffer.from("#!/bin/sh\necho ran\n").toString("base64"),
            executable: true,
          },
        ],
        envs: ["WORD=x y"],
        memory: 32,
        memorySwap: 64,
        user: "0:0",
        tmpfs: { "/t": "mode=1777" },
      }),
    );
    await backend.finish();
    expect(net.state).toMatchObject({ name: `${stack}-net`, driver: "bridge" });
    expect(vol).toMatchObject({ id: `${stack}-vol` });
    expect(box.state.networkDatas).toMatchObject([
      { networkName: `${stack}-net`, ipAddress: `10.222.${octet}.20` },
    ]);
    expect(await run("box", "cat", "/etc/deep/below/a.conf")).toBe("hällo");
    expect(await run("box", "sh", "-c", "/run.sh; echo $WORD; ls -l /etc/deep/below/a.conf")).toMatch(
      /^ran\nx y\n-rw-r-----/,
    );
    const { HostConfig, NetworkSettings } = await inspect("box");
    expect(HostConfig).toMatchObject({
      Memory: 32 * 2 ** 20,
      MemorySwap: 64 * 2 ** 20,
      Binds: [`${stack}-vol:/data:rw`],
    });
    expect(Object.keys(NetworkSettings.Networks)).toEqual([`${stack}-net`]);
    expect(backend.summary).toEqual({ created: 3, replaced: 0, kept: 0, removed: 0 });
  });

  test("changes nothing the second time, replaces what changed, removes what is no longer declared", async () => {
    const declare = async (resources: ResourceRequest[]) => {
      const backend = engine();
      await backend.prepare(resources);
      for (const resource of resources) await backend.create(resource);
      await backend.finish();
      return backend.summary;
    };
    const joined = { networksAdvanced: [{ name: `${stack}-net` }], destroyGraceSeconds: 1 };
    const first = [network(), volume(), container(joined), container(joined, "other")];
    expect(await declare(first)).toEqual({ created: 4, replaced: 0, kept: 0, removed: 0 });
    const before = await inspect("box");
    expect(await declare(first)).toEqual({ created: 0, replaced: 0, kept: 4, removed: 0 });
    expect((await inspect("box")).Id).toBe(before.Id);

    expect(await declare([network(), volume(), container({ ...joined, envs: ["A=1"] })])).toEqual({
      created: 0,
      replaced: 1,
      kept: 2,
      removed: 1,
    });
    expect((await inspect("box")).Id).not.toBe(before.Id);
    await expect(inspect("other")).rejects.toThrow("no such container");

    // A network cannot change under its containers: they go first and come back.
    const moved = network({ ipamConfigs: [{ subnet: `10.222.${octet}.64/26` }] });
    expect(await declare([moved, volume(), container({ ...joined, envs: ["A=1"] })])).toMatchObject({
      replaced: 1,
      kept: 1,
    });
    expect((await inspect("box")).NetworkSettings.Networks[`${stack}-net`]?.IPAddress).toMatch(
      /^10\.222\.\d+\.(6[4-9]|[789]\d|1[0-2]\d)$/,
    );

    // Volumes stay until the stack goes.
    expect(await declare([])).toEqual({ created: 0, replaced: 0, kept: 0, removed: 2 });
    expect((await docker.getVolume(`${stack}-vol`).inspect()).Labels).toMatchObject({ [ownerLabel]: stack });
    expect(await down({ docker, stack, stateDir })).toEqual({ containers: 0, networks: 0, volumes: 1 });
    await expect(docker.getVolume(`${stack}-vol`).inspect()).rejects.toThrow("no such volume");
  });

  test("has a container give up its host port before another takes it, whichever comes first", async () => {
    const port = (external: number) => ({ internal: 80, external, ip: "127.0.0.1", protocol: "tcp" });
    const declare = async (a: number, b: number) => {
      const backend = engine();
      const resources = [
        container({ ports: [port(a)], destroyGraceSeconds: 1 }, "a"),
        container({ ports: [port(b)], destroyGraceSeconds: 1 }, "b"),
      ];
      await backend.prepare(resources);
      for (const resource of resources) await backend.create(resource);
      await backend.finish();
    };
    const portOf = async (name: string) =>
      (await inspect(name)).NetworkSettings.Ports["80/tcp"]?.map(({ HostPort }) => HostPort);
    await declare(17181, 17182);
    await declare(17182, 17181);
    expect([await portOf("a"), await portOf("b")]).toEqual([["17182"], ["17181"]]);
  });

  test("starts a stopped container again instead of making it anew", async () => {
    await engine().create(container({ stopTimeout: 1 }));
    const { Id } = await inspect("box");
    await docker.getContainer(Id).stop({ t: 0 });
    const backend = engine();
    await backend.create(container({ stopTimeout: 1 }));
    expect(await inspect("box")).toMatchObject({ Id, State: { Running: true } });
    expect(lines).toContain(`container ${stack}-box started again`);
  });

  test("makes a stopped container anew that does not start again", async () => {
    const once = container({ command: ["sh", "-c", "[ -e /once ] && exit 1; : >/once; exec sleep 1000"] });
    await engine().create(once);
    const { Id } = await inspect("box");
    await docker.getContainer(Id).stop({ t: 0 });
    const backend = engine();
    await backend.create(once);
    await backend.finish();
    expect((await inspect("box")).Id).not.toBe(Id);
  });

  test("a container that ends is an error with its last lines, without their secrets", async () => {
    const command = ["sh", "-c", "(echo starting; echo token=hunter2hunter2) >&2; exit 3"];
    const failing = engine(["hunter2hunter2"]).create(container({ command }));
    await expect(failing).rejects.toThrow(/exit code 3.*\n.*last lines:\n\s+starting\n\s+token=\[secret\]/s);
  });

  test("a container that ends and restarts is found out", async () => {
    const command = ["sh", "-c", "echo looping; exit 1"];
    const looping = engine();
    const deployed = looping
      .create(container({ command, restart: "unless-stopped" }))
      .then(() => new Promise((resolve) => setTimeout(resolve, 2000)))
      .then(() => looping.finish());
    await expect(deployed).rejects.toThrow(/exit code 1.*looping/s);
    const late = engine();
    await late.create(
      container({ command: ["sh", "-c", "sleep 1; echo late; exit 7"], restart: "unless-stopped" }),
    );
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await expect(late.finish()).rejects.toThrow("late");
  });

  test("a failed container is replaced by the next attempt", async () => {
    await expect(engine().create(container({ command: ["false"] }))).rejects.toThrow("exit code 1");
    await expect(engine().create(container({ command: ["/missing"] }))).rejects.toThrow("/missing");
    await engine().create(container());
    expect((await inspect("box")).State.Running).toBe(true);
  });

  test("waits until a container is healthy", async () => {
    const healthcheck = {
      tests: ["CMD", "cat", "/ready"],
      interval: "200ms",
      timeout: "2s",
      retries: 3,
      startPeriod: "5s",
    };
    const command = ["sh", "-c", "sleep 1; echo > /ready; sleep 1000"];
    await engine().create(container({ healthcheck, command, wait: true, waitTimeout: 30 }));
    expect((await inspect("box")).State.Health?.Status).toBe("healthy");

    const never = container({
      healthcheck: { ...healthcheck, tests: ["CMD", "cat", "/never"] },
      wait: true,
      waitTimeout: 1,
    });
    await expect(engine().create(never)).rejects.toThrow(
      /not healthy after 1 s.*\n.*never.*\n.*printed nothing/s,
    );
    await expect(engine().create(container({ wait: true }))).rejects.toThrow("no health check");
  });

  test("waits for a container that does its work and ends", async () => {
    const made = await engine().create(
      container({ command: ["sh", "-c", "echo done; exit 4"], attach: true, logs: true, mustRun: false }),
    );
    expect(made.state).toMatchObject({ exitCode: 4, containerLogs: "done" });
    expect(await containerLogs(docker, made.id)).toEqual(["done"]);
  });

  test("leaves alone what it did not make", async () => {
    const stranger = await docker.createContainer({
      name: `${stack}-box`,
      Image: image,
      Cmd: ["sleep", "1000"],
    });
    const strange = await docker.createVolume({ Name: `${stack}-vol` });
    try {
      await expect(engine().create(container())).rejects.toThrow("does not belong to stack");
      await engine().create(volume());
      expect(await down({ docker, stack, stateDir })).toEqual({ containers: 0, networks: 0, volumes: 0 });
      await stranger.inspect();
      await docker.getVolume(strange.name).inspect();
    } finally {
      await stranger.remove({ force: true });
      await docker.getVolume(strange.name).remove();
    }
  });

  test.each([
    [
      "network",
      { NetworkMode: `${stack}-net` },
      `docker network disconnect -f ${stack}-net ${stack}-stranger`,
    ],
    ["volume", { Binds: [`${stack}-vol:/v`] }, `docker rm -f ${stack}-stranger`],
  ])("removes nothing while somebody else uses its %s, and says who", async (_, HostConfig, remedy) => {
    const backend = engine();
    for (const resource of [network(), volume(), container({ destroyGraceSeconds: 1 })])
      await backend.create(resource);
    await backend.finish();
    const stranger = await docker.createContainer({
      Image: image,
      name: `${stack}-stranger`,
      Cmd: ["sleep", "600"],
      HostConfig,
    });
    try {
      await stranger.start();
      const refused = down({ docker, stack, stateDir });
      await expect(refused).rejects.toThrow(CommandError);
      await expect(refused).rejects.toThrow(remedy);
      expect((await inspect("box")).State.Running).toBe(true);
    } finally {
      await stranger.remove({ force: true });
    }
    expect(await down({ docker, stack, stateDir })).toEqual({ containers: 1, networks: 1, volumes: 1 });
  });

  test("names a taken port and what to do", async () => {
    const ports = [{ internal: 1, external: 40000 + octet, ip: "127.0.0.1" }];
    await engine().create(container({ ports }));
    await expect(engine().create(container({ ports }, "second"))).rejects.toThrow(
      /already allocated.*httpsPort/s,
    );
  });

  test("an image that is nowhere is an error that says how to go on", async () => {
    const missing = request("docker:index/remoteImage:RemoteImage", "i", { name: "registry.invalid/none:1" });
    await expect(engine().create(missing)).rejects.toThrow(
      /registry\.invalid\/none:1.*could not be pulled.*images/s,
    );
    const local = request("docker:index/remoteImage:RemoteImage", "i", { name: image, keepLocally: true });
    expect((await engine().create(local)).state.imageId).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  test("builds an image once, and removes it with the stack", async () => {
    const name = `torrust-pingoo-test/${stack}:built`;
    const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-build-"));
    writeFileSync(join(folder, "Dockerfile"), `ARG BASE\nFROM \${BASE}\nCOPY word /word\n`);
    writeFileSync(join(folder, "word"), "first");
    const build = { context: folder, dockerfile: "Dockerfile", buildArgs: { BASE: image } };
    const built = request("docker:index/remoteImage:RemoteImage", "i", { name, build });
    try {
      const { state } = await engine().create(built);
      expect(state.imageId).toMatch(/^sha256:[0-9a-f]{64}$/);
      writeFileSync(join(folder, "word"), "second");
      expect((await engine().create(built)).state).toEqual(state);
      await expect(
        engine().create({ ...built, inputs: { name: `${name}2`, build: { ...build, buildArgs: {} } } }),
      ).rejects.toThrow(/built2 cannot be built/);
      await expect(
        engine().create({ ...built, inputs: { name, build: { ...build, squash: true } } }),
      ).rejects.toThrow(/build\.squash/);
      await down({ docker, stack, stateDir });
      await expect(docker.getImage(name).inspect()).rejects.toThrow(/404/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  test("refuses resources and engines that it cannot serve", async () => {
    await expect(engine().create(request("hcloud:index/server:Server", "vm", {}))).rejects.toThrow(
      "npm run up",
    );
    await expect(
      engine().create(request("pulumi:providers:docker", "p", { host: "ssh://root@192.0.2.1" })),
    ).rejects.toThrow("ssh://");
  });
});

function request(type: string, name: string, inputs: object): ResourceRequest {
  return {
    urn: `urn:pulumi:s::p::${type}::${name}`,
    type,
    name,
    custom: true,
    inputs: inputs as Record<string, unknown>,
    dependsOn: [],
    protect: false,
    retainOnDelete: false,
    deleteBeforeReplace: false,
  };
}

/** An image of a few of this machine's own programs and the libraries that they need. */
async function importTinyImage(docker: Docker, reference: string): Promise<void> {
  const files = new Set<string>();
  for (const program of ["sh", "sleep", "cat", "ls", "false"].map((name) => `/bin/${name}`)) {
    files.add(program);
    const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/[^\s)]+/g) ?? [];
    for (const library of libraries) files.add(library);
  }
  const entries = [...files].map((path) => ({ path, content: readFileSync(path), mode: 0o755 }));
  const [repo, tag] = reference.split(":");
  const stream = await docker.importImage(tar(entries), { repo, tag });
  await new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (error: Error | null) =>
      error ? reject(error) : resolve(undefined),
    );
  });
}
