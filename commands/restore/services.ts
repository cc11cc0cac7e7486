import type Docker from "dockerode";

import { graceOf, ignoring } from "../engine-docker";
import type { StackEngine } from "../stack-engine";
import { CommandError, type Progress } from "../terminal";

type Services = readonly Docker.ContainerInspectInfo[];

const startWithin = 120_000;
const lookEvery = 500;
/** What has no health check counts as running after this. */
const settleTime = 2000;

/** Stops containers, the last one first. */
export async function stopServices(
  { docker }: StackEngine,
  services: Services,
  progress: Progress,
): Promise<void> {
  for (const { Id, Name, Config } of [...services].reverse()) {
    const step = progress.step(`container ${Name.slice(1)}`);
    await ignoring(304, docker.getContainer(Id).stop({ t: Math.max(20, graceOf(Config.Labels)) }));
    step.succeed("stopped");
  }
}

/**
 * Starts containers and waits until they are well.
 *
 * @throws {CommandError} naming the one that is not
 */
export async function startServices(
  { docker }: StackEngine,
  services: Services,
  progress: Progress,
): Promise<void> {
  for (const { Id, Name } of services) {
    const step = progress.step(`container ${Name.slice(1)}`);
    await ignoring(304, docker.getContainer(Id).start());
    const condition = await settled(docker, Id);
    if (condition !== "well") {
      step.fail(condition);
      throw new CommandError(
        `${Name.slice(1)} does not run (${condition}) after the data was put in place; docker logs ${Name.slice(1)} says why. To take the restore back: npm run restore -- --undo`,
      );
    }
    step.succeed("started");
  }
}

async function settled(docker: Docker, id: string): Promise<string> {
  const before = (await docker.getContainer(id).inspect()).RestartCount;
  for (const since = Date.now(); ; await new Promise((resolve) => setTimeout(resolve, lookEvery))) {
    const { State, RestartCount } = await docker.getContainer(id).inspect();
    const waited = Date.now() - since;
    if (!State.Running || State.Restarting || RestartCount > before) return `exit code ${State.ExitCode}`;
    const health = State.Health?.Status;
    if (health === "healthy" || (!health && waited >= settleTime)) return "well";
    if (waited > startWithin) return health ?? "no answer";
  }
}
