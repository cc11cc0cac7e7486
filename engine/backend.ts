import type Docker from "dockerode";
import { resolve } from "node:path";

import {
  absentWhen,
  buildImage,
  containerLogs,
  graceLabel,
  graceOf,
  ignoring,
  ownedContainers,
  ownedNetworks,
  ownerLabel,
  pullImage,
  removeBuiltImages,
  stopAndRemove,
} from "../docker/calls";
import {
  buildSpec,
  containerSpec,
  networkSpec,
  SpecError,
  volumeSpec,
  type BuildSpec,
  type ContainerSpec,
} from "./specs";
import { EngineState } from "./state";
import type { Backend, Creation, ResourceRequest } from "../program/monitor";
import { projectDir } from "../program/project";
import { createMasker, reveal, secretTexts } from "../program/secrets";
import { tar } from "../docker/tar";
import { CommandError, formatBytes, silentProgress, type Progress, type Step } from "../terminal/terminal";

/** Label that tells from which inputs a thing was made. */
const inputsLabel = "torrust-pingoo.inputs";
/** How long a container is watched after its start, and how often it is looked at; milliseconds. */
const settleTime = 600;
const lookEvery = 100;
/** Lines of a failed container's output that its error carries. */
const logTail = 20;

export interface EngineOptions {
  readonly docker: Docker;
  readonly stack: string;
  /** Folder for generated values; made if need be, with mode 700. */
  readonly stateDir: string;
  readonly progress?: Progress;
  /** Secrets of the configuration, so that a container's output can be shown without them. */
  readonly secrets?: readonly string[];
}

/** What a deployment did, in numbers. */
export interface EngineSummary {
  readonly created: number;
  readonly replaced: number;
  readonly kept: number;
  readonly removed: number;
}

/** A backend that makes Docker resources on an engine and random values in a file. */
export interface EngineBackend extends Backend {
  /** Removes what the stack no longer declares, before anything new needs its name, address or port. Volumes stay. */
  prepare(declared: readonly ResourceRequest[]): Promise<void>;
  /**
   * Waits for the last containers and makes sure that each one still runs.
   *
   * @throws {CommandError} with the last lines of those that do not
   */
  finish(): Promise<void>;
  readonly summary: EngineSummary;
}

/**
 * Makes real what a program declares, as the Pulumi providers for Docker and random do, and keeps what is already
 * there with the same inputs. Run again without changes it changes nothing.
 */
export function engineBackend(options: EngineOptions): EngineBackend {
  return new Engine(options);
}

class Engine implements EngineBackend {
  readonly #docker: Docker;
  readonly #stack: string;
  readonly #progress: Progress;
  readonly #state: EngineState;
  readonly #secrets: string[];
  /** What is expected to run on, with how often it had been restarted when it was last seen well. */
  readonly #running: { id: string; name: string; image: string; restarts: number }[] = [];
  readonly #counts = { created: 0, replaced: 0, kept: 0, removed: 0 };
  readonly #pulls = new Map<string, Promise<string>>();
  /** References of the images that were declared as built. */
  readonly #built: string[] = [];

  constructor({ docker, stack, stateDir, progress, secrets }: EngineOptions) {
    this.#docker = docker;
    this.#stack = stack;
    this.#progress = progress ?? silentProgress;
    this.#state = EngineState.open(stateDir, stack);
    this.#secrets = [...(secrets ?? [])];
  }

  get summary(): EngineSummary {
    return { ...this.#counts };
  }

  async create(resource: ResourceRequest): Promise<Creation> {
    try {
      switch (resource.type) {
        case "docker:index/network:Network":
          return await this.#network(resource);
        case "docker:index/volume:Volume":
          return await this.#volume(resource);
        case "docker:index/remoteImage:RemoteImage":
          return await this.#image(resource);
        case "docker:index/container:Container":
          return await this.#container(resource);
        case "pulumi:providers:docker":
          return provider(resource);
        default:
          if (resource.type.startsWith("pulumi:providers:")) return { id: resource.name, state: {} };
          if (resource.type.startsWith("random:")) return this.#random(resource);
          throw new CommandError(
            `${resource.name}: resources of type ${resource.type} can be made by the Pulumi CLI only. Use npm run up.`,
          );
      }
    } catch (error) {
      if (error instanceof CommandError) throw error;
      const said = error instanceof Error ? error.message : String(error);
      const what = error instanceof SpecError ? said : engineMessage(said);
      throw new CommandError(
        createMasker(this.#secrets).text(`${resource.type.split(":").pop()} ${resource.name}: ${what}`),
      );
    }
  }

  async prepare(declared: readonly ResourceRequest[]): Promise<void> {
    const names = (type: string, nameOf: (inputs: Record<string, unknown>, name: string) => string) =>
      new Set(
        declared
          .filter((resource) => resource.type === type)
          .map(({ inputs, name }) => nameOf(reveal(inputs) as Record<string, unknown>, name)),
      );
    const containers = names("docker:index/container:Container", physicalName);
    const networks = names("docker:index/network:Network", physicalName);
    const ports = declaredPorts(declared);
    await Promise.all(
      (await ownedContainers(this.#docker, this.#stack)).map(async ({ name, id, grace, ports: held }) => {
        if (!containers.has(name)) {
          await this.#removeContainer(name, id, grace, "no longer declared");
          this.#counts.removed++;
        } else if (held.some((port) => (ports.get(port) ?? name) !== name))
          // Whoever takes the port may come before this container's own turn.
          await this.#removeContainer(name, id, grace, "it gives up a port");
      }),
    );
    for (const network of await ownedNetworks(this.#docker, this.#stack)) {
      if (networks.has(network.name)) continue;
      await this.#removeNetwork(network.name, network.id);
      this.#counts.removed++;
    }
  }

  async finish(): Promise<void> {
    const failures: string[] = [];
    for (const { id, name, image, restarts } of this.#running) {
      const { State, RestartCount } = await this.#docker.getContainer(id).inspect();
      if (!State.Running || State.Restarting || RestartCount > restarts)
        failures.push(await this.#endedMessage(id, name, image));
    }
    if (failures.length > 0) throw new CommandError(failures.join("\n"));
    await removeBuiltImages(this.#docker, this.#stack, this.#built);
  }

  // ---- networks and volumes

  async #network(resource: ResourceRequest): Promise<Creation> {
    const inputs = reveal(resource.inputs) as Record<string, unknown>;
    const spec = networkSpec(inputs, resource.name);
    const hash = this.#state.hash(inputs);
    const found = (await this.#docker.listNetworks({ filters: { name: [spec.Name] } })).find(
      ({ Name }) => Name === spec.Name,
    );
    if (found) {
      if (this.#owned(found.Labels, "network", spec.Name, hash)) return this.#networkState(found.Id);
      await this.#removeNetwork(spec.Name, found.Id);
    }
    const step = this.#progress.step(`network ${spec.Name}`);
    try {
      const { id } = await this.#docker.createNetwork({
        ...spec,
        CheckDuplicate: true,
        Labels: this.#labels(spec.Labels, hash),
      });
      this.#done(step, found !== undefined);
      return await this.#networkState(id);
    } catch (error) {
      step.fail();
      throw error;
    }
  }

  async #networkState(id: string): Promise<Creation> {
    const { Name, Driver, Scope, Internal } = (await this.#docker
      .getNetwork(id)
      .inspect()) as Docker.NetworkInspectInfo;
    return { id, state: { name: Name, driver: Driver, scope: Scope, internal: Internal } };
  }

  async #removeNetwork(name: string, id: string): Promise<void> {
    const network = this.#docker.getNetwork(id);
    const { Containers = {} } = (await network.inspect()) as Docker.NetworkInspectInfo;
    const owned = await ownedContainers(this.#docker, this.#stack);
    // A container that is stopped is not listed as a member, but starts no more once its network is gone.
    const members = owned.filter(({ id: own, networks }) => own in Containers || networks.includes(name));
    await Promise.all(
      members.map((member) =>
        this.#removeContainer(member.name, member.id, member.grace, "its network changes"),
      ),
    );
    await ignoring(404, network.remove());
    this.#progress.line(`  - network ${name} removed`);
  }

  async #volume(resource: ResourceRequest): Promise<Creation> {
    const inputs = reveal(resource.inputs) as Record<string, unknown>;
    const spec = volumeSpec(inputs, resource.name);
    const hash = this.#state.hash(inputs);
    const found = await absentWhen(404, this.#docker.getVolume(spec.Name).inspect());
    this.#state.protectVolume(spec.Name, resource.protect || resource.retainOnDelete);
    const state = (volume: Docker.VolumeInspectInfo): Creation => ({
      id: volume.Name,
      state: { name: volume.Name, driver: volume.Driver, mountpoint: volume.Mountpoint },
    });
    if (found) {
      const labels = found.Labels ?? {};
      if (labels[ownerLabel] !== this.#stack)
        this.#progress.line(
          `  volume ${spec.Name} was there before; its data is used, and it stays when the stack goes`,
        );
      else if (labels[inputsLabel] !== hash)
        this.#progress.line(
          `  volume ${spec.Name} is declared otherwise now; it stays as it is, for its data`,
        );
      this.#counts.kept++;
      return state(found);
    }
    const step = this.#progress.step(`volume ${spec.Name}`);
    try {
      await this.#docker.createVolume({ ...spec, Labels: this.#labels(spec.Labels, hash) });
      const made = await this.#docker.getVolume(spec.Name).inspect();
      this.#done(step, false);
      return state(made);
    } catch (error) {
      step.fail();
      throw error;
    }
  }

  // ---- images

  async #image(resource: ResourceRequest): Promise<Creation> {
    const inputs = reveal(resource.inputs) as Record<string, unknown>;
    const known = ["name", "keepLocally", "forceRemove", "platform", "pullTriggers", "triggers", "build"];
    for (const field of Object.keys(inputs))
      if (!known.includes(field))
        throw new SpecError(
          field,
          "is not supported by the in-process engine. Use the Pulumi CLI for this stack (npm run up)",
        );
    const reference = String(inputs.name);
    if (inputs.build !== undefined) await this.#build(reference, buildSpec(inputs.build));
    const id = await this.#imageId(
      reference,
      typeof inputs.platform === "string" ? inputs.platform : undefined,
    );
    const { RepoDigests } = await this.#docker.getImage(id).inspect();
    return { id: `${id}${reference}`, state: { imageId: id, repoDigest: RepoDigests?.[0] ?? "" } };
  }

  /** Builds an image unless there is one of that name: whoever declares it names it by what goes into it. */
  async #build(reference: string, spec: BuildSpec): Promise<void> {
    this.#built.push(reference);
    if (await absentWhen(404, this.#docker.getImage(reference).inspect())) return;
    const step = this.#progress.step(`image ${reference}`);
    step.update("building");
    try {
      await buildImage(this.#docker, {
        ...spec,
        context: resolve(projectDir, spec.context),
        reference,
        labels: { [ownerLabel]: this.#stack },
      });
      step.succeed("built");
    } catch (error) {
      step.fail();
      throw error;
    }
  }

  /** Identifier of an image, which is pulled when it is not there. */
  async #imageId(reference: string, platform?: string): Promise<string> {
    const local = await absentWhen(404, this.#docker.getImage(reference).inspect());
    if (local) return local.Id;
    let pull = this.#pulls.get(reference);
    if (!pull) {
      pull = this.#pull(reference, platform);
      this.#pulls.set(reference, pull);
    }
    return pull;
  }

  async #pull(reference: string, platform?: string): Promise<string> {
    const step = this.#progress.step(`image ${reference}`);
    step.update("pulling");
    try {
      await pullImage(this.#docker, reference, {
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
    return (await this.#docker.getImage(reference).inspect()).Id;
  }

  // ---- containers

  async #container(resource: ResourceRequest): Promise<Creation> {
    const inputs = reveal(resource.inputs) as Record<string, unknown>;
    const spec = containerSpec(inputs, resource.name);
    const imageId = await this.#imageId(spec.image, spec.create.platform);
    const hash = this.#state.hash({ inputs, imageId });
    const found = await absentWhen(404, this.#docker.getContainer(spec.name).inspect());
    if (found && this.#owned(found.Config.Labels, "container", spec.name, hash, false)) {
      if (await this.#stillGood(spec, found)) {
        this.#counts.kept++;
        return this.#containerState(found.Id, spec);
      }
    }
    if (found)
      await this.#removeContainer(
        spec.name,
        found.Id,
        graceOf(found.Config.Labels),
        "it changes",
        spec.removeVolumes,
      );
    const step = this.#progress.step(`container ${spec.name}`);
    try {
      const id = await this.#makeContainer(spec, imageId, hash, step);
      this.#done(step, found !== undefined);
      return await this.#containerState(id, spec);
    } catch (error) {
      step.fail();
      throw error;
    }
  }

  /** Whether a container with the right inputs is also in the right condition, once it has been started again if need be. */
  async #stillGood(spec: ContainerSpec, found: Docker.ContainerInspectInfo): Promise<boolean> {
    if (spec.attach || !spec.start) return found.State.Status !== "created" || !spec.start;
    if (!spec.mustRun) return true;
    const healthy = found.State.Health?.Status !== "unhealthy";
    if (found.State.Running && !found.State.Restarting && healthy) {
      this.#running.push({ id: found.Id, name: spec.name, image: spec.image, restarts: found.RestartCount });
      return true;
    }
    if (found.State.Running || found.State.Status !== "exited") return false;
    const step = this.#progress.step(`container ${spec.name}`);
    try {
      await this.#docker.getContainer(found.Id).start();
      await this.#settle(found.Id, spec, step, found.RestartCount);
      step.succeed("started again");
      return true;
    } catch {
      step.fail("does not start again and is made anew");
      return false;
    }
  }

  async #makeContainer(spec: ContainerSpec, imageId: string, hash: string, step: Step): Promise<string> {
    const labels = { ...this.#labels(spec.create.Labels, hash), [graceLabel]: String(spec.graceSeconds) };
    const container = await this.#docker.createContainer({ ...spec.create, Labels: labels });
    if (spec.networks.length > 0) {
      await this.#docker.getNetwork("bridge").disconnect({ Container: container.id });
      for (const { name, endpoint } of spec.networks)
        await this.#docker
          .getNetwork(name)
          .connect({ Container: container.id, EndpointConfig: endpoint as Docker.EndpointSettings });
    }
    for (const upload of spec.uploads) await container.putArchive(tar([upload]), { path: "/" });
    if (!spec.start) return container.id;
    step.update("starting");
    await container.start();
    if (spec.attach) {
      step.update("waiting until it has done its work");
      await container.wait();
    } else if (spec.mustRun || spec.waitSeconds !== undefined) {
      await this.#settle(
        container.id,
        { ...spec, image: spec.image === imageId ? await this.#imageName(imageId) : spec.image },
        step,
      );
    }
    return container.id;
  }

  /**
   * Watches a started container for a moment, and until it is healthy where that was asked for.
   *
   * @param restarts how often it had been restarted before
   */
  async #settle(id: string, spec: ContainerSpec, step: Step, restarts = 0): Promise<void> {
    const started = Date.now();
    const deadline = started + (spec.waitSeconds ?? 0) * 1000;
    const container = this.#docker.getContainer(id);
    if (spec.mustRun) this.#running.push({ id, name: spec.name, image: spec.image, restarts });
    for (;;) {
      const { State, RestartCount } = await container.inspect();
      if (spec.mustRun && (!State.Running || State.Restarting || RestartCount > restarts))
        throw new CommandError(await this.#endedMessage(id, spec.name, spec.image));
      if (spec.waitSeconds === undefined) {
        if (Date.now() - started >= settleTime) return;
      } else {
        if (!State.Health)
          throw new CommandError(
            `Container ${spec.name} is to be waited for, but has no health check. Give it one, or do not wait.`,
          );
        if (State.Health.Status === "healthy") return;
        if (Date.now() > deadline) throw new CommandError(await this.#unhealthyMessage(id, spec));
        step.update("waiting until it is healthy");
      }
      await new Promise((resolve) => setTimeout(resolve, lookEvery));
    }
  }

  async #endedMessage(id: string, name: string, image: string): Promise<string> {
    const { State, RestartCount } = await this.#endedState(id);
    const end = State.OOMKilled
      ? "was killed for want of memory"
      : State.Running && !State.Restarting
        ? "ended"
        : `ended with exit code ${State.ExitCode}`;
    const again =
      RestartCount > 0 ? ` and was restarted ${RestartCount === 1 ? "once" : `${RestartCount} times`}` : "";
    const cause = State.Error ? `\n  The engine says: ${State.Error}` : "";
    return `Container ${name} (${image}) ${end}${again} instead of running on.${cause}\n${await this.#lastLines(id)}`;
  }

  /** What the engine says of a container that ended: while a restarted one runs, it has no exit code to tell. */
  async #endedState(id: string): Promise<Docker.ContainerInspectInfo> {
    for (
      const deadline = Date.now() + 2000;
      ;
      await new Promise((resolve) => setTimeout(resolve, lookEvery))
    ) {
      const info = await this.#docker.getContainer(id).inspect();
      if (!info.State.Running || info.State.Restarting || Date.now() > deadline) return info;
    }
  }

  async #unhealthyMessage(id: string, { name, image, waitSeconds }: ContainerSpec): Promise<string> {
    const { State } = await this.#docker.getContainer(id).inspect();
    const checks = State.Health?.Log ?? [];
    const said = checks.at(-1)?.Output?.trim();
    const check = createMasker(this.#secrets).text(said ? `\n  Its health check says: ${said}` : "");
    return `Container ${name} (${image}) is not healthy after ${waitSeconds} s.${check}\n${await this.#lastLines(id)}`;
  }

  async #lastLines(id: string): Promise<string> {
    const lines = await containerLogs(this.#docker, id, logTail).catch(() => undefined);
    if (lines === undefined) return "  Its output is not kept (log driver none).";
    if (lines.length === 0) return "  It printed nothing.";
    const masker = createMasker(this.#secrets);
    return ["  Its last lines:", ...lines.map((line) => `    ${masker.text(line)}`)].join("\n");
  }

  async #imageName(id: string): Promise<string> {
    const { RepoTags } = await this.#docker.getImage(id).inspect();
    return RepoTags?.[0] ?? id.slice(0, 19);
  }

  async #containerState(id: string, spec: ContainerSpec): Promise<Creation> {
    const { Name, Config, NetworkSettings, State } = await this.#docker.getContainer(id).inspect();
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
    const logs = spec.attach && spec.logs ? (await containerLogs(this.#docker, id)).join("\n") : undefined;
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

  async #removeContainer(
    name: string,
    id: string,
    grace: number,
    why: string,
    volumes = true,
  ): Promise<void> {
    const step = this.#progress.step(`container ${name}`);
    step.update(`stopping, because ${why}`);
    await stopAndRemove(this.#docker, id, grace, volumes);
    step.succeed(`removed, because ${why}`);
  }

  // ---- the rest

  #random(resource: ResourceRequest): Creation {
    const state = this.#state.generate(resource);
    this.#secrets.push(...secretTexts(state));
    return { id: resource.type.endsWith("RandomId") ? String(state.b64Url) : "none", state };
  }

  #labels(labels: Record<string, string> | undefined, hash: string): Record<string, string> {
    return { ...labels, [ownerLabel]: this.#stack, [inputsLabel]: hash };
  }

  /**
   * Whether an existing thing is the stack's own and was made from the same inputs.
   *
   * @throws {CommandError} when it belongs to something else
   */
  #owned(
    labels: Record<string, string> | undefined,
    kind: string,
    name: string,
    hash: string,
    count = true,
  ): boolean {
    if (labels?.[ownerLabel] !== this.#stack)
      throw new CommandError(
        labels?.["torrust-pingoo.stack"]
          ? `The ${kind} ${name} exists already: the Pulumi CLI made it. Run npm run destroy first, or go on with npm run up.`
          : `A ${kind} called ${name} exists already and does not belong to stack "${this.#stack}". Remove it (docker ${kind} rm ${name}), or choose another --stack.`,
      );
    const same = labels[inputsLabel] === hash;
    if (same && count) this.#counts.kept++;
    return same;
  }

  #done(step: Step, replaced: boolean): void {
    step.succeed(replaced ? "replaced" : "created");
    this.#counts[replaced ? "replaced" : "created"]++;
  }
}

/** What {@link down} removed, in numbers. */
export interface Removal {
  readonly containers: number;
  readonly networks: number;
  readonly volumes: number;
}

/**
 * Removes everything of a stack that the in-process engine made, volumes and generated values included.
 *
 * @throws {CommandError} before anything is removed, when the stack was deployed with protected volumes, or when
 * containers of somebody else use its networks or volumes
 */
export async function down(options: Omit<EngineOptions, "secrets">): Promise<Removal> {
  const { docker, stack, stateDir, progress = silentProgress } = options;
  const kept = EngineState.exists(stateDir, stack) ? EngineState.open(stateDir, stack).protectedVolumes : [];
  if (kept.length > 0)
    throw new CommandError(
      `The volumes ${kept.join(", ")} are protected. To remove them with the stack, set protectData to false, deploy once more, and try again.`,
    );
  const containers = await ownedContainers(docker, stack);
  const networks = await ownedNetworks(docker, stack);
  const { Volumes } = await docker.listVolumes({ filters: { label: [`${ownerLabel}=${stack}`] } });
  const volumes = (Volumes ?? []).map(({ Name }) => Name);
  const strangers = await foreignUsers(
    docker,
    stack,
    new Set([...networks.map(({ name }) => name), ...volumes]),
  );
  if (strangers.length > 0)
    throw new CommandError(
      `Nothing was removed, because other containers use what belongs to stack "${stack}":\n${strangers.map((line) => `  - ${line}`).join("\n")}\nRemove or detach them, and try again.`,
    );
  await Promise.all(
    containers.map(async ({ id, name, grace }) => {
      const step = progress.step(`container ${name}`);
      step.update("stopping");
      await stopAndRemove(docker, id, grace, true);
      step.succeed("removed");
    }),
  );
  for (const { id, name } of networks) {
    await ignoring(404, docker.getNetwork(id).remove());
    progress.line(`  - network ${name} removed`);
  }
  for (const name of volumes) {
    await ignoring(404, docker.getVolume(name).remove());
    progress.line(`  - volume ${name} removed`);
  }
  await removeBuiltImages(docker, stack);
  EngineState.forget(stateDir, stack);
  return { containers: containers.length, networks: networks.length, volumes: volumes.length };
}

/** States of containers that do not run. */
const stillStates: readonly string[] = ["created", "exited", "dead"];

/** Containers that are not the stack's but attached to its networks or volumes: a line each, with what detaches it. */
async function foreignUsers(docker: Docker, stack: string, owned: ReadonlySet<string>): Promise<string[]> {
  const all = await docker.listContainers({ all: true });
  return all
    .filter(({ Labels }) => Labels[ownerLabel] !== stack)
    .flatMap(({ Id, Names, State, NetworkSettings, Mounts }) => {
      const name = Names[0]?.slice(1) ?? Id.slice(0, 12);
      // One that does not run leaves its network free, its volumes not.
      const attached = stillStates.includes(State) ? [] : Object.keys(NetworkSettings.Networks);
      const networks = attached.filter((network) => owned.has(network));
      const volumes = Mounts.flatMap((mount) => (mount.Name && owned.has(mount.Name) ? [mount.Name] : []));
      return [
        ...networks.map(
          (network) => `${name} is on network ${network}: docker network disconnect -f ${network} ${name}`,
        ),
        ...volumes.map((volume) => `${name} mounts volume ${volume}: docker rm -f ${name}`),
      ];
    });
}

/** Whether anything of a stack is there that the in-process engine made. */
export async function isInProcess(docker: Docker, stack: string): Promise<boolean> {
  const filters = { label: [`${ownerLabel}=${stack}`] };
  if ((await docker.listContainers({ all: true, filters })).length > 0) return true;
  return ((await docker.listVolumes({ filters })).Volumes ?? []).length > 0;
}

function provider({ name, inputs }: ResourceRequest): Creation {
  const host = reveal(inputs.host);
  if (typeof host === "string" && host !== "" && !host.startsWith("unix:"))
    throw new CommandError(
      `${name} works on ${host}, but the in-process engine only on the engine of this machine. Use npm run up.`,
    );
  return { id: name, state: {} };
}

/** Host ports that containers are to publish, `address:port/protocol`, and which container each one is for. */
function declaredPorts(declared: readonly ResourceRequest[]): ReadonlyMap<string, string> {
  const ports = new Map<string, string>();
  for (const { type, inputs, name } of declared) {
    if (type !== "docker:index/container:Container") continue;
    const fields = reveal(inputs) as Record<string, unknown>;
    for (const port of (fields.ports ?? []) as { ip?: string; external?: number; protocol?: string }[])
      if (port.external)
        ports.set(
          `${port.ip ?? "0.0.0.0"}:${port.external}/${port.protocol ?? "tcp"}`,
          physicalName(fields, name),
        );
  }
  return ports;
}

function physicalName(inputs: Record<string, unknown>, name: string): string {
  return typeof inputs.name === "string" ? inputs.name : name;
}

/** Dockerode's "(HTTP code 500) server error - what happened" without the wrapping, with a hint where one is known. */
function engineMessage(message: string): string {
  const plain = message.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim();
  const port =
    /(?:Bind for|listen (?:tcp|udp)\d? )\s*([\d.:[\]a-f]+)?.*(?:already allocated|already in use)/.exec(
      plain,
    );
  if (port)
    return `${plain}\nSomething else uses this port. Stop it (docker ps, ss -ltnup), or choose another by the configuration keys httpsPort, grafanaPort or udpTrackers.`;
  if (/Pool overlaps with other one on this address space/.test(plain))
    return `${plain}\nAnother network uses these addresses. Choose others by the configuration key subnet.`;
  return plain;
}
