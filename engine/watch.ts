import type Docker from "dockerode";

import { containerLogs } from "../docker/calls";
import { CommandError, type Step } from "../terminal/terminal";
import type { EngineRun } from "./run";

/** How long a container is watched after its start, and how often it is looked at; milliseconds. */
const settleTime = 600;
const lookEvery = 100;
/** Milliseconds that a container which ended may take to tell its exit code. */
const endWithin = 2000;
/** Lines of a failed container's output that its error carries. */
const logTail = 20;

/** A container that has been started. */
export interface Started {
  readonly id: string;
  readonly name: string;
  /** Reference of its image, for people. */
  readonly image: string;
  /** How often it had been restarted before. */
  readonly restarts: number;
}

/** What is expected of it. */
export interface Expectation {
  /** It is not to end. */
  readonly mustRun: boolean;
  /** Seconds within which it becomes healthy; undefined: nobody waits for that. */
  readonly waitSeconds?: number;
}

/**
 * Watches a started container for a moment, and until it is healthy where that was asked for.
 *
 * @throws {CommandError} with its last lines when it ends or stays unhealthy
 */
export async function settle(
  run: EngineRun,
  started: Started,
  { mustRun, waitSeconds }: Expectation,
  step: Step,
): Promise<void> {
  const container = run.docker.getContainer(started.id);
  const since = Date.now();
  for (;;) {
    const { State, RestartCount } = await container.inspect();
    if (mustRun && hasEnded(State, RestartCount, started))
      throw new CommandError(await whyEnded(run, started));
    if (waitSeconds === undefined) {
      if (Date.now() - since >= settleTime) return;
    } else {
      if (!State.Health)
        throw new CommandError(
          `Container ${started.name} is to be waited for, but has no health check. Give it one, or do not wait.`,
        );
      if (State.Health.Status === "healthy") return;
      if (Date.now() > since + waitSeconds * 1000)
        throw new CommandError(await whyUnhealthy(run, started, waitSeconds));
      step.update("waiting until it is healthy");
    }
    await pause();
  }
}

/** What is wrong with a container that should run on; undefined when it does. */
export async function whyNotRunning(run: EngineRun, started: Started): Promise<string | undefined> {
  const { State, RestartCount } = await run.docker.getContainer(started.id).inspect();
  return hasEnded(State, RestartCount, started) ? whyEnded(run, started) : undefined;
}

function hasEnded(state: Docker.ContainerInspectInfo["State"], restartCount: number, { restarts }: Started) {
  return !state.Running || state.Restarting || restartCount > restarts;
}

async function whyEnded(run: EngineRun, { id, name, image }: Started): Promise<string> {
  const { State, RestartCount } = await endedState(run.docker, id);
  const end = State.OOMKilled
    ? "was killed for want of memory"
    : State.Running && !State.Restarting
      ? "ended"
      : `ended with exit code ${State.ExitCode}`;
  const again =
    RestartCount > 0 ? ` and was restarted ${RestartCount === 1 ? "once" : `${RestartCount} times`}` : "";
  const cause = State.Error ? `\n  The engine says: ${State.Error}` : "";
  return `Container ${name} (${image}) ${end}${again} instead of running on.${cause}\n${await lastLines(run, id)}`;
}

/** What the engine says of a container that ended: while a restarted one runs, it has no exit code to tell. */
async function endedState(docker: Docker, id: string): Promise<Docker.ContainerInspectInfo> {
  for (const deadline = Date.now() + endWithin; ; await pause()) {
    const info = await docker.getContainer(id).inspect();
    if (!info.State.Running || info.State.Restarting || Date.now() > deadline) return info;
  }
}

async function whyUnhealthy(
  run: EngineRun,
  { id, name, image }: Started,
  waitSeconds: number,
): Promise<string> {
  const { State } = await run.docker.getContainer(id).inspect();
  const said = State.Health?.Log?.at(-1)?.Output?.trim();
  const check = said ? run.masked(`\n  Its health check says: ${said}`) : "";
  return `Container ${name} (${image}) is not healthy after ${waitSeconds} s.${check}\n${await lastLines(run, id)}`;
}

async function lastLines(run: EngineRun, id: string): Promise<string> {
  const lines = await containerLogs(run.docker, id, logTail).catch(() => undefined);
  if (lines === undefined) return "  Its output is not kept (log driver none).";
  if (lines.length === 0) return "  It printed nothing.";
  return ["  Its last lines:", ...lines.map((line) => `    ${run.masked(line)}`)].join("\n");
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, lookEvery));
}
