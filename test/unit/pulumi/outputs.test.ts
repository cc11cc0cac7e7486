import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { projectName } from "../../../program/project";
import { readStackOutputs } from "../../../pulumi/outputs";
import { CommandError } from "../../../terminal/terminal";

let projectDir: string;
let bin: string;
beforeEach(() => {
  projectDir = mkdtempSync(join(tmpdir(), "verify-outputs-"));
  bin = join(projectDir, "bin");
  mkdirSync(bin);
  mkdirSync(join(projectDir, ".state"));
});
afterEach(() => rmSync(projectDir, { recursive: true, force: true }));

/** A Pulumi CLI that notes how it was called. */
function installCli(script: string): void {
  const path = join(bin, "pulumi");
  writeFileSync(
    path,
    `#!/bin/sh\necho "$@" >> "${projectDir}/calls"\necho "$PULUMI_BACKEND_URL" >> "${projectDir}/calls"\n${script}\n`,
  );
  chmodSync(path, 0o755);
}

const read = (more: NodeJS.ProcessEnv = {}) =>
  readStackOutputs({
    stack: "dev",
    projectDir,
    environment: { PATH: bin, HOME: projectDir, PULUMI_HOME: projectDir, ...more },
  });

async function refusal(promise: Promise<unknown>): Promise<CommandError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(CommandError);
  return error as CommandError;
}

describe.skipIf(process.platform === "win32")("readStackOutputs", () => {
  it("takes the file that npm start wrote", async () => {
    installCli("exit 9");
    writeFileSync(join(projectDir, ".state", "dev.outputs.json"), '{"mode":"pingoo"}');
    expect(await read()).toEqual({ mode: "pingoo" });
  });

  it("asks the CLI where npm run up keeps the stack, although there is such a file", async () => {
    installCli(`echo '{"mode":"hybrid"}'`);
    writeFileSync(join(projectDir, ".state", "dev.outputs.json"), '{"mode":"pingoo"}');
    const stacks = join(projectDir, ".state", "pulumi", "backend", ".pulumi", "stacks", projectName());
    mkdirSync(stacks, { recursive: true });
    writeFileSync(join(stacks, "dev.json"), "{}");
    expect(await read()).toEqual({ mode: "hybrid" });
    const calls = readFileSync(join(projectDir, "calls"), "utf8");
    expect(calls).toContain("stack output --json --show-secrets --stack dev");
    expect(calls).toContain("file://");
  });

  it("asks the person's own backend where nothing was deployed from here", async () => {
    installCli(`echo '{"mode":"nginx"}'`);
    expect(await read({ PULUMI_BACKEND_URL: "s3://bucket" })).toEqual({ mode: "nginx" });
    expect(readFileSync(join(projectDir, "calls"), "utf8")).toContain("s3://bucket");
  });

  it("ends with 2 where none has the stack, and says what else can be done", async () => {
    const none = await refusal(read());
    expect(none.exitCode).toBe(2);
    expect(none.message).toMatch(
      /dev\.outputs\.json does not exist, and there is no Pulumi CLI on PATH\. Deploy it/,
    );
    installCli("echo 'error: no stack named dev found' >&2; exit 255");
    const unknown = await refusal(read());
    expect(unknown.exitCode).toBe(2);
    expect(unknown.message).toContain("error: no stack named dev found");
    expect(unknown.message).toContain("--outputs FILE");
  });
});
