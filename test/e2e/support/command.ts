import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect } from "vitest";

import { projectDir } from "../../../program/project";
import { eventually } from "./engine";

/** Runs a command as a person does. With a condition as its last argument it is killed as soon as that holds. */
export async function command(
  file: string,
  ...args: (string | (() => Promise<boolean>))[]
): Promise<{ code: number | null; output: string }> {
  const until = args.find((arg) => typeof arg === "function");
  const flags = args.filter((arg) => typeof arg === "string");
  const child = spawn(process.execPath, ["--import", "tsx", join(projectDir, "commands", file), ...flags], {
    cwd: projectDir,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  if (until)
    await eventually(async () => {
      if (child.exitCode !== null) throw new Error(`it ended before: ${output}`);
      expect(await until()).toBe(true);
    }).finally(() => child.kill("SIGKILL"));
  return { code: await ended, output };
}
