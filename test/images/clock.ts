import type Docker from "dockerode";
import { join } from "node:path";

import { buildImages } from "./build";
import { hash, hashFolder, withLock } from "./cache";
import { buildImage, sourcesOf } from "./engine";

const image = "torrust-pingoo-test/tracker-clock:3.0.0";

/** The tracker's image with a clock that can be put forward and back; built if it is missing or older than its sources. */
export async function ensureTrackerWithClock(
  docker: Docker,
  log: (line: string) => void = () => {},
): Promise<string> {
  const { tracker } = await buildImages({ only: ["tracker"], docker, log });
  const folder = join(__dirname, "tracker-clock");
  const sources = hash(String(await sourcesOf(docker, tracker)), await hashFolder(folder));
  await withLock("images", async () => {
    if ((await sourcesOf(docker, image)) === sources) return;
    await buildImage(docker, folder, image, sources);
    log(`${image}: built`);
  });
  return image;
}
