import { failedChecks } from "../test/e2e/support/failed-checks";
import { probeAll } from "./probe";
import { benchValues, deployer, freshSubject } from "./subject";
import { median, pause, table, times } from "./text";

const values = benchValues(21600);

/**
 * How long a deployment takes: from nothing to one that `npm run verify` finds nothing wrong with, and again without
 * changes; what clients notice while one service changes; and how all of it grows with the number of trackers.
 */
export async function benchDeploy(rounds = 3): Promise<void> {
  const rows: string[][] = [];
  let unit = 0;
  for (const trackers of [1, 10, 50]) {
    const stack = await freshSubject("bench-deploy");
    const settings = { ...values, httpTrackers: domains(trackers) };
    try {
      const started = performance.now();
      const outputs = await stack.up(settings);
      const deployed = performance.now() - started;
      while ((await failedChecks(outputs)).length > 0) await pause(250);
      const verified = performance.now() - started;
      const previews = await repeat(rounds, () => stack.preview());
      const again = await repeat(rounds, () => stack.up(settings));
      unit ||= deployed;
      const times_ = [deployed, verified, median(previews), median(again)];
      rows.push([String(trackers), ...times_.map((time) => `${seconds(time)} (${times(time, unit)})`)]);
      if (trackers === 1) await oneService(stack, outputs.urls);
    } finally {
      await stack.down();
    }
  }
  console.log(`\nBy ${deployer}; seconds, and the multiple of the first deployment\n`);
  console.log(table(["HTTP trackers", "first up", "until verified", "preview", "up without changes"], rows));
}

/** Requests that fail while a setting of the tracker changes, and how long it is away. */
async function oneService(
  stack: { up(values: Record<string, unknown>): Promise<unknown> },
  urls: { readonly api: string; readonly trackers: readonly string[]; readonly grafana?: string },
): Promise<void> {
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
  console.log("\nThe tracker is replaced, because announceInterval changed\n");
  console.log(table(["service", "requests", "failed", "longest time without an answer, ms"], rows));
}

function domains(count: number) {
  return Array.from({ length: count }, (_, i) => ({ domain: `tracker${i === 0 ? "" : i}.torrust.test` }));
}

async function repeat(count: number, run: () => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < count; i++) {
    const started = performance.now();
    await run();
    times.push(performance.now() - started);
  }
  return times;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
