import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, isAbsolute, join, relative, resolve } from "node:path";

import type { Problem } from "../settings";
import { nearest } from "../settings/nearest";
import { schemaOf, typeProblems } from "./schema";
import { kindOf, mapping, parseMapping, type Mapping } from "./stack-file";
import { configText, displayKey, valuesOf } from "./stack-values";

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
  const project = typeof projectFile?.name === "string" ? projectFile.name : "";
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
