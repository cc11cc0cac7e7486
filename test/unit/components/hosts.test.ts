import * as pulumi from "@pulumi/pulumi";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { TrackerDeployment } from "../../../components/deployment";
import { createHost } from "../../../components/hosts";
import { userDataLimit } from "../../../configs/cloud-init";
import { project, settingsOf, udpOnly } from "../support/config";
import { isSecret, promised } from "../support/deploy";

const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs me@laptop";
const machine = { sshKeys: [key, "office"], sshAllowedFrom: ["203.0.113.7/32"] };
const hetzner = { target: "hetzner", hetzner: machine };
const ssh = { target: "ssh", ssh: { host: "192.0.2.7", hostKey: "ssh-ed25519 AAAAC3Nza" } };
const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };

interface Registered {
  readonly type: string;
  readonly name: string;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  readonly inputs: any;
  readonly options: pulumi.CustomResourceOptions;
}

/** Registers host and deployment as index.ts does, with what Hetzner would answer. */
async function deploy(values: Record<string, unknown>) {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  const inputs = new Map<string, any>();
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, inputs: given }) => {
        inputs.set(`${type} ${name}`, given);
        const number = String(inputs.size + 1000);
        const outputs: Record<string, unknown> = {
          "random:index/randomBytes:RandomBytes": { base64: Buffer.alloc(32, 7).toString("base64") },
          "random:index/randomPassword:RandomPassword": { result: `secret-of-${name}` },
          "docker:index/remoteImage:RemoteImage": { imageId: `id-of-${name}` },
          "hcloud:index/primaryIp:PrimaryIp": {
            ipAddress: given.type === "ipv6" ? "2001:db8:4::" : "192.0.2.9",
          },
          "hcloud:index/volume:Volume": { linuxDevice: `/dev/disk/by-id/scsi-0HC_Volume_4711` },
        };
        return { id: number, state: { ...given, ...(outputs[type] as object) } };
      },
      call: ({ token }) => {
        throw new Error(`nobody should call ${token}`);
      },
    },
    project,
    "dev",
  );
  const settings = settingsOf(values);
  const spied: pulumi.ResourceTransformationArgs[] = [];
  const spy = (args: pulumi.ResourceTransformationArgs) => void spied.push(args);
  const host = createHost("host", settings, { transformations: [spy] });
  const deployment = new TrackerDeployment(
    "torrust",
    { ...settings, addresses: host.addresses },
    { providers: [host.engine], transformations: [...(host.tie ? [host.tie] : []), spy] },
  );
  await Promise.all(spied.map(({ resource }) => promised(resource.urn)));
  await (pulumi.runtime as unknown as { waitForRPCs(): Promise<void> }).waitForRPCs();
  const resources = spied.map(({ type, name, opts }): Registered => ({
    type,
    name,
    inputs: inputs.get(`${type} ${name}`),
    options: opts,
  }));
  const all = (type: string) => resources.filter((resource) => resource.type === type);
  return { host, deployment, resources, all, one: (type: string) => all(type)[0]! };
}

const server = "hcloud:index/server:Server";
const dataVolume = "hcloud:index/volume:Volume";
const engineGate = "pulumi-nodejs:dynamic/torrust:EngineGate";
const dnsGate = "pulumi-nodejs:dynamic/torrust:DnsGate";
const engine = "pulumi:providers:docker";

/** What is secret comes wrapped. */
const reveal = (input: { value: string } | string) => (typeof input === "string" ? input : input.value);

describe("a machine on Hetzner Cloud", () => {
  it("is identified by these types and names", async () => {
    const { resources } = await deploy({ ...hetzner, hetzner: { ...machine, dnsZone: "torrust.org" } });
    const list = resources
      .filter(({ name }) => name.startsWith("host"))
      .map(({ type, name }) => `${type} ${name}`);
    await expect(`${list.sort().join("\n")}\n`).toMatchFileSnapshot("golden/hetzner-resources.txt");
  });

  it.each([
    [{}],
    [{ prometheus: false, udpTrackers: [] }],
    [{ ...grafana, hybrid: true }],
    [{ tlsProxy: "nginx", database: "mysql" }],
    [{ httpTrackers: [], udpTrackers: [{ port: 6969 }], httpsPort: 8443 }],
  ])("has the same user data whatever runs on it: %j", async (values) => {
    const userDataOf = async (more: Record<string, unknown>) =>
      (await deploy({ ...hetzner, ...more })).one(server).inputs.userData;
    const userData = await userDataOf(values);
    expect(isSecret(userData)).toBe(true);
    expect(reveal(userData)).toBe(reveal(await userDataOf({})));
    expect(Buffer.byteLength(reveal(userData))).toBeLessThan(userDataLimit);
    expect(parse(reveal(userData)).ssh_keys.ed25519_private).toContain("OPENSSH PRIVATE KEY");
  });

  it("keeps its image when another has become the usual one, unless one is named", async () => {
    const usual = await deploy(hetzner);
    expect(usual.one(server).inputs.image).toBe("debian-13");
    expect(usual.one(server).options.ignoreChanges).toEqual(["image"]);
    const named = await deploy({ ...hetzner, hetzner: { ...machine, image: "debian-12" } });
    expect(named.one(server).inputs.image).toBe("debian-12");
    expect(named.one(server).options.ignoreChanges).toEqual([]);
  });

  it.each([["cx23"], ["cax11"]])("is of the type and image that were asked for: %s", async (serverType) => {
    const { one } = await deploy({
      ...hetzner,
      hetzner: { ...machine, serverType, image: "ubuntu-24.04", location: "hel1" },
    });
    expect(one(server).inputs).toMatchObject({
      serverType,
      image: "ubuntu-24.04",
      location: "hel1",
      name: "torrust-pingoo-dev",
      keepDisk: true,
      shutdownBeforeDeletion: true,
    });
    expect(one(dataVolume).inputs).toMatchObject({ location: "hel1", size: 10 });
  });

  it("brings new keys along and names those that are there", async () => {
    const { one, all } = await deploy(hetzner);
    expect(all("hcloud:index/sshKey:SshKey").map(({ inputs }) => inputs.publicKey)).toEqual([key]);
    expect(one(server).inputs.sshKeys).toEqual([expect.stringMatching(/^\d+$/), "office"]);
  });

  it("keeps addresses and data when the server goes, and lets nothing be deleted when asked", async () => {
    const protectedOnes = async (more: Record<string, unknown>) =>
      (await deploy({ ...hetzner, ...more })).resources
        .filter(({ options }) => options.protect)
        .map(({ name, inputs }) => `${name} ${inputs.deleteProtection}`)
        .sort();
    expect(await protectedOnes({})).toEqual([]);
    expect(await protectedOnes({ protectData: true })).toEqual([
      "host-data true",
      "host-ipv4 true",
      "host-ipv6 true",
      "host-server true",
    ]);
    expect(await protectedOnes({ protectData: true, hetzner: { ...machine, protectServer: false } })).toEqual(
      ["host-data true", "host-ipv4 true", "host-ipv6 true"],
    );
    for (const { inputs } of (await deploy(hetzner)).all("hcloud:index/primaryIp:PrimaryIp"))
      expect(inputs.autoDelete).toBe(false);
  });

  it("ties what is on the engine to the server, and volumes to the data volume", async () => {
    const { resources } = await deploy({
      ...hetzner,
      ...grafana,
      hybrid: true,
      database: "mysql",
      protectData: true,
    });
    const onEngine = resources.filter(({ type }) => type.startsWith("docker:"));
    expect(onEngine.length).toBeGreaterThan(20);
    for (const { type, name, options } of onEngine) {
      const isVolume = type === "docker:index/volume:Volume";
      const tiedTo = await promised((options.deletedWith as pulumi.Resource).urn);
      expect([name, tiedTo]).toEqual([name, expect.stringContaining(isVolume ? "host-data" : "host-server")]);
      expect(options).toMatchObject({ deleteBeforeReplace: true, replacementTrigger: expect.anything() });
      // Protected volumes would keep the server from being destroyed, on which nothing of them is.
      expect([options.protect ?? false, options.retainOnDelete ?? false]).toEqual([false, isVolume]);
    }
  });

  it("is there before anything is made on its engine", async () => {
    const { one, all } = await deploy(hetzner);
    const waitsFor = (type: string) =>
      [one(type).options.dependsOn]
        .flat()
        .map((resource) => (resource as unknown as { __name: string }).__name);
    expect(waitsFor(engine)).toEqual(["host-ready"]);
    expect(waitsFor(engineGate)).toEqual(["host-data-attachment"]);
    expect(one(engineGate).inputs).toMatchObject({
      setsItselfUp: true,
      timeout: 600,
      occasions: [expect.any(String), "10", "cx23"],
    });
    expect(all(engine)).toHaveLength(1);
    expect(one(engine).inputs.host).toBe("ssh://root@192.0.2.9:22");
    expect(one(engine).inputs.sshOpts).toMatch(
      /StrictHostKeyChecking=yes.*KnownHostsCommand=\/bin\/echo %H ssh-ed25519 AAAA/,
    );
  });

  it("says where it is and how to log in, with no secret in it", async () => {
    const { host, deployment } = await deploy({ ...hetzner, sshKeyFile: "~/.ssh/deploy" });
    expect(await promised(pulumi.output(host.addresses))).toEqual({
      ipv4: "192.0.2.9",
      ipv6: "2001:db8:4::1",
    });
    expect(await promised(host.ssh!)).toContain("-o IdentityFile=~/.ssh/deploy");
    expect(await pulumi.isSecret(host.ssh!)).toBe(false);
    expect(await promised(deployment.dnsRecords)).toContain("api.torrust.org. 300 IN A 192.0.2.9");
  });

  it("is reached over IPv6 only where something is published on it", async () => {
    const { host, all } = await deploy({
      ...hetzner,
      publishAddresses: ["0.0.0.0"],
      hetzner: { ...machine, dnsZone: "torrust.org" },
    });
    expect(await promised(pulumi.output(host.addresses))).toEqual({ ipv4: "192.0.2.9" });
    const types = all("hcloud:index/zoneRrset:ZoneRrset").map(({ inputs }) => inputs.type);
    expect(new Set(types)).toEqual(new Set(["A"]));
  });

  it("has the records of those names that are in its zone", async () => {
    const { all } = await deploy({
      ...hetzner,
      apiDomain: "api.example.org",
      httpTrackers: [{ domain: "torrust.org" }],
      hetzner: { ...machine, dnsZone: "torrust.org" },
    });
    const sets = all("hcloud:index/zoneRrset:ZoneRrset").map(({ inputs }) => [
      inputs.name,
      inputs.type,
      inputs.records,
    ]);
    expect(sets).toEqual([
      ["@", "A", [{ value: "192.0.2.9" }]],
      ["@", "AAAA", [{ value: "2001:db8:4::1" }]],
    ]);
    const texts = all("hcloud:index/zoneRecord:ZoneRecord").map(({ inputs }) => [inputs.name, inputs.value]);
    expect(texts).toEqual([["@", '"BITTORRENT UDP:6969 TCP:443"']]);
    expect((await deploy(hetzner)).all("hcloud:index/zoneRrset:ZoneRrset")).toEqual([]);
  });

  it("has reverse names", async () => {
    const { all } = await deploy(hetzner);
    expect(all("hcloud:index/rdns:Rdns").map(({ inputs }) => [inputs.ipAddress, inputs.dnsPtr])).toEqual([
      ["192.0.2.9", "tracker.torrust.org"],
      ["2001:db8:4::1", "tracker.torrust.org"],
    ]);
  });
});

describe("a host that is there already", () => {
  it("is asked whether its engine answers, and set up by others", async () => {
    const { one, all, resources } = await deploy(ssh);
    expect(one(engineGate).inputs).toMatchObject({
      setsItselfUp: false,
      target: { host: "192.0.2.7", user: "root" },
    });
    expect(one(engine).inputs.host).toBe("ssh://root@192.0.2.7:22");
    expect(all(server)).toEqual([]);
    for (const { type, options } of resources)
      if (type.startsWith("docker:")) expect(options.deletedWith).toBeUndefined();
  });

  it("may have an IPv6 address for its engine", async () => {
    const { one } = await deploy({
      target: "ssh",
      ssh: { host: "2001:db8::7", hostKey: "ssh-ed25519 AAAA", ipv4: "192.0.2.7" },
    });
    expect(one(engine).inputs.host).toBe("ssh://root@[2001:db8::7]:22");
  });
});

describe("who orders certificates", () => {
  const waiting = async (values: Record<string, unknown>) => {
    const { resources, all } = await deploy(values);
    const gates = all(dnsGate).map(({ inputs }) => inputs);
    const names = resources
      .filter(({ options }) =>
        [options.dependsOn ?? []]
          .flat()
          .some((one) => (one as unknown as { __name?: string }).__name === "torrust-names"),
      )
      .map(({ name }) => name)
      .sort();
    return { gates, names };
  };

  it.each([
    [{}, ["torrust-proxy-container"]],
    [{ ...grafana, hybrid: true }, ["torrust-certbot-container", "torrust-proxy-container"]],
    [{ tlsProxy: "nginx" }, ["torrust-certbot-container", "torrust-proxy-container"]],
    [{ acme: "none" }, []],
    [{ dnsCheck: "skip" }, []],
    [udpOnly, []],
  ])("with %j waits for the names", async (values, expected) => {
    expect((await waiting({ ...hetzner, ...values })).names).toEqual(expected);
  });

  it("is not asked where nothing needs a certificate", async () => {
    expect((await waiting({ ...hetzner, ...udpOnly })).gates).toEqual([]);
  });

  it("is told every name and address", async () => {
    const { gates } = await waiting({ ...ssh, dnsCheck: "warn", hostTimeout: 30 });
    expect(gates).toMatchObject([
      {
        mode: "warn",
        timeout: 30,
        records: [
          { name: "api.torrust.org", type: "A", value: "192.0.2.7" },
          { name: "tracker.torrust.org", type: "A", value: "192.0.2.7" },
        ],
      },
    ]);
  });
});
