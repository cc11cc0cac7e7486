import { randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parse, stringify } from "yaml";

import { dockerCandidates } from "../docker/host";
import { overrideStackFile } from "../program/stack-file";
import { CommandError } from "../terminal/terminal";

/**
 * How the Pulumi CLI is used when the person has set up nothing: state, passphrase and private configuration lie in a
 * folder that git ignores. The CLI writes into a stack's file (a salt when the stack is made, values that are set), so
 * it works on a private copy, and what it adds is kept apart from what is committed.
 */
export interface Session {
  readonly stack: string;
  /** What the CLI is started with. */
  readonly environment: NodeJS.ProcessEnv;
  /** The folders, when this session keeps the state itself; undefined when `PULUMI_BACKEND_URL` names a backend. */
  readonly folders?: SessionFolders;
}

interface SessionFolders {
  /** Everything of this session. */
  readonly root: string;
  /** State of all stacks, as the CLI keeps it. */
  readonly backend: string;
  /** A project of nothing but a name, in which stacks are made and removed without touching the real one's files. */
  readonly project: string;
  /** Private copy of the stack's file: what is committed and what is private, for `--config-file`. */
  readonly configFile: string;
  /** What the CLI added: the salt, and values that were set. */
  readonly additionsFile: string;
}

export interface SessionOptions {
  /** Name in Pulumi.yaml. */
  readonly project: string;
  readonly stack: string;
  /** The folder for all state, e.g. `.state` of the project. */
  readonly stateDir: string;
  readonly environment?: NodeJS.ProcessEnv;
}

/** Opens a session, and makes its folders and the passphrase on first use. */
export function openSession(options: SessionOptions): Session {
  const { project, stack, stateDir } = options;
  const given = options.environment ?? process.env;
  const environment: NodeJS.ProcessEnv = {
    ...given,
    PULUMI_SKIP_UPDATE_CHECK: given.PULUMI_SKIP_UPDATE_CHECK ?? "true",
  };
  const engine = dockerCandidates(given)[0];
  if (engine && engine.address !== "unix:///var/run/docker.sock") environment.DOCKER_HOST = engine.address;
  if (given.PULUMI_BACKEND_URL) return { stack, environment };

  const root = join(stateDir, "pulumi");
  const folders: SessionFolders = {
    root,
    backend: join(root, "backend"),
    project: join(root, "project"),
    configFile: join(root, `Pulumi.${stack}.yaml`),
    additionsFile: join(root, `Pulumi.${stack}.private.yaml`),
  };
  for (const folder of [stateDir, root, folders.backend, folders.project]) {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
  }
  writePrivate(join(folders.project, "Pulumi.yaml"), stringify({ name: project, runtime: "nodejs" }));
  environment.PULUMI_BACKEND_URL = pathToFileURL(folders.backend).href;
  if (given.PULUMI_CONFIG_PASSPHRASE === undefined && given.PULUMI_CONFIG_PASSPHRASE_FILE === undefined)
    environment.PULUMI_CONFIG_PASSPHRASE_FILE = passphraseFile(root);
  return { stack, environment, folders };
}

function passphraseFile(root: string): string {
  const path = join(root, "passphrase");
  if (!existsSync(path)) writePrivate(path, randomBytes(32).toString("base64url"));
  return path;
}

/** Where the local backend keeps a stack; undefined when the stack does not exist. */
export function stackFile(session: Session, project: string): string | undefined {
  const folder = join(session.folders?.backend ?? "", ".pulumi", "stacks", project);
  return ["json", "json.gz"]
    .map((end) => join(folder, `${session.stack}.${end}`))
    .find((path) => existsSync(path));
}

/**
 * Writes the private copy anew from the committed text and the additions.
 *
 * @param overrides values for this run only, e.g. `images`
 */
export function writeConfigCopy(
  session: Session,
  project: string,
  committed: string,
  overrides: Readonly<Record<string, unknown>> = {},
): void {
  if (!session.folders) return;
  const additions = readAdditions(session);
  const own = (parse(committed) ?? {}) as { encryptionsalt?: string };
  const salt = own.encryptionsalt ?? additions.encryptionsalt;
  const values = { ...additions.config, ...overrides };
  const text = overrideStackFile(committed, project, values, salt ? { encryptionsalt: salt } : {});
  writePrivate(session.folders.configFile, text);
}

/** Takes over into the additions what the CLI changed in the private copy since it was written. */
export function keepAdditions(session: Session, project: string, before: string): void {
  if (!session.folders || !existsSync(session.folders.configFile)) return;
  const old = readStack(before, project);
  const now = readStack(readFileSync(session.folders.configFile, "utf8"), project);
  const additions = readAdditions(session);
  const config = { ...additions.config };
  for (const key of new Set([...Object.keys(old.config), ...Object.keys(now.config)])) {
    if (sameValue(old.config[key], now.config[key])) continue;
    if (now.config[key] === undefined) delete config[key];
    else config[key] = now.config[key];
  }
  const encryptionsalt =
    now.encryptionsalt === old.encryptionsalt ? additions.encryptionsalt : now.encryptionsalt;
  writeAdditions(session, { encryptionsalt, config });
}

/** Seeds the bare project's stack file with the salt in use, so that making the stack does not invent another. */
export function seedBareStack(session: Session): string {
  if (!session.folders) throw new Error("a session without folders has no bare project");
  const { configFile, project } = session.folders;
  const path = join(project, `Pulumi.${session.stack}.yaml`);
  const salt = existsSync(configFile)
    ? readStack(readFileSync(configFile, "utf8"), "").encryptionsalt
    : undefined;
  if (salt) writePrivate(path, stringify({ encryptionsalt: salt }));
  else rmSync(path, { force: true });
  return project;
}

/** After the stack was made: keeps the salt that the CLI wrote. */
export function keepSalt(session: Session): void {
  if (!session.folders) return;
  const path = join(session.folders.project, `Pulumi.${session.stack}.yaml`);
  if (!existsSync(path)) return;
  const { encryptionsalt } = readStack(readFileSync(path, "utf8"), "");
  writeAdditions(session, { ...readAdditions(session), encryptionsalt });
}

/** Forgets a stack that is no more; the whole folder when it was the last and no private values are left. */
export function forgetStack(session: Session, project: string): void {
  if (!session.folders) return;
  const { root, configFile, additionsFile, backend, project: bare } = session.folders;
  for (const path of [configFile, `${configFile}.bak`, join(bare, `Pulumi.${session.stack}.yaml`)])
    rmSync(path, { force: true });
  if (Object.keys(readAdditions(session).config).length === 0) rmSync(additionsFile, { force: true });
  const stacks = join(backend, ".pulumi", "stacks", project);
  const left = existsSync(stacks) ? readdirSync(stacks).filter((name) => /\.json(\.gz)?$/.test(name)) : [];
  const privateValues = readdirSync(root).some((name) => name.endsWith(".private.yaml"));
  if (left.length > 0 || privateValues) return;
  rmSync(root, { recursive: true, force: true });
  removeIfEmpty(dirname(root));
}

/** Removes a folder that holds nothing. */
export function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}

/** Whether two values are the same to the CLI, which writes numbers and booleans back as text. */
function sameValue(a: unknown, b: unknown): boolean {
  const asText = (_: string, value: unknown) =>
    typeof value === "number" || typeof value === "boolean" ? String(value) : value;
  return JSON.stringify(a, asText) === JSON.stringify(b, asText);
}

// ---- files

interface StackFile {
  readonly encryptionsalt?: string;
  readonly config: Record<string, unknown>;
}

function readAdditions(session: Session): StackFile {
  const path = session.folders?.additionsFile;
  if (!path || !existsSync(path)) return { config: {} };
  return readStack(readFileSync(path, "utf8"), "");
}

function writeAdditions(session: Session, additions: StackFile): void {
  if (!session.folders) return;
  writePrivate(session.folders.additionsFile, stringify(additions));
}

/** @param project namespace that keys without one get; empty leaves them alone */
function readStack(text: string, project: string): StackFile {
  let content: { encryptionsalt?: string; config?: Record<string, unknown> };
  try {
    content = (parse(text) ?? {}) as typeof content;
  } catch (error) {
    throw new CommandError(
      `The stack's file cannot be read: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
  const config = Object.entries(content.config ?? {}).map(([key, value]) => [
    key.includes(":") || project === "" ? key : `${project}:${key}`,
    value,
  ]);
  return {
    encryptionsalt: content.encryptionsalt,
    config: Object.fromEntries(config) as Record<string, unknown>,
  };
}

function writePrivate(path: string, text: string): void {
  writeFileSync(path, text, { mode: 0o600 });
  chmodSync(path, 0o600);
}
