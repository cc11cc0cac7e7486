import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { vmImage } from "../../images/vm";
import type { Machines, NewMachine } from "./api";

/** Runs a program and returns what it printed, without the last newline. */
export async function run(program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { maxBuffer: 64 << 20 });
  return stdout.trim();
}

export interface ContainerMachinesOptions {
  /** Prefix of everything that is made on the engine. */
  readonly name: string;
  /** IPv4 /24 in CIDR form. */
  readonly subnet: string;
  /** IPv6 /64 in CIDR form, for one server at a time. */
  readonly subnet6: string;
  /** Folder with images (tar) that each machine's engine has from the start, for want of a registry. */
  readonly preload?: string;
}

interface Machine {
  readonly container: string;
  readonly volumes: Set<number>;
}

/**
 * Servers that are containers which boot systemd, run cloud-init with the given user data, and have an SSH server and a Docker
 * engine of their own; volumes that are loop devices. Needs root, an engine and loop devices.
 *
 * There is no udev inside, so the device of a volume is made by hand when it is attached.
 */
export class ContainerMachines implements Machines {
  readonly ipv4: readonly string[];
  readonly ipv6: readonly string[];
  readonly #folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-vm-"));
  readonly #machines = new Map<number, Machine>();
  readonly #loops = new Map<number, string>();

  constructor(private readonly options: ContainerMachinesOptions) {
    const base = options.subnet.replace(/\.0\/24$/, "");
    this.ipv4 = Array.from({ length: 20 }, (_, index) => `${base}.${index + 10}`);
    this.ipv6 = [options.subnet6];
  }

  /** Makes the network that the machines are on, whatever an earlier run left. */
  async open(): Promise<void> {
    const { name, subnet, subnet6 } = this.options;
    const left = (await run("docker", "ps", "--all", "--quiet", "--filter", `network=${name}`)).split("\n");
    for (const container of left.filter(Boolean)) await run("docker", "rm", "-fv", container);
    await run("docker", "network", "rm", name).catch(() => {});
    const gateway6 = subnet6.replace("/64", "ffff");
    const v6 = ["--ipv6", "--subnet", subnet6, "--gateway", gateway6];
    await run("docker", "network", "create", "--subnet", subnet, ...v6, name);
  }

  /** Removes every machine and volume. */
  async close(): Promise<void> {
    for (const { container } of this.#machines.values()) await run("docker", "rm", "-fv", container);
    for (const loop of this.#loops.values()) await run("losetup", "-d", loop);
    await run("docker", "network", "rm", this.options.name);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Runs a command in a machine, past SSH. */
  async exec(server: number, ...command: string[]): Promise<string> {
    return run("docker", "exec", this.#machine(server).container, ...command);
  }

  async create({ server, name, userData, publicKeys, ipv4, ipv6 }: NewMachine): Promise<void> {
    const container = `${this.options.name}-${server}`;
    const seed = join(this.#folder, String(server));
    mkdirSync(seed);
    writeFileSync(join(seed, "user-data"), userData);
    writeFileSync(
      join(seed, "meta-data"),
      JSON.stringify({ "instance-id": `i-${server}`, "local-hostname": name, "public-keys": publicKeys }),
    );
    await run(
      "docker",
      "run",
      "--detach",
      ...["--name", container, "--hostname", name, "--env", "container=docker"],
      ...["--network", this.options.name, "--ip", ipv4, "--ip6", ipv6],
      // Not --privileged: the machine that runs the tests may itself lack a capability, and then could not give it.
      ...["--cap-add=ALL", "--cap-drop=SYS_RESOURCE", "--cgroupns=private"],
      ...["seccomp", "apparmor", "systempaths"].map((option) => `--security-opt=${option}=unconfined`),
      ...["--device-cgroup-rule", "b 7:* rmw"],
      ...["--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec"],
      // The inner engine's layers cannot lie on the outer one's.
      ...["--volume", "/var/lib/docker", "--volume", `${seed}:/var/lib/cloud/seed/nocloud:ro`],
      ...(this.options.preload ? ["--volume", `${this.options.preload}:/preload:ro`] : []),
      vmImage,
    );
    this.#machines.set(server, { container, volumes: new Set() });
  }

  async remove(server: number): Promise<void> {
    await run("docker", "rm", "-fv", this.#machine(server).container);
    this.#machines.delete(server);
  }

  async start(server: number): Promise<void> {
    const { container, volumes } = this.#machine(server);
    await run("docker", "start", container);
    for (const volume of volumes) await this.#plugIn(container, volume);
  }

  async stop(server: number): Promise<void> {
    await run("docker", "stop", "--time", "60", this.#machine(server).container);
  }

  async attach(server: number, volume: number): Promise<void> {
    const { container, volumes } = this.#machine(server);
    volumes.add(volume);
    await this.#plugIn(container, volume);
  }

  async detach(server: number, volume: number): Promise<void> {
    const { container, volumes } = this.#machine(server);
    volumes.delete(volume);
    await run("docker", "exec", container, "rm", "-f", device(volume)).catch(() => {});
  }

  async createVolume(volume: number, gigabytes: number): Promise<void> {
    const file = this.#file(volume);
    await run("truncate", "--size", `${gigabytes}G`, file);
    this.#loops.set(volume, await run("losetup", "--find", "--show", file));
  }

  async resizeVolume(volume: number, gigabytes: number): Promise<void> {
    await run("truncate", "--size", `${gigabytes}G`, this.#file(volume));
    await run("losetup", "--set-capacity", this.#loops.get(volume) ?? "");
  }

  async removeVolume(volume: number): Promise<void> {
    const loop = this.#loops.get(volume);
    if (loop) await run("losetup", "-d", loop);
    this.#loops.delete(volume);
    rmSync(this.#file(volume), { force: true });
  }

  #machine(server: number): Machine {
    const found = this.#machines.get(server);
    if (!found) throw new Error(`there is no machine ${server}`);
    return found;
  }

  #file(volume: number): string {
    return join(this.#folder, `volume-${volume}`);
  }

  async #plugIn(container: string, volume: number): Promise<void> {
    const minor = /\d+$/.exec(this.#loops.get(volume) ?? "")?.[0] ?? "";
    const make = `mkdir -p /dev/disk/by-id && mknod ${device(volume)} b 7 ${minor}`;
    await run("docker", "exec", container, "sh", "-c", make);
  }
}

function device(volume: number): string {
  return `/dev/disk/by-id/scsi-0HC_Volume_${volume}`;
}

/** Why there can be no such machines here; undefined when there can. */
export function whyNoMachines(): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-loop-"));
  const file = join(folder, "probe");
  try {
    execFileSync("truncate", ["--size", "1M", file]);
    const loop = execFileSync("losetup", ["--find", "--show", file], {
      encoding: "utf8",
      stdio: "pipe",
    }).trim();
    execFileSync("losetup", ["-d", loop]);
    return undefined;
  } catch (error) {
    return `loop devices cannot be used (${(error as Error).message.trim().split("\n").pop()})`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
