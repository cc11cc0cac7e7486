/** Brings a stack up on this machine and takes it down again, with what it needs for that. */

import { join } from "node:path";

import { ensureDocker } from "../docker/install";
import { planStack } from "../plan";
import { projectDir, stateDir } from "../program/project";
import type { Refusal } from "../program/run";
import { reveal } from "../program/secrets";
import { readStackConfig } from "../program/stack-config";
import { styleFor, type Progress } from "../terminal/terminal";
import { deploy, type Deployed } from "./deploy";
import type { EngineChoice } from "./engine";
import { chooseImages, neededImages, type ImageSource } from "./images";
import { writeOutputs } from "./state";

export { engines, type EngineChoice } from "./engine";
export { imageSources, type ImageSource } from "./images";
export { stop } from "./stop";

export interface StartOptions {
  readonly stack: string;
  /** The stack's file, absolute. */
  readonly file: string;
  readonly engine: EngineChoice;
  readonly images: ImageSource;
  readonly progress: Progress;
}

export type Start =
  | Refusal
  /** The stack belongs on another machine. */
  | { readonly kind: "elsewhere"; readonly target: string }
  | ({
      readonly kind: "done";
      /** File that holds the outputs. */
      readonly outputsFile: string;
      /** For people: which images run. */
      readonly images: string;
    } & Deployed);

/**
 * Brings a stack up: a Docker engine and images are got where they are missing.
 *
 * @throws {CommandError} for what cannot be had or made
 */
export async function start({ stack, file, engine, images: source, progress }: StartOptions): Promise<Start> {
  const plan = await planStack({ stack, file });
  if ("problems" in plan) return { kind: "refused", problems: plan.problems };
  const { config, project } = readStackConfig(projectDir, { stack, file });
  const target = config[`${project}:target`] ?? "local";
  if (target !== "local") return { kind: "elsewhere", target };
  progress.line(styleFor(process.stderr).bold(`Stack "${stack}"`));
  const host = await ensureDocker(progress, join(stateDir, "dockerd.log"));
  progress.line(`  Docker ${host.version} at ${host.address} (${host.chosenBy})`);
  const references = plan.result.resources
    .filter(({ type, inputs }) => type === "docker:index/remoteImage:RemoteImage" && !inputs.build)
    .map(({ inputs }) => String(reveal(inputs.name)));
  const configured = JSON.parse(config[`${project}:images`] ?? "{}") as Record<string, string>;
  const needed = neededImages(references, configured);
  const images = await chooseImages({ docker: host.docker, needed, source, progress });
  const overrides = Object.keys(images.overrides).length > 0 ? { images: images.overrides } : {};
  const deployed = await deploy({ stack, file, engine, host, overrides, progress });
  return {
    kind: "done",
    ...deployed,
    outputsFile: writeOutputs(stack, deployed.outputs),
    images: images.said,
  };
}
