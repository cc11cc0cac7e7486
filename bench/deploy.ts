import { failedChecks } from "../test/e2e/support/failed-checks";
import { probeAll } from "./probe";
import { benchValues, deployer, freshSubject, type Subject } from "./subject";
import { median, pause, table, taken, times } from "./text";

const values = benchValues(21600);

/**
 * How long a deployment takes: from nothing to one that `npm run verify` finds nothing wrong with, and again without
 * changes; and what clients notice while one service changes.
 */
export async function benchDeploy(rounds = 3): Promise<void> {
  const steps = ["first up", "until verified", "preview", "up without changes"] as const;
  const found: Record<(typeof steps)[number], number>[] = [];
  let changed: string[][] = [];
  for (let i = 0; i < rounds; i++) {
    const stack = await freshSubject("bench-deploy");
    try {
      const { result: outputs, milliseconds: first } = await taken(() => stack.up(values));
      const { milliseconds: verified } = await taken(async () => {
        while ((await failedChecks(outputs)).length > 0) await pause(250);
      });
      found.push({
        "first up": first,
        "until verified": first + verified,
        preview: (await taken(() => stack.preview())).milliseconds,
        "up without changes": (await taken(() => stack.up(values))).milliseconds,
      });
      console.error(`first up: ${(first / 1000).toFixed(1)} s`);
      changed = [...changed, ...(await oneService(stack, outputs.urls))];
    } finally {
      await stack.down();
    }
  }
  console.log(`By ${deployer}; medians of ${rounds} rounds\n`);
  const middle = (step: (typeof steps)[number]) => median(found.map((round) => round[step]));
  const rows = steps.map((step) => [
    step,
    (middle(step) / 1000).toFixed(1),
    times(median(found.map((round) => round[step] / round["first up"])), 1),
  ]);
  console.log(table(["step", "seconds", "ratio"], rows));
  console.log("\nThe tracker is replaced, because announceInterval changed: each round\n");
  console.log(table(["service", "requests", "failed", "longest time without an answer, ms"], changed));
}

/** Requests that fail while a setting of the tracker changes, and how long it is away. */
async function oneService(
  stack: Subject,
  urls: { readonly api: string; readonly trackers: readonly string[]; readonly grafana?: string },
): Promise<string[][]> {
  const probes = Object.entries(
    probeAll({
      api: urls.api,
      tracker: urls.trackers[0]!,
      grafana: urls.grafana!,
      udpPort: values.httpsPort,
    }),
  );
  await pause(1000);
  await stack.up({ ...values, announceInterval: 120 });
  await pause(2000);
  const rows: string[][] = [];
  for (const [service, { end }] of probes) {
    const { requests, failures, gap } = await end();
    rows.push([service, String(requests), String(failures), String(Math.round(gap))]);
  }
  return rows;
}
