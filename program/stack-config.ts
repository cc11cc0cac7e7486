import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve } from "node:path";
import { isAlias, isMap, isScalar, parseDocument, visit, type Document } from "yaml";

import { nearest } from "../settings/nearest";
import type { Problem } from "../settings";

/** What the Pulumi CLI would hand to the program for one stack. */
export interface StackConfig {
  /** Name of the project, the namespace of its keys; empty when a file could not be read, and `problems` says why. */
  readonly project: string;
  readonly stack: string;
  /** The stack's file, for messages: relative to the project folder where it lies in it. */
  readonly file: string;
  /** Whether the files could be read at all; if not, `problems` say why and there is no configuration. */
  readonly readable: boolean;
  /** `namespace:key` to text; lists and objects as JSON, the schema's defaults filled in. */
  readonly config: Readonly<Record<string, string>>;
  /** Keys of `config` whose values are secret. Encrypted ones are replaced by a placeholder: only the CLI can read them. */
  readonly secretKeys: readonly string[];
  /** Everything that the CLI would refuse, empty when it would run the program. */
  readonly problems: readonly Problem[];
}

/** Which stack: by name, by file, or by both (a file that stands in for the stack's own). */
export interface StackChoice {
  readonly stack?: string;
  /** A file of the form of Pulumi.<stack>.yaml; a relative path is taken from the current folder. */
  readonly file?: string;
}

/** The stack that the commands use unless told otherwise. */
export const defaultStack = "dev";

/**
 * Name and file of the chosen stack. A file called Pulumi.<stack>.yaml names its stack; any other stands for `dev`.
 */
export function locateStack(projectDir: string, choice: StackChoice): { stack: string; path: string } {
  const named = /^Pulumi\.(.+)\.ya?ml$/.exec(basename(choice.file ?? ""))?.[1];
  const stack = choice.stack ?? named ?? defaultStack;
  return { stack, path: choice.file ? resolve(choice.file) : join(projectDir, `Pulumi.${stack}.yaml`) };
}

/**
 * Reads the project's schema and the chosen stack's file. Never throws for what these files hold: whatever is wrong,
 * from a missing file to a bad type, is in `problems`.
 */
export function readStackConfig(projectDir: string, choice: StackChoice = {}): StackConfig {
  const { stack, path } = locateStack(projectDir, choice);
  const file = shortPath(projectDir, path);
  const project = readText(join(projectDir, "Pulumi.yaml"), "Pulumi.yaml");
  const own = readText(path, file, choice.file ? undefined : otherStacks(projectDir));
  const problems = [project, own].flatMap((read) => ("problem" in read ? [read.problem] : []));
  if ("problem" in project || "problem" in own)
    return { project: "", stack, file, readable: false, config: {}, secretKeys: [], problems };
  return resolveStackConfig({ projectText: project.text, stackText: own.text, stack, file });
}

/** The same for texts already read; pure. */
export function resolveStackConfig(source: {
  readonly projectText: string;
  readonly stackText: string;
  readonly stack: string;
  /** Name of the stack's file, for messages. */
  readonly file: string;
}): StackConfig {
  const { stack, file } = source;
  const problems: Problem[] = [];
  const projectFile = parseMapping(source.projectText, "Pulumi.yaml", problems);
  const stackFile = parseMapping(source.stackText, file, problems);
  const project = text(projectFile?.name);
  if (projectFile && project === "")
    problems.push({ path: "Pulumi.yaml", message: "has no name. Write name: torrust-pingoo." });
  if (!projectFile || !stackFile || project === "")
    return { project: "", stack, file, readable: false, config: {}, secretKeys: [], problems };

  problems.push(...topLevelProblems(stackFile));
  const schema = schemaOf(projectFile.config);
  const values = valuesOf(stackFile.config, project, problems);
  const config: Record<string, string> = {};
  const secretKeys: string[] = [];

  for (const [key, { value, sealed }] of values) {
    config[key] = configText(value);
    if (sealed) secretKeys.push(key);
  }
  for (const [name, declared] of Object.entries(schema)) {
    const key = name.includes(":") ? name : `${project}:${name}`;
    const given = values.get(key);
    if (given) problems.push(...typeProblems(displayKey(key, project), declared, given));
    else if (declared.default !== undefined) config[key] = configText(declared.default);
    else if (key.startsWith(`${project}:`))
      problems.push({
        path: displayKey(key, project),
        message: `is missing. Run: pulumi config set ${displayKey(key, project)} <value>`,
      });
  }
  return { project, stack, file, readable: true, config, secretKeys, problems };
}

/**
 * A stack file's text with some values replaced, all else as it was. Pure.
 *
 * @param values     bare or namespaced key to value; an object is laid over an object of the file, key by key
 * @param properties top-level keys such as `encryptionsalt`
 * @throws {Error} when the text is no YAML mapping
 */
export function overrideStackFile(
  stackText: string,
  project: string,
  values: Readonly<Record<string, unknown>>,
  properties: Readonly<Record<string, string>> = {},
): string {
  const problems: Problem[] = [];
  const current = parseMapping(stackText, "the stack's file", problems);
  if (!current) throw new Error(problems.map(({ path, message }) => `${path}: ${message}`).join("\n"));
  const document = parseDocument(stackText);
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never;
  if (!isMap(document.get("config", true))) document.set("config", document.createNode({}));
  const given = mapping(current.config) ?? {};
  for (const [key, value] of Object.entries(values)) {
    const full = key.includes(":") ? key : `${project}:${key}`;
    const bare = full.startsWith(`${project}:`) ? full.slice(project.length + 1) : full;
    const before = mapping(given[full] ?? given[bare]);
    const after = mapping(value);
    document.deleteIn(["config", bare]);
    document.setIn(["config", full], document.createNode(before && after ? { ...before, ...after } : value));
  }
  for (const [key, value] of Object.entries(properties)) document.set(key, value);
  return document.toString();
}

/**
 * Stands for an encrypted value where the CLI is not there to decrypt it; fits wherever a generated secret fits. One whose
 * name says that it is a URL is a URL.
 */
export function placeholder(name: string, ciphertext: string): string {
  const digest = createHash("sha256").update(`${name}\n${ciphertext}`).digest("hex").slice(0, 16);
  const text = `sealed-${name.replace(/[^A-Za-z0-9]+/g, "-")}-${digest}`;
  return /(^|-)url$/i.test(name) ? `https://sealed.invalid/${text}` : text;
}

// ---- reading

function readText(
  path: string,
  name: string,
  others?: readonly string[],
): { text: string } | { problem: Problem } {
  try {
    return { text: readFileSync(path, "utf8").replace(/^\ufeff/, "") };
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    const hint = others
      ? others.length > 0
        ? ` Stacks with a file here are: ${others.join(", ")}.`
        : ` Copy one from examples/.`
      : " Check the path.";
    const message =
      code === "ENOENT"
        ? `does not exist.${hint}`
        : code === "EISDIR"
          ? "is a folder. Name a file of the form of Pulumi.dev.yaml."
          : `cannot be read (${code ?? String(error)}).`;
    return { problem: { path: name, message } };
  }
}

function otherStacks(projectDir: string): readonly string[] {
  if (!existsSync(projectDir)) return [];
  return readdirSync(projectDir)
    .map((name) => /^Pulumi\.(.+)\.yaml$/.exec(name)?.[1])
    .filter((name) => name !== undefined)
    .sort();
}

function shortPath(projectDir: string, path: string): string {
  const short = relative(projectDir, path);
  return short.startsWith("..") || isAbsolute(short) ? path : short;
}

type Mapping = Readonly<Record<string, unknown>>;

/** The file as a mapping; an empty file is an empty one. Undefined, with a problem added, when it is anything else. */
function parseMapping(source: string, file: string, problems: Problem[]): Mapping | undefined {
  const fail = (message: string) => void problems.push({ path: file, message });
  let document: Document.Parsed;
  let value: unknown;
  try {
    document = parseDocument(source, { merge: true, intAsBigInt: true, prettyErrors: true });
    const error = document.errors[0];
    if (error) {
      const at = error.linePos ? `line ${error.linePos[0].line}, column ${error.linePos[0].col}: ` : "";
      const what = (error.message.split("\n")[0] ?? "").replace(/ at line \d+, column \d+:?$/, "");
      return fail(`is not valid YAML: ${at}${what}.`);
    }
    problems.push(...ambiguousNumbers(document, file));
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return fail(`is not valid YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (value === null || value === undefined) return {};
  return mapping(value) ?? fail(`is ${kindOf(value)}, not "key: value" lines. See Pulumi.dev.yaml for one.`);
}

/** 0123 is 123 to one YAML parser and 83, octal, to the CLI's. */
function ambiguousNumbers(document: Document.Parsed, file: string): Problem[] {
  const found: Problem[] = [];
  visit(document, {
    Scalar(_, node) {
      if (isAlias(node) || !isScalar(node) || node.type !== "PLAIN") return;
      if (typeof node.value === "bigint" && /^[-+]?0\d/.test(node.source ?? ""))
        found.push({
          path: file,
          message: `${node.source} is an octal number to some YAML parsers. Write it without the leading 0, or in quotes.`,
        });
    },
  });
  return found;
}

const topLevelKeys = ["config", "encryptionsalt", "encryptedkey", "secretsprovider", "environment"];

function topLevelProblems(stackFile: Mapping): Problem[] {
  const problems: Problem[] = Object.keys(stackFile)
    .filter((key) => !topLevelKeys.includes(key))
    .map((key) => {
      const near = nearest(key, topLevelKeys);
      return {
        path: key,
        message: near
          ? `is not known here. Did you mean ${near}?`
          : "stands at the top level. Move it below config:.",
      };
    });
  if (stackFile.environment !== undefined)
    problems.push({
      path: "environment",
      message: "is resolved by the Pulumi CLI only. Use pulumi preview for this stack.",
    });
  if (stackFile.config !== undefined && stackFile.config !== null && !mapping(stackFile.config))
    problems.push({
      path: "config",
      message: `is ${kindOf(stackFile.config)}. Write "key: value" lines below it.`,
    });
  return problems;
}

// ---- values

interface Given {
  /** With placeholders where something was encrypted. */
  readonly value: unknown;
  readonly sealed: boolean;
}

/** The stack's values by full key, in the file's order. */
function valuesOf(config: unknown, project: string, problems: Problem[]): Map<string, Given> {
  const values = new Map<string, Given>();
  for (const [written, value] of Object.entries(mapping(config) ?? {})) {
    const key = fullKey(written, project);
    if (!key) {
      problems.push({
        path: written,
        message: `is no configuration key. Write <namespace>:<name>, or just <name> for ${project}:<name>.`,
      });
      continue;
    }
    if (values.has(key)) {
      problems.push({
        path: displayKey(key, project),
        message: "is set twice, with and without its namespace. Delete one.",
      });
      continue;
    }
    values.set(key, unseal(value, displayKey(key, project)));
  }
  return values;
}

/** `name`, `namespace:name` and the older `namespace:config:name` as `namespace:name`. */
function fullKey(key: string, project: string): string | undefined {
  const parts = key.split(":");
  if (parts.length === 3 && parts[1] === "config") parts.splice(1, 1);
  if (parts.length === 1) parts.unshift(project);
  return parts.length === 2 && parts.every((part) => part !== "") ? parts.join(":") : undefined;
}

function displayKey(key: string, project: string): string {
  return key.startsWith(`${project}:`) ? key.slice(project.length + 1) : key;
}

function unseal(value: unknown, name: string): Given {
  if (Array.isArray(value)) {
    const items = value.map((item, index) => unseal(item, `${name}-${index}`));
    return { value: items.map((item) => item.value), sealed: items.some((item) => item.sealed) };
  }
  const map = mapping(value);
  if (!map) return { value, sealed: false };
  const keys = Object.keys(map);
  if (keys.length === 1 && typeof map.secure === "string")
    return { value: placeholder(name, map.secure), sealed: true };
  const entries = keys.map((key) => [key, unseal(map[key], `${name}-${key}`)] as const);
  return {
    value: Object.fromEntries(entries.map(([key, item]) => [key, item.value])),
    sealed: entries.some(([, item]) => item.sealed),
  };
}

/** A value as the CLI passes it on: scalars as their text, lists and objects as JSON with sorted keys. */
function configText(value: unknown): string {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? json(value) : String(value);
}

function json(value: unknown): string {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map(json).join(",")}]`;
  const map = mapping(value);
  if (!map) return JSON.stringify(value ?? null);
  const members = Object.keys(map)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${json(map[key])}`);
  return `{${members.join(",")}}`;
}

// ---- types

interface Items {
  readonly type: string;
  readonly items?: Items;
}

interface Declared {
  readonly type?: string;
  readonly items?: Items;
  readonly default?: unknown;
  readonly secret: boolean;
}

function schemaOf(config: unknown): Record<string, Declared> {
  return Object.fromEntries(
    Object.entries(mapping(config) ?? {}).map(([key, value]): [string, Declared] => {
      const map = mapping(value);
      if (!map) return [key, { default: value, secret: false }];
      return [
        key,
        {
          type: map.type === undefined ? undefined : text(map.type),
          items: itemsOf(map.items),
          default: map.default ?? map.value,
          secret: map.secret === true,
        },
      ];
    }),
  );
}

function itemsOf(value: unknown): Items | undefined {
  const map = mapping(value);
  return map && { type: text(map.type), items: itemsOf(map.items) };
}

function typeProblems(path: string, declared: Declared, { value, sealed }: Given): Problem[] {
  if (declared.type === undefined) return [];
  if (declared.secret && !sealed)
    return [{ path, message: `must be encrypted. Run: pulumi config set --secret ${path}` }];
  if (sealed && typeof value === "string") return [];
  return valueProblems(path, declared.type, declared.items, value ?? "", true);
}

/**
 * @param scalarsAreText at the top level the CLI passes every scalar as text, so that 443 is a string there and "443" an integer
 */
function valueProblems(
  path: string,
  type: string,
  items: Items | undefined,
  value: unknown,
  scalarsAreText: boolean,
): Problem[] {
  const wrong = (message: string): Problem[] => [{ path, message: `${quote(value)} ${message}` }];
  switch (type) {
    case "string":
      if (typeof value === "string" || (scalarsAreText && typeof value !== "object")) return [];
      return wrong("is no text. Write it on one line, in quotes.");
    case "integer":
      return isInteger(value) ? [] : wrong("is no whole number. Write digits only.");
    case "boolean":
      return /^(true|false)$/.test(String(value)) && typeof value !== "object"
        ? []
        : wrong("is neither true nor false.");
    case "object":
      return mapping(value) ? [] : wrong(`is no object. Write "key: value" lines below the key.`);
    case "array":
      if (!Array.isArray(value))
        return wrong(`is no list. Write one item per line below the key, each beginning with "- ".`);
      return items
        ? value.flatMap((item, index) =>
            valueProblems(`${path}[${index}]`, items.type, items.items, item, false),
          )
        : [];
    default:
      return [];
  }
}

function isInteger(value: unknown): boolean {
  return (
    typeof value === "bigint" ||
    (typeof value === "number" && Number.isInteger(value)) ||
    (typeof value === "string" && /^[-+]?\d+$/.test(value))
  );
}

// ---- plain values

function mapping(value: unknown): Mapping | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Mapping)
    : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function kindOf(value: unknown): string {
  return Array.isArray(value)
    ? "a list"
    : typeof value === "string"
      ? "plain text"
      : `the value ${String(value)}`;
}

function quote(value: unknown): string {
  const shown = json(value);
  return shown.length > 80 ? `${shown.slice(0, 77)}…` : shown;
}
