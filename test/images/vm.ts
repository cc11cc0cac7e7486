import type Docker from "dockerode";
import { join } from "node:path";

import { baseSources, ensureBase } from "./base";
import { hash, hashFolder, withLock } from "./cache";
import { buildImage, defaultEngine, sourcesOf } from "./engine";

/** A machine that boots systemd and sets itself up with cloud-init: not what a stack deploys, but where. */
export const vmImage = "torrust-pingoo-test/vm:bookworm";

/** Builds the image if it is missing or older than its sources. */
export async function ensureVmImage(
  log: (line: string) => void = () => {},
  docker?: Docker,
): Promise<string> {
  const engine = docker ?? (await defaultEngine());
  const folder = join(__dirname, "vm");
  const sources = hash(baseSources(), await hashFolder(folder));
  if ((await sourcesOf(engine, vmImage)) === sources) return vmImage;
  await withLock("images", async () => {
    if ((await sourcesOf(engine, vmImage)) === sources) return;
    await ensureBase(engine, log);
    const started = Date.now();
    await buildImage(engine, folder, vmImage, sources);
    log(`${vmImage}: built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
  });
  return vmImage;
}
