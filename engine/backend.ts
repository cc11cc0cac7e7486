import type Docker from "dockerode";

import { ownedContainers, ownedNetworks } from "../docker/calls";
import type { Backend, Creation, ResourceRequest } from "../program/monitor";
import { reveal, secretTexts } from "../program/secrets";
import { CommandError, silentProgress, type Progress } from "../terminal/terminal";
import { Containers, removeContainer } from "./containers";
import { SpecError } from "./fields";
import { Images } from "./images";
import { makeNetwork, removeNetwork } from "./networks";
import { EngineRun, type EngineSummary } from "./run";
import { EngineState } from "./state";
import { makeVolume } from "./volumes";

export interface EngineOptions {
  readonly docker: Docker;
  readonly stack: string;
  /** Folder for generated values; made if need be, with mode 700. */
  readonly stateDir: string;
  readonly progress?: Progress;
  /** Secrets of the configuration, so that a container's output can be shown without them. */
  readonly secrets?: readonly string[];
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
export function engineBackend({ docker, stack, stateDir, progress, secrets }: EngineOptions): EngineBackend {
  const state = EngineState.open(stateDir, stack);
  const run = new EngineRun(docker, stack, state, progress ?? silentProgress, [...(secrets ?? [])]);
  const images = new Images(run);
  const containers = new Containers(run, images);
  return {
    async create(resource) {
      try {
        return await make(resource, run, images, containers);
      } catch (error) {
        if (error instanceof CommandError) throw error;
        const said = error instanceof Error ? error.message : String(error);
        const what = error instanceof SpecError ? said : engineMessage(said);
        throw new CommandError(run.masked(`${resource.type.split(":").pop()} ${resource.name}: ${what}`));
      }
    },
    prepare: (declared) => removeUndeclared(run, declared),
    async finish() {
      await containers.allRun();
      await images.removeOld();
    },
    get summary() {
      return { ...run.counts };
    },
  };
}

async function make(
  resource: ResourceRequest,
  run: EngineRun,
  images: Images,
  containers: Containers,
): Promise<Creation> {
  switch (resource.type) {
    case "docker:index/network:Network":
      return makeNetwork(run, resource);
    case "docker:index/volume:Volume":
      return makeVolume(run, resource);
    case "docker:index/remoteImage:RemoteImage":
      return images.make(resource);
    case "docker:index/container:Container":
      return containers.make(resource);
    case "pulumi:providers:docker":
      return provider(resource);
    default:
      if (resource.type.startsWith("pulumi:providers:")) return { id: resource.name, state: {} };
      if (resource.type.startsWith("random:")) return generated(run, resource);
      throw new CommandError(
        `${resource.name}: resources of type ${resource.type} can be made by the Pulumi CLI only. Use npm run up.`,
      );
  }
}

function provider({ name, inputs }: ResourceRequest): Creation {
  const host = reveal(inputs.host);
  if (typeof host === "string" && host !== "" && !host.startsWith("unix:"))
    throw new CommandError(
      `${name} works on ${host}, but the in-process engine only on the engine of this machine. Use npm run up.`,
    );
  return { id: name, state: {} };
}

function generated(run: EngineRun, resource: ResourceRequest): Creation {
  const state = run.state.generate(resource);
  run.secrets.push(...secretTexts(state));
  return { id: resource.type.endsWith("RandomId") ? String(state.b64Url) : "none", state };
}

// ---- what has to go first

async function removeUndeclared(run: EngineRun, declared: readonly ResourceRequest[]): Promise<void> {
  const { docker, stack, counts } = run;
  const containers = declaredNames(declared, "docker:index/container:Container");
  const networks = declaredNames(declared, "docker:index/network:Network");
  const ports = declaredPorts(declared);
  await Promise.all(
    (await ownedContainers(docker, stack)).map(async (container) => {
      const { name, ports: held } = container;
      if (!containers.has(name)) {
        await removeContainer(run, container, "no longer declared");
        counts.removed++;
      } else if (held.some((port) => (ports.get(port) ?? name) !== name))
        // Whoever takes the port may come before this container's own turn.
        await removeContainer(run, container, "it gives up a port");
    }),
  );
  for (const network of await ownedNetworks(docker, stack)) {
    if (networks.has(network.name)) continue;
    await removeNetwork(run, network.name, network.id);
    counts.removed++;
  }
}

function declaredNames(declared: readonly ResourceRequest[], type: string): ReadonlySet<string> {
  return new Set(
    declared
      .filter((resource) => resource.type === type)
      .map(({ inputs, name }) => physicalName(reveal(inputs) as Record<string, unknown>, name)),
  );
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
    return `${plain}\nSomething else uses this port. Stop it (docker ps, ss -ltnup), or choose another by the configuration keys httpsPort, httpPort, grafanaPort or udpTrackers.`;
  if (/Pool overlaps with other one on this address space/.test(plain))
    return `${plain}\nAnother network uses these addresses. Choose others by the configuration key subnet.`;
  return plain;
}
