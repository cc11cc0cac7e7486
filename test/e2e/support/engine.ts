import type Docker from "dockerode";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { stringify } from "yaml";

import { findDocker } from "../../../docker/host";
import { deployInProcess } from "../../../engine/deploy";
import { down } from "../../../engine/down";
import type { EngineSummary } from "../../../engine/run";
import type { ResourceRequest } from "../../../program/monitor";
import { projectDir } from "../../../program/project";
import { reveal } from "../../../program/secrets";
import { resolveStackConfig } from "../../../program/stack-config";
import { deployedImages } from "../../images/build";

export interface Outputs {
  /** The stacks of most tests have an API. */
  readonly urls: { readonly api: string; readonly trackers: readonly string[]; readonly grafana?: string };
  readonly announceUrls: { readonly http: readonly string[]; readonly udp: readonly string[] };
  readonly addresses: { readonly ipv4?: string; readonly ipv6?: string };
  readonly adminToken: string;
  readonly grafanaAdminPassword?: string;
  readonly volumes: Readonly<Record<string, string>>;
  readonly mode: string;
}

/** A real Pingoo in the stand-in's place. */
function realPingoo(): { pingoo?: string } {
  const { PINGOO_IMAGE: pingoo } = process.env;
  return pingoo ? { pingoo } : {};
}

/** The real program on a real engine, with locally built images, ports of its own and a state folder that goes away. */
export class TestStack {
  readonly #stateDir = mkdtempSync(join(tmpdir(), "torrust-pingoo-"));

  private constructor(
    readonly docker: Docker,
    readonly name: string,
  ) {}

  /** A stack of which nothing is there, whatever an earlier run left. */
  static async fresh(name: string): Promise<TestStack> {
    const found = await findDocker();
    if (!("docker" in found)) throw new Error("no Docker engine answers");
    const stack = new TestStack(found.docker, name);
    await down({ docker: found.docker, stack: name, stateDir: stack.#stateDir });
    return stack;
  }

  /**
   * Deploys, or changes what is deployed.
   *
   * @param made told of each resource that exists now; what it throws ends the deployment
   */
  async up(
    values: Record<string, unknown>,
    made?: (resource: ResourceRequest) => void,
  ): Promise<{ outputs: Outputs; summary: EngineSummary }> {
    const stackConfig = resolveStackConfig({
      projectText: readFileSync(join(projectDir, "Pulumi.yaml"), "utf8"),
      stackText: stringify({
        config: {
          publishAddresses: ["127.0.0.1"],
          images: { ...deployedImages(), ...realPingoo() },
          ...values,
        },
      }),
      stack: this.name,
      file: "the test",
    });
    const deployed = await deployInProcess({
      stackConfig,
      docker: this.docker,
      stateDir: this.#stateDir,
      made,
    });
    if (deployed.kind === "refused") throw new Error(JSON.stringify(deployed.problems, null, 2));
    return { outputs: reveal(deployed.result.outputs) as unknown as Outputs, summary: deployed.summary };
  }

  async down(): Promise<void> {
    await down({ docker: this.docker, stack: this.name, stateDir: this.#stateDir });
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  /** Forgets what was generated, as a lost state does; what is deployed stays. */
  loseState(): void {
    rmSync(this.#stateDir, { recursive: true });
    mkdirSync(this.#stateDir, { mode: 0o700 });
  }

  container(service: string): Docker.Container {
    return this.docker.getContainer(`torrust-pingoo-${this.name}-${service}`);
  }

  /** Identity of a service's container, which changes when it is replaced. */
  async id(service: string): Promise<string> {
    return (await this.container(service).inspect()).Id;
  }

  async logs(service: string): Promise<string> {
    const log = await this.container(service).logs({ stdout: true, stderr: true });
    return log.toString("utf8");
  }

  /** Runs a command in a service's container. */
  async exec(service: string, ...command: string[]): Promise<{ code: number; output: string }> {
    return exec(this.docker, this.container(service), command);
  }

  /** A file of a container, whatever is installed in it: every member of the archive below `path`. */
  async files(service: string, path: string): Promise<Map<string, { content: string; mode: number }>> {
    const archive = await this.container(service).getArchive({ path });
    const chunks: Buffer[] = [];
    for await (const chunk of archive) chunks.push(chunk as Buffer);
    return untar(Buffer.concat(chunks));
  }
}

/**
 * Runs a command in a container.
 *
 * @param user by default the container's own
 */
export async function exec(
  docker: Docker,
  container: Docker.Container,
  command: readonly string[],
  user?: string,
): Promise<{ code: number; output: string }> {
  const run = await container.exec({ Cmd: [...command], User: user, AttachStdout: true, AttachStderr: true });
  const stream = await run.start({});
  const chunks: Buffer[] = [];
  const collect = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
  docker.modem.demuxStream(stream, collect, collect);
  await new Promise((resolve) => stream.on("end", resolve));
  const { ExitCode } = await run.inspect();
  return { code: ExitCode ?? -1, output: Buffer.concat(chunks).toString("utf8") };
}

/** Regular files of a POSIX tar archive (ustar; pax headers are passed over). */
function untar(archive: Buffer): Map<string, { content: string; mode: number }> {
  const files = new Map<string, { content: string; mode: number }>();
  const text = (offset: number, length: number) =>
    archive.toString("utf8", offset, offset + length).replace(/\0.*$/s, "");
  for (let offset = 0; offset + 512 <= archive.length && archive[offset] !== 0;) {
    const size = parseInt(text(offset + 124, 12), 8);
    const type = text(offset + 156, 1);
    if (type === "0" || type === "")
      files.set(text(offset, 100), {
        content: archive.toString("utf8", offset + 512, offset + 512 + size),
        mode: parseInt(text(offset + 100, 8), 8) & 0o777,
      });
    offset += 512 + Math.ceil(size / 512) * 512;
  }
  return files;
}

/** CA certificate (PEM) of the API of a container with the pebble image, running or not. */
export async function apiCaOf(pebble: Docker.Container): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of await pebble.getArchive({ path: "/etc/pebble/ca.pem" }))
    chunks.push(chunk as Buffer);
  const text = Buffer.concat(chunks).toString("latin1");
  return /-----BEGIN CERTIFICATE-----[\s\S]+-----END CERTIFICATE-----\n/.exec(text)![0];
}

/** The Authorization header (RFC 7617) of Grafana's administrator. */
export function basic({ grafanaAdminPassword }: Outputs): string {
  return `Basic ${Buffer.from(`admin:${grafanaAdminPassword}`).toString("base64")}`;
}

/** Waits until `check` stops throwing. */
export async function eventually<T>(check: () => Promise<T>, seconds = 60): Promise<T> {
  const deadline = Date.now() + seconds * 1000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
}
