import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";

import { findDocker } from "../docker/host";
import { noEngine } from "../docker/install";
import { down } from "../engine/down";
import { withLock } from "../engine/lock";
import { projectName, stateDir } from "../program/project";
import { findInstalledCli } from "../pulumi/cli";
import { runCli } from "../pulumi/run";
import { openSession, removeIfEmpty, stackFile } from "../pulumi/session";
import { CommandError, type Progress } from "../terminal/terminal";
import { forgetEmptySession } from "./engine";
import { inProcessDir, outputsPath } from "./state";

/**
 * Removes a stack, whoever deployed it from here: containers, networks, volumes and state.
 *
 * @param file the stack's file, absolute
 * @returns whether there was anything to remove
 */
export async function stop(stack: string, file: string, progress: Progress): Promise<boolean> {
  const found = await findDocker();
  let removed = existsSync(join(stateDir, "pulumi")) && (await stopByCli(stack, file));
  if ("docker" in found) {
    const { docker } = found;
    const { containers, networks, volumes } = await withLock(inProcessDir, stack, () =>
      down({ docker, stack, stateDir: inProcessDir, progress }),
    );
    removed ||= containers + networks + volumes > 0;
  } else if (existsSync(inProcessDir)) {
    throw new CommandError(`${noEngine(found)} What stack "${stack}" left there cannot be removed.`, 2);
  }
  rmSync(outputsPath(stack), { force: true });
  for (const folder of [inProcessDir, stateDir]) removeIfEmpty(folder);
  return removed;
}

async function stopByCli(stack: string, file: string): Promise<boolean> {
  const project = projectName();
  const session = openSession({ project, stack, stateDir });
  if (!session.folders || !stackFile(session, project)) {
    forgetEmptySession(session);
    return false;
  }
  const cli = findInstalledCli();
  if (!cli)
    throw new CommandError(
      `Stack "${stack}" was deployed by the Pulumi CLI, which is not here any more. Install it and try again: https://www.pulumi.com/docs/install/`,
      2,
    );
  const code = await runCli(["destroy"], { cli, session, project, sourceFile: file, output: "stderr" });
  if (code !== 0)
    throw new CommandError(`The Pulumi CLI ended with exit code ${code}; what it says is above.`);
  return true;
}
