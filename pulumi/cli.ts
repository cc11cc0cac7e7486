import { accessSync, constants, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { parse as parseVersion, satisfies } from "semver";
import { parse } from "yaml";

import { run, runCaptured } from "../terminal/processes";

/** A Pulumi CLI that can be started. */
export interface PulumiCli {
  /** Path of the executable. */
  readonly path: string;
  /** Where it was found, for people. */
  readonly source: string;
}

/** Why there is none, in a sentence for people. */
export interface NoCli {
  readonly reason: string;
}

/** The CLI's version that goes with the SDK of this project. */
export function sdkVersion(projectDir: string): string {
  const path = join(projectDir, "node_modules", "@pulumi", "pulumi", "package.json");
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

/**
 * The CLI of this machine: from PATH, from the folder into which its installer puts it, or from those into which the
 * npm package `pulumi` and the Automation API do.
 */
export function findInstalledCli(
  environment: NodeJS.ProcessEnv = process.env,
  home: string = homedir(),
): PulumiCli | undefined {
  const name = process.platform === "win32" ? "pulumi.exe" : "pulumi";
  const folders = (environment.PATH ?? "")
    .split(delimiter)
    // npm puts this folder there; what it holds by this name is a downloader, not the CLI.
    .filter((folder) => folder !== "" && !folder.includes(join("node_modules", ".bin")));
  const onPath = folders.map((folder) => join(folder, name)).find(isExecutable);
  if (onPath) return { path: onPath, source: "PATH" };
  const pulumiHome = environment.PULUMI_HOME ?? join(home, ".pulumi");
  const versions = join(pulumiHome, "versions");
  const cached = existsSync(versions) ? readdirSync(versions).sort(newestFirst) : [];
  const path = [
    join(pulumiHome, "bin", name),
    ...cached.map((version) => join(versions, version, "bin", name)),
  ].find(isExecutable);
  return path ? { path, source: dirname(path) } : undefined;
}

const download = "https://get.pulumi.com/install.sh";
/** The wrapper's version on npm; which CLI it fetches is said by PULUMI_VERSION. */
const wrapper = "pulumi@3.261.0";

/**
 * The CLI of this machine if Pulumi.yaml takes its version, or, where there is none, the one that the npm package `pulumi`
 * downloads; that takes a while once.
 *
 * @param log told what is about to happen
 */
export async function findCli(
  projectDir: string,
  log: (line: string) => void,
  environment: NodeJS.ProcessEnv = process.env,
): Promise<PulumiCli | NoCli> {
  const installed = findInstalledCli(environment);
  if (installed) return fitting(installed, projectDir, environment);
  if (!(await answers(download)))
    return { reason: "there is no Pulumi CLI on PATH, and its download cannot be reached" };
  const version = sdkVersion(projectDir);
  log(`There is no Pulumi CLI on PATH. The npm package "pulumi" downloads version ${version} now, once.`);
  const code = await run("npx", ["--yes", wrapper, "version"], {
    cwd: projectDir,
    environment: { ...environment, PULUMI_VERSION: version },
    output: "stderr",
  });
  const fetched = findInstalledCli(environment);
  if (code === 0 && fetched) return fetched;
  return {
    reason: `there is no Pulumi CLI on PATH, and its download failed (npx ${wrapper} ended with ${code})`,
  };
}

/** Releases before 3.219.0 do not read `requiredPulumiVersion` in Pulumi.yaml, so somebody else has to. */
async function fitting(
  cli: PulumiCli,
  projectDir: string,
  environment: NodeJS.ProcessEnv,
): Promise<PulumiCli | NoCli> {
  const { requiredPulumiVersion: required } = parse(
    readFileSync(join(projectDir, "Pulumi.yaml"), "utf8"),
  ) as { requiredPulumiVersion: string };
  const { stdout } = await runCaptured(cli.path, ["version"], { cwd: projectDir, environment });
  const version = parseVersion(stdout.trim());
  // What does not tell its version is nobody's release: it is for the CLI itself to judge.
  if (!version || satisfies(version, required, { includePrerelease: true })) return cli;
  return { reason: `${cli.path} is version ${version.version}, and Pulumi.yaml requires ${required}` };
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { method: "HEAD", signal: AbortSignal.timeout(5000) })).ok;
  } catch {
    return false;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function newestFirst(a: string, b: string): number {
  return b.localeCompare(a, "en", { numeric: true });
}
