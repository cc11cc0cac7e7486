import type Docker from "dockerode";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { imageKeys, type Images } from "../../stack/images";
import { baseSources, ensureBase } from "./base";
import { hash, hashFolder, withLock } from "./cache";
import { ensureProgram, programs, type Program } from "./compile";
import { buildImage, defaultEngine, sourcesOf } from "./engine";

/**
 * Images for tests on machines that reach no container registry: the real programs where a package registry has
 * them, stand-ins for Pingoo and Grafana, all with the paths, users, ports and commands of the published images.
 */
export const imageNames = [...imageKeys, "pebble"] as const;
/** Those that few use are built when they are asked for. */
export type ImageName = (typeof imageNames)[number] | "clients" | "wrk";

/** Debian's packages that builds and tests need on the machine itself, besides Node.js and a Docker engine. */
export const aptPackages: readonly string[] = [
  "debian-archive-keyring",
  "mmdebstrap",
  "mount",
  "openssh-client",
];

/** Those without which some tests of the stand-ins are skipped. */
export const testPackages: readonly string[] = ["openssl", "pebble", "sqlite3"];

interface Recipe {
  /** Folder of the Dockerfile, and last part of the image's name. */
  readonly folder: string;
  /** Version of what is inside. */
  readonly version: string;
  /** Compiled or fetched first and copied next to the Dockerfile. */
  readonly programs?: readonly Program[];
}

const recipes: Readonly<Record<ImageName, Recipe>> = {
  pingoo: { folder: "pingoo", version: "0.14.7", programs: [programs.pingoo] },
  guardBase: { folder: "guard-base", version: "bookworm" },
  nginx: { folder: "nginx", version: "1.22" },
  certbot: { folder: "certbot", version: "2.1.0" },
  tracker: { folder: "tracker", version: "3.0.0", programs: [programs.tracker] },
  mysql: { folder: "mysql", version: "mariadb-10.11" },
  prometheus: { folder: "prometheus", version: "2.42.0" },
  jsonExporter: { folder: "json-exporter", version: "0.7.0", programs: [programs.jsonExporter] },
  blackbox: { folder: "blackbox", version: "0.28.0", programs: [programs.blackbox] },
  grafana: { folder: "grafana", version: "13.0.1", programs: [programs.grafana] },
  alertmanager: { folder: "alertmanager", version: "0.31.1", programs: [programs.alertmanager] },
  nodeExporter: { folder: "node-exporter", version: "1.5.0" },
  restic: { folder: "restic", version: "0.14.0" },
  python: { folder: "python", version: "3.11" },
  pebble: { folder: "pebble", version: "2.4.0" },
  clients: { folder: "clients", version: "bookworm", programs: [programs.webtorrent, programs.libtorrent] },
  wrk: { folder: "wrk", version: "4.1.0" },
};

const reference = (name: ImageName) => `torrust-pingoo-test/${recipes[name].folder}:${recipes[name].version}`;

/** References of all images, built or not. */
export function imageReferences(): Record<ImageName, string> {
  return referencesOf(Object.keys(recipes) as ImageName[]);
}

/** References for the configuration key `images`. */
export function deployedImages(): Images {
  return referencesOf(imageKeys);
}

function referencesOf<T extends ImageName>(names: readonly T[]): Record<T, string> {
  return Object.fromEntries(names.map((name) => [name, reference(name)])) as Record<T, string>;
}

export interface BuildOptions {
  /** Which images have to be there. @default all */
  readonly only?: readonly ImageName[];
  /** Is told what is built; nothing when all is there. */
  readonly log?: (line: string) => void;
  /** @default the engine that the commands use */
  readonly docker?: Docker;
}

/**
 * Builds what is missing or older than its sources. Processes that do so at the same time wait for each other.
 *
 * @returns references of all images, by name
 */
export async function buildImages(options: BuildOptions = {}): Promise<Record<ImageName, string>> {
  const { only = imageNames, log = () => {} } = options;
  const docker = options.docker ?? (await defaultEngine());
  if ((await outdated(docker, only)).length > 0) {
    await withLock("images", async () => {
      const names = await outdated(docker, only);
      const base = ensureBase(docker, log);
      const builds = names.map((name) => build(name, docker, base, log));
      // All of them end before the lock does, even when one fails.
      const failed = (await Promise.allSettled([base, ...builds])).find(
        ({ status }) => status === "rejected",
      );
      if (failed) throw (failed as PromiseRejectedResult).reason;
    });
  }
  return imageReferences();
}

async function outdated(docker: Docker, names: readonly ImageName[]): Promise<ImageName[]> {
  const current = await Promise.all(
    names.map(async (name) => (await sourcesOf(docker, reference(name))) === (await sources(name))),
  );
  return names.filter((_, i) => !current[i]);
}

/** Changes whenever the image would be another. */
async function sources(name: ImageName): Promise<string> {
  const { folder, programs = [] } = recipes[name];
  const ofPrograms = await Promise.all(programs.map((program) => program.sources()));
  return hash(baseSources(), await hashFolder(join(__dirname, folder)), ofPrograms.join());
}

async function build(name: ImageName, docker: Docker, base: Promise<void>, log: (line: string) => void) {
  const { folder, programs = [] } = recipes[name];
  const folders = [join(__dirname, folder)];
  for (const program of programs) folders.push(await ensureProgram(program, docker, base, log));
  await base;
  const started = Date.now();
  const context = await mkdtemp(join(tmpdir(), "torrust-pingoo-image-"));
  try {
    for (const folder of folders) await cp(folder, context, { recursive: true });
    await buildImage(docker, context, reference(name), await sources(name));
  } finally {
    await rm(context, { recursive: true });
  }
  log(`${reference(name)}: built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
}
