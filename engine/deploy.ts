import type Docker from "dockerode";

import { engineBackend } from "./backend";
import { withLock } from "./lock";
import type { EngineSummary } from "./run";
import type { Backend, Creation, ProgramResult, ResourceRequest } from "../program/monitor";
import { planBackend } from "../program/plan-backend";
import { runStack, type Refusal } from "../program/run";
import type { StackConfig } from "../program/stack-config";
import type { Progress } from "../terminal/terminal";

export interface InProcessOptions {
  readonly stackConfig: StackConfig;
  readonly docker: Docker;
  /** Folder for generated values and the lock; made if need be, with mode 700. */
  readonly stateDir: string;
  readonly progress?: Progress;
  /** Told of each resource that exists now; what it throws ends the deployment, as an interruption would. */
  readonly made?: (resource: ResourceRequest) => void;
}

export type InProcessDeployment =
  { readonly kind: "done"; readonly result: ProgramResult; readonly summary: EngineSummary } | Refusal;

/**
 * Deploys a stack of this project without the Pulumi CLI: plans it first, removes what it no longer declares, then
 * makes what is missing or changed and sees to it that everything runs.
 *
 * @throws {CommandError} for what cannot be made, with the last lines of a container that failed
 */
export async function deployInProcess(options: InProcessOptions): Promise<InProcessDeployment> {
  const { stackConfig, docker, stateDir, progress, made = () => {} } = options;
  const { stack, config, secretKeys } = stackConfig;
  const planned = await runStack(stackConfig, planBackend);
  if (planned.kind === "refused") return planned;
  return withLock(stateDir, stack, async () => {
    const secrets = secretKeys.map((key) => config[key] ?? "");
    const engine = engineBackend({ docker, stack, stateDir, progress, secrets });
    await engine.prepare(planned.result.resources);
    const deployed = await runStack(stackConfig, { create: (resource) => create(engine, resource, made) });
    if (deployed.kind === "refused") return deployed;
    await engine.finish();
    return { ...deployed, summary: engine.summary };
  });
}

async function create(
  engine: Backend,
  resource: ResourceRequest,
  made: (resource: ResourceRequest) => void,
): Promise<Creation> {
  const creation = await engine.create(resource);
  made(resource);
  return creation;
}
