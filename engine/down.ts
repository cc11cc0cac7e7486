import type Docker from "dockerode";

import {
  ignoring,
  ownedContainers,
  ownedNetworks,
  ownerLabel,
  removeBuiltImages,
  stopAndRemove,
} from "../docker/calls";
import { CommandError, silentProgress, type Progress } from "../terminal/terminal";
import { EngineState } from "./state";

export interface DownOptions {
  readonly docker: Docker;
  readonly stack: string;
  /** Folder for generated values. */
  readonly stateDir: string;
  readonly progress?: Progress;
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
export async function down(options: DownOptions): Promise<Removal> {
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
