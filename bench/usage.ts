import type Docker from "dockerode";

import { pause } from "./text";

/** What a container used while something was done. */
export interface Used {
  /** Seconds of one core. */
  readonly cpu: number;
  /** MiB, without the files that the kernel caches for it: the most that was seen. */
  readonly memory: number;
}

interface Sample {
  readonly cpu: number;
  readonly memory: number;
}

/**
 * Does something and looks at what a stack's containers use meanwhile.
 *
 * @returns what was done, and what was used, by the container's role
 */
export async function metered<T>(
  docker: Docker,
  stack: string,
  work: () => Promise<T>,
): Promise<{ result: T; used: ReadonlyMap<string, Used> }> {
  const roles = await rolesOf(docker, stack);
  const samples = new Map([...roles.keys()].map((role): [string, Sample[]] => [role, []]));
  const look = () =>
    Promise.all(
      [...roles].map(async ([role, container]) => samples.get(role)!.push(await sample(container))),
    );
  await look();
  let working = true;
  const looking = (async () => {
    while (working) {
      await pause(250);
      await look();
    }
  })();
  let result: T;
  try {
    result = await work();
  } finally {
    working = false;
    await looking;
  }
  return { result, used: new Map([...samples].map(([role, all]) => [role, usedOf(all)])) };
}

/** What each container of a stack holds now, in MiB, by role. */
export async function memoryOf(docker: Docker, stack: string): Promise<ReadonlyMap<string, number>> {
  const roles = [...(await rolesOf(docker, stack))];
  return new Map(
    await Promise.all(
      roles.map(async ([role, container]): Promise<[string, number]> => [
        role,
        (await sample(container)).memory,
      ]),
    ),
  );
}

function usedOf(samples: readonly Sample[]): Used {
  return {
    cpu: samples.at(-1)!.cpu - samples[0]!.cpu,
    memory: Math.max(...samples.map(({ memory }) => memory)),
  };
}

async function rolesOf(docker: Docker, stack: string): Promise<ReadonlyMap<string, Docker.Container>> {
  const prefix = `/torrust-pingoo-${stack}-`;
  const containers = await docker.listContainers({ filters: { name: [`^${prefix}`] } });
  return new Map(
    containers
      .map(({ Id, Names }): [string, Docker.Container] => [
        Names[0]!.slice(prefix.length),
        docker.getContainer(Id),
      ])
      .sort(([a], [b]) => a.localeCompare(b)),
  );
}

async function sample(container: Docker.Container): Promise<Sample> {
  // With `one-shot` the engine does not wait for a second look.
  const options = { stream: false, "one-shot": true } as const;
  const { memory_stats: memory, cpu_stats } = await container.stats(options);
  const cache = memory.stats.total_inactive_file ?? memory.stats.inactive_file ?? 0;
  return { cpu: cpu_stats.cpu_usage.total_usage / 1e9, memory: (memory.usage - cache) / 2 ** 20 };
}
