import type Docker from "dockerode";

import { tar } from "../docker/archive";
import { absentWhen, containerLogs, graceLabel, graceOf, stopAndRemove } from "../docker/calls";
import type { Creation, ResourceRequest } from "../program/monitor";
import { reveal } from "../program/secrets";
import { CommandError, type Step } from "../terminal/terminal";
import { containerSpec, type ContainerSpec } from "./container-spec";
import type { Images } from "./images";
import type { EngineRun } from "./run";
import { settle, whyNotRunning, type Started } from "./watch";

/** The containers of one deployment. */
export class Containers {
  readonly #run: EngineRun;
  readonly #images: Images;
  /** What is expected to run on. */
  readonly #running: Started[] = [];

  constructor(run: EngineRun, images: Images) {
    this.#run = run;
    this.#images = images;
  }

  /** Makes a container and starts it, or keeps one that was made from the same inputs and is well. */
  async make(resource: ResourceRequest): Promise<Creation> {
    const { docker, state, counts } = this.#run;
    const inputs = reveal(resource.inputs) as Record<string, unknown>;
    const spec = containerSpec(inputs, resource.name);
    const imageId = await this.#images.idOf(spec.image, spec.create.platform);
    const hash = state.hash({ inputs, imageId });
    const found = await absentWhen(404, docker.getContainer(spec.name).inspect());
    if (found && this.#run.isUnchanged(found.Config.Labels, "container", spec.name, hash)) {
      if (await this.#isWell(spec, found)) {
        counts.kept++;
        return containerState(docker, found.Id, spec);
      }
    }
    if (found) {
      const old = { id: found.Id, name: spec.name, grace: graceOf(found.Config.Labels) };
      await removeContainer(this.#run, old, "it changes", spec.removeVolumes);
    }
    return this.#run.step(`container ${spec.name}`, async (step) => {
      const id = await this.#create(spec, imageId, hash, step);
      this.#run.done(step, found !== undefined);
      return containerState(docker, id, spec);
    });
  }

  /** @throws {CommandError} with the last lines of those that were to run on and do not */
  async allRun(): Promise<void> {
    const failures: string[] = [];
    for (const started of this.#running) {
      const why = await whyNotRunning(this.#run, started);
      if (why !== undefined) failures.push(why);
    }
    if (failures.length > 0) throw new CommandError(failures.join("\n"));
  }

  /** Whether a container with the right inputs is also in the right condition, once it has been started again if need be. */
  async #isWell(
    spec: ContainerSpec,
    { Id, State, RestartCount }: Docker.ContainerInspectInfo,
  ): Promise<boolean> {
    if (spec.attach || !spec.start) return State.Status !== "created" || !spec.start;
    if (!spec.mustRun) return true;
    const started = { id: Id, name: spec.name, image: spec.image, restarts: RestartCount };
    if (State.Running && !State.Restarting && State.Health?.Status !== "unhealthy") {
      this.#running.push(started);
      return true;
    }
    if (State.Running || State.Status !== "exited") return false;
    const step = this.#run.progress.step(`container ${spec.name}`);
    try {
      await this.#run.docker.getContainer(Id).start();
      await this.#settle(started, spec, step);
      step.succeed("started again");
      return true;
    } catch {
      step.fail("does not start again and is made anew");
      return false;
    }
  }

  async #create(spec: ContainerSpec, imageId: string, hash: string, step: Step): Promise<string> {
    const { docker } = this.#run;
    const labels = { ...this.#run.labels(spec.create.Labels, hash), [graceLabel]: String(spec.graceSeconds) };
    const container = await docker.createContainer({ ...spec.create, Labels: labels });
    const { id } = container;
    if (spec.networks.length > 0) {
      await docker.getNetwork("bridge").disconnect({ Container: id });
      for (const { name, endpoint } of spec.networks)
        await docker
          .getNetwork(name)
          .connect({ Container: id, EndpointConfig: endpoint as Docker.EndpointSettings });
    }
    for (const upload of spec.uploads) await container.putArchive(tar([upload]), { path: "/" });
    if (!spec.start) return id;
    step.update("starting");
    await container.start();
    if (spec.attach) {
      step.update("waiting until it has done its work");
      await container.wait();
    } else if (spec.mustRun || spec.waitSeconds !== undefined) {
      const image = spec.image === imageId ? await this.#images.nameOf(imageId) : spec.image;
      await this.#settle({ id, name: spec.name, image, restarts: 0 }, spec, step);
    }
    return id;
  }

  async #settle(started: Started, spec: ContainerSpec, step: Step): Promise<void> {
    await settle(this.#run, started, spec, step);
    if (spec.mustRun) this.#running.push(started);
  }
}

/**
 * Stops a container and removes it.
 *
 * @param volumes whether its anonymous volumes go too
 */
export async function removeContainer(
  run: EngineRun,
  { id, name, grace }: { readonly id: string; readonly name: string; readonly grace: number },
  why: string,
  volumes = true,
): Promise<void> {
  const step = run.progress.step(`container ${name}`);
  step.update(`stopping, because ${why}`);
  await stopAndRemove(run.docker, id, grace, volumes);
  step.succeed(`removed, because ${why}`);
}

async function containerState(docker: Docker, id: string, spec: ContainerSpec): Promise<Creation> {
  const { Name, Config, NetworkSettings, State } = await docker.getContainer(id).inspect();
  const networkDatas = Object.entries(NetworkSettings.Networks ?? {}).map(([networkName, network]) => ({
    networkName,
    ipAddress: network.IPAddress,
    ipPrefixLength: network.IPPrefixLen,
    gateway: network.Gateway,
    globalIpv6Address: network.GlobalIPv6Address,
    globalIpv6PrefixLength: network.GlobalIPv6PrefixLen,
    ipv6Gateway: network.IPv6Gateway,
    macAddress: network.MacAddress,
  }));
  const logs = spec.attach && spec.logs ? (await containerLogs(docker, id)).join("\n") : undefined;
  return {
    id,
    state: {
      name: Name.replace(/^\//, ""),
      hostname: Config.Hostname,
      networkDatas,
      ...(State.Running ? {} : { exitCode: State.ExitCode }),
      ...(logs === undefined ? {} : { containerLogs: logs }),
    },
  };
}
