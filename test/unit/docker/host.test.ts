import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import { dockerCandidates, findDocker } from "../../../docker/host";
import { planEngine, type Machine } from "../../../docker/install";

const folder = mkdtempSync(join(tmpdir(), "docker-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("where the engine is", () => {
  const home = join(folder, "home");
  const context = (name: string, host: string) => {
    const meta = join(home, ".docker/contexts/meta", createHash("sha256").update(name).digest("hex"));
    mkdirSync(meta, { recursive: true });
    writeFileSync(join(meta, "meta.json"), JSON.stringify({ Endpoints: { docker: { Host: host } } }));
  };

  test("DOCKER_HOST is final, then the chosen context, then the usual sockets", () => {
    context("far", "ssh://root@192.0.2.1");
    expect(dockerCandidates({ DOCKER_HOST: "tcp://h:2375", DOCKER_CONTEXT: "far" }, home)).toEqual([
      { address: "tcp://h:2375", chosenBy: "DOCKER_HOST" },
    ]);
    expect(dockerCandidates({ DOCKER_CONTEXT: "far" }, home)).toEqual([
      { address: "ssh://root@192.0.2.1", chosenBy: 'docker context "far"' },
    ]);
    expect(dockerCandidates({ DOCKER_CONTEXT: "unknown" }, home)).toEqual([]);
    writeFileSync(join(home, ".docker/config.json"), JSON.stringify({ currentContext: "far" }));
    expect(dockerCandidates({}, home)[0]?.address).toBe("ssh://root@192.0.2.1");
    writeFileSync(join(home, ".docker/config.json"), "not JSON");
    mkdirSync(join(folder, "run"), { recursive: true });
    writeFileSync(join(folder, "run/docker.sock"), "");
    const addresses = dockerCandidates({ XDG_RUNTIME_DIR: join(folder, "run") }, home).map(
      ({ address }) => address,
    );
    expect(addresses).toContain(`unix://${join(folder, "run/docker.sock")}`);
  });

  test("an engine that answers is found, with its version", async () => {
    const server = createServer((_, response) => response.end(JSON.stringify({ Version: "99.1" })));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(await findDocker({ DOCKER_HOST: address })).toMatchObject({
        address,
        version: "99.1",
        chosenBy: "DOCKER_HOST",
      });
    } finally {
      server.close();
    }
  });

  test.each([
    ["unix:///nonexistent/docker.sock", "there is no such socket"],
    ["tcp://127.0.0.1:1", "nothing listens there"],
    ["nonsense", "Invalid URL"],
  ])("%s is said not to answer, and why", async (address, why) => {
    expect(await findDocker({ DOCKER_HOST: address })).toEqual({
      tried: [`${address} (DOCKER_HOST): ${why}`],
    });
  });

  test("tells what ssh said when an engine cannot be reached by it", async () => {
    writeFileSync(
      join(folder, "ssh"),
      '#!/bin/sh\necho "$*: Host key verification failed." >&2; exit 255\n',
      {
        mode: 0o755,
      },
    );
    const environment = { DOCKER_HOST: "ssh://ops@192.0.2.1:2222", PATH: `${folder}:${process.env.PATH}` };
    expect(await findDocker(environment)).toEqual({
      tried: [
        expect.stringMatching(
          /^ssh:\/\/ops@192\.0\.2\.1:2222 \(DOCKER_HOST\): .*-l ops -p 2222 -- 192\.0\.2\.1 docker system dial-stdio: Host key verification failed\.$/,
        ),
      ],
    });
  });

  test("one that never answers is given up", async () => {
    const server = createServer(() => {});
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(await findDocker({ DOCKER_HOST: address }, 100)).toMatchObject({
        tried: [expect.stringContaining(address)],
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});

describe("a missing engine", () => {
  const machine: Machine = {
    platform: "linux",
    isRoot: true,
    osRelease: 'NAME="Debian GNU/Linux"\nID=debian\n',
    hasDockerd: false,
    addressChosen: false,
  };
  test.each<[string, Partial<Machine>, object]>([
    ["is installed on Debian as root", {}, { kind: "install" }],
    ["is installed on Ubuntu as root", { osRelease: "ID=ubuntu\n" }, { kind: "install" }],
    [
      "is installed on what is like them",
      { osRelease: 'ID=linuxmint\nID_LIKE="ubuntu debian"\n' },
      { kind: "install" },
    ],
    ["is started where it is installed", { hasDockerd: true, osRelease: "ID=fedora\n" }, { kind: "start" }],
    [
      "needs sudo otherwise",
      { isRoot: false },
      { advice: expect.stringContaining("sudo apt-get install docker.io") },
    ],
    [
      "needs sudo to be started",
      { isRoot: false, hasDockerd: true },
      { advice: expect.stringContaining("sudo systemctl") },
    ],
    [
      "is left to the person elsewhere",
      { osRelease: "ID=fedora\n" },
      { advice: expect.stringContaining("docs.docker.com") },
    ],
    [
      "is Docker Desktop on macOS",
      { platform: "darwin" },
      { advice: expect.stringContaining("Docker Desktop") },
    ],
    [
      "is Docker Desktop on Windows",
      { platform: "win32" },
      { advice: expect.stringContaining("Docker Desktop") },
    ],
    [
      "is not replaced where another was chosen",
      { addressChosen: true },
      { advice: expect.stringContaining("unset DOCKER_HOST") },
    ],
    ["is not taken from a look-alike name", { osRelease: "ID=notdebianish\n" }, { kind: "advise" }],
  ])("%s", (_, change, expected) => expect(planEngine({ ...machine, ...change })).toMatchObject(expected));
});
