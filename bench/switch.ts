import { buffer } from "node:stream/consumers";

import { findDocker } from "../commands/docker-host";
import { TestStack, type Outputs } from "../test/e2e/support/engine";
import { CliStack, hasPulumi } from "../test/engine/support/cli";
import { buildImages } from "../test/images/build";
import { answers200, probe, probeAll, type Seen } from "./probe";

const name = "bench-switch";
const [httpsPort, grafanaPort, httpPort, udpPort, copyPort] = [21443, 21444, 21080, 21969, 21445];
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

/** A stack that can be changed and measured. */
interface Subject {
  up(values: Record<string, unknown>): Promise<Outputs>;
  down(): Promise<void>;
}

type Measured = Map<string, Map<string, Seen[]>>;

/**
 * What clients notice of a switch between the modes: requests that failed, and for how long nothing was answered. It
 * is compared with the least that a replacement can cost: the same container stopped, removed, created and started.
 */
export async function benchSwitch(rounds = 3): Promise<void> {
  await buildImages({ log: (line) => console.error(line) });
  const results: Measured = new Map();
  const stack = hasPulumi() ? await byCli() : await inProcess();
  try {
    const outputs = await stack.up(values);
    const measure = async (what: string, change: () => Promise<unknown>) => {
      const seen = results.get(what) ?? new Map<string, Seen[]>();
      results.set(what, seen);
      const endpoints = {
        api: outputs.urls.api,
        tracker: outputs.urls.trackers[0]!,
        grafana: outputs.urls.grafana!,
        udpPort,
      };
      const probes = Object.entries(probeAll(endpoints));
      await pause(1000);
      await change();
      await pause(1000);
      for (const [name, { end }] of probes) seen.set(name, [...(seen.get(name) ?? []), await end()]);
    };
    const floor = await replacedByHand(outputs.urls.api, rounds);
    for (let i = 0; i < rounds; i++) {
      let from: Mode = "pingoo";
      for (const to of round) {
        await measure(`${from} -> ${to}`, () => stack.up({ ...values, ...modes[to] }));
        from = to;
      }
    }
    console.log(
      `By ${hasPulumi() ? "the Pulumi CLI" : "the in-process engine"}; medians of ${rounds} rounds.\n`,
    );
    print(results, floor);
  } finally {
    await stack.down();
  }
}

async function inProcess(): Promise<Subject> {
  const stack = await TestStack.fresh(name);
  return { up: async (values) => (await stack.up(values)).outputs, down: () => stack.down() };
}

async function byCli(): Promise<Subject> {
  const stack = await CliStack.fresh(name);
  return {
    up: async (values) => {
      stack.configure(values);
      await stack.up();
      return stack.outputs();
    },
    down: () => stack.down(),
  };
}

/**
 * How long the API is away while Docker alone replaces Pingoo's container: milliseconds for each round. It is done to a
 * copy of the container on a port of its own, because the stack's is known to the engine by its identity.
 */
async function replacedByHand(apiUrl: string, rounds: number): Promise<number[]> {
  const found = await findDocker();
  if (!("docker" in found)) throw new Error("no Docker engine answers");
  const { docker } = found;
  const original = docker.getContainer(`torrust-pingoo-${name}-pingoo`);
  const { Config, HostConfig, NetworkSettings } = await original.inspect();
  const files = await buffer(await original.getArchive({ path: "/etc/pingoo/pingoo.yml" }));
  const [network] = Object.keys(NetworkSettings.Networks);
  const make = async () => {
    const copy = await docker.createContainer({
      ...Config,
      name: `torrust-pingoo-${name}-copy`,
      HostConfig: {
        ...HostConfig,
        NetworkMode: network,
        PortBindings: { "443/tcp": [{ HostIp: "127.0.0.1", HostPort: String(copyPort) }] },
      },
    });
    await copy.putArchive(files, { path: "/etc/pingoo" });
    await copy.start();
    return copy;
  };
  const { host, hostname } = new URL(apiUrl);
  const ask = () => answers200(`https://${hostname}:${copyPort}/api/health_check`, { host });
  const gaps: number[] = [];
  let copy = await make();
  try {
    for (let i = 0; i < rounds; i++) {
      const { end } = probe(ask);
      await pause(1000);
      await copy.stop();
      await copy.remove();
      copy = await make();
      await pause(1000);
      gaps.push((await end()).gap);
    }
  } finally {
    await copy.remove({ force: true });
  }
  return gaps;
}

function print(results: Measured, floor: readonly number[]): void {
  const least = median(floor);
  const services = [...[...results.values()][0]!.keys()];
  console.log(
    `Longest time without an answer in ms; its multiple of the ${Math.round(least)} ms in which Docker alone replaces Pingoo's container; failed requests:\n`,
  );
  console.log(`| switch | ${services.join(" | ")} |`);
  console.log(`| --- | ${services.map(() => "---").join(" | ")} |`);
  for (const [way, seen] of results) {
    const cells = services.map((service) => {
      const gap = median(seen.get(service)!.map(({ gap }) => gap));
      const failures = median(seen.get(service)!.map(({ failures }) => failures));
      return `${Math.round(gap)} (${(gap / least).toFixed(1)}x, ${failures})`;
    });
    console.log(`| ${way} | ${cells.join(" | ")} |`);
  }
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
