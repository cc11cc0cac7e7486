import type Docker from "dockerode";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { findDocker } from "../../../docker/host";
import { engineBackend } from "../../../engine/backend";
import { down } from "../../../engine/down";
import type { EngineSummary } from "../../../engine/run";
import { ignoring } from "../../../docker/calls";
import { runProgram, type Backend } from "../../../program/monitor";
import { planBackend } from "../../../program/plan-backend";
import { tar } from "../../../docker/archive";
import { Certbot } from "../../../components/certbot";
import { Certificates } from "../../../components/certificates";
import { Networks } from "../../../components/networks";
import { Nginx } from "../../../components/nginx";
import { Pingoo } from "../../../components/pingoo";
import type { StackContext } from "../../../components/service";
import { defaultSubnet, namesFor, type Names, type Service } from "../../../stack/names";
import type { Acme } from "../../../settings";
import type { TlsProxy } from "../../../stack/endpoints";
import type { Site } from "../../../stack/sites";
import { ensureBase } from "../../images/base";
import { buildImages, imageReferences } from "../../images/build";
import { ensureProgram, programs } from "../../images/compile";
import { exec } from "./engine";

export interface PingooOptions {
  /** Host name to upstream, `address:port`. */
  readonly hosts: Readonly<Record<string, string>>;
  /** Upstream behind a listener of its own, `address:port`. */
  readonly passthrough?: { readonly domain: string; readonly upstream: string; readonly hostPort: number };
  readonly httpsPort: number;
  readonly listeners: number;
  readonly acme?: Acme;
  /** @default the image that tests use */
  readonly image?: string;
  /** Who stands in front. @default pingoo */
  readonly proxy?: TlsProxy;
}

const project = "torrust-pingoo";

/** Pingoo as a deployment has it, with nothing behind it but what a test provides. */
export class PingooStack {
  readonly names: Names;
  readonly #stateDir = mkdtempSync(join(tmpdir(), "torrust-pingoo-"));

  private constructor(
    readonly docker: Docker,
    readonly name: string,
  ) {
    this.names = namesFor(project, name, defaultSubnet(project, name));
  }

  /** A stack of which nothing is there, whatever an earlier run left. */
  static async fresh(name: string): Promise<PingooStack> {
    const found = await findDocker();
    if (!("docker" in found)) throw new Error("no Docker engine answers");
    await buildImages({ only: ["pingoo", "guardBase", "nginx", "certbot"], docker: found.docker });
    const stack = new PingooStack(found.docker, name);
    await down({ docker: found.docker, stack: name, stateDir: stack.#stateDir });
    return stack;
  }

  /** Deploys Pingoo, or changes what is deployed. */
  async up(options: PingooOptions): Promise<EngineSummary> {
    const run = (backend: Backend) =>
      runProgram({ program: () => this.#program(options), project, stack: this.name, config: {}, backend });
    const { resources } = await run(planBackend);
    const engine = engineBackend({ docker: this.docker, stack: this.name, stateDir: this.#stateDir });
    await engine.prepare(resources);
    await run(engine);
    await engine.finish();
    return engine.summary;
  }

  #program(options: PingooOptions) {
    const { hosts, passthrough, httpsPort, listeners, image, acme = { kind: "none" }, proxy } = options;
    const { names } = this;
    const images = imageReferences();
    const networks = new Networks("test-networks", { names, ipv6: false, metrics: true, database: false });
    const stack: StackContext = { names, networks, protectData: false };
    const { tls, letsencrypt } = new Certificates("test-certificates", { stack, nginx: proxy === "nginx" });
    if (letsencrypt) {
      const domains = Object.keys(hosts);
      new Certbot("test-certbot", { image: images.certbot, stack, volume: letsencrypt, domains, acme });
      const sites = Object.entries(hosts).map(([domain, upstream], index): Site => ({
        name: `host-${index}`,
        service: "api",
        domain,
        publicUrl: `https://${domain}:${httpsPort}`,
        healthPath: "/",
        proxy: "nginx",
        port: 443,
        hostPort: httpsPort,
        upstream,
      }));
      new Nginx("test-proxy", {
        image: images.nginx,
        stack,
        sites,
        plain: [],
        redirected: sites,
        certificates: letsencrypt,
        trusted: false,
        httpPort: httpsPort + 1000,
        addresses: ["127.0.0.1"],
        // What is measured is the program, not its patience with the few addresses that ask.
        rateLimit: 0,
        succession: {},
      });
      return;
    }
    new Pingoo("test-proxy", {
      images: { ...images, pingoo: image ?? images.pingoo },
      stack,
      volume: tls,
      succession: {},
      hosts: Object.entries(hosts).map(([domain, upstream], index) => ({
        name: `host-${index}`,
        domain,
        upstream: `http://${upstream}`,
      })),
      passthrough: passthrough && {
        name: "passthrough",
        domain: passthrough.domain,
        upstream: `tcp://${passthrough.upstream}`,
        port: 3443,
        hostPort: passthrough.hostPort,
      },
      acme,
      httpsPort,
      addresses: ["127.0.0.1"],
      listeners,
      metrics: true,
    });
  }

  async down(): Promise<void> {
    await down({ docker: this.docker, stack: this.name, stateDir: this.#stateDir });
    rmSync(this.#stateDir, { recursive: true, force: true });
  }

  container(service: Service): Docker.Container {
    return this.docker.getContainer(this.names.container(service));
  }

  /** Runs a command in Pingoo's container. */
  exec(...command: string[]): Promise<{ code: number; output: string }> {
    return exec(this.docker, this.container("pingoo"), command);
  }

  /** What the guard tells, by metric with its labels. */
  async metrics(): Promise<ReadonlyMap<string, number>> {
    const { output } = await this.exec(
      "python3",
      "-c",
      "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9180/metrics').read().decode())",
    );
    const lines = output.split("\n").filter((line) => /^pingoo_/.test(line));
    return new Map(
      lines.map((line): [string, number] => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  /** The sum of a metric over those of its labels that are not given. */
  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
    return [...(await this.metrics())]
      .filter(([key]) => key.split("{")[0] === name && wanted.every((label) => key.includes(label)))
      .reduce((sum, [, value]) => sum + value, 0);
  }

  /** Processes of Pingoo's container whose command line begins like this. */
  async pids(command: string): Promise<number[]> {
    const script = `for p in /proc/[0-9]*; do echo "\${p#/proc/} $(tr '\\0' ' ' <$p/cmdline)"; done`;
    const { output } = await this.exec("sh", "-c", script);
    return output
      .split("\n")
      .map((line) => /^(\d+) (.*)$/.exec(line))
      .filter((match) => match?.[2]?.startsWith(command))
      .map((match) => Number(match![1]));
  }

  async kill(signal: string, command: string): Promise<void> {
    const pids = await this.pids(command);
    if (pids.length === 0) throw new Error(`no process ${command}`);
    const script = `kill -${signal} ${pids.join(" ")}`;
    const { code, output } = await this.exec("sh", "-c", script);
    if (code !== 0) throw new Error(`${script}: ${output}`);
  }

  async logs(): Promise<string> {
    const log = await this.container("pingoo").logs({ stdout: true, stderr: true });
    return log.toString("utf8");
  }
}

/** How clients stall in a handshake. */
export const stalls = ["silent", "partial", "hello", "trickle"] as const;
export type Stall = (typeof stalls)[number];

/** Flags of the clients' program (test/stand-ins/clients), without the leading hyphen. */
export type Flags = Readonly<Record<string, string | number | boolean>>;

/**
 * A container on a network that holds the clients' program (test/stand-ins/clients), of which nothing runs yet.
 *
 * @param network      name of a network, or `host`
 * @param capabilities what it may do there besides
 */
export async function clientsContainer(
  docker: Docker,
  name: string,
  network: string,
  capabilities: readonly string[] = [],
): Promise<Docker.Container> {
  const { guardBase } = await buildImages({ only: ["guardBase"], docker });
  const folder = await ensureProgram(
    programs.clients,
    docker,
    ensureBase(docker, () => {}),
    () => {},
  );
  const container = await docker.createContainer({
    Image: guardBase,
    name,
    Cmd: ["sleep", "infinity"],
    HostConfig: { NetworkMode: network, CapAdd: [...capabilities], Init: true },
  });
  const program = { path: "/clients", content: readFileSync(join(folder, "clients")), mode: 0o755 };
  await container.putArchive(tar([program]), { path: "/" });
  await container.start();
  return container;
}

/** Runs the clients' program and returns what it prints. */
export async function sendClients<T>(
  docker: Docker,
  container: Docker.Container,
  command: "announce" | "flood" | "honest" | "stall",
  flags: Flags,
): Promise<T> {
  const given = Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`);
  return JSON.parse(await succeed(docker, container, ["/clients", command, ...given])) as T;
}

async function succeed(docker: Docker, container: Docker.Container, command: readonly string[]) {
  const { code, output } = await exec(docker, container, command);
  if (code !== 0) throw new Error(`${command.join(" ")} failed (${code}): ${output}`);
  return output;
}

/** A container with many addresses, and with clients to use them, on a network that it shares with whoever they go to. */
export class Crowd {
  private constructor(
    private readonly docker: Docker,
    private readonly network: Docker.Network,
    private readonly container: Docker.Container,
    private readonly base: string,
  ) {}

  static async gather(docker: Docker, name: string): Promise<Crowd> {
    // Docker takes the network whose name comes first for what it publishes: not this one.
    const full = `visitors-of-${project}-${name}`;
    await ignoring(404, docker.getContainer(full).remove({ force: true }));
    await ignoring(404, docker.getNetwork(full).remove());
    const base = `10.223.${createHash("sha256").update(full).digest().readUInt8(0) & 0xfe}`;
    const network = await docker.createNetwork({
      Name: full,
      IPAM: { Config: [{ Subnet: `${base}.0/23` }] },
    });
    const container = await clientsContainer(docker, full, full, ["NET_ADMIN"]);
    const crowd = new Crowd(docker, network, container, base);
    for (const addresses of [crowd.addresses("honest"), crowd.addresses("stalling")])
      await succeed(docker, container, ["busybox", "ip", "route", "add", "local", addresses, "dev", "eth0"]);
    return crowd;
  }

  /** IPv4 networks of its addresses, 128 each: with them clients are told apart by what they do. */
  addresses(clients: "honest" | "stalling"): string {
    const third = Number(this.base.split(".")[2]) + 1;
    return `${this.base.replace(/\d+$/, String(third))}.${clients === "honest" ? 0 : 128}/25`;
  }

  /** Joins a container to its network. @returns the container's address there */
  async meet(container: Docker.Container): Promise<string> {
    const { Name } = (await this.network.inspect()) as Docker.NetworkInspectInfo;
    const { NetworkSettings: before } = await container.inspect();
    if (!(Name in before.Networks)) await this.network.connect({ Container: container.id });
    const { NetworkSettings } = await container.inspect();
    return NetworkSettings.Networks[Name]!.IPAddress;
  }

  /** Answers every request from now on. @returns `address:port` */
  async serve(): Promise<string> {
    const { NetworkSettings } = await this.container.inspect();
    const address = `${Object.values(NetworkSettings.Networks)[0]!.IPAddress}:8000`;
    const run = await this.container.exec({ Cmd: ["/clients", "serve", "-address", address] });
    await run.start({ Detach: true });
    return address;
  }

  /** Sends the clients out; resolves to what became of them. */
  send<T>(command: "flood" | "honest" | "stall", flags: Flags): Promise<T> {
    return sendClients<T>(this.docker, this.container, command, flags);
  }

  /** Goes, once those that it met have gone or left its network. */
  async leave(): Promise<void> {
    await this.container.remove({ force: true });
    const { Containers = {} } = (await this.network.inspect()) as Docker.NetworkInspectInfo;
    for (const Container of Object.keys(Containers))
      await this.network.disconnect({ Container, Force: true });
    await this.network.remove();
  }
}

/** What became of honest clients. */
export interface Served {
  readonly clients: number;
  readonly served: number;
  readonly withinOneSecond: number;
  readonly withinFiveSeconds: number;
  readonly median: number;
  readonly error?: string;
}

/** What became of those who stalled. */
export interface Stalled {
  readonly connections: number;
  readonly ended: number;
}
