import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { parse } from "yaml";

import {
  locateStack,
  readStackConfig,
  resolveStackConfig,
  type StackConfig,
} from "../../../program/stack-config";
import { overrideStackFile } from "../../../program/stack-file";
import { placeholder } from "../../../program/stack-values";
import { root } from "../support/config";

const projectText = `
name: demo
runtime: nodejs
config:
  text: {type: string, default: hello}
  number: {type: integer, default: 7}
  flag: {type: boolean, default: false}
  list: {type: array, items: {type: object}, default: [{b: 2, a: 1}]}
  names: {type: array, items: {type: string}, default: []}
  matrix: {type: array, items: {type: array, items: {type: integer}}, default: []}
  thing: {type: object, default: {}}
  needed: {type: string}
  short: fallback
  sealed: {type: string, secret: true}
  hcloud:token: {value: fixed}
`;

const resolve = (stackText: string, project = projectText): StackConfig =>
  resolveStackConfig({ projectText: project, stackText, stack: "dev", file: "Pulumi.dev.yaml" });

/** A stack with the required keys and the given lines. */
const withLines = (...lines: string[]) =>
  resolve(
    ["config:", "  needed: x", "  sealed: {secure: v1:abc}", ...lines.map((line) => `  ${line}`)].join("\n"),
  );

const problem = (path: string, message: string | RegExp) =>
  expect.objectContaining({
    path,
    message: typeof message === "string" ? expect.stringContaining(message) : expect.stringMatching(message),
  });

describe("values", () => {
  test("are handed over as the CLI does: defaults filled in, objects as JSON with sorted keys", () => {
    const { config, problems, project, stack, secretKeys } = withLines();
    expect(problems).toEqual([]);
    expect({ project, stack }).toEqual({ project: "demo", stack: "dev" });
    expect(config).toEqual({
      "demo:text": "hello",
      "demo:number": "7",
      "demo:flag": "false",
      "demo:list": '[{"a":1,"b":2}]',
      "demo:names": "[]",
      "demo:matrix": "[]",
      "demo:thing": "{}",
      "demo:needed": "x",
      "demo:short": "fallback",
      "demo:sealed": placeholder("sealed", "v1:abc"),
      "hcloud:token": "fixed",
    });
    expect(secretKeys).toEqual(["demo:sealed"]);
  });

  test.each([
    ["text: 443", "text", "443"],
    ["text: true", "text", "true"],
    ["text: 3.10", "text", "3.1"],
    ['text: "3.10"', "text", "3.10"],
    ["text: off", "text", "off"],
    ["text:", "text", ""],
    ["text: naïve ключ 🎉", "text", "naïve ключ 🎉"],
    ["number: 12345678901234567890", "number", "12345678901234567890"],
    ['number: "443"', "number", "443"],
    ["number: 0x1F", "number", "31"],
    ["flag: true", "flag", "true"],
    ['flag: "true"', "flag", "true"],
    ["demo:text: namespaced", "text", "namespaced"],
    ["demo:config:text: older", "text", "older"],
    [
      "list: [{b: 1, a: [true, null, 1.5, 9007199254740993]}]",
      "list",
      '[{"a":[true,null,1.5,9007199254740993],"b":1}]',
    ],
    ["thing: {a: {z: 1, b: <&>}}", "thing", '{"a":{"b":"<&>","z":1}}'],
    ["free: anything", "free", "anything"],
  ])("%s", (line, key, text) => {
    const { config, problems } = withLines(line);
    expect(problems).toEqual([]);
    expect(config[`demo:${key}`]).toBe(text);
  });

  test("anchors and merges are followed", () => {
    const { config } = withLines("thing: &a {x: 1}", "other: {<<: *a, y: 2}");
    expect(config["demo:other"]).toBe('{"x":1,"y":2}');
  });

  test("other namespaces are kept", () => {
    expect(withLines("hcloud:token: mine").config["hcloud:token"]).toBe("mine");
  });

  test("an encrypted value within a list becomes a placeholder, and its key secret", () => {
    const { config, secretKeys, problems } = withLines("list: [{name: a, key: {secure: v1:zzz}}]");
    expect(problems).toEqual([]);
    expect(secretKeys).toEqual(["demo:sealed", "demo:list"]);
    expect(JSON.parse(config["demo:list"] ?? "")).toEqual([
      { name: "a", key: placeholder("list-0-key", "v1:zzz") },
    ]);
  });

  test("placeholders of URLs are URLs", () => {
    const { config } = withLines("thing: {slack: {url: {secure: v1:zzz}}}");
    const { slack } = JSON.parse(config["demo:thing"]!) as { slack: { url: string } };
    expect(slack.url).toMatch(/^https:\/\/sealed\.invalid\/sealed-thing-slack-url-[0-9a-f]{16}$/);
  });

  test("placeholders are long enough for a secret, differ, and need no escaping anywhere", () => {
    expect(placeholder("adminToken", "v1:a")).toMatch(/^sealed-adminToken-[0-9a-f]{16}$/);
    expect(placeholder("adminToken", "v1:a")).not.toBe(placeholder("adminToken", "v1:b"));
    expect(placeholder("hcloud:token", "x")).toMatch(/^[A-Za-z0-9-]{16,}$/);
  });
});

describe("types", () => {
  test.each<[string, string, string | RegExp]>([
    ["text: [1]", "text", "[1] is no text"],
    ["number: abc", "number", '"abc" is no whole number'],
    ["number: 1.5", "number", "1.5 is no whole number"],
    ["number: [1]", "number", "[1] is no whole number"],
    ["number:", "number", "is no whole number"],
    ["flag: yes", "flag", '"yes" is neither true nor false'],
    ["flag: 1", "flag", "1 is neither true nor false"],
    ["list: one", "list", '"one" is no list'],
    ["list: '[{\"a\": 1}]'", "list", "is no list. Write one item per line"],
    ["list: {a: 1}", "list", "is no list"],
    ["list: [{a: 1}, b]", "list[1]", '"b" is no object'],
    ["names: [a, 443]", "names[1]", "443 is no text"],
    ["matrix: [[1, 2], [x]]", "matrix[1][0]", '"x" is no whole number'],
    ["matrix: [1]", "matrix[0]", "1 is no list"],
    ["thing: []", "thing", "[] is no object"],
    ["thing: text", "thing", '"text" is no object'],
    ["number: 0123", "Pulumi.dev.yaml", "octal"],
    ["text: [1]\n  demo:text: b", "text", "is set twice"],
    ["a:b:c: 1", "a:b:c", "is no configuration key"],
  ])("%s is refused at %s", (line, path, message) => {
    expect(withLines(line).problems).toContainEqual(problem(path, message));
  });

  test("all problems come at once, in words that hold no secret", () => {
    const { problems } = resolve("config:\n  number: x\n  flag: maybe\n  sealed: hunter2hunter2\n");
    expect(problems).toEqual([
      problem("number", "no whole number"),
      problem("flag", "neither true nor false"),
      { path: "needed", message: "is missing. Run: pulumi config set needed <value>" },
      { path: "sealed", message: "must be encrypted. Run: pulumi config set --secret sealed" },
    ]);
    expect(JSON.stringify(problems)).not.toContain("hunter2");
  });

  test("long values are cut", () => {
    const [found] = withLines(`number: ${"x".repeat(5000)}`).problems;
    expect(found?.message.length).toBeLessThan(200);
  });
});

describe("files that are not what they should be", () => {
  test.each<[string, string, string | RegExp]>([
    ["config: [", "Pulumi.dev.yaml", /^is not valid YAML: line 1, column \d+: /],
    ["config:\n\ta: 1", "Pulumi.dev.yaml", /^is not valid YAML: line 2/],
    ["config: {a: 1, a: 2}", "Pulumi.dev.yaml", /unique/],
    ["- a", "Pulumi.dev.yaml", 'is a list, not "key: value" lines'],
    ["just words", "Pulumi.dev.yaml", "is plain text"],
    ["42", "Pulumi.dev.yaml", "is the value 42"],
    ["\u0000\u0001", "Pulumi.dev.yaml", ""],
    ["config: [a]", "config", "is a list"],
    ["config: text", "config", "is plain text"],
    ["confg: {needed: x}", "confg", "Did you mean config?"],
    ["needed: x", "needed", "Move it below config:"],
    ["environment: [base]", "environment", "Pulumi CLI only"],
    [
      "a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c]",
      "Pulumi.dev.yaml",
      "alias",
    ],
  ])("%j is said to be so", (text, path, message) => {
    expect(resolve(text).problems).toContainEqual(problem(path, message));
  });

  test("an empty file only lacks the required keys", () => {
    expect(resolve("").problems.map(({ path }) => path)).toEqual(["needed", "sealed"]);
    expect(resolve("# nothing\n").problems).toEqual(resolve("config:\n").problems);
  });

  test("a project without a name is refused", () => {
    expect(resolve("", "runtime: nodejs").problems).toContainEqual(problem("Pulumi.yaml", "has no name"));
    expect(resolve("", "name: [").problems).toContainEqual(problem("Pulumi.yaml", "is not valid YAML"));
  });

  test("a huge file is read in good time", () => {
    const lines = Array.from({ length: 2_000 }, (_, index) => `key${index}: "${"v".repeat(50)}"`);
    const { config, problems } = withLines(...lines);
    expect(problems).toEqual([]);
    expect(config["demo:key1999"]).toBe("v".repeat(50));
  });
});

test("a file that cannot be read says nothing about what it lacks", () => {
  const { project, config, problems } = resolve("config: [");
  expect({ project, config }).toEqual({ project: "", config: {} });
  expect(problems).toHaveLength(1);
});

describe("finding the stack's file", () => {
  const folder = mkdtempSync(join(tmpdir(), "stack-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "Pulumi.yaml"), projectText);
  writeFileSync(join(folder, "Pulumi.dev.yaml"), "\ufeffconfig: {needed: dev, sealed: {secure: x}}");
  writeFileSync(join(folder, "Pulumi.b.c.yaml"), "config: {needed: b, sealed: {secure: x}}");
  mkdirSync(join(folder, "Pulumi.folder.yaml"));

  test("by stack, by file, or dev; a file named after a stack names it", () => {
    expect(readStackConfig(folder).config["demo:needed"]).toBe("dev");
    expect(readStackConfig(folder, { stack: "b.c" })).toMatchObject({
      stack: "b.c",
      file: "Pulumi.b.c.yaml",
      problems: [],
    });
    expect(locateStack(folder, { file: "/x/Pulumi.prod.eu.yaml" })).toEqual({
      stack: "prod.eu",
      path: "/x/Pulumi.prod.eu.yaml",
    });
    expect(locateStack(folder, { file: "/x/mine.yaml" }).stack).toBe("dev");
    expect(locateStack(folder, { file: "/x/Pulumi.a.yaml", stack: "b" }).stack).toBe("b");
    expect(locateStack(folder, {})).toEqual({ stack: "dev", path: join(folder, "Pulumi.dev.yaml") });
  });

  test.each([
    [{ stack: "none" }, "Pulumi.none.yaml", "Stacks with a file here are: b.c, dev, folder."],
    [{ file: "/nowhere/x.yaml" }, "/nowhere/x.yaml", "does not exist. Check the path."],
    [{ stack: "folder" }, "Pulumi.folder.yaml", "is a folder"],
  ])("%j is a problem, not an exception", (choice, path, message) => {
    expect(readStackConfig(folder, choice).problems).toEqual([problem(path, message)]);
  });

  test("a folder without a project is one too", () => {
    expect(readStackConfig(join(folder, "missing")).problems).toHaveLength(2);
  });

  test("this project's own stacks have no problems", () => {
    expect(readStackConfig(root)).toMatchObject({ project: "torrust-pingoo", stack: "dev", problems: [] });
  });
});

describe("overriding values", () => {
  const text =
    "# Ours.\nconfig:\n  demo:images:\n    a: one\n    b: two\n  port: 443 # kept\nsecretsprovider: x\n";
  const overridden = (values: Record<string, unknown>, properties = {}) =>
    parse(overrideStackFile(text, "demo", values, properties)) as { config: Record<string, unknown> };

  test("replaces values under either spelling, lays objects over objects, keeps the rest", () => {
    expect(
      overridden({ images: { b: "TWO", c: "three" }, port: 8443, "other:key": [1] }, { encryptionsalt: "s" }),
    ).toEqual({
      config: {
        "demo:images": { a: "one", b: "TWO", c: "three" },
        "demo:port": 8443,
        "other:key": [1],
      },
      secretsprovider: "x",
      encryptionsalt: "s",
    });
    expect(overrideStackFile(text, "demo", {})).toBe(text);
  });

  test.each(["", "# nothing\n", "config:\n", "encryptionsalt: s\n"])("works on %j", (empty) => {
    expect(parse(overrideStackFile(empty, "demo", { a: "1" })).config).toEqual({ "demo:a": "1" });
  });

  test("refuses what is no mapping", () => {
    expect(() => overrideStackFile("- a", "demo", { a: 1 })).toThrow("is a list");
  });
});
