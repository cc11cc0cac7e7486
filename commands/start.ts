import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";

import { parseFlags } from "../terminal/arguments";
import { findDocker, type DockerHost } from "../docker/host";
import { ensureDocker, noEngine } from "../docker/install";
import { down, isInProcess } from "../engine/backend";
import { withLock } from "../engine/state";
import { deployInProcess } from "../engine/deploy";
import { planStack, problemsText } from "./plan";
import { projectDir, projectName, stateDir } from "../program/project";
import { findCli, findInstalledCli, type PulumiCli } from "../pulumi/cli";
import { runCli, stackOutputs } from "../pulumi/run";
import { openSession, removeIfEmpty, stackFile, type Session } from "../pulumi/session";
import { reveal } from "../program/secrets";
import {
  defaultStack,
  locateStack,
  overrideStackFile,
  resolveStackConfig,
  readStackConfig,
} from "../program/stack-config";
import { chooseImages, imageSources, neededImages, type ChosenImages } from "./start-images";
import {
  CommandError,
  createProgress,
  formatDuration,
  runMain,
  styleFor,
  table,
  type Progress,
} from "../terminal/terminal";
import { run, runCaptured } from "../terminal/processes";

const usage = `Brings the stack up on this machine, checks it, and leaves it running.

  npm start [-- --stack S | --config FILE] [--engine E] [--images I] [--no-verify]
  npm start -- --down [--stack S]

  --down         remove all of it: containers, networks, volumes, state
  --stack S      the stack of Pulumi.S.yaml (default: ${defaultStack})
  --config FILE  a file of the form of Pulumi.<stack>.yaml
  --engine E     auto (default): the Pulumi CLI where it can be had, otherwise in this process; pulumi; in-process
  --images I     auto (default): the published images where a registry answers, otherwise stand-ins built here;
                 published; local
  --no-verify    do not check what came up
  --help         show this

Needs no account and asks nothing. On Debian and Ubuntu, as root, a missing Docker engine is installed.
`;

const engines = ["auto", "pulumi", "in-process"] as const;
type EngineChoice = (typeof engines)[number];

const inProcessDir = join(stateDir, "in-process");

/** What a run was asked to do. */
interface Wish {
  readonly stack: string;
  /** The stack's file, absolute. */
  readonly file: string;
  readonly engine: EngineChoice;
  readonly images: (typeof imageSources)[number];
  readonly verify: boolean;
}

/** What is to be told in the end. */
interface Deployed {
  readonly outputs: Readonly<Record<string, unknown>>;
  /** For people: who deployed it. */
  readonly by: string;
}

/** @returns the exit code: 0 it runs and its checks pass, 1 something failed, 2 it could not be tried */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm start --", args, {
    down: { type: "boolean" },
    stack: { type: "string" },
    config: { type: "string" },
    engine: { type: "string" },
    images: { type: "string" },
    "no-verify": { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const { stack, path } = locateStack(projectDir, { stack: flags.stack, file: flags.config });
  const wish: Wish = {
    stack,
    file: path,
    engine: oneOf("--engine", flags.engine ?? "auto", engines),
    images: oneOf("--images", flags.images ?? "auto", imageSources),
    verify: !flags["no-verify"],
  };
  const progress = createProgress(process.stderr);
  try {
    return flags.down ? await stop(wish, progress) : await start(wish, progress);
  } finally {
    progress.stop();
  }
}

async function start(wish: Wish, progress: Progress): Promise<number> {
  const began = Date.now();
  const style = styleFor(process.stderr);
  const plan = await planStack({ stack: wish.stack, file: wish.file });
  if ("problems" in plan) {
    process.stderr.write(problemsText(plan.problems, relative(process.cwd(), wish.file), style));
    return 1;
  }
  const target = targetOf(wish);
  if (target !== "local") {
    process.stderr.write(
      `Stack "${wish.stack}" has target ${target}, but npm start runs stacks on this machine. Use npm run up -- --stack ${wish.stack}\n`,
    );
    return 1;
  }
  progress.line(style.bold(`Stack "${wish.stack}"`));
  const host = await ensureDocker(progress, join(stateDir, "dockerd.log"));
  progress.line(`  Docker ${host.version} at ${host.address} (${host.chosenBy})`);
  const { config, project } = readStackConfig(projectDir, { stack: wish.stack, file: wish.file });
  const references = plan.result.resources
    .filter(({ type, inputs }) => type === "docker:index/remoteImage:RemoteImage" && !inputs.build)
    .map(({ inputs }) => String(reveal(inputs.name)));
  const configured = JSON.parse(config[`${project}:images`] ?? "{}") as Record<string, string>;
  const images = await chooseImages({
    docker: host.docker,
    needed: neededImages(references, configured),
    source: wish.images,
    progress,
  });
  const overrides = Object.keys(images.overrides).length > 0 ? { images: images.overrides } : {};
  const deployed = await deploy(wish, host, overrides, progress);
  const outputsFile = writeOutputs(wish.stack, deployed.outputs);
  const deployTime = formatDuration(Date.now() - began);
  progress.stop();
  const verified = wish.verify ? await verify(outputsFile) : undefined;
  process.stdout.write(`\n${summary(wish, deployed, images, outputsFile, verified, deployTime)}`);
  return verified === false ? 1 : 0;
}

function targetOf({ stack, file }: Wish): string {
  const { config, project } = readStackConfig(projectDir, { stack, file });
  return config[`${project}:target`] ?? "local";
}

// ---- deploying

async function deploy(
  wish: Wish,
  host: DockerHost,
  overrides: Readonly<Record<string, unknown>>,
  progress: Progress,
): Promise<Deployed> {
  const project = projectName();
  const session = openSession({ project, stack: wish.stack, stateDir });
  const chosen = await chooseEngine(wish, host, session, project, progress);
  if ("cli" in chosen) {
    const { cli } = chosen;
    session.environment.DOCKER_HOST ??= host.address;
    progress.line(`  Deploying with the Pulumi CLI (${cli.source})`);
    progress.stop();
    const code = await runCli(["up"], {
      cli,
      session,
      project,
      sourceFile: wish.file,
      overrides,
      output: "stderr",
    });
    if (code !== 0)
      throw new CommandError(
        `The Pulumi CLI ended with exit code ${code}; what it says is above. Put that right and run npm start again.`,
      );
    return { outputs: await stackOutputs({ cli, session }), by: `the Pulumi CLI (${cli.source})` };
  }
  if (session.folders && !stackFile(session, project)) forgetEmptySession(session);
  progress.line(`  Deploying in this process, ${chosen.why}`);
  const stackConfig = resolveStackConfig({
    projectText: readFileSync(join(projectDir, "Pulumi.yaml"), "utf8"),
    stackText: overrideStackFile(readFileSync(wish.file, "utf8"), project, overrides),
    stack: wish.stack,
    file: relative(projectDir, wish.file),
  });
  refuseSealed(stackConfig.secretKeys);
  const done = await deployInProcess({ stackConfig, docker: host.docker, stateDir: inProcessDir, progress });
  if (done.kind === "refused") {
    throw new CommandError(problemsText(done.problems, wish.file, styleFor(process.stderr)).trim());
  }
  const { created, replaced, kept, removed } = done.summary;
  progress.line(`  ${created} created, ${replaced} replaced, ${kept} unchanged, ${removed} removed`);
  return {
    outputs: reveal(done.result.outputs) as Record<string, unknown>,
    by: `this process, ${chosen.why}`,
  };
}

/** Encrypted values cannot be read without the CLI, and their placeholders must not become passwords. */
function refuseSealed(secretKeys: readonly string[]): void {
  if (secretKeys.length === 0) return;
  throw new CommandError(
    `The values of ${secretKeys.join(", ")} are encrypted, which only the Pulumi CLI can undo. Run npm run up, or leave them out to have them generated.`,
  );
}

/** Who deploys. A stack stays with whoever deployed it first: neither knows of what the other made. */
async function chooseEngine(
  wish: Wish,
  host: DockerHost,
  session: Session,
  project: string,
  progress: Progress,
): Promise<{ readonly cli: PulumiCli } | { readonly why: string }> {
  const { stack, engine } = wish;
  const inProcess = await isInProcess(host.docker, stack);
  const byCli = session.folders !== undefined && stackFile(session, project) !== undefined;
  if (engine === "pulumi" && inProcess)
    throw new CommandError(`Stack "${stack}" was deployed in-process. Run npm start -- --down first.`);
  if (engine === "in-process" && byCli)
    throw new CommandError(`Stack "${stack}" was deployed by the Pulumi CLI. Run npm start -- --down first.`);
  if (engine === "in-process") return { why: "as --engine in-process asks" };
  if (engine === "auto" && inProcess) return { why: "as it was before" };
  const cli = await findCli(projectDir, (line) => progress.line(`  ${line}`));
  const lacking = "reason" in cli ? cli.reason : await lackingPlugin(cli, session, progress);
  if (!("reason" in cli) && lacking === undefined) return { cli };
  if (engine === "pulumi" || byCli)
    throw new CommandError(
      `The Pulumi CLI cannot be used: ${lacking}. Install it (https://www.pulumi.com/docs/install/), or run with --engine in-process.`,
      2,
    );
  return { why: `because ${lacking}` };
}

/** Installs the providers that this project's target needs; says which one cannot be had. */
async function lackingPlugin(
  cli: PulumiCli,
  session: Session,
  progress: Progress,
): Promise<string | undefined> {
  const { dependencies } = JSON.parse(readFileSync(join(projectDir, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const options = { cwd: projectDir, environment: session.environment, timeout: 180_000 };
  for (const name of ["docker", "random"]) {
    const version = dependencies[`@pulumi/${name}`] ?? "";
    const step = progress.step(`Pulumi's provider for ${name} ${version}`);
    step.update("installing, if it is not there yet");
    const { code } = await runCaptured(cli.path, ["plugin", "install", "resource", name, version], options);
    if (code === 0) {
      step.succeed();
      continue;
    }
    step.skip("cannot be downloaded");
    return `Pulumi's provider for ${name} ${version} cannot be downloaded`;
  }
  return undefined;
}

/** Takes back what opening a session made, when nothing was deployed with it. */
function forgetEmptySession({ folders }: Session): void {
  if (!folders || existsSync(folders.additionsFile)) return;
  const stacks = join(folders.backend, ".pulumi");
  if (!existsSync(stacks)) rmSync(folders.root, { recursive: true, force: true });
}

// ---- afterwards

/** Holds the secrets too, so only its owner may read it. */
function writeOutputs(stack: string, outputs: Readonly<Record<string, unknown>>): string {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const path = outputsPath(stack);
  writeFileSync(path, `${JSON.stringify(outputs, null, 2)}\n`, { mode: 0o600 });
  chmodSync(path, 0o600);
  return path;
}

function outputsPath(stack: string): string {
  return join(stateDir, `${stack}.outputs.json`);
}

/** @returns whether all checks passed; undefined where there is nothing to check with */
async function verify(outputsFile: string): Promise<boolean | undefined> {
  const script = join(projectDir, "commands", "verify.ts");
  if (!existsSync(script)) return undefined;
  process.stderr.write("\n");
  const tsx = join(projectDir, "node_modules", "tsx", "dist", "cli.mjs");
  const code = await run(process.execPath, [tsx, script, "--outputs", outputsFile], {
    cwd: projectDir,
    environment: process.env,
    output: "stderr",
  });
  return code === 0;
}

/** The last words, for stdout. */
function summary(
  wish: Wish,
  deployed: Deployed,
  images: ChosenImages,
  outputsFile: string,
  verified: boolean | undefined,
  took: string,
): string {
  const style = styleFor(process.stdout);
  const { urls, announceUrls } = deployed.outputs as {
    urls?: { api?: string; trackers?: string[]; grafana?: string };
    announceUrls?: { http?: string[]; udp?: string[] };
  };
  const file = relative(process.cwd(), outputsFile);
  const show = (key: string) => `node -p "require('./${file}').${key}"`;
  const rows = [
    ["API", urls?.api],
    ...(announceUrls?.http ?? []).map((url) => ["HTTP tracker", url]),
    ...(announceUrls?.udp ?? []).map((url) => ["UDP tracker", url]),
    ["Grafana", urls?.grafana && `${urls.grafana} (user admin)`],
    ["API token", deployed.outputs.adminToken && show("adminToken")],
    [
      "Grafana password",
      urls?.grafana && deployed.outputs.grafanaAdminPassword && show("grafanaAdminPassword"),
    ],
  ].filter((row): row is [string, string] => typeof row[1] === "string" && row[1] !== "");
  const checks =
    verified === undefined
      ? "not checked"
      : verified
        ? style.green("its checks pass")
        : style.red("some checks failed, see above");
  const other = wish.stack === defaultStack ? "" : ` --stack ${wish.stack}`;
  return [
    style.bold(`Stack "${wish.stack}" runs (${took}), ${checks}.`),
    table(rows, { indent: "  " }),
    `Deployed by ${deployed.by}; with ${images.said}.`,
    `It goes on running. Remove it with: npm start -- --down${other}`,
    "",
  ].join("\n");
}

// ---- down

async function stop(wish: Wish, progress: Progress): Promise<number> {
  const { stack } = wish;
  const project = projectName();
  const found = await findDocker();
  const cliStateDir = join(stateDir, "pulumi");
  let removed = 0;
  if (existsSync(cliStateDir)) {
    const session = openSession({ project, stack, stateDir });
    if (session.folders && stackFile(session, project)) {
      const cli = findInstalledCli();
      if (!cli)
        throw new CommandError(
          `Stack "${stack}" was deployed by the Pulumi CLI, which is not here any more. Install it and try again: https://www.pulumi.com/docs/install/`,
          2,
        );
      const code = await runCli(["destroy"], {
        cli,
        session,
        project,
        sourceFile: wish.file,
        output: "stderr",
      });
      if (code !== 0)
        throw new CommandError(`The Pulumi CLI ended with exit code ${code}; what it says is above.`);
      removed++;
    } else {
      forgetEmptySession(session);
    }
  }
  if ("docker" in found) {
    const { docker } = found;
    const { containers, networks, volumes } = await withLock(inProcessDir, stack, () =>
      down({ docker, stack, stateDir: inProcessDir, progress }),
    );
    removed += containers + networks + volumes;
  } else if (existsSync(inProcessDir)) {
    throw new CommandError(`${noEngine(found)} What stack "${stack}" left there cannot be removed.`, 2);
  }
  rmSync(outputsPath(stack), { force: true });
  for (const folder of [inProcessDir, stateDir]) removeIfEmpty(folder);
  process.stdout.write(
    removed > 0
      ? `Stack "${stack}" is removed: containers, networks, volumes and state. Images stay, for the next time.\n`
      : `There is nothing of stack "${stack}" to remove.\n`,
  );
  return 0;
}

function oneOf<const T extends readonly string[]>(flag: string, value: string, choices: T): T[number] {
  if (choices.includes(value)) return value;
  throw new CommandError(`${flag} is "${value}". Write one of: ${choices.join(", ")}.`, 2);
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
