import { spawn } from "node:child_process";

export interface RunOptions {
  readonly cwd: string;
  readonly environment: NodeJS.ProcessEnv;
  /** `inherit`: shown as it comes; `stderr`: shown on stderr. */
  readonly output: "inherit" | "stderr";
}

/**
 * Runs a program to its end, its output shown. Interrupts are left to it: the terminal sends them to both, and the
 * CLI has to tidy up.
 *
 * @returns its exit code; 130 when it was interrupted, 127 when it could not be started
 */
export async function run(command: string, args: readonly string[], options: RunOptions): Promise<number> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.environment,
    stdio: ["inherit", options.output === "stderr" ? process.stderr : "inherit", "inherit"],
  });
  const leaveIt = () => {};
  process.on("SIGINT", leaveIt);
  const passOn = () => void child.kill("SIGTERM");
  process.on("SIGTERM", passOn);
  try {
    return await new Promise((resolve) => {
      child.on("error", () => resolve(127));
      child.on("close", (code, signal) => resolve(signal ? 130 : (code ?? 1)));
    });
  } finally {
    process.off("SIGINT", leaveIt);
    process.off("SIGTERM", passOn);
  }
}

/** Runs a program to its end and returns what it printed. */
export async function runCaptured(
  command: string,
  args: readonly string[],
  options: Omit<RunOptions, "output"> & { /** Milliseconds. */ readonly timeout?: number },
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.environment,
    stdio: ["ignore", "pipe", "pipe"],
    timeout: options.timeout,
    killSignal: "SIGKILL",
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  return new Promise((resolve) => {
    const end = (code: number, extra = "") =>
      resolve({
        code,
        stdout: Buffer.concat(stdout).toString("utf8"),
        stderr: Buffer.concat(stderr).toString("utf8") + extra,
      });
    child.on("error", (error) => end(127, error.message));
    child.on("close", (code, signal) => end(code ?? (signal ? 124 : 1)));
  });
}
