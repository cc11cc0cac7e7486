import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";

import { findStackEngine } from "../docker/stack";
import {
  convertEnvironment,
  destinationOf,
  fetchLineages,
  migrateCertificates,
  type Migrated,
} from "../migrate";
import { planStack, problemsText } from "../plan";
import { projectDir, projectName } from "../program/project";
import { defaultStack, locateStack } from "../program/stack-config";
import { targets, type Target } from "../settings/hosts";
import { parseFlags, type Flags } from "../terminal/arguments";
import { readTextFile } from "../terminal/files";
import { CommandError, runMain, styleFor, table } from "../terminal/terminal";

const usage = `Moves to this project from nginx with certbot, from Caddy, or from torrust-tracker-deployer.

  npm run migrate -- --from DIR [--stack S] [--apply]         certificates of certbot's folder (/etc/letsencrypt) or
                                                              Caddy's storage into Pingoo's volume
  npm run migrate -- --from-stack [--stack S] [--apply]       the same of what nginx served in this stack
  npm run migrate -- --deployer environment.json [--apply]    the deployer's environment as Pulumi.<stack>.yaml;
                                                              its configuration or data/<name>/environment.json

  --apply    do it; without, only show what would be done
  --target T with --deployer: local, ssh (the machine that is there) or hetzner (a new one)
  --replace  put certificates in place of better ones that Pingoo has already
  --stack S  the stack (default: ${defaultStack}; with --deployer the environment's name)
  --config F with --from and --from-stack: a file in place of Pulumi.<stack>.yaml
  --help     show this

Certificates may be moved before the stack is deployed: Pingoo then serves them from its first start and orders none.
Exit code 0 done or could be, 1 something is refused, 2 could not be tried. docs/migration.md goes through it step by step.
`;

const options = {
  from: { type: "string" },
  "from-stack": { type: "boolean" },
  deployer: { type: "string" },
  target: { type: "string" },
  stack: { type: "string" },
  config: { type: "string" },
  apply: { type: "boolean" },
  replace: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run migrate --", args, options);
  if (flags.help) {
    process.stdout.write(usage);
    return 0;
  }
  const sources = [flags.from, flags["from-stack"], flags.deployer].filter((source) => source !== undefined);
  if (sources.length !== 1)
    throw new CommandError(
      "Give one of --from DIR, --from-stack and --deployer FILE.\nSee: npm run migrate -- --help",
      2,
    );
  const target = readTarget(flags.target);
  if (flags.deployer !== undefined) return takeOverEnvironment(flags.deployer, target, flags);
  if (target !== undefined) throw new CommandError("--target is for --deployer.", 2);
  return takeOverCertificates(flags);
}

// ---- certificates

async function takeOverCertificates(flags: Flags<typeof options>): Promise<number> {
  const choice = { stack: flags.stack ?? defaultStack, file: flags.config };
  const planned = await planStack(choice);
  if ("problems" in planned) {
    const { path } = locateStack(projectDir, choice);
    process.stderr.write(
      problemsText(planned.problems, relative(process.cwd(), path), styleFor(process.stderr)),
    );
    return 2;
  }
  const destination = destinationOf(planned.result);
  const engine = await findStackEngine(projectName(), choice.stack);
  const scratch = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
  try {
    const folder = flags.from ?? (await fetchLineages(engine, destination.image, scratch));
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
      throw new CommandError(`--from ${folder} is no folder.`, 2);
    const { apply = false, replace = false } = flags;
    const results = await migrateCertificates({ ...destination, engine, folder, apply, replace });
    process.stdout.write(resultTable(results, apply));
    return results.some(({ action }) => action === "refused") ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function resultTable(results: readonly Migrated[], applied: boolean): string {
  const style = styleFor(process.stdout);
  const words = {
    moved: style.green(applied ? "moved" : "would be moved"),
    kept: style.dim(applied ? "stays" : "would stay"),
    refused: style.red("refused"),
  };
  const rows = results.map(({ domain, action, detail }) => [domain, words[action], detail]);
  const end = applied ? "" : "Nothing was changed. To do it: the same with --apply\n";
  return `${table(rows)}\n${end}`;
}

// ---- the deployer's environment

function readTarget(text: string | undefined) {
  if (text === undefined) return undefined;
  const target = targets.find((known) => known === text);
  if (!target)
    throw new CommandError(`--target ${text} is not known. Write one of: ${targets.join(", ")}.`, 2);
  return target;
}

function takeOverEnvironment(
  file: string,
  target: Target | undefined,
  { stack, apply }: Flags<typeof options>,
): number {
  const converted = convertEnvironment(readTextFile(file, "The environment"), {
    file: relative(process.cwd(), file),
    project: projectName(),
    target,
    readKey: (path) => {
      const there = path.replace(/^~(?=\/)/, homedir());
      return existsSync(there) ? readFileSync(there, "utf8") : undefined;
    },
  });
  if ("problems" in converted)
    throw new CommandError(
      `${file} is no environment of torrust-tracker-deployer:\n${converted.problems.map((problem) => `  - ${problem}`).join("\n")}`,
      2,
    );
  const name = stack ?? converted.stack;
  const path = join(projectDir, `Pulumi.${name}.yaml`);
  const shown = relative(process.cwd(), path);
  if (apply) {
    if (existsSync(path) && readFileSync(path, "utf8") !== converted.yaml)
      throw new CommandError(`${shown} exists. Choose another name by --stack, or remove it.`, 2);
    writeFileSync(path, converted.yaml);
  }
  process.stdout.write(
    [
      apply ? `${shown} is written.` : `# ${shown}\n${converted.yaml}`,
      "Then set the secrets:",
      ...converted.commands.map((command) => `  ${command} --stack ${name}`),
      "To know:",
      ...converted.notes.map((note) => `  - ${note}`),
      ...(apply ? [] : ["Nothing was changed. To write the file: the same with --apply"]),
      "",
    ].join("\n"),
  );
  return 0;
}

if (require.main === module) runMain(() => main(process.argv.slice(2)));
