import { readdirSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";

import { projectDir } from "../../program/project";
import { buildImages } from "../images/build";
import { CliStack, hasPulumi } from "./support/cli";
import { exampleValues } from "./support/example";

const hasCli = hasPulumi();
if (!hasCli) console.warn("SKIPPED: the examples on the Pulumi engine, because there is no pulumi on PATH");

const files = [
  ...readdirSync(join(projectDir, "examples")).map((file) => join("examples", file)),
  ...readdirSync(projectDir).filter((file) => /^Pulumi\.(dev|hybrid)\.yaml$/.test(file)),
];

describe.skipIf(!hasCli || !inject("engine"))("each example on the real engine", { timeout: 600_000 }, () => {
  beforeAll(async () => void (await buildImages({ log: (line) => console.log(line) })), 1_800_000);

  it.each(files)("%s settles at once, and leaves nothing behind", async (file) => {
    const stack = await CliStack.fresh(`example-${basename(file, ".yaml").split(".")[1]}`);
    stack.configure(onThisMachine(file));
    try {
      await stack.up();
      await stack.unchanged();
      await stack.refresh();
      await stack.unchanged();
    } finally {
      await stack.down();
    }
    expect(stack.leftovers()).toEqual([]);
  });
});

/** An example's configuration with what only its own host and an authority could give taken out: those have other tests. */
function onThisMachine(file: string): Record<string, unknown> {
  const { target: _target, ssh: _ssh, hetzner: _hetzner, udpTrackers, ...portable } = exampleValues(file);
  const trackers = udpTrackers as { domain?: string }[] | undefined;
  return {
    ...portable,
    udpTrackers: (trackers ?? [{}]).map(({ domain }, index) => ({ port: 39500 + index, domain })),
    acme: "none",
    httpsPort: 39443,
    httpPort: 39080,
    grafanaPort: 39444,
    protectData: false,
  };
}
