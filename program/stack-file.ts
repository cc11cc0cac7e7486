import { isAlias, isMap, isScalar, parseDocument, visit, type Document } from "yaml";

import type { Problem } from "../settings";

/** A mapping of YAML. */
export type Mapping = Readonly<Record<string, unknown>>;

/** The file as a mapping; an empty file is an empty one. Undefined, with a problem added, when it is anything else. */
export function parseMapping(source: string, file: string, problems: Problem[]): Mapping | undefined {
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

/** The value as a mapping; undefined when it is anything else. */
export function mapping(value: unknown): Mapping | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Mapping)
    : undefined;
}

/** What a value is, for people. */
export function kindOf(value: unknown): string {
  return Array.isArray(value)
    ? "a list"
    : typeof value === "string"
      ? "plain text"
      : `the value ${String(value)}`;
}
