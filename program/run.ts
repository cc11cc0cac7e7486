import { join } from "node:path";

import type { Problem } from "../settings";
import type { Backend, ProgramOptions, ProgramResult } from "./monitor";
import { projectDir } from "./project";
import type { StackConfig } from "./stack-config";

export type StackRun = { readonly kind: "done"; readonly result: ProgramResult } | Refusal;

/** The configuration has problems. */
export interface Refusal {
  readonly kind: "refused";
  readonly problems: readonly Problem[];
}

/**
 * Runs this project's program on a backend. What is wrong with the configuration, whether the CLI or the program would
 * say it, comes back as problems; everything else that fails is thrown.
 */
export async function runStack(
  stackConfig: StackConfig,
  backend: Backend,
  options: Pick<ProgramOptions, "log" | "preview"> = {},
): Promise<StackRun> {
  if (!stackConfig.readable) return { kind: "refused", problems: stackConfig.problems };
  // Loaded here, because they are slow and a stack that cannot be read does not need them.
  const { loadProgram, runProgram } = await import("./monitor");
  const { secretKeys } = await import("../settings");
  const { project, stack, config } = stackConfig;
  try {
    const result = await runProgram({
      ...options,
      program: loadProgram(join(projectDir, "index.ts"), projectDir),
      project,
      stack,
      config,
      secretKeys: [...new Set([...stackConfig.secretKeys, ...secretKeys.map((key) => `${project}:${key}`)])],
      backend,
    });
    if (stackConfig.problems.length > 0) return { kind: "refused", problems: stackConfig.problems };
    return { kind: "done", result };
  } catch (error) {
    const problems = problemsOf(error);
    if (!problems && stackConfig.problems.length === 0) throw error;
    return { kind: "refused", problems: mergeProblems(stackConfig.problems, problems ?? []) };
  }
}

/** The problems that a SettingsError carries; told by its shape, because the program brings its own copy of the class. */
function problemsOf(error: unknown): readonly Problem[] | undefined {
  const problems = error instanceof Error && "problems" in error ? error.problems : undefined;
  return Array.isArray(problems) ? (problems as Problem[]) : undefined;
}

/** Both lists, without what the second says about something that the first already refuses. */
export function mergeProblems(first: readonly Problem[], second: readonly Problem[]): Problem[] {
  const covered = (path: string) =>
    first.some(
      (problem) =>
        path === problem.path || path.startsWith(`${problem.path}.`) || path.startsWith(`${problem.path}[`),
    );
  return [...first, ...second.filter(({ path }) => !covered(path))];
}
