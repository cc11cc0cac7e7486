import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { readyFile, renderCloudInit, userDataLimit } from "../../../configs/cloud-init";
import { sshKeyPair } from "../../../configs/ssh-key";
import { readScript } from "../../../scripts";

const hostKey = sshKeyPair(Buffer.alloc(32, 7));
const userData = renderCloudInit({
  hostKey,
  volumeDevice: "/dev/disk/by-id/scsi-0HC_Volume_4711",
  script: readScript,
});
const { write_files: files, ...config } = parse(userData) as {
  write_files: { path: string; permissions: string; content: string }[];
  [key: string]: unknown;
};
const file = (path: string) => files.find((one) => one.path === path)?.content ?? "";

describe("user data", () => {
  // Whoever changes it replaces the server of every stack that is deployed.
  it("of a machine", () =>
    expect(userData.replace(/^ +\S+\n(?= +\S+={0,2}\n| +-----END)/gm, "")).toMatchFileSnapshot(
      "golden/user-data.yaml",
    ));

  it("is cloud-config, and far below what Hetzner takes", () => {
    expect(userData.startsWith("#cloud-config\n")).toBe(true);
    expect(Buffer.byteLength(userData)).toBeLessThan(userDataLimit / 4);
  });

  it("brings the machine's SSH key along and lets none be made", () => {
    expect(config).toMatchObject({
      ssh_deletekeys: true,
      ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    });
    expect(file("/etc/ssh/sshd_config.d/10-torrust.conf")).toMatch(/^HostKey .*ed25519_key$/m);
  });

  it("lets in by key alone", () => {
    expect(config.ssh_pwauth).toBe(false);
    const sshd = file("/etc/ssh/sshd_config.d/10-torrust.conf");
    expect(sshd).toMatch(/^PasswordAuthentication no$/m);
    expect(sshd).toMatch(/^PermitRootLogin prohibit-password$/m);
  });

  it("keeps the engine from starting without its data", () => {
    expect(file("/etc/systemd/system/docker.service.d/10-torrust-data.conf")).toContain(
      "Requires=torrust-data.service",
    );
    expect(file("/usr/local/sbin/torrust-data-volume")).toContain(
      "device=/dev/disk/by-id/scsi-0HC_Volume_4711\n",
    );
  });

  it("leaves log options to the containers", () => {
    expect(JSON.parse(file("/etc/docker/daemon.json"))).toEqual({ experimental: true, ip6tables: true });
  });

  it("sets up in one script, the last act of which says that it is done", () => {
    expect(config.runcmd).toHaveLength(1);
    const script = file(String((config.runcmd as string[][])[0]));
    expect(script).toContain("set -eu");
    expect(script.trimEnd().split("\n").pop()).toBe(`touch ${readyFile}`);
  });
});
