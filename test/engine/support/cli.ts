import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";

import { projectDir } from "../../../program/project";
import type { Outputs } from "../../e2e/support/engine";
import { deployedImages } from "../../images/build";

/** Whether the Pulumi CLI is on PATH. */
export function hasPulumi(): boolean {
  try {
    execFileSync("pulumi", ["version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** A stack of the real CLI with its providers, whose state, passphrase and configuration lie in a folder that goes away. */
export class CliStack {
  readonly #folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-pulumi-"));
  readonly #configFile = join(this.#folder, "stack.yaml");
  /** What the CLI is started with. */
  readonly environment = {
    ...process.env,
    PULUMI_BACKEND_URL: `file://${this.#folder}`,
    PULUMI_CONFIG_PASSPHRASE: "only for this test",
    PULUMI_SKIP_UPDATE_CHECK: "true",
    PULUMI_HOME: process.env.PULUMI_HOME ?? join(process.env.HOME ?? "", ".pulumi"),
  };

  private constructor(readonly name: string) {}

  /** Makes a stack that deploys the locally built images. */
  static async fresh(name: string): Promise<CliStack> {
    const stack = new CliStack(name);
    await stack.pulumi("stack", "init", name);
    // `stack init` writes the salt of its encryption into the stack's own file, which is none of a test's business.
    const own = join(projectDir, `Pulumi.${name}.yaml`);
    writeFileSync(stack.#configFile, readFileSync(own, "utf8"));
    rmSync(own);
    return stack;
  }

  /** Replaces the stack's configuration; a key without a namespace is the project's. */
  configure(values: Record<string, unknown>): void {
    const all = { publishAddresses: ["127.0.0.1"], images: deployedImages(), ...values };
    const config = Object.fromEntries(
      Object.entries(all).map(([key, value]) => [key.includes(":") ? key : `torrust-pingoo:${key}`, value]),
    );
    const current = parse(readFileSync(this.#configFile, "utf8")) as Record<string, unknown>;
    writeFileSync(this.#configFile, stringify({ ...current, config }));
  }

  /** Runs the CLI on this stack; resolves to its standard output. */
  async pulumi(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(
      "pulumi",
      [...args, "--non-interactive", ...(args[1] === "init" ? [] : ["--stack", this.name])],
      { cwd: projectDir, env: this.environment, maxBuffer: 64 << 20 },
    ).catch((error: Error & { stdout?: string }) => {
      // What is wrong stands in its output.
      throw Object.assign(error, { message: `${error.message}\n${(error.stdout ?? "").slice(-4000)}` });
    });
    return stdout;
  }

  async up(): Promise<void> {
    await this.pulumi("up", "--yes", "--skip-preview", "--config-file", this.#configFile);
  }

  async refresh(): Promise<void> {
    await this.pulumi("refresh", "--yes", "--config-file", this.#configFile);
  }

  preview(...args: string[]): Promise<string> {
    return this.pulumi("preview", "--config-file", this.#configFile, ...args);
  }

  /** Fails unless a preview finds nothing to do. */
  unchanged(): Promise<string> {
    return this.pulumi("preview", "--diff", "--expect-no-changes", "--config-file", this.#configFile);
  }

  async outputs(): Promise<Outputs> {
    return JSON.parse(await this.pulumi("stack", "output", "--json", "--show-secrets")) as Outputs;
  }

  /** Destroys the stack, or what of it is not protected. */
  destroy(...flags: string[]): Promise<string> {
    // With its preview, which refuses what is protected before anything is gone.
    return this.pulumi("destroy", "--yes", "--config-file", this.#configFile, ...flags);
  }

  /** Containers, volumes and networks on the engine that bear the stack's name. */
  leftovers(): string[] {
    const filter = `name=torrust-pingoo-${this.name}-`;
    return [
      ["ps", "-a"],
      ["volume", "ls"],
      ["network", "ls"],
    ].flatMap((list) =>
      execFileSync("docker", [...list, "-q", "--filter", filter], { encoding: "utf8" })
        .trim()
        .split("\n")
        .filter(Boolean),
    );
  }

  /** Destroys the stack and forgets it. */
  async down(): Promise<void> {
    await this.destroy();
    this.forget();
  }

  /** Removes state and configuration, whatever they still hold. */
  forget(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
