import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { waitForEngine } from "../../../gates/engine";

const target = { host: "192.0.2.7", port: 22, user: "root", hostKey: "ssh-ed25519 AAAA" };

describe("waiting for an engine", () => {
  let folder: string;
  const path = process.env.PATH;
  const said: string[] = [];
  const program = (name: string, script: string) => {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, name), 0o755);
  };
  const wait = (setsItselfUp: boolean, timeout = 0) =>
    waitForEngine({ target, setsItselfUp, timeout }, (line) => void said.push(line));
  const failure = (setsItselfUp: boolean, timeout?: number) =>
    wait(setsItselfUp, timeout).then(
      () => "it passed",
      ({ message }: Error) => message,
    );

  beforeEach(() => {
    said.length = 0;
    folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-ssh-"));
    process.env.PATH = `${folder}:${path}`;
    // What would run on the host runs here.
    program("ssh", 'for last; do :; done; exec sh -c "$last"');
    program("docker", "echo 26.1.5+dfsg1");
    program("cloud-init", "exit 0");
  });
  afterEach(() => {
    process.env.PATH = path;
    rmSync(folder, { recursive: true });
  });

  it("ends when Docker answers", async () => {
    await wait(false);
    expect(said).toEqual([]);
  });

  it.each([
    ["20.10.24+dfsg1", 1],
    ["23.0.0", 0],
    ["29.1.3", 0],
  ])(
    "tells of an engine that keeps the UDP connections of a replaced container: %s",
    async (version, times) => {
      program("docker", `echo ${version}`);
      await wait(false);
      expect(said).toHaveLength(times);
      for (const line of said) expect(line).toContain(`192.0.2.7: Docker ${version} leaves UDP connections`);
    },
  );

  it("takes a time that is no whole number of milliseconds", () => wait(false, 60.0005));

  it("goes on while the host refuses connections, and says so once", async () => {
    program(
      "ssh",
      `if [ -e ${folder}/up ]; then exit 0; fi; touch ${folder}/up; echo "ssh: connect to host: Connection refused" >&2; exit 255`,
    );
    await wait(false, 30);
    expect(said).toEqual(["192.0.2.7: waiting for SSH to let us in"]);
  });

  it("names what it waited for last, what it heard, and how to look", async () => {
    program("ssh", 'echo "ssh: connect to host 192.0.2.7 port 22: Connection timed out" >&2; exit 255');
    const message = await failure(true);
    expect(message).toMatch(/was not ready after 0 s: waited for SSH to let us in\./);
    expect(message).toContain("Connection timed out");
    expect(message).toContain("Is this machine's address among those from which SSH is allowed?");
    expect(message).toContain("The next pulumi up goes on from here");
  });

  it("tells a Docker engine that does not answer from a host that does not", async () => {
    program("docker", 'echo "Cannot connect to the Docker daemon" >&2; exit 1');
    const message = await failure(false);
    expect(message).toMatch(
      /waited for the Docker engine to answer\.\n[^]*Cannot connect[^]*journalctl -u docker/,
    );
  });

  it("does not wait on for a machine that could not set itself up, and shows its log", async () => {
    program("cloud-init", 'case "$*" in *--long*) echo "status: error";; esac');
    const message = await failure(true, 600);
    expect(message).toMatch(/could not set itself up\.\nWhat it said last:\n +status: error/);
    expect(message).toContain("/var/log/cloud-init-output.log");
  });

  it("ends an attempt that hangs when the time is up", async () => {
    program("cloud-init", "exec sleep 600");
    expect(await failure(true, 1)).toMatch(
      /waited for cloud-init to finish\.[^]*tail -f \/var\/log\/cloud-init/,
    );
  });

  it("tells at once that a host there already accepts no key", async () => {
    program("ssh", 'echo "root@192.0.2.7: Permission denied (publickey)." >&2; exit 255');
    expect(await failure(false, 600)).toMatch(/accepts none of this machine's keys\. Set sshKeyFile/);
  });

  it("tells at once that a host there already has another key", async () => {
    program("ssh", 'echo "is\nSHA256:z/fSv0Z0.\nHost key verification failed." >&2; exit 255');
    expect(await failure(false, 600)).toMatch(
      /does not have the key ssh-ed25519 AAAA but SHA256:z\/fSv0Z0: it is another machine, or someone is in between/,
    );
  });

  it("says that there is no ssh", async () => {
    rmSync(join(folder, "ssh"));
    process.env.PATH = folder;
    expect(await failure(false)).toMatch(/There is no ssh on this machine/);
  });
});
