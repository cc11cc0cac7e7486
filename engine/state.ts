import { createHmac, randomBytes, randomInt } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

import type { ResourceRequest } from "../program/monitor";
import { reveal, SecretValue } from "../program/secrets";
import { CommandError } from "../terminal/terminal";

/** What the in-process engine remembers about a stack besides what the Docker engine itself shows. */
interface StateFile {
  readonly version: 1;
  /** Key of the hashes by which inputs are compared: they are kept in labels, which anybody may read. */
  readonly hashKey: string;
  /** Names of the volumes that are not to be removed. */
  readonly protectedVolumes?: readonly string[];
  /** Generated values by URN, with the hash of the inputs that they were generated for. */
  readonly generated: Record<string, { readonly inputs: string; readonly values: Record<string, string> }>;
}

/** The memory of one stack: a file that only its owner may read. */
export class EngineState {
  readonly #path: string;
  #content: StateFile;

  private constructor(path: string, content: StateFile) {
    this.#path = path;
    this.#content = content;
  }

  /** Reads the stack's file, or begins a new one. */
  static open(folder: string, stack: string): EngineState {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    chmodSync(folder, 0o700);
    const path = statePath(folder, stack);
    let text: string;
    try {
      text = readFileSync(path, "utf8");
    } catch {
      const state = new EngineState(path, {
        version: 1,
        hashKey: randomBytes(32).toString("hex"),
        generated: {},
      });
      state.#save();
      return state;
    }
    try {
      const content = JSON.parse(text) as StateFile;
      if (content.version !== 1 || typeof content.hashKey !== "string") throw new Error("not of version 1");
      return new EngineState(path, content);
    } catch (error) {
      throw new CommandError(
        `${path} cannot be understood (${error instanceof Error ? error.message : String(error)}). Run npm start -- --down to begin anew; generated passwords change then.`,
      );
    }
  }

  /** Whether the stack has a file. */
  static exists(folder: string, stack: string): boolean {
    return existsSync(statePath(folder, stack));
  }

  /** Forgets the stack. */
  static forget(folder: string, stack: string): void {
    rmSync(statePath(folder, stack), { force: true });
  }

  /** Tells whether inputs are the same as before without giving them away. */
  hash(value: unknown): string {
    return createHmac("sha256", this.#content.hashKey)
      .update(canonical(reveal(value)))
      .digest("hex")
      .slice(0, 32);
  }

  /** The values generated for a `random:*` resource: those of last time while its inputs are the same. */
  generate(resource: ResourceRequest): Record<string, unknown> {
    const inputs = this.hash(resource.inputs);
    const before = this.#content.generated[resource.urn];
    const values = before?.inputs === inputs ? before.values : generateValues(resource);
    if (values !== before?.values) {
      this.#content.generated[resource.urn] = { inputs, values };
      this.#save();
    }
    const secret = /random(Password|Bytes)$/i.test(resource.type);
    return Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, secret ? new SecretValue(value) : value]),
    );
  }

  /** Names of the volumes that are not to be removed. */
  get protectedVolumes(): readonly string[] {
    return this.#content.protectedVolumes ?? [];
  }

  /** Remembers whether a volume may be removed. */
  protectVolume(name: string, isProtected: boolean): void {
    if (this.protectedVolumes.includes(name) === isProtected) return;
    const others = this.protectedVolumes.filter((other) => other !== name);
    this.#content = { ...this.#content, protectedVolumes: isProtected ? [...others, name] : others };
    this.#save();
  }

  #save(): void {
    const temporary = `${this.#path}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(this.#content, null, 2)}\n`, { mode: 0o600 });
    renameSync(temporary, this.#path);
  }
}

function statePath(folder: string, stack: string): string {
  return join(folder, `${stack}.json`);
}

/**
 * Runs work while no other process works on the same stack.
 *
 * @throws {CommandError} when one does
 */
export async function withLock<T>(folder: string, stack: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${stack}.lock`);
  for (let attempt = 0; ; attempt++) {
    try {
      const file = openSync(path, "wx", 0o600);
      writeFileSync(file, String(process.pid));
      closeSync(file);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
      const holder = holderOf(path);
      if (holder !== undefined || attempt > 2)
        throw new CommandError(
          `Process ${holder ?? "?"} already works on stack "${stack}". Wait for it, or delete ${path} if it is gone.`,
        );
      rmSync(path, { force: true });
    }
  }
  try {
    return await work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** The process that holds a lock, undefined when it is no more. */
function holderOf(path: string): number | undefined {
  try {
    const pid = Number(readFileSync(path, "utf8"));
    if (!Number.isInteger(pid) || pid <= 0) return undefined;
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM" ? Number(readFileSync(path, "utf8")) : undefined;
  }
}

/** JSON with sorted keys, without undefined members. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`);
  return `{${members.join(",")}}`;
}

// ---- the provider "random"

function generateValues({ type, name, inputs }: ResourceRequest): Record<string, string> {
  const given = reveal(inputs) as Record<string, unknown>;
  switch (type) {
    case "random:index/randomPassword:RandomPassword":
    case "random:index/randomString:RandomString":
      return { result: randomText(given) };
    case "random:index/randomBytes:RandomBytes": {
      const bytes = randomBytes(Number(given.length));
      return { base64: bytes.toString("base64"), hex: bytes.toString("hex") };
    }
    case "random:index/randomId:RandomId": {
      const bytes = randomBytes(Number(given.byteLength));
      const prefix = typeof given.prefix === "string" ? given.prefix : "";
      return {
        hex: prefix + bytes.toString("hex"),
        b64Std: prefix + bytes.toString("base64"),
        b64Url: prefix + bytes.toString("base64url"),
        dec: prefix + BigInt(`0x${bytes.toString("hex")}`).toString(),
      };
    }
    default:
      throw new Error(
        `${name}: resources of type ${type} can be made by the Pulumi CLI only. Use npm run up.`,
      );
  }
}

/** Characters as the provider draws them: each class unless switched off, with its minimum, shuffled. */
function randomText(inputs: Record<string, unknown>): string {
  const length = Number(inputs.length);
  const special =
    typeof inputs.overrideSpecial === "string" ? inputs.overrideSpecial : "!@#$%&*()-_=+[]{}<>:?";
  const classes = [
    { on: inputs.lower, minimum: inputs.minLower, characters: "abcdefghijklmnopqrstuvwxyz" },
    { on: inputs.upper, minimum: inputs.minUpper, characters: "ABCDEFGHIJKLMNOPQRSTUVWXYZ" },
    { on: inputs.numeric ?? inputs.number, minimum: inputs.minNumeric, characters: "0123456789" },
    { on: inputs.special, minimum: inputs.minSpecial, characters: special },
  ].filter(({ on }) => on !== false);
  const alphabet = classes.map(({ characters }) => characters).join("");
  if (!(length > 0) || alphabet === "")
    throw new Error("a random text needs a length and at least one class of characters");
  const drawn = classes.flatMap(({ minimum, characters }) =>
    Array.from({ length: Number(minimum ?? 0) }, () => pick(characters)),
  );
  while (drawn.length < length) drawn.push(pick(alphabet));
  for (let index = drawn.length - 1; index > 0; index--) {
    const other = randomInt(index + 1);
    [drawn[index], drawn[other]] = [drawn[other]!, drawn[index]!];
  }
  return drawn.join("");
}

function pick(characters: string): string {
  return characters[randomInt(characters.length)]!;
}
