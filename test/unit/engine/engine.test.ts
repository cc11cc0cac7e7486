import type Docker from "dockerode";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";

import { tar } from "../../../docker/archive";
import { containerLogs, ownerLabel } from "../../../docker/calls";
import { findDocker } from "../../../docker/host";
import { engineBackend } from "../../../engine/backend";
import { down } from "../../../engine/down";
import type { ResourceRequest } from "../../../program/monitor";
import { CommandError } from "../../../terminal/terminal";
import { request } from "./support";

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
