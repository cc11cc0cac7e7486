import { buildImages } from "../test/images/build";
import { TestStack } from "../test/e2e/support/engine";
import { probeAll, type Seen } from "./probe";

const [httpsPort, grafanaPort, httpPort, udpPort] = [21443, 21444, 21080, 21969];
const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: udpPort }],
  acme: "none",
  httpsPort,
  httpPort,
  grafana: true,
  grafanaDomain: "grafana.torrust.test",
  grafanaPort,
};
const modes = { pingoo: {}, hybrid: { hybrid: true }, nginx: { tlsProxy: "nginx" } };
type Mode = keyof typeof modes;

/** Each way between two modes, in an order that ends where it begins. */
const round: readonly Mode[] = ["hybrid", "pingoo", "nginx", "hybrid", "nginx", "pingoo"];

/** What clients notice of a switch between the modes: requests that failed, and for how long nothing was answered. */
export async function benchSwitch(rounds = 3): Promise<void> {
  await buildImages({ log: (line) => console.error(line) });
  const stack = await TestStack.fresh("bench-switch");
  const results = new Map<string, Map<string, Seen[]>>();
  try {
    const { outputs } = await stack.up(values);
    for (let i = 0; i < rounds; i++) {
      let from: Mode = "pingoo";
      for (const to of round) {
        const probes = Object.entries(
          probeAll({
            api: outputs.urls.api,
            tracker: outputs.urls.trackers[0]!,
            grafana: outputs.urls.grafana!,
            udpPort,
          }),
        );
        await pause(1000);
        await stack.up({ ...values, ...modes[to] });
        await pause(1000);
        const way = `${from} -> ${to}`;
        const seen = results.get(way) ?? new Map<string, Seen[]>();
        for (const [name, { end }] of probes) seen.set(name, [...(seen.get(name) ?? []), await end()]);
        results.set(way, seen);
        from = to;
      }
    }
  } finally {
    await stack.down();
  }
  print(results, rounds);
}

function print(results: Map<string, Map<string, Seen[]>>, rounds: number): void {
  const services = [...[...results.values()][0]!.keys()];
  console.log(`Longest time without an answer in ms (failed requests): median of ${rounds} rounds\n`);
  console.log(`| switch | ${services.join(" | ")} |`);
  console.log(`| --- | ${services.map(() => "---").join(" | ")} |`);
  for (const [way, seen] of results) {
    const cells = services.map((service) => {
      const all = seen.get(service)!;
      return `${median(all.map(({ gap }) => Math.round(gap)))} (${median(all.map(({ failures }) => failures))})`;
    });
    console.log(`| ${way} | ${cells.join(" | ")} |`);
  }
}

const median = (values: number[]) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
