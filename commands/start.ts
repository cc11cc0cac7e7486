import { existsSync } from "node:fs";
import { join, relative } from "node:path";

import { problemsText } from "../plan";
import { projectDir } from "../program/project";
import { defaultStack, locateStack } from "../program/stack-config";
import { engines, imageSources, start, stop, type Start } from "../start";
import { parseFlags } from "../terminal/arguments";
import { run } from "../terminal/processes";
import {
  CommandError,
  createProgress,
  formatDuration,
  runMain,
  styleFor,
  table,
  type Progress,
} from "../terminal/terminal";

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
  const { stack, path: file } = locateStack(projectDir, { stack: flags.stack, file: flags.config });
  const engine = oneOf("--engine", flags.engine ?? "auto", engines);
  const images = oneOf("--images", flags.images ?? "auto", imageSources);
  const progress = createProgress(process.stderr);
  try {
    if (flags.down) return await bringDown(stack, file, progress);
    const began = Date.now();
    const started = await start({ stack, file, engine, images, progress });
    const took = formatDuration(Date.now() - began);
    progress.stop();
    return await report(stack, file, started, took, !flags["no-verify"]);
  } finally {
    progress.stop();
  }
}

async function report(
  stack: string,
  file: string,
  started: Start,
  took: string,
  verifies: boolean,
): Promise<number> {
  switch (started.kind) {
    case "refused":
      process.stderr.write(
        problemsText(started.problems, relative(process.cwd(), file), styleFor(process.stderr)),
      );
      return 1;
    case "elsewhere":
      process.stderr.write(
        `Stack "${stack}" has target ${started.target}, but npm start runs stacks on this machine. Use npm run up -- --stack ${stack}\n`,
      );
      return 1;
    case "done": {
      const verified = verifies ? await verify(started.outputsFile) : undefined;
      process.stdout.write(`\n${summary(stack, started, verified, took)}`);
      return verified === false ? 1 : 0;
    }
  }
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
  stack: string,
  { outputs, outputsFile, by, images }: Extract<Start, { kind: "done" }>,
  verified: boolean | undefined,
  took: string,
): string {
  const style = styleFor(process.stdout);
  const { urls, announceUrls } = outputs as {
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
    ["API token", outputs.adminToken && show("adminToken")],
    ["Grafana password", urls?.grafana && outputs.grafanaAdminPassword && show("grafanaAdminPassword")],
  ].filter((row): row is [string, string] => typeof row[1] === "string" && row[1] !== "");
  const checks =
    verified === undefined
      ? "not checked"
      : verified
        ? style.green("its checks pass")
        : style.red("some checks failed, see above");
  const other = stack === defaultStack ? "" : ` --stack ${stack}`;
  return [
    style.bold(`Stack "${stack}" runs (${took}), ${checks}.`),
    table(rows, { indent: "  " }),
    `Deployed by ${by}; with ${images}.`,
    `It goes on running. Remove it with: npm start -- --down${other}`,
    "",
  ].join("\n");
}

async function bringDown(stack: string, file: string, progress: Progress): Promise<number> {
  process.stdout.write(
    (await stop(stack, file, progress))
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
