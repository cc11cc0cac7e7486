import { planBackend } from "../program/plan-backend";
import { projectDir } from "../program/project";
import type { ProgramResult } from "../program/monitor";
import { quickenSdk } from "../program/quick-sdk";
import { runStack } from "../program/run";
import { readStackConfig, type StackChoice } from "../program/stack-config";
import type { Problem } from "../settings";
import type { Style } from "../terminal/terminal";
import { renderedFiles, type RenderedFile } from "./files";

export { renderedFiles, writeFiles, type RenderedFile } from "./files";
export { toText } from "./text";

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

/** The list of problems for people. */
export function problemsText(problems: readonly Problem[], file: string, style: Style): string {
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  const lines = problems.map(({ path, message }) => `  - ${style.bold(path)}: ${message}`);
  return `${style.red("error:")} ${file} has ${count}:\n${lines.join("\n")}\n`;
}
