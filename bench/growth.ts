import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { stringify } from "yaml";

import { projectDir } from "../program/project";
import { failedChecks } from "../test/e2e/support/failed-checks";
import { CliStack, hasPulumi } from "../test/engine/support/cli";
import { benchValues, deployer, freshSubject } from "./subject";
import { median, pause, perMore, table, taken } from "./text";
import { memoryOf } from "./usage";

const run = promisify(execFile);

const values = benchValues(22000);
const sizes = [1, 10, 50];
const ups = 10;

/** What one measure came to for each size, in its unit. */
type Row = [name: string, bySize: number[]];

/**
 * How a deployment grows with the number of trackers in its configuration, so many over HTTP and as many over UDP, and
 * whether anything grows with the number of deployments that change nothing. The sizes take turns.
 */
export async function benchGrowth(rounds = 3): Promise<void> {
  const plans = await planned(rounds);
  const deployments = await deployed(rounds);
  console.log(`By ${deployer}; medians of ${rounds} rounds, in which the sizes took turns.\n`);
  const head = ["", ...sizes.map(String), `each tracker of ${sizes.at(-1)!} adds`];
  console.log(
    table(
      head,
      [...plans, ...deployments].map(([name, all]) => [
        name,
        ...all.map((value) => value.toFixed(Number.isInteger(all[0]) ? 0 : 1)),
        perMore(all, sizes),
      ]),
    ),
  );
  if (hasPulumi()) await repeated();
}

function settings(size: number) {
  const from = values.httpsPort + 10;
  return {
    ...values,
    httpTrackers: Array.from({ length: size }, (_, i) => ({ domain: `tracker${i}.torrust.test` })),
    udpTrackers: Array.from({ length: size }, (_, i) => ({ port: from + i })),
  };
}

/** What can be seen before anything is there. */
async function planned(rounds: number): Promise<Row[]> {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-growth-"));
  const seconds = new Map(sizes.map((size): [number, number[]] => [size, []]));
  const plans: { resources: unknown[]; files: Record<string, string> }[] = [];
  try {
    for (let i = 0; i < rounds; i++)
      for (const size of sizes) {
        const file = join(folder, `${size}.yaml`);
        writeFileSync(file, stringify({ config: settings(size) }));
        const command = ["tsx", "commands/plan.ts", "--config", file, "--json"];
        const { result, milliseconds } = await taken(() =>
          run("npx", command, { cwd: projectDir, maxBuffer: 256 << 20 }),
        );
        seconds.get(size)!.push(milliseconds / 1000);
        if (i === 0) plans.push(JSON.parse(result.stdout) as (typeof plans)[number]);
      }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  return [
    ["resources", plans.map(({ resources }) => resources.length)],
    ["generated files", plans.map(({ files }) => Object.keys(files).length)],
    ["their text, KiB", plans.map(({ files }) => Object.values(files).join("").length / 1024)],
    ["`npm run plan`, s", [...seconds.values()].map(median)],
  ];
}

async function deployed(rounds: number): Promise<Row[]> {
  const found = new Map<string, number[][]>();
  for (let i = 0; i < rounds; i++)
    for (const [index, size] of sizes.entries()) {
      const note = (name: string, value: number) => {
        const all = found.get(name) ?? sizes.map(() => []);
        all[index]!.push(value);
        found.set(name, all);
      };
      const stack = await freshSubject(`bench-growth-${size}`);
      try {
        const first = await taken(() => stack.up(settings(size)));
        note("first `up`, s", first.milliseconds / 1000);
        const verified = await taken(async () => {
          while ((await failedChecks(first.result)).length > 0) await pause(250);
        });
        note("until `verify` holds, s", (first.milliseconds + verified.milliseconds) / 1000);
        note("`preview`, s", (await taken(() => stack.preview())).milliseconds / 1000);
        note("`up` without changes, s", (await taken(() => stack.up(settings(size)))).milliseconds / 1000);
        const memory = await memoryOf(stack.docker, stack.name);
        for (const role of ["tracker", "pingoo", "prometheus"]) note(`${role}, MiB`, memory.get(role)!);
        note(
          "all containers, MiB",
          [...memory.values()].reduce((sum, one) => sum + one, 0),
        );
        console.error(`${size} trackers: up in ${(first.milliseconds / 1000).toFixed(1)} s`);
      } finally {
        await stack.down();
      }
    }
  return [...found].map(([name, all]) => [name, all.map(median)]);
}

/** Deployments that change nothing: what they leave behind, and whether they become slower. */
async function repeated(): Promise<void> {
  const stack = await CliStack.fresh("bench-growth-again");
  const folder = fileURLToPath(stack.environment.PULUMI_BACKEND_URL);
  const rows: string[][] = [];
  try {
    stack.configure(settings(1));
    for (let i = 1; i <= 1 + ups; i++) {
      const { milliseconds } = await taken(() => stack.up());
      if (i > 2 && i < 1 + ups) continue;
      const state = (await stack.pulumi("stack", "export")).length;
      rows.push([
        String(i),
        (milliseconds / 1000).toFixed(1),
        kibibytes(state),
        kibibytes(sizeOf(folder)),
        await objects(),
      ]);
    }
  } finally {
    await stack.down();
  }
  console.log("\n`up` again and again, which changes nothing\n");
  console.log(
    table(
      ["`up`", "seconds", "state, KiB", "state folder with its history, KiB", "objects on the engine"],
      rows,
    ),
  );

  async function objects(): Promise<string> {
    const count = async (...list: string[]) =>
      (await run("docker", [...list, "--quiet", "--filter", `name=torrust-pingoo-${stack.name}-`])).stdout
        .split("\n")
        .filter(Boolean).length;
    const all = [
      await count("ps", "--all"),
      await count("volume", "ls"),
      await count("network", "ls"),
    ] as const;
    return `${all[0]} containers, ${all[1]} volumes, ${all[2]} networks`;
  }
}

function kibibytes(bytes: number): string {
  return (bytes / 1024).toFixed(0);
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}
