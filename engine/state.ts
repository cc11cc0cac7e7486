import { createHmac, randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import type { ResourceRequest } from "../program/monitor";
import { reveal, SecretValue } from "../program/secrets";
import { CommandError } from "../terminal/terminal";
import { generateValues } from "./random";

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
