import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";

import { parseFlags } from "../terminal/arguments";
import { absentWhen } from "../docker/calls";
import {
  daysLeft,
  describeChain,
  findCandidates,
  judge,
  renewalDays,
  type Usable,
  type Verdict,
} from "../migrate/certificates";
import { convertEnvironment } from "../migrate/deployer";
import { openVolume, unpack } from "../migrate/volume";
import type { ProgramResult } from "../program/monitor";
import { planStack, problemsText } from "./plan";
import { projectDir, projectName } from "../program/project";
import { reveal } from "../program/secrets";
import { containersOf, findStackEngine, type StackEngine } from "../docker/stack";
import { defaultStack, locateStack } from "../program/stack-config";
import { targets, type Target } from "../settings/hosts";
import { CommandError, runMain, styleFor, table } from "../terminal/terminal";
import { readTextFile } from "../terminal/files";

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

/** @returns the exit code */
export async function main(args: readonly string[]): Promise<number> {
  const flags = parseFlags("npm run migrate --", args, {
    from: { type: "string" },
    "from-stack": { type: "boolean" },
    deployer: { type: "string" },
    target: { type: "string" },
    stack: { type: "string" },
    config: { type: "string" },
    apply: { type: "boolean" },
    replace: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  });
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
  if (flags.deployer !== undefined)
    return migrateDeployer(flags.deployer, { stack: flags.stack, target, apply: flags.apply ?? false });
  if (target !== undefined) throw new CommandError("--target is for --deployer.", 2);

  const choice = { stack: flags.stack ?? defaultStack, file: flags.config };
  const planned = await planStack(choice);
  if ("problems" in planned) {
    const { path } = locateStack(projectDir, choice);
    process.stderr.write(
      problemsText(planned.problems, relative(process.cwd(), path), styleFor(process.stderr)),
    );
    return 2;
  }
  const outputs = reveal(planned.result.outputs) as unknown as PlannedOutputs;
  const image = trackerImage(planned.result);
  const engine = await findStackEngine(projectName(), choice.stack);
  const scratch = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
  try {
    const folder = flags.from ?? (await fetchLineages(engine, image, scratch));
    if (!statSync(folder, { throwIfNoEntry: false })?.isDirectory())
      throw new CommandError(`--from ${folder} is no folder.`, 2);
    const results = await migrateCertificates({
      engine,
      image,
      folder,
      domains: domainsOf(outputs),
      acme: outputs.acme,
      apply: flags.apply ?? false,
      replace: flags.replace ?? false,
    });
    process.stdout.write(resultTable(results, flags.apply ?? false));
    return results.some(({ action }) => action === "refused") ? 1 : 0;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

interface PlannedOutputs {
  readonly urls: { readonly api?: string; readonly trackers: readonly string[]; readonly grafana?: string };
  readonly acme: string;
}

function domainsOf({ urls }: PlannedOutputs): string[] {
  return [urls.api, ...urls.trackers, urls.grafana].flatMap((url) => (url ? [new URL(url).hostname] : []));
}

/** The tracker's image, which every stack has: its engine has it, or can pull it as it does for a deployment. */
export function trackerImage({ resources }: ProgramResult): string {
  const image = resources.find(
    ({ type, name }) => type === "docker:index/remoteImage:RemoteImage" && name === "torrust-tracker-image",
  );
  if (!image) throw new Error("the program declares no image for the tracker");
  return String(reveal(image.inputs.name));
}

/** Copies certbot's folder of the stack here; removed by the caller. */
async function fetchLineages(engine: StackEngine, image: string, scratch: string): Promise<string> {
  const volume = `${engine.prefix}-letsencrypt`;
  if (!(await absentWhen(404, engine.docker.getVolume(volume).inspect())))
    throw new CommandError(
      `There is no volume ${volume} on the engine at ${engine.address}: nginx never ran in this stack.`,
      2,
    );
  const files = await openVolume(engine, volume, image);
  try {
    await unpack(await files.archive(), scratch);
  } finally {
    await files.close();
  }
  return join(scratch, "volume");
}

export interface MigrateOptions {
  readonly engine: StackEngine;
  /** An image that the engine has or can pull. */
  readonly image: string;
  /** Holds what `findCandidates` looks for. */
  readonly folder: string;
  readonly domains: readonly string[];
  readonly acme: string;
  readonly apply: boolean;
  readonly replace: boolean;
  /** @default now */
  readonly now?: Date;
}

/** What became of a domain, or would. */
export interface Migrated {
  readonly domain: string;
  readonly action: "moved" | "kept" | "refused";
  readonly detail: string;
}

/**
 * Puts a folder's certificates where Pingoo looks for them when it starts, `<domain>.pem` and `<domain>.key`, and starts
 * it again if it runs. What was there is kept as `<domain>.*.before`.
 */
export async function migrateCertificates(options: MigrateOptions): Promise<Migrated[]> {
  const { engine, image, folder, domains, acme, apply, replace, now = new Date() } = options;
  const verdicts = judge(domains, findCandidates(folder), { now, acme });
  const volume = `${engine.prefix}-tls`;
  const exists = (await absentWhen(404, engine.docker.getVolume(volume).inspect())) !== undefined;
  if (!exists && !(apply && verdicts.some(({ use }) => use)))
    return verdicts.map((verdict) => decide(verdict, undefined, replace, now));
  if (!exists)
    await engine.docker.createVolume({
      Name: volume,
      // As the program declares it, so that it takes the volume for its own.
      Labels: { "torrust-pingoo.role": "tls", "torrust-pingoo.stack": engine.prefix },
    });
  const files = await openVolume(engine, volume, image);
  try {
    const results: Migrated[] = [];
    for (const verdict of verdicts) {
      const { domain, use } = verdict;
      const [chain, key] = [await files.read(`${domain}.pem`), await files.read(`${domain}.key`)];
      const result = decide(verdict, chain, replace, now);
      results.push(result);
      if (!apply || result.action !== "moved" || !use) continue;
      const entry = (name: string, text: string, mode: number) => ({
        path: name,
        content: Buffer.from(text),
        mode,
      });
      await files.write([
        ...(chain ? [entry(`${domain}.pem.before`, chain, 0o600)] : []),
        ...(key ? [entry(`${domain}.key.before`, key, 0o600)] : []),
        entry(`${domain}.key`, use.key, 0o600),
        entry(`${domain}.pem`, use.chain, 0o644),
      ]);
    }
    if (apply && results.some(({ action }) => action === "moved")) await restartPingoo(engine);
    return results;
  } finally {
    await files.close();
  }
}

function decide(
  { domain, use, reasons }: Verdict,
  present: string | undefined,
  replace: boolean,
  now: Date,
): Migrated {
  if (!use)
    return {
      domain,
      action: "refused",
      detail: reasons.length > 0 ? reasons.join("; ") : "no certificate for it was found: Pingoo orders one",
    };
  const found = present === undefined ? undefined : describeChain(present);
  if (found?.serial === use.serial) return { domain, action: "kept", detail: "it is there already" };
  if (found && !found.selfSigned && found.expires >= use.expires && !replace)
    return {
      domain,
      action: "kept",
      detail: `Pingoo has one until ${found.expires.toISOString().slice(0, 10)}, the other ends before (--replace takes it all the same)`,
    };
  return { domain, action: "moved", detail: describe(use, now) };
}

function describe({ origin, issuer, expires }: Usable, now: Date): string {
  const left = daysLeft(expires, now);
  const renewal = left < renewalDays ? `, so few that Pingoo orders a new one when it starts` : "";
  return `${origin}, by ${issuer}, until ${expires.toISOString().slice(0, 10)} (${left} days)${renewal}`;
}

/** Pingoo reads certificates when it starts only. */
async function restartPingoo(engine: StackEngine): Promise<void> {
  const pingoo = (await containersOf(engine)).get("pingoo");
  if (pingoo?.State.Running) await engine.docker.getContainer(pingoo.Id).restart({ t: 20 });
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

interface DeployerOptions {
  readonly stack?: string;
  readonly target?: Target;
  readonly apply: boolean;
}

function migrateDeployer(file: string, { stack, target, apply }: DeployerOptions): number {
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
