import { spawn } from "node:child_process";
import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";

import { findDocker, type DockerHost, type NoEngine } from "./host";
import { runCaptured } from "../terminal/processes";
import { CommandError, type Progress } from "../terminal/terminal";

/** What can be done about a missing Docker engine on this machine. */
export type EnginePlan =
  /** The engine is installed and only has to be started. */
  | { readonly kind: "start" }
  /** Debian's packages bring one. */
  | { readonly kind: "install" }
  /** Nothing that this command may do; the sentence says what the person can do. */
  | { readonly kind: "advise"; readonly advice: string };

/** What {@link planEngine} looks at. */
export interface Machine {
  readonly platform: NodeJS.Platform;
  readonly isRoot: boolean;
  /** Text of /etc/os-release, empty where there is none. */
  readonly osRelease: string;
  /** Whether `dockerd` is installed. */
  readonly hasDockerd: boolean;
  /** An address was chosen by the person: an engine here would not be used. */
  readonly addressChosen: boolean;
}

/** Decides what to do when no engine answers. Pure. */
export function planEngine(machine: Machine): EnginePlan {
  const { platform, isRoot, osRelease, hasDockerd, addressChosen } = machine;
  const advise = (advice: string): EnginePlan => ({ kind: "advise", advice });
  if (addressChosen)
    return advise("Start it, or unset DOCKER_HOST and DOCKER_CONTEXT to use the engine of this machine.");
  if (platform === "darwin" || platform === "win32")
    return advise("Install and start Docker Desktop: https://docs.docker.com/get-docker/");
  if (platform !== "linux") return advise("Install Docker: https://docs.docker.com/engine/install/");
  const debian = /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(osRelease);
  if (hasDockerd)
    return isRoot ? { kind: "start" } : advise("Start it: sudo systemctl start docker (or: sudo dockerd)");
  if (!debian) return advise("Install Docker: https://docs.docker.com/engine/install/");
  return isRoot
    ? { kind: "install" }
    : advise("Install and start it: sudo apt-get install docker.io, then: sudo systemctl start docker");
}

function thisMachine(environment: NodeJS.ProcessEnv): Machine {
  return {
    platform: process.platform,
    isRoot: process.getuid?.() === 0,
    osRelease: existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "",
    hasDockerd: programPath("dockerd", environment) !== undefined,
    addressChosen: Boolean(environment.DOCKER_HOST ?? environment.DOCKER_CONTEXT),
  };
}

/**
 * A Docker engine that answers: the one there is, or on Debian and Ubuntu as root one that is installed and started.
 *
 * @param logFile where an engine's log goes when it is started without systemd
 * @throws {CommandError} exit code 2, saying what was tried and what to do
 */
export async function ensureDocker(progress: Progress, logFile: string): Promise<DockerHost> {
  const found = await findDocker();
  if ("docker" in found) return found;
  const plan = planEngine(thisMachine(process.env));
  if (plan.kind === "advise") throw new CommandError(`${noEngine(found)}\n${plan.advice}`, 2);
  if (plan.kind === "install") {
    progress.line("No Docker engine answers. Installing the package docker.io with apt-get, as root.");
    await installPackages(["docker.io", "iptables"], progress);
  } else {
    progress.line("Docker is installed, but its engine does not run. Starting it.");
  }
  return startEngine(progress, logFile);
}

/** Sentences about what was tried, for people. */
export function noEngine({ tried }: NoEngine): string {
  return tried.length === 0 ? "There is no Docker engine." : `No Docker engine answers: ${tried.join("; ")}.`;
}

async function startEngine(progress: Progress, logFile: string): Promise<DockerHost> {
  const step = progress.step("Docker engine");
  const systemd = existsSync("/run/systemd/system");
  if (systemd) {
    const started = await runCaptured("systemctl", ["enable", "--now", "docker"], here());
    if (started.code !== 0) {
      step.fail();
      throw new CommandError(
        `systemctl enable --now docker failed:\n${started.stderr.trim()}\nSee: journalctl -u docker`,
        2,
      );
    }
  } else {
    mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
    const log = openSync(logFile, "a", 0o600);
    spawn("dockerd", [], { detached: true, stdio: ["ignore", log, log] })
      .on("error", () => {})
      .unref();
  }
  for (const end = Date.now() + 60_000; Date.now() < end;) {
    const found = await findDocker();
    if ("docker" in found) {
      step.succeed(`version ${found.version} started${systemd ? "" : `, its log is in ${logFile}`}`);
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  step.fail();
  const lines = systemd
    ? "See: journalctl -u docker"
    : readFileSync(logFile, "utf8").trim().split("\n").slice(-8).join("\n");
  throw new CommandError(`The Docker engine was started, but does not answer within 60 s.\n${lines}`, 2);
}

/**
 * Installs those of the packages that are missing, with apt-get.
 *
 * @throws {CommandError} exit code 2: no apt-get, not root, or its own words
 */
export async function installPackages(names: readonly string[], progress: Progress): Promise<void> {
  const missing = (
    await Promise.all(names.map(async (name) => ((await isInstalled(name)) ? [] : [name])))
  ).flat();
  if (missing.length === 0) return;
  const by = `apt-get install ${missing.join(" ")}`;
  if (!programPath("apt-get", process.env) || process.getuid?.() !== 0)
    throw new CommandError(`This needs packages of Debian that are not installed. As root, run: ${by}`, 2);
  const step = progress.step(`packages ${missing.join(", ")}`);
  for (const args of [["update"], ["install", "--yes", "--no-install-recommends", ...missing]]) {
    step.update(`apt-get ${args[0]}`);
    const done = await runCaptured("apt-get", args, here({ DEBIAN_FRONTEND: "noninteractive" }));
    if (done.code === 0) continue;
    step.fail();
    throw new CommandError(
      `apt-get ${args[0]} failed:\n${lastLines(done.stderr || done.stdout)}\nRun it by hand: ${by}`,
      2,
    );
  }
  step.succeed("installed");
}

async function isInstalled(name: string): Promise<boolean> {
  const { stdout } = await runCaptured("dpkg-query", ["--show", "--showformat=${Status}", name], here());
  return stdout.endsWith(" installed");
}

function here(extra: NodeJS.ProcessEnv = {}) {
  return { cwd: process.cwd(), environment: { ...process.env, ...extra } };
}

function programPath(name: string, environment: NodeJS.ProcessEnv): string | undefined {
  const folders = [...(environment.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin", "/usr/local/sbin"];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-8).join("\n");
}
