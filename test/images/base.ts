import type Docker from "dockerode";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";

import { cached, hash } from "./cache";
import { importImage, runHere, sourcesOf } from "./engine";

/** What the other images start from: the smallest Debian that can install packages. */
export const baseImage = "torrust-pingoo-test/base:bookworm";

const suite = "bookworm";
/** busybox has the `wget` of the published images; the tracker needs libssl, Grafana's stand-in sqlite3. */
const packages = ["busybox", "ca-certificates", "sqlite3"];

const dpkgOptions = [
  "force-unsafe-io",
  ...["doc", "man", "locale", "javascript"].map((folder) => `path-exclude=/usr/share/${folder}/*`),
];
const aptOptions = [
  'APT::Install-Recommends "false"',
  'Acquire::Languages "none"',
  // No caches of the package lists in the images.
  'Dir::Cache::pkgcache ""',
  'Dir::Cache::srcpkgcache ""',
];
const wget = "ln -s busybox $1/usr/bin/wget";

export const baseSources = () =>
  hash(process.arch, suite, packages.join(), dpkgOptions.join(), aptOptions.join(), wget);

export async function ensureBase(docker: Docker, log: (line: string) => void) {
  const sources = baseSources();
  if ((await sourcesOf(docker, baseImage)) === sources) return;
  const folder = await cached("base", sources, async (unfinished) => {
    const started = Date.now();
    await makeRootFileSystem(join(unfinished, "base.tar"));
    log(`${baseImage}: ${((Date.now() - started) / 1000).toFixed(1)} s for its files`);
  });
  await importImage(docker, join(folder, "base.tar"), baseImage, sources);
}

async function makeRootFileSystem(tar: string) {
  const mirrors = await debianMirrors();
  if (await isInstalled("mmdebstrap")) {
    const options = [
      "--variant=apt",
      `--include=${packages.join()}`,
      ...dpkgOptions.map((option) => `--dpkgopt=${option}`),
      ...aptOptions.map((option) => `--aptopt=${option}`),
      `--customize-hook=${wget}`,
    ];
    const target = mirrors.length > 0 ? [suite, tar, ...mirrors] : [suite, tar];
    await runHere({ command: ["mmdebstrap", ...options, ...target] });
  } else if (await isInstalled("debootstrap")) {
    const root = `${tar}.d`;
    await mkdir(root);
    const mirror = mirrors[0]?.split(" ")[1];
    const options = ["--variant=minbase", `--include=${packages.join()}`];
    await runHere({ command: ["debootstrap", ...options, suite, root, ...(mirror ? [mirror] : [])] });
    await runHere({ command: ["ln", "-s", "busybox", join(root, "usr/bin/wget")] });
    await runHere({ command: ["tar", "-C", root, "-cf", tar, "."] });
    await rm(root, { recursive: true });
  } else {
    throw new Error("neither mmdebstrap nor debootstrap is installed: apt-get install mmdebstrap");
  }
}

/**
 * Where this machine gets Debian from, as lines of a sources.list; none on other systems, where the tools' own default
 * has to do.
 */
async function debianMirrors(): Promise<string[]> {
  const format = "$(REPO_URI) $(RELEASE) $(COMPONENT)";
  const targets = await runHere({
    command: ["apt-get", "indextargets", "--format", format, "Created-By: Packages"],
  }).catch(() => "");
  const debian = targets
    .split("\n")
    .map((line) => line.split(" "))
    .filter(([uri, release, component]) => {
      const isDebian = /\/debian(-security)?\/?$/.test(uri ?? "") && component === "main";
      return isDebian && new RegExp(`^${suite}(-updates|-security)?$`).test(release ?? "");
    })
    .map(([uri, release]) => `deb ${uri} ${release} main`);
  // The suite itself first: it is the one that must be there.
  return [...new Set(debian)].sort((a, b) => a.split(" ")[2]!.length - b.split(" ")[2]!.length);
}

async function isInstalled(program: string): Promise<boolean> {
  return runHere({ command: [program, "--version"] }).then(
    () => true,
    () => false,
  );
}
