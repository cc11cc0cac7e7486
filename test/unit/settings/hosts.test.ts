import { describe, expect, it } from "vitest";

import { tokenProblems } from "../../../settings/hosts";
import { problemsOf, settingsOf } from "../support/config";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs me@laptop";
const hetzner = { sshKeys: [key], sshAllowedFrom: ["203.0.113.7/32"] };
const ssh = { host: "192.0.2.7", hostKey: "ssh-ed25519 AAAAC3Nza root@vm" };

describe("target hetzner", () => {
  it("is complete with a key and the addresses from which SSH is allowed", () => {
    expect(settingsOf({ target: "hetzner", hetzner })).toMatchObject({
      host: {
        kind: "hetzner",
        serverType: "cx23",
        location: "nbg1",
        volumeSize: 10,
        protectServer: false,
        timeout: 600,
      },
      dnsCheck: { mode: "require", timeout: 600 },
      ipv6: true,
      publishAddresses: ["0.0.0.0", "::"],
    });
  });

  it("protects the server with the data unless told otherwise", () => {
    const protect = (more: object) =>
      settingsOf({ target: "hetzner", protectData: true, hetzner: { ...hetzner, ...more } }).host;
    expect(protect({})).toMatchObject({ protectServer: true });
    expect(protect({ protectServer: false })).toMatchObject({ protectServer: false });
  });

  it.each([
    ["no key", { sshKeys: [] }, "hetzner.sshKeys", /has no key .* pulumi config set --path/],
    [
      "a private key",
      { sshKeys: ["-----BEGIN OPENSSH PRIVATE KEY-----"] },
      "hetzner.sshKeys[0]",
      /is a private key/,
    ],
    ["no key at all", { sshKeys: ["who knows?"] }, "hetzner.sshKeys[0]", /is no public key/],
    ["SSH from nowhere", { sshAllowedFrom: [] }, "hetzner.sshAllowedFrom", /not even yours/],
    [
      "SSH from everywhere",
      { sshAllowedFrom: ["0.0.0.0/0"] },
      "hetzner.sshAllowedFrom[0]",
      /opens SSH to the world/,
    ],
    [
      "the same in IPv6",
      { sshAllowedFrom: ["203.0.113.7/32", "::/0"] },
      "hetzner.sshAllowedFrom[1]",
      /opens SSH to the world/,
    ],
    [
      "an address without length",
      { sshAllowedFrom: ["203.0.113.7"] },
      "hetzner.sshAllowedFrom[0]",
      /no address in CIDR form/,
    ],
    [
      "a length out of range",
      { sshAllowedFrom: ["203.0.113.7/33"] },
      "hetzner.sshAllowedFrom[0]",
      /no address in CIDR form/,
    ],
    ["a tiny volume", { volumeSize: 5 }, "hetzner.volumeSize", /^5 is no size\. Write GB from 10 to 10240/],
    ["no server type", { serverType: "big one" }, "hetzner.serverType", /is no server type/],
    [
      "somebody else's zone",
      { dnsZone: "example.com" },
      "hetzner.dnsZone",
      /holds none of the stack's names \(api\.torrust\.org/,
    ],
    ["a misspelt key", { serverTyp: "cx23" }, "hetzner.serverTyp", /Did you mean serverType/],
  ])("refuses %s", (_, more, path, message) => {
    const problems = problemsOf({ target: "hetzner", hetzner: { ...hetzner, ...more } });
    expect(problems).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it("opens SSH to the world for whoever says so", () => {
    const said = { ...hetzner, sshAllowedFrom: ["0.0.0.0/0"], sshOpenToWorld: true };
    expect(problemsOf({ target: "hetzner", hetzner: said })).toEqual([]);
  });

  it("leaves port 22 to sshd", () => {
    expect(problemsOf({ target: "hetzner", hetzner, httpsPort: 22 })).toMatchObject([
      { path: "httpsPort", message: expect.stringContaining("the host's SSH") },
    ]);
  });

  it("has as many UDP trackers as the firewall has room for", () => {
    const every = (step: number, length: number) =>
      problemsOf({
        target: "hetzner",
        hetzner,
        udpTrackers: Array.from({ length }, (_, index) => ({ port: 7000 + step * index })),
      });
    expect(every(2, 45)).toEqual([]);
    expect(every(1, 300)).toEqual([]);
    expect(every(2, 46)).toMatchObject([
      { path: "udpTrackers", message: expect.stringMatching(/need 46 rules .* room for 45\. .* in a row/) },
    ]);
  });

  it("names everything that is missing at once", () => {
    const paths = problemsOf({ target: "hetzner", apiDomain: "*.x.org" }).map(({ path }) => path);
    expect(paths).toEqual(["apiDomain", "hetzner.sshKeys", "hetzner.sshAllowedFrom"]);
  });

  it("wants a token, and never says it", () => {
    expect(tokenProblems("hetzner", undefined)).toMatchObject([{ path: "hcloud:token" }]);
    expect(tokenProblems("hetzner", "x")).toEqual([]);
    expect(tokenProblems("local", undefined)).toEqual([]);
  });
});

describe("target ssh", () => {
  it("is complete with an address and the host's key", () => {
    expect(settingsOf({ target: "ssh", ssh }).host).toEqual({
      kind: "ssh",
      host: "192.0.2.7",
      port: 22,
      user: "root",
      hostKey: "ssh-ed25519 AAAAC3Nza",
      ipv4: "192.0.2.7",
      timeout: 600,
    });
  });

  it.each([
    ["no host", { host: undefined }, ["ssh.host"]],
    ["a host whose key nobody knows", { hostKey: undefined }, ["ssh.hostKey"]],
    ["a name without address", { host: "tracker.torrust.org" }, ["ssh.ipv4"]],
    ["a URL", { host: "ssh://x" }, ["ssh.host"]],
    ["a fingerprint as key", { hostKey: "SHA256:abc" }, ["ssh.hostKey"]],
    ["a port that is none", { port: 0 }, ["ssh.port"]],
    ["nothing", { host: undefined, hostKey: undefined }, ["ssh.host", "ssh.hostKey"]],
  ])("refuses %s", (_, more, paths) => {
    expect(problemsOf({ target: "ssh", ssh: { ...ssh, ...more } }).map(({ path }) => path)).toEqual(paths);
  });

  it("leaves the host's SSH port to sshd", () => {
    const problems = problemsOf({
      target: "ssh",
      ssh: { ...ssh, port: 3443 },
      grafana: true,
      grafanaDomain: "g.torrust.org",
    });
    expect(problems.map(({ path }) => path)).toEqual(["grafanaPort"]);
  });
});

describe("the key file", () => {
  it.each(["~/.ssh/id_ed25519", "/root/.ssh/deploy", ""])("may be %j", (sshKeyFile) => {
    expect(problemsOf({ sshKeyFile })).toEqual([]);
  });
  it.each(["id_ed25519", "~/.ssh/id_ed25519.pub", "/a b", "~root/x"])("may not be %j", (sshKeyFile) => {
    expect(problemsOf({ sshKeyFile }).map(({ path }) => path)).toEqual(["sshKeyFile"]);
  });
});

describe("the check of the names", () => {
  const target = { target: "hetzner", hetzner };
  it.each([
    [
      { ...target, dnsCheck: "warn" },
      { mode: "warn", timeout: 600 },
    ],
    [{ ...target, dnsCheck: "skip" }, undefined],
    [{ ...target, acme: "none" }, undefined],
    [
      { target: "ssh", ssh },
      { mode: "require", timeout: 600 },
    ],
    [{}, undefined],
  ])("with %j", (values, expected) => expect(settingsOf(values).dnsCheck).toEqual(expected));
});
