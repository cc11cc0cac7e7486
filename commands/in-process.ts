import type Docker from "dockerode";

import type { Problem } from "../settings";
import { engineBackend, type EngineSummary } from "./engine";
import { withLock } from "./engine-state";
import type { ProgramResult } from "./monitor";
import { planBackend } from "./plan-backend";
import { runStack } from "./program";
import type { StackConfig } from "./stack-config";
import type { Progress } from "./terminal";

export interface InProcessOptions {
  readonly stackConfig: StackConfig;
  readonly docker: Docker;
  /** Folder for generated values and the lock; made if need be, with mode 700. */
  readonly stateDir: string;
  readonly progress?: Progress;
}

export type InProcessDeployment =
  | { readonly kind: "done"; readonly result: ProgramResult; readonly summary: EngineSummary }
  | { readonly kind: "refused"; readonly problems: readonly Problem[] };

/**
 * Deploys a stack of this project without the Pulumi CLI: plans it first, removes what it no longer declares, then
 * makes what is missing or changed and sees to it that everything runs.
 *
 * @throws {CommandError} for what cannot be made, with the last lines of a container that failed
 */
export async function deployInProcess(options: InProcessOptions): Promise<InProcessDeployment> {
  const { stackConfig, docker, stateDir, progress } = options;
  const { stack, config, secretKeys } = stackConfig;
  const planned = await runStack(stackConfig, planBackend);
  if (planned.kind === "refused") return planned;
  return withLock(stateDir, stack, async () => {
    const secrets = secretKeys.map((key) => config[key] ?? "");
    const engine = engineBackend({ docker, stack, stateDir, progress, secrets });
    await engine.prepare(planned.result.resources);
    const made = await runStack(stackConfig, engine);
    if (made.kind === "refused") return made;
    await engine.finish();
    return { ...made, summary: engine.summary };
  });
}
