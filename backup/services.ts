import type Docker from "dockerode";

import { graceOf, ignoring } from "../docker/calls";
import type { StackEngine } from "../docker/stack";
import { CommandError, type Progress } from "../terminal/terminal";

type Services = readonly Docker.ContainerInspectInfo[];

const startWithin = 120_000;
const lookEvery = 500;
/** What has no health check counts as running after this. */
const settleTime = 2000;

/** Stops containers, all at once. */
export async function stopServices(
  { docker }: StackEngine,
  services: Services,
  progress: Progress,
): Promise<void> {
  await all(services, async ({ Id, Name, Config }) => {
    const step = progress.step(`container ${Name.slice(1)}`);
    await ignoring(304, docker.getContainer(Id).stop({ t: Math.max(20, graceOf(Config.Labels)) }));
    step.succeed("stopped");
  });
}

/**
 * Starts containers, all at once as after a reboot, and waits until they are well.
 *
 * @throws {CommandError} naming one that is not
 */
export async function startServices(
  { docker }: StackEngine,
  services: Services,
  progress: Progress,
): Promise<void> {
  await all(services, async ({ Id, Name }) => {
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
  });
}

/** Waits for all of them, whatever becomes of some. */
async function all(
  services: Services,
  act: (service: Docker.ContainerInspectInfo) => Promise<void>,
): Promise<void> {
  const failed = (await Promise.allSettled(services.map(act))).find(({ status }) => status === "rejected");
  if (failed?.status === "rejected") throw failed.reason;
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
