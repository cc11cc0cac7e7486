import { mkdirSync, chmodSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, normalize, sep } from "node:path";

import type { Problem } from "../settings";
import { parseFlags } from "../terminal/arguments";
import type { ProgramResult, RegisteredResource } from "../program/monitor";
import { planBackend } from "../program/plan-backend";
import { projectDir } from "../program/project";
import { runStack } from "../program/run";
import { quickenSdk } from "../program/quick-sdk";
import { holdsSecret, reveal, sealLeaves, SecretValue } from "../program/secrets";
import { defaultStack, readStackConfig, type StackChoice } from "../program/stack-config";
import { CommandError, runMain, styleFor, type Style } from "../terminal/terminal";

const usage = `Shows what a stack consists of, without Pulumi CLI, account, Docker engine or network.

  npm run plan -- [--stack S | --config FILE] [--json] [--out DIR]

  --stack S      plan the stack of Pulumi.S.yaml (default: ${defaultStack})
  --config FILE  plan a file of the form of Pulumi.<stack>.yaml
  --json         print one JSON object: {"resources": [{"type", "name", "parent", "inputs"}],
                 "files": {"<service>:<path>": "<text>"}, "outputs": {}}, or {"problems": [{"path", "message"}]}
  --out DIR      also write each rendered file to DIR/<service>/<path>
  --help         show this

Secrets show as [secret]; encrypted values stay encrypted. Exit code 1 when the configuration has problems.
`;

/** A file that a container is given before it starts. */
export interface RenderedFile {
  /** The container's role, e.g. `tracker`. */
  readonly service: string;
  /** Absolute path in the container. */
  readonly path: string;
  /** Its text with secrets masked; Base64 where it is no text. */
  readonly text: string;
  readonly heldSecret: boolean;
}

/** What `--json` prints. */
export interface Plan {
  readonly resources: readonly {
    readonly type: string;
    readonly name: string;
    /** Name of the resource that it belongs to; null for the stack itself. */
    readonly parent: string | null;
    readonly inputs: unknown;
  }[];
  readonly files: Readonly<Record<string, string>>;
  readonly outputs: unknown;
}

/**
 * Plans a stack of this project.
 *
 * @throws whatever the program throws that is no problem of its configuration
 */
export async function planStack(
  choice: StackChoice,
): Promise<{ problems: readonly Problem[] } | { result: ProgramResult; files: readonly RenderedFile[] }> {
  const stackConfig = readStackConfig(projectDir, choice);
  if (!stackConfig.readable) return { problems: stackConfig.problems };
  quickenSdk();
  // A plan needs no account, so it does without the token of one.
  const config = { "hcloud:token": "not needed for a plan", ...stackConfig.config };
  const run = await runStack({ ...stackConfig, config }, planBackend);
  return run.kind === "refused"
    ? { problems: run.problems }
    : { result: run.result, files: renderedFiles(run.result) };
}

/**
 * Every file that the containers are given, by service and path, and the user data of a machine of the stack's own. Pure,
 * but for uploads that name a file on disk.
 */
export function renderedFiles({ resources, masker }: ProgramResult): RenderedFile[] {
  const machines = resources.filter(({ type }) => type === "hcloud:index/server:Server");
  const containers = resources.filter(({ type }) => type === "docker:index/container:Container");
  const roles = containers.map((container) => roleOf(container) ?? container.name);
  const userData = machines.map(({ inputs }): RenderedFile => ({
    service: "host",
    path: "/user-data",
    text: masker.text(String(reveal(inputs.userData))).replace(privateKey, "[secret]"),
    heldSecret: true,
  }));
  const uploaded = containers.flatMap((container, index) => {
    const role = roles[index] ?? container.name;
    const service = roles.indexOf(role) === roles.lastIndexOf(role) ? role : container.name;
    const uploads = listOf(container.inputs.uploads);
    return uploads.map((upload): RenderedFile => {
      const content = uploadContent(upload);
      return {
        service,
        path: String(reveal(upload.file)),
        text: String(masker.value(content)),
        heldSecret: holdsSecret(content) || masker.text(String(reveal(content))) !== reveal(content),
      };
    });
  });
  return [...uploaded, ...userData].sort((a, b) => compare(a.service, b.service) || compare(a.path, b.path));
}

const privateKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^]*?-----END [A-Z ]*PRIVATE KEY-----/g;

/** The plan as `--json` prints it, with every secret masked. */
export function toJson({ resources, outputs, masker }: ProgramResult, files: readonly RenderedFile[]): Plan {
  const names = new Map(resources.map(({ urn, name }) => [urn, name]));
  return {
    resources: resources.map(({ type, name, parent, inputs }) => ({
      type,
      name,
      parent: (parent && names.get(parent)) ?? null,
      inputs: masker.value(inputs),
    })),
    files: Object.fromEntries(files.map(({ service, path, text }) => [`${service}:${path}`, text])),
    outputs: masker.value(outputs),
  };
}

/** The plan for people: the tree of resources, the files, the outputs. */
export function toText(
  { resources, outputs, masker }: ProgramResult,
  files: readonly RenderedFile[],
  style: Style,
): string {
  const lines: string[] = [];
  const children = (urn: string | undefined) => resources.filter(({ parent }) => parent === urn);
  const draw = (resource: RegisteredResource, indent: string, branch: string, stem: string) => {
    lines.push(
      `${indent}${branch}${style.bold(resource.name)} ${style.dim(resource.type)}${options(resource)}`,
    );
    const below = children(resource.urn);
    const detailStem = `${indent}${stem}${below.length > 0 ? "│  " : "   "}`;
    for (const detail of details(masker.value(resource.inputs)))
      lines.push(`${detailStem}${style.dim(detail)}`);
    below.forEach((child, index) => {
      const last = index === below.length - 1;
      draw(child, `${indent}${stem}`, last ? "└─ " : "├─ ", last ? "   " : "│  ");
    });
  };
  for (const root of children(undefined)) draw(root, "", "", "");

  for (const { service, path, text } of files) {
    lines.push(
      "",
      style.cyan(`── ${service}:${path}`),
      ...text
        .trimEnd()
        .split("\n")
        .map((line) => `  ${line}`),
    );
  }
  lines.push("", style.cyan("── outputs"));
  for (const [key, value] of Object.entries(masker.value(outputs) as object))
    lines.push(`  ${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`);

  const made = resources.filter(({ custom }) => custom).length;
  const count = `${made} resources, ${files.length} files. Nothing was created.`;
  return `${lines.join("\n")}\n\n${count}\n`;
}

/** The list of problems for people. */
export function problemsText(problems: readonly Problem[], file: string, style: Style): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const lines = problems.map(({ path, message }) => `  - ${style.bold(path)}: ${message}`);
  return `${style.red("error:")} ${file} has ${count}:\n${lines.join("\n")}\n`;
}

/** Writes each file below a folder; one that held a secret is readable by its owner alone, although masked. */
export function writeFiles(folder: string, files: readonly RenderedFile[]): void {
  for (const { service, path, text, heldSecret } of files) {
    const target = join(folder, service, path);
    if (!target.startsWith(normalize(folder + sep)))
      throw new CommandError(`${service}:${path} leaves the folder ${folder}; it was not written.`);
    try {
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, text, { mode: heldSecret ? 0o600 : 0o644 });
      chmodSync(target, heldSecret ? 0o600 : 0o644);
    } catch (error) {
      throw new CommandError(
        `${target} cannot be written: ${error instanceof Error ? error.message : String(error)}. Choose another --out.`,
      );
    }
  }
}

/** @returns the exit code: 0 planned, 1 problems */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run plan --", args, {
    stack: { type: "string" },
    config: { type: "string" },
    json: { type: "boolean" },
    out: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const plan = await planStack({ stack: flags.stack, file: flags.config });
  if ("problems" in plan) {
    if (flags.json) print({ problems: plan.problems });
    else
      process.stderr.write(
        problemsText(
          plan.problems,
          flags.config ?? `Stack ${flags.stack ?? defaultStack}`,
          styleFor(process.stderr),
        ),
      );
    return 1;
  }
  if (flags.out !== undefined) writeFiles(flags.out, plan.files);
  if (flags.json) print(toJson(plan.result, plan.files));
  else process.stdout.write(toText(plan.result, plan.files, styleFor(process.stdout)));
  if (flags.out !== undefined && !flags.json)
    process.stdout.write(`The files are in ${flags.out}, with their secrets masked.\n`);
  return 0;
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

// ---- reading inputs

type Fields = Readonly<Record<string, unknown>>;

function listOf(value: unknown): readonly Fields[] {
  const list = unwrapList(value);
  return list.filter((item): item is Fields => typeof item === "object" && item !== null);
}

/** A list, the secrecy of the whole or of an element passed on to what is in it. */
function unwrapList(value: unknown): readonly unknown[] {
  const list = value instanceof SecretValue ? sealLeaves(reveal(value)) : value;
  if (!Array.isArray(list)) return [];
  return list.map((item: unknown) => (item instanceof SecretValue ? sealLeaves(reveal(item)) : item));
}

function uploadContent(upload: Fields): unknown {
  if (upload.content !== undefined) return upload.content;
  if (upload.contentBase64 !== undefined) {
    const encoded = String(reveal(upload.contentBase64));
    const bytes = Buffer.from(encoded, "base64");
    return bytes.includes(0) ? encoded : bytes.toString("utf8");
  }
  return upload.source === undefined ? "" : readFileSync(String(reveal(upload.source)), "utf8");
}

function roleOf({ inputs }: RegisteredResource): string | undefined {
  const labels = listOf(inputs.labels);
  const role = reveal(labels.find(({ label }) => reveal(label) === "torrust-pingoo.role")?.value);
  return typeof role === "string" ? role : undefined;
}

function options({ protect, retainOnDelete }: RegisteredResource): string {
  const said = [protect ? "protected" : "", retainOnDelete ? "kept when it leaves the stack" : ""].filter(
    Boolean,
  );
  return said.length > 0 ? ` (${said.join(", ")})` : "";
}

/** The inputs that tell a reader most, one line each. */
function details(masked: unknown): string[] {
  const inputs = masked as Fields;
  const lines: string[] = [];
  const add = (name: string, value: unknown) => {
    if (
      value === undefined ||
      value === "" ||
      value === false ||
      (Array.isArray(value) && value.length === 0)
    )
      return;
    lines.push(`${name}: ${Array.isArray(value) ? value.join(", ") : String(value)}`);
  };
  const each = (key: string, line: (item: Fields) => string) => listOf(inputs[key]).map(line);
  add("name", inputs.name);
  add("image", inputs.image);
  add("command", Array.isArray(inputs.command) ? inputs.command.join(" ") : undefined);
  add("user", inputs.user);
  add("environment", inputs.envs);
  add(
    "subnet",
    each("ipamConfigs", ({ subnet }) => String(subnet)),
  );
  add("internal", inputs.internal === true ? "no way out" : undefined);
  add(
    "publishes",
    each("ports", ({ ip, external, internal, protocol }) => {
      const address = ip === undefined ? "0.0.0.0" : String(ip);
      const host = address.includes(":") ? `[${address}]` : address;
      return `${host}:${String(external ?? "any")} -> ${String(internal)}/${String(protocol ?? "tcp")}`;
    }),
  );
  add(
    "networks",
    each("networksAdvanced", ({ name, ipv4Address, ipv6Address }) =>
      [name, ipv4Address, ipv6Address].filter(Boolean).join(" "),
    ),
  );
  add(
    "mounts",
    each("volumes", ({ volumeName, hostPath, containerPath, readOnly }) => {
      const source = volumeName ?? hostPath;
      return `${source === undefined ? "" : `${String(source)} -> `}${String(containerPath)}${readOnly ? " (read-only)" : ""}`;
    }),
  );
  add(
    "files",
    each("uploads", ({ file }) => String(file)),
  );
  add("memory", typeof inputs.memory === "number" ? `${inputs.memory} MB` : undefined);
  return lines;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
