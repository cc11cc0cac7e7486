import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { parse } from "yaml";

import { projectDir } from "../../commands/program";
import { buildImages } from "../images/build";
import { CliStack, hasPulumi } from "./support/cli";

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
    const left = ["ps", "volume", "network"].flatMap((kind) =>
      namesOf(kind, `torrust-pingoo-${stack.name}-`),
    );
    expect(left).toEqual([]);
  });
});

/** An example's configuration with what only its own host and an authority could give taken out: those have other tests. */
function onThisMachine(file: string): Record<string, unknown> {
  const { config } = parse(readFileSync(join(projectDir, file), "utf8")) as {
    config: Record<string, unknown>;
  };
  const values = Object.fromEntries(
    Object.entries(config).map(([key, value]) => [key.slice(key.indexOf(":") + 1), value]),
  );
  const { target: _target, ssh: _ssh, hetzner: _hetzner, udpTrackers, ...portable } = values;
  const trackers = udpTrackers as { port: number; domain?: string }[] | undefined;
  return {
    ...portable,
    udpTrackers: (trackers ?? [{ port: 6969 }]).map(({ port, domain }) => ({ port: 30000 + port, domain })),
    acme: "none",
    httpsPort: 39443,
    httpPort: 39080,
    grafanaPort: 39444,
    protectData: false,
  };
}

function namesOf(kind: string, prefix: string): string[] {
  const list = kind === "ps" ? ["ps", "-a"] : [kind, "ls"];
  return execFileSync("docker", [...list, "-q", "--filter", `name=${prefix}`], { encoding: "utf8" })
    .trim()
    .split("\n")
    .filter(Boolean);
}
