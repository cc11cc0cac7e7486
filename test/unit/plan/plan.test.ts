import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, afterEach, describe, expect, test, vi } from "vitest";

import { runProgram, type ProgramResult } from "../../../program/monitor";
import { main } from "../../../commands/plan";
import { planStack, problemsText, renderedFiles, toJson, toText, writeFiles, type Plan } from "../../../plan";
import { planBackend } from "../../../program/plan-backend";
import { mergeProblems } from "../../../program/run";
import { CommandError, styleFor } from "../../../terminal/terminal";
import { root } from "../support/config";

const folder = mkdtempSync(join(tmpdir(), "plan-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.restoreAllMocks());

const plain = styleFor({ write: () => true }, {});
const run = (program: () => unknown): Promise<ProgramResult> =>
  runProgram({ program, project: "p", stack: "s", config: {}, backend: planBackend });

/** Two containers with one role and a third without any. */
const small = () =>
  run(() => {
    const password = new random.RandomPassword("pw", { length: 30 }, { protect: true }).result;
    const role = (value: string) => [{ label: "torrust-pingoo.role", value }];
    const box = (name: string, args: Partial<docker.ContainerArgs>) =>
      new docker.Container(name, { image: "i:1", ...args });
    box("first", {
      labels: role("web"),
      uploads: [
        { file: "/etc/b.conf", content: pulumi.interpolate`key = "${password}"` },
        { file: "/etc/a.conf", content: "open" },
      ],
      ports: [{ internal: 53, external: 5353, ip: "::1", protocol: "udp" }, { internal: 80 }],
      memory: 64,
    });
    box("second", { labels: role("other"), uploads: [{ file: "/bin.dat", contentBase64: "AAECAw==" }] });
    box("third", {
      labels: role("other"),
      uploads: [{ file: "/text", contentBase64: Buffer.from("ü").toString("base64") }],
    });
    box("bare", { uploads: pulumi.secret([{ file: "/all", content: "whole" }]) });
    return { password, plain: ["x"] };
  });

describe("files", () => {
  test("are found by role, by name where roles repeat; secrets masked, Base64 decoded where it is text", async () => {
    expect(renderedFiles(await small())).toEqual([
      { service: "bare", path: "/all", text: "[secret]", heldSecret: true },
      { service: "second", path: "/bin.dat", text: "AAECAw==", heldSecret: false },
      { service: "third", path: "/text", text: "ü", heldSecret: false },
      { service: "web", path: "/etc/a.conf", text: "open", heldSecret: false },
      { service: "web", path: "/etc/b.conf", text: 'key = "[secret]"', heldSecret: true },
    ]);
  });

  test("are written below a folder, private where they held a secret", async () => {
    const target = join(folder, "out");
    writeFiles(target, renderedFiles(await small()));
    expect(readFileSync(join(target, "web/etc/b.conf"), "utf8")).toBe('key = "[secret]"');
    const mode = (path: string) => statSync(join(target, path)).mode & 0o777;
    expect([mode("web/etc/b.conf"), mode("web/etc/a.conf"), mode("bare/all")]).toEqual([0o600, 0o644, 0o600]);
  });

  test("never leave the folder, and say why they cannot be written", () => {
    const file = { service: "a", path: "/../../b", text: "", heldSecret: false };
    expect(() => writeFiles(join(folder, "out"), [file])).toThrow("leaves the folder");
    writeFileSync(join(folder, "occupied"), "");
    expect(() => writeFiles(join(folder, "occupied"), [{ ...file, path: "/b" }])).toThrow(CommandError);
  });
});

describe("the plan", () => {
  test("as JSON holds resources with their parents' names, files and outputs", async () => {
    const result = await small();
    const plan = toJson(result, renderedFiles(result));
    expect(plan.resources[0]).toEqual({ type: "pulumi:pulumi:Stack", name: "p-s", parent: null, inputs: {} });
    expect(plan.resources.find(({ name }) => name === "first")).toMatchObject({
      type: "docker:index/container:Container",
      parent: "p-s",
      inputs: {
        image: "i:1",
        uploads: [{ file: "/etc/b.conf", content: 'key = "[secret]"' }, { content: "open" }],
      },
    });
    expect(plan.files["web:/etc/b.conf"]).toBe('key = "[secret]"');
    expect(plan.outputs).toEqual({ password: "[secret]", plain: ["x"] });
    expect(JSON.stringify(plan)).not.toContain("generated-pw");
  });

  test("for people shows tree, important inputs, files and outputs", async () => {
    const result = await small();
    const text = toText(result, renderedFiles(result), plain);
    expect(text).toContain("p-s pulumi:pulumi:Stack\n");
    expect(text).toMatch(/├─ pw random:index\/randomPassword:RandomPassword \(protected\)/);
    expect(text).toContain("publishes: [::1]:5353 -> 53/udp, 0.0.0.0:any -> 80/tcp");
    expect(text).toContain('── web:/etc/b.conf\n  key = "[secret]"');
    expect(text).toContain("password: [secret]");
    expect(text).toContain("5 resources, 5 files. Nothing was created.");
    expect(text).not.toContain("generated-pw");
  });
});

describe("this project", () => {
  const write = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const good = "config:\n  apiDomain: api.torrust.org\n  httpTrackers: [{domain: tracker.torrust.org}]\n";

  test("is planned from a file, and its secrets show nowhere", async () => {
    const secret = "PlainSecretOfTheTest42";
    const path = write("good.yaml", `${good}  adminToken: ${secret}\n`);
    const plan = await planStack({ file: path });
    if ("problems" in plan) throw new Error(JSON.stringify(plan.problems));
    const json = JSON.stringify(toJson(plan.result, plan.files));
    expect(json).toContain("api.torrust.org");
    expect(json).not.toContain(secret);
    expect(toText(plan.result, plan.files, plain)).not.toContain(secret);
    expect(plan.files.map(({ service, path }) => `${service}:${path}`)).toContain(
      "pingoo:/etc/pingoo/pingoo.yml",
    );
    const toml = plan.files.find(({ path }) => path.endsWith("tracker.toml"));
    expect(toml).toMatchObject({ heldSecret: true, text: expect.stringContaining('admin = "[secret]"') });
  });

  test("is planned with encrypted values", async () => {
    const plan = await planStack({
      file: write("sealed.yaml", `${good}  adminToken: {secure: "v1:abc:def"}\n`),
    });
    expect(plan).toHaveProperty("result");
  });

  test("names the CLI's and the program's problems together, each key once", async () => {
    const path = write("bad.yaml", "config:\n  httpsPort: many\n  acme: nonesuch\n  httpTrackerz: []\n");
    const plan = await planStack({ file: path });
    if (!("problems" in plan)) throw new Error("no problems");
    const paths = plan.problems.map((problem) => problem.path);
    expect(paths).toEqual(
      expect.arrayContaining(["httpsPort", "udpTrackers[0].domain", "acme", "httpTrackerz"]),
    );
    expect(new Set(paths).size).toBe(paths.length);
  });

  test("prints one JSON object and nothing else", async () => {
    const written: string[] = [];
    vi.spyOn(process.stdout, "write").mockImplementation((text) => Boolean(written.push(String(text))));
    expect(await main(["--config", write("good.yaml", good), "--json", "--out", join(folder, "files")])).toBe(
      0,
    );
    const plan = JSON.parse(written.join("")) as Plan;
    expect(Object.keys(plan)).toEqual(["resources", "files", "outputs"]);
    expect(readFileSync(join(folder, "files/pingoo/etc/pingoo/pingoo.yml"), "utf8")).toBe(
      plan.files["pingoo:/etc/pingoo/pingoo.yml"],
    );
    written.length = 0;
    expect(await main(["--stack", "nonesuch", "--json"])).toBe(1);
    expect(JSON.parse(written.join(""))).toEqual({
      problems: [{ path: "Pulumi.nonesuch.yaml", message: expect.stringContaining("does not exist") }],
    });
  });

  test("runs as a command of its own: exit codes, stdout and stderr", { timeout: 60_000 }, async () => {
    const plan = async (...args: string[]) => {
      const tsx = join(root, "node_modules/.bin/tsx");
      const command = [join(root, "commands/plan.ts"), ...args];
      // From another folder, without the variables of a terminal.
      const options = { cwd: folder, env: { PATH: process.env.PATH } };
      return promisify(execFile)(tsx, command, options).then(
        ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
        ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
          code,
          stdout,
          stderr,
        }),
      );
    };
    const fine = await plan("--json");
    expect(fine).toMatchObject({ code: 0, stderr: "" });
    expect(Object.keys(JSON.parse(fine.stdout) as object)).toEqual(["resources", "files", "outputs"]);
    const bad = await plan("--config", write("broken.yaml", "config: ["));
    expect(bad).toMatchObject({ code: 1, stdout: "" });
    expect(bad.stderr).toContain("has 1 problem:");
    expect(await plan("--jsno")).toMatchObject({
      code: 2,
      stdout: "",
      stderr: expect.stringContaining("Did you mean --json?"),
    });
    expect(await plan("--help")).toMatchObject({
      code: 0,
      stderr: "",
      stdout: expect.stringContaining("--out DIR"),
    });
  });
});

describe("problems", () => {
  test("of the program do not repeat what the CLI refuses already", () => {
    const problem = (path: string, message = "") => ({ path, message });
    expect(
      mergeProblems(
        [problem("a", "first"), problem("list[1]")],
        [
          problem("a", "again"),
          problem("a.b"),
          problem("a[0]"),
          problem("ab"),
          problem("list[0].x"),
          problem("list[1].y"),
        ],
      ),
    ).toEqual([problem("a", "first"), problem("list[1]"), problem("ab"), problem("list[0].x")]);
  });

  test("are listed for people", () => {
    expect(problemsText([{ path: "a", message: "is bad." }], "x.yaml", plain)).toBe(
      "error: x.yaml has 1 problem:\n  - a: is bad.\n",
    );
    expect(problemsText([], "x.yaml", plain)).toContain("0 problems");
  });
});
