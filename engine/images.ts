import { resolve } from "node:path";

import { absentWhen, buildImage, ownerLabel, pullImage, removeBuiltImages } from "../docker/calls";
import type { Creation, ResourceRequest } from "../program/monitor";
import { projectDir } from "../program/project";
import { reveal } from "../program/secrets";
import { CommandError, formatBytes } from "../terminal/terminal";
import type { EngineRun } from "./run";
import { imageSpec, type BuildSpec } from "./specs";

/** The images of one deployment. */
export class Images {
  readonly #run: EngineRun;
  readonly #pulls = new Map<string, Promise<string>>();
  /** References of the images that were declared as built. */
  readonly #built: string[] = [];

  constructor(run: EngineRun) {
    this.#run = run;
  }

  /** Builds or pulls an image that is not there. */
  async make(resource: ResourceRequest): Promise<Creation> {
    const { reference, platform, build } = imageSpec(reveal(resource.inputs) as Record<string, unknown>);
    if (build) await this.#build(reference, build);
    const id = await this.idOf(reference, platform);
    const { RepoDigests } = await this.#run.docker.getImage(id).inspect();
    return { id: `${id}${reference}`, state: { imageId: id, repoDigest: RepoDigests?.[0] ?? "" } };
  }

  /** Identifier of an image, which is pulled when it is not there. */
  async idOf(reference: string, platform?: string): Promise<string> {
    const local = await absentWhen(404, this.#run.docker.getImage(reference).inspect());
    if (local) return local.Id;
    let pull = this.#pulls.get(reference);
    if (!pull) {
      pull = this.#pull(reference, platform);
      this.#pulls.set(reference, pull);
    }
    return pull;
  }

  /** A name of an image that people know. */
  async nameOf(id: string): Promise<string> {
    const { RepoTags } = await this.#run.docker.getImage(id).inspect();
    return RepoTags?.[0] ?? id.slice(0, 19);
  }

  /** Removes what earlier deployments have built and this one did not declare. */
  async removeOld(): Promise<void> {
    await removeBuiltImages(this.#run.docker, this.#run.stack, this.#built);
  }

  /** Builds an image unless there is one of that name: whoever declares it names it by what goes into it. */
  async #build(reference: string, spec: BuildSpec): Promise<void> {
    const { docker, stack } = this.#run;
    this.#built.push(reference);
    if (await absentWhen(404, docker.getImage(reference).inspect())) return;
    await this.#run.step(`image ${reference}`, async (step) => {
      step.update("building");
      await buildImage(docker, {
        ...spec,
        context: resolve(projectDir, spec.context),
        reference,
        labels: { [ownerLabel]: stack },
      });
      step.succeed("built");
    });
  }

  async #pull(reference: string, platform?: string): Promise<string> {
    const { docker, progress } = this.#run;
    const step = progress.step(`image ${reference}`);
    step.update("pulling");
    try {
      await pullImage(docker, reference, {
        platform,
        progress: (received, total) =>
          step.update(`pulling, ${formatBytes(received)}${total > 0 ? ` of ${formatBytes(total)}` : ""}`),
      });
      step.succeed("pulled");
    } catch (error) {
      step.fail();
      throw new CommandError(
        `The image ${reference} is not on this engine and could not be pulled: ${error instanceof Error ? error.message : String(error)}\nPull or load it by hand, or name another by the configuration key images.`,
      );
    }
    return (await docker.getImage(reference).inspect()).Id;
  }
}
