import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

import type { Names } from "../stack/names";

/** Folder of the guard's program and Dockerfile, from the one of Pulumi.yaml: the provider sends it to the engine. */
const context = "guard";
const folder = join(__dirname, "..", context);

export interface GuardedImageArgs {
  readonly names: Names;
  /** Image with Pingoo's binary. */
  readonly pingoo: string;
  /** Debian, or what has its `apt-get`, or Python 3, nftables and CA certificates already. */
  readonly base: string;
}

/**
 * Has the engine build an image of Pingoo and its guard. Its tag is a hash of all that goes into it, so that it is built
 * again when one of the images or the program changes, and not otherwise.
 */
export function guardedImage(
  name: string,
  { names, pingoo, base }: GuardedImageArgs,
  opts: pulumi.CustomResourceOptions,
): docker.RemoteImage {
  const pulled = Object.entries({ pingoo, base }).map(
    ([role, reference]) =>
      new docker.RemoteImage(`${name}-${role}-image`, { name: reference, keepLocally: true }, opts),
  );
  const tag = pulumi.all(pulled.map(({ imageId }) => imageId)).apply((ids) => digest([pingoo, base, ...ids]));
  return new docker.RemoteImage(
    `${name}-image`,
    {
      name: pulumi.interpolate`${names.prefix}-pingoo:${tag}`,
      build: {
        context,
        dockerfile: "Dockerfile",
        buildArgs: { PINGOO: pingoo, BASE: base },
        // The other one builds on the engine of the machine where Pulumi runs, not on the one that the provider is for.
        useLegacyBuilder: true,
      },
    },
    { ...opts, dependsOn: pulled },
  );
}

function digest(images: readonly string[]): string {
  const files = readdirSync(folder)
    .filter((file) => file === "Dockerfile" || file.endsWith(".py"))
    .sort();
  const hash = createHash("sha256");
  for (const part of [...images, ...files.flatMap((file) => [file, readFileSync(join(folder, file))])])
    hash.update(part).update("\0");
  return hash.digest("hex").slice(0, 12);
}
