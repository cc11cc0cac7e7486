import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { projectDir } from "../program/project";
import { CliStack, hasPulumi } from "../test/engine/support/cli";
import { benchValues } from "./subject";
import { median, table, times } from "./text";

const run = promisify(execFile);

/** Three resources of the kinds that this project has. */
const bareProgram = `
import * as docker from "@pulumi/docker";
import * as random from "@pulumi/random";
new docker.Network("network", { name: "bare" });
new docker.Volume("volume", { name: "bare" });
new random.RandomPassword("password", { length: 20 });
`;

/** How long it takes to see what would be deployed, as a multiple of what a program of three resources takes. */
export async function benchPlan(rounds = 5): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-bare-"));
  const stack = hasPulumi() ? await CliStack.fresh("bench-plan") : undefined;
  try {
    bare(folder);
    stack?.configure(benchValues(21700));
    const environment = { ...process.env, ...stack?.environment };
    const pulumi = (...args: string[]) =>
      run("pulumi", [...args, "--non-interactive"], { cwd: folder, env: environment });
    if (stack) await pulumi("stack", "init", "bare");
    const ways: [string, () => Promise<unknown>][] = [
      ["node, which does nothing", () => run(process.execPath, ["--eval", ""])],
      [
        "npm run plan",
        () => run("npx", ["tsx", "commands/plan.ts"], { cwd: projectDir, maxBuffer: 64 << 20 }),
      ],
    ];
    if (stack)
      ways.unshift(
        ["pulumi preview, three resources", () => pulumi("preview", "--stack", "bare")],
        ["pulumi preview", () => stack.preview()],
      );
    const taken = new Map<string, number[]>(ways.map(([name]) => [name, []]));
    for (let i = 0; i < rounds; i++)
      for (const [name, way] of ways) {
        const started = performance.now();
        await way();
        taken.get(name)!.push(performance.now() - started);
      }
    const unit = median([...taken.values()][0]!);
    const rows = [...taken].map(([name, all]) => [
      name,
      (median(all) / 1000).toFixed(2),
      times(median(all), unit),
    ]);
    console.log(`Medians of ${rounds} rounds${stack ? "" : "; no pulumi on PATH, so without it"}\n`);
    console.log(table(["command", "seconds", "ratio"], rows));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await stack?.down();
  }
}

function bare(folder: string): void {
  writeFileSync(join(folder, "Pulumi.yaml"), "name: bare\nruntime: nodejs\n");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "bare", main: "index.ts" }));
  writeFileSync(
    join(folder, "tsconfig.json"),
    JSON.stringify({ compilerOptions: { module: "commonjs", moduleResolution: "node10" } }),
  );
  writeFileSync(join(folder, "index.ts"), bareProgram);
  symlinkSync(join(projectDir, "node_modules"), join(folder, "node_modules"));
}
