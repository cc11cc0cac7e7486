import type Docker from "dockerode";
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { machine } from "node:os";
import { join } from "node:path";

import { baseSources } from "./base";
import { cached, cacheFolder, hash, hashFolder, withLock } from "./cache";
import { buildImage, runHere, runInContainer, sourcesOf, type Invocation } from "./engine";

/** What is compiled or fetched for an image. */
export interface Program {
  readonly name: string;
  readonly compiler: "go" | "cargo" | "npm" | "pip";
  /** Changes whenever the outcome would be another. */
  sources(): Promise<string>;
  /** How to put it into the folder `target`. */
  build(target: string): Invocation;
  /** Where the binaries are, below `target`. */
  readonly outcome: string;
  /** Folder that an interrupted build goes on from; superfluous once it is done. */
  readonly scratch?: string;
}

/** Go modules: one of our own, and two that pin other people's programs. */
const standIns = join(__dirname, "..", "stand-ins");
/** Pins packages of npm and PyPI. */
const clients = join(__dirname, "clients");
const exporters = join(__dirname, "exporters");
const alerting = join(__dirname, "alerting");

const goProgram = (name: string, module: string, path: string, code: () => Promise<string>): Program => ({
  name,
  compiler: "go",
  sources: async () => hash(process.arch, path, await readFile(join(module, "go.sum")), await code()),
  build: (target) => ({
    command: ["go", "build", "-ldflags=-s -w", "-o", `${target}/`, path],
    directory: module,
    environment: { CGO_ENABLED: "0", GOFLAGS: "-trimpath -buildvcs=false -modcacherw" },
  }),
  outcome: ".",
});

const standIn = (name: string) =>
  goProgram(name, standIns, `./${name}`, () =>
    hashFolder(join(standIns, name), (file) => !file.endsWith("_test.go")),
  );

const exporter = (name: string, path: string) => goProgram(name, exporters, path, async () => "");

/** Debian's Alertmanager is older than the keys that name a file for each receiver's secret. */
const alertmanager = goProgram(
  "alertmanager",
  alerting,
  "github.com/prometheus/alertmanager/cmd/...",
  async () => "",
);

/** Quick to compile rather than quick to run; the tracker needs little of either. */
const cargoEnvironment = {
  CARGO_PROFILE_RELEASE_LTO: "off",
  CARGO_PROFILE_RELEASE_OPT_LEVEL: "1",
  CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16",
  CARGO_PROFILE_RELEASE_DEBUG: "0",
  CARGO_PROFILE_RELEASE_STRIP: "symbols",
  CFLAGS: "-O0",
};

const crate = (name: string, version: string, binaries: readonly string[]): Program => {
  const scratch = join(cacheFolder(), `${name}-scratch`);
  return {
    name,
    compiler: "cargo",
    sources: async () => hash(process.arch, name, version, ...binaries, JSON.stringify(cargoEnvironment)),
    build: (target) => ({
      command: [
        ...(["cargo", "install", name, "--version", version, "--locked", "--root", target] as const),
        ...binaries.flatMap((binary) => ["--bin", binary]),
      ],
      environment: { ...cargoEnvironment, CARGO_TARGET_DIR: scratch },
    }),
    outcome: "bin",
    scratch,
  };
};

/** Without scripts and what is optional: nothing is compiled. */
const npmPackages = (name: string, folder: string): Program => ({
  name,
  compiler: "npm",
  sources: async () => hash(process.arch, await readFile(join(folder, "package-lock.json"))),
  build: (target) => ({
    command: [
      ...([
        "sh",
        "-c",
        'cp package*.json "$0" && cd "$0" && npm ci --ignore-scripts --omit=optional',
      ] as const),
      target,
    ],
    directory: folder,
  }),
  outcome: ".",
});

/** Wheels for the Python of the base image. */
const wheels = (name: string, folder: string): Program => ({
  name,
  compiler: "pip",
  sources: async () => hash(process.arch, await readFile(join(folder, "requirements.txt"))),
  build: (target) => ({
    command: [
      ...([
        "python3",
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--require-hashes",
      ] as const),
      ...["--python-version", "3.11", "--platform", `manylinux2014_${machine()}`],
      ...["--requirement", "requirements.txt", "--dest", target],
    ],
    directory: folder,
  }),
  outcome: ".",
});

export const programs = {
  pingoo: standIn("pingoo"),
  grafana: standIn("grafana"),
  clients: standIn("clients"),
  jsonExporter: exporter("json_exporter", "github.com/prometheus-community/json_exporter"),
  alertmanager,
  blackbox: exporter("blackbox_exporter", "github.com/prometheus/blackbox_exporter"),
  tracker: crate("torrust-tracker", "3.0.0", ["torrust-tracker", "http_health_check"]),
  webtorrent: npmPackages("webtorrent", clients),
  libtorrent: wheels("libtorrent", clients),
};

/**
 * Compiles a program unless the cache has it.
 *
 * @param base settles when the base image is there
 * @returns the folder of its binaries
 */
export async function ensureProgram(
  program: Program,
  docker: Docker,
  base: Promise<void>,
  log: (line: string) => void,
): Promise<string> {
  return cached(program.name, await program.sources(), async (folder) => {
    const target = join(folder, "target");
    await mkdir(target);
    const started = Date.now();
    const here = await hasCompiler[program.compiler]();
    log(`${program.name}: compiling with ${program.compiler}${here ? "" : " in a container"}`);
    if (here) await runHere(program.build(target));
    else await compileInContainer(program.build(target), docker, base);
    for (const file of await readdir(join(target, program.outcome))) {
      if (!file.startsWith(".")) await rename(join(target, program.outcome, file), join(folder, file));
    }
    for (const done of [target, program.scratch ?? target]) await rm(done, { recursive: true, force: true });
    log(`${program.name}: compiled in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  });
}

const hasCompiler = {
  npm: async () => true,
  pip: async () => isAtLeast(await version(["python3", "-m", "pip", "--version"]), 20, 3),
  go: async () => isAtLeast(await version(["go", "version"]), 1, 24),
  /** What is linked here must run in the base image: no newer C library than its own, and OpenSSL 3. */
  cargo: async () => {
    const tools = [version(["cc", "--version"]), version(["cmake", "--version"])];
    const report = process.report.getReport() as { header: { glibcVersionRuntime?: string } };
    const glibc = report.header.glibcVersionRuntime;
    return (
      isAtLeast(await version(["cargo", "--version"]), 1, 80) &&
      (await Promise.all(tools)).every((found) => found !== "") &&
      isAtLeast(await version(["pkg-config", "--modversion", "openssl"]), 3, 0) &&
      glibc !== undefined &&
      !isAtLeast(glibc, 2, 37)
    );
  },
};

/** First version number that a command prints; empty when it cannot be run. */
async function version(command: Invocation["command"]): Promise<string> {
  const output = await runHere({ command }).catch(() => "");
  return /\d+\.\d+/.exec(output)?.[0] ?? "";
}

function isAtLeast(found: string, major: number, minor: number): boolean {
  const [foundMajor = 0, foundMinor = 0] = found.split(".").map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

const toolchainImage = "torrust-pingoo-test/toolchain:bookworm";

async function compileInContainer(invocation: Invocation, docker: Docker, base: Promise<void>) {
  await base;
  await withLock("toolchain", () => ensureToolchain(docker));
  const home = join(cacheFolder(), "toolchain");
  await mkdir(home, { recursive: true });
  const environment = { ...invocation.environment, HOME: home, CARGO_HOME: join(home, "cargo") };
  const folders = [cacheFolder(), standIns, exporters, alerting, clients];
  await runInContainer(docker, toolchainImage, { ...invocation, environment }, [
    ...folders,
    ...authorities(),
  ]);
}

/** This machine may trust more certificate authorities than Debian: a proxy's of its network. */
const authorities = () => ["/etc/ssl/certs/ca-certificates.crt"].filter(existsSync);

async function ensureToolchain(docker: Docker) {
  const folder = join(__dirname, "toolchain");
  const sources = hash(baseSources(), await hashFolder(folder));
  if ((await sourcesOf(docker, toolchainImage)) === sources) return;
  await buildImage(docker, folder, toolchainImage, sources);
}
