import * as docker from "@pulumi/docker";
import * as hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";

import {
  loadProgram,
  runProgram,
  unknown,
  type Backend,
  type ProgramOptions,
  type ProgramResult,
  type ResourceRequest,
} from "../../../program/monitor";
import { planBackend } from "../../../program/plan-backend";
import { createMasker, holdsSecret, mask, reveal, SecretValue, secretTexts } from "../../../program/secrets";
import { root } from "../support/config";

const run = (program: () => unknown, options: Partial<ProgramOptions> = {}): Promise<ProgramResult> =>
  runProgram({ program, project: "p", stack: "s", config: {}, backend: planBackend, ...options });

const find = ({ resources }: ProgramResult, name: string) => {
  const found = resources.find((resource) => resource.name === name);
  if (!found) throw new Error(`no resource called ${name}`);
  return found;
};

class Group extends pulumi.ComponentResource {
  constructor(name: string, opts?: pulumi.ComponentResourceOptions) {
    super("test:index:Group", name, {}, opts);
    new docker.Volume(`${name}-data`, {}, { parent: this, deleteBeforeReplace: true });
    this.registerOutputs({ kind: "group" });
  }
}

describe("what a program registers", () => {
  test("comes with parents, options and dependencies", async () => {
    const result = await run(() => {
      const group = new Group("outer", { protect: true, retainOnDelete: true });
      const network = new docker.Network("net", { name: "n" });
      new docker.Container(
        "box",
        { image: "i:1", networksAdvanced: [{ name: network.name }] },
        { dependsOn: [group] },
      );
    });
    const data = find(result, "outer-data");
    expect(data).toMatchObject({
      protect: true,
      retainOnDelete: true,
      deleteBeforeReplace: true,
      custom: true,
    });
    expect(data.parent).toBe(find(result, "outer").urn);
    expect(find(result, "outer")).toMatchObject({ custom: false, id: "", outputs: { kind: "group" } });
    expect(find(result, "outer").parent).toBe(find(result, "p-s").urn);
    expect(find(result, "p-s").parent).toBeUndefined();
    const { dependsOn, inputs } = find(result, "box");
    expect(dependsOn).toContain(find(result, "net").urn);
    expect(dependsOn).toContain(data.urn);
    expect(inputs).toMatchObject({ image: "i:1", networksAdvanced: [{ name: "n" }] });
    expect(data.urn).toBe("urn:pulumi:s::p::test:index:Group$docker:index/volume:Volume::outer-data");
    expect(result.resources).toHaveLength(5);
  });

  test("creates in the order of the dependencies", async () => {
    const order: string[] = [];
    const backend: Backend = {
      async create(resource) {
        await new Promise((resolve) => setTimeout(resolve, resource.name === "a" ? 50 : 0));
        order.push(resource.name);
        return { id: resource.name, state: { name: resource.name } };
      },
    };
    await run(
      () => {
        const a = new docker.Volume("a");
        new docker.Volume("b", { labels: [{ label: "after", value: a.name }] });
        new docker.Volume("c", {}, { dependsOn: [a] });
      },
      { backend },
    );
    expect(order[0]).toBe("a");
    expect(order.sort()).toEqual(["a", "b", "c"]);
  });

  test("two resources of one type and name are refused", async () => {
    const twice = run(() => {
      new docker.Volume("v");
      new docker.Volume("v");
    });
    await expect(twice).rejects.toThrow(/two resources .* "v"/);
  });

  test("the same program may run again in the same process", async () => {
    const program = () => ({ id: new docker.Volume("v").id });
    const [first, second] = [await run(program), await run(program)];
    expect(second.outputs).toEqual(first.outputs);
    expect(second.resources).toEqual(first.resources);
  });
});

describe("configuration", () => {
  test("reaches the program with project, stack and secrecy, and is gone afterwards", async () => {
    const { outputs } = await run(
      () => {
        const config = new pulumi.Config();
        return {
          names: `${pulumi.getProject()}/${pulumi.getStack()}`,
          plain: config.requireObject("list"),
          token: config.requireSecret("token"),
        };
      },
      { config: { "p:list": "[1,2]", "p:token": "hunter2" }, secretKeys: ["p:token"] },
    );
    expect(outputs).toMatchObject({ names: "p/s", plain: [1, 2] });
    expect(outputs.token).toBeInstanceOf(SecretValue);
    expect(pulumi.runtime.allConfig()).toEqual({});
  });
});

describe("secrets", () => {
  test("are told apart in inputs and outputs, down to the list element", async () => {
    const result = await run(
      () => {
        const password = new random.RandomPassword("pw", { length: 40 }).result;
        const token = new pulumi.Config().requireSecret("token");
        new docker.Container("box", {
          image: "i:1",
          envs: ["PLAIN=1", pulumi.interpolate`TOKEN=${token}`],
          uploads: [{ file: "/etc/a", content: pulumi.interpolate`user = "x"\npassword = "${password}"\n` }],
        });
        return { password, url: pulumi.interpolate`https://x/?token=${token}`, plain: "open" };
      },
      { config: { "p:token": "t0ken+/=" }, secretKeys: ["p:token"] },
    );
    const { inputs } = find(result, "box");
    expect(inputs.envs).toEqual(["PLAIN=1", new SecretValue("TOKEN=t0ken+/=")]);
    expect(result.masker.value(inputs)).toMatchObject({
      image: "i:1",
      envs: ["PLAIN=1", "TOKEN=[secret]"],
      uploads: [{ file: "/etc/a", content: 'user = "x"\npassword = "[secret]"\n' }],
    });
    expect(result.masker.value(result.outputs)).toEqual({
      password: mask,
      url: "https://x/?token=[secret]",
      plain: "open",
    });
    expect(JSON.stringify(result.masker.value(result.resources.map(({ outputs }) => outputs)))).not.toContain(
      "generated-pw",
    );
  });

  test("that no source explains are masked as a whole", async () => {
    const { outputs, masker } = await run(() => ({
      a: pulumi.secret({ b: ["xyz", 5, true] }),
      c: pulumi.secret(7),
    }));
    expect(masker.value(outputs)).toEqual({ a: { b: [mask, mask, mask] }, c: mask });
  });

  test.each([
    ["plain", "a s3cret! b", "a [secret] b"],
    ["in a URL", `?t=${encodeURIComponent('s"c/r t')}`, "?t=[secret]"],
    ["in JSON", JSON.stringify({ t: 's"c/r t' }), '{"t":"[secret]"}'],
    ["in Base64", `Basic ${Buffer.from("admin:s3cret!").toString("base64")}`, "Basic [secret]"],
    ["in URL-safe Base64", Buffer.from('>>>?s"c/r t').toString("base64url"), "[secret]"],
    ["one within another", "s3cret!s3cret!more", "[secret][secret]"],
    ["nowhere", "nothing here: aGVsbG8gd29ybGQ=", "nothing here: aGVsbG8gd29ybGQ="],
    ["twice", "s3cret! s3cret!", "[secret] [secret]"],
    ["next to regular expressions", "s3cretX .* s3cret!", "s3cretX .* [secret]"],
  ])("%s are masked in texts", (_, text, masked) => {
    expect(createMasker(["s3cret!", "s3cret!more", 's"c/r t', "", "abc"]).text(text)).toBe(masked);
  });

  test("helpers look through every shape", () => {
    const value = { a: [new SecretValue({ b: "x1", c: [2] })], d: "open" };
    expect(reveal(value)).toEqual({ a: [{ b: "x1", c: [2] }], d: "open" });
    expect(holdsSecret(value)).toBe(true);
    expect(holdsSecret(reveal(value))).toBe(false);
    expect(secretTexts(value)).toEqual(["x1"]);
    expect(createMasker([]).text("anything")).toBe("anything");
  });
});

describe("failures", () => {
  const boom = () => {
    throw new Error("boom");
  };
  test.each<[string, () => unknown]>([
    ["while it loads", boom],
    ["in an async program", async () => Promise.reject(new Error("boom"))],
    ["in a callback of an output", () => ({ a: new docker.Volume("v").name.apply(boom) })],
    ["in a callback that nothing waits for", () => void new docker.Volume("v").name.apply(boom)],
    ["in an input", () => void new docker.Network("n", { name: new docker.Volume("v").name.apply(boom) })],
    ["in a promise that nothing waits for", () => void Promise.reject(new Error("boom"))],
    [
      "in a component",
      () =>
        new (class extends pulumi.ComponentResource {
          constructor() {
            super("test:index:Bad", "bad");
            boom();
          }
        })(),
    ],
  ])("%s surface", async (_, program) => {
    await expect(run(program)).rejects.toThrow("boom");
    // And leave nothing behind that disturbs the next one.
    await expect(run(() => ({ fine: true }))).resolves.toMatchObject({ outputs: { fine: true } });
  });

  test("of the backend surface as they were, after what had begun has ended and without anything new", async () => {
    const created: string[] = [];
    const failure = new Error("the engine says no");
    const backend: Backend = {
      async create({ name }) {
        if (name === "bad") throw failure;
        await new Promise((resolve) => setTimeout(resolve, 50));
        created.push(name);
        return { id: name, state: {} };
      },
    };
    const failing = run(
      () => {
        const slow = new docker.Volume("slow");
        new docker.Volume("bad");
        new docker.Volume("after", {}, { dependsOn: [slow] });
      },
      { backend },
    );
    await expect(failing).rejects.toBe(failure);
    expect(created).toEqual(["slow"]);
  });

  test("unmocked calls and reads are refused by name", async () => {
    await expect(run(() => ({ a: docker.getNetworkOutput({ name: "n" }).driver }))).rejects.toThrow(
      "docker:index/getNetwork:getNetwork",
    );
    await expect(run(() => void docker.Volume.get("v", "id"))).rejects.toThrow(
      'reads the existing docker:index/volume:Volume "v"',
    );
  });

  test("listeners and console are given back", async () => {
    const before = [process.listeners("unhandledRejection"), console.log, console.warn] as const;
    await run(boom).catch(() => {});
    expect([process.listeners("unhandledRejection"), console.log, console.warn]).toEqual(before);
  });
});

test("what the program logs is told, and kept off stdout", async () => {
  const said: string[] = [];
  await run(
    async () => {
      await pulumi.log.info("hello");
      await pulumi.log.warn("careful");
    },
    { log: (severity, message) => said.push(`${severity}: ${message}`) },
  );
  expect(said).toEqual(["info: hello", "warning: careful"]);
});

test("in a preview, what only the provider knows stays unknown", async () => {
  let seen = false;
  const backend: Backend = { create: async () => ({ id: "", state: {} }) };
  const result = await run(
    () => {
      const { mountpoint, name } = new docker.Volume("v", { name: "fixed" });
      mountpoint.apply(() => {
        seen = true;
      });
      return { mountpoint, name };
    },
    { backend, preview: true },
  );
  expect(seen).toBe(false);
  expect(result.outputs.mountpoint).toBe(unknown);
});

describe("loadProgram", () => {
  const folder = mkdtempSync(join(tmpdir(), "program-"));
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test("loads the module and its own modules afresh, and exports are the outputs", async () => {
    writeFileSync(join(folder, "part.js"), "exports.made = new (require('@pulumi/docker').Volume)('v');");
    writeFileSync(
      join(folder, "index.js"),
      "const { made } = require('./part'); exports.id = made.id; exports.n = 1;",
    );
    const program = loadProgram(join(folder, "index.js"), folder);
    const first = await run(program);
    expect(first.outputs).toMatchObject({ n: 1 });
    expect(first.resources).toHaveLength(2);
    writeFileSync(join(folder, "index.js"), "require('./part'); exports.n = 2;");
    const second = await run(program);
    expect(second.outputs).toEqual({ n: 2 });
    expect(second.resources).toHaveLength(2);
  });
});

describe("planBackend", () => {
  const plan = (
    type: string,
    inputs: Record<string, unknown> = {},
    name = "x",
  ): ReturnType<Backend["create"]> =>
    planBackend.create({
      urn: `urn:pulumi:s::p::${type}::${name}`,
      type,
      name,
      custom: true,
      inputs,
      dependsOn: [],
      protect: false,
      retainOnDelete: false,
      deleteBeforeReplace: false,
    } satisfies ResourceRequest);

  test("answers the same each time, and differently for different resources", async () => {
    const type = "docker:index/container:Container";
    expect(await plan(type)).toEqual(await plan(type));
    expect((await plan(type)).id).not.toBe((await plan(type, {}, "y")).id);
  });

  test.each([
    ["docker:index/network:Network", { name: "n" }, { name: "n", driver: "bridge" }],
    ["docker:index/volume:Volume", { name: "v" }, { mountpoint: "/var/lib/docker/volumes/v/_data" }],
    ["docker:index/remoteImage:RemoteImage", { name: "i:1" }, { imageId: "i:1", repoDigest: "i:1" }],
    [
      "docker:index/container:Container",
      { name: "c", networksAdvanced: [{ name: "n", ipv4Address: "10.0.0.2" }] },
      { name: "c", networkDatas: [{ networkName: "n", ipAddress: "10.0.0.2", globalIpv6Address: "" }] },
    ],
    ["hcloud:index/server:Server", { name: "s" }, { ipv4Address: expect.stringMatching(/^192\.0\.2\.\d+$/) }],
    [
      "hcloud:index/primaryIp:PrimaryIp",
      { type: "ipv6" },
      { ipAddress: expect.stringMatching(/^2001:db8:/) },
    ],
    [
      "hcloud:index/volume:Volume",
      {},
      { linuxDevice: expect.stringMatching(/^\/dev\/disk\/by-id\/scsi-0HC_Volume_\d+$/) },
    ],
  ])("knows %s", async (type, inputs, state) => {
    expect((await plan(type, inputs)).state).toMatchObject(state);
  });

  test("gives Hetzner's resources numbers, and passwords their length", async () => {
    expect((await plan("hcloud:index/server:Server")).id).toMatch(/^\d{7}$/);
    const { state } = await plan("random:index/randomPassword:RandomPassword", { length: 48 });
    expect(state.result).toBeInstanceOf(SecretValue);
    expect(reveal(state.result)).toMatch(/^generated-x-[0-9a-f]{36}$/);
  });

  test("serves a program with a server", async () => {
    const { outputs } = await run(() => {
      const server = new hcloud.Server("vm", { serverType: "cx22", image: "debian-12" });
      return { address: server.ipv4Address, id: server.id.apply(Number) };
    });
    expect(outputs).toEqual({ address: expect.stringMatching(/^192\.0\.2\./), id: expect.any(Number) });
  });
});
