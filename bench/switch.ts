import { buffer } from "node:stream/consumers";

import { answers200, probe, probeAll, type Seen } from "./probe";
import { benchValues, deployer, freshSubject, type Subject } from "./subject";
import { median, pause, table, times } from "./text";

const values = benchValues(21443);
const copyPort = 21449;
const modes = { pingoo: {}, hybrid: { hybrid: true }, nginx: { tlsProxy: "nginx" } };
type Mode = keyof typeof modes;

/** Each way between two modes, in an order that ends where it begins. */
const round: readonly Mode[] = ["hybrid", "pingoo", "nginx", "hybrid", "nginx", "pingoo"];

type Measured = Map<string, Map<string, Seen[]>>;

/**
 * What clients notice of a switch between the modes: requests that failed, and for how long nothing was answered. It
 * is compared with the least that a replacement can cost: the same container stopped, removed, created and started.
 */
export async function benchSwitch(rounds = 3): Promise<void> {
  const results: Measured = new Map();
  const stack = await freshSubject("bench-switch");
  try {
    const outputs = await stack.up(values);
    const measure = async (what: string, change: () => Promise<unknown>) => {
      const seen = results.get(what) ?? new Map<string, Seen[]>();
      results.set(what, seen);
      const endpoints = {
        api: outputs.urls.api,
        tracker: outputs.urls.trackers[0]!,
        grafana: outputs.urls.grafana!,
        udpPort: values.httpsPort,
      };
      const probes = Object.entries(probeAll(endpoints));
      await pause(1000);
      await change();
      await pause(1000);
      for (const [name, { end }] of probes) seen.set(name, [...(seen.get(name) ?? []), await end()]);
    };
    const floor = await replacedByHand(stack, outputs.urls.api, rounds);
    for (let i = 0; i < rounds; i++) {
      let from: Mode = "pingoo";
      for (const to of round) {
        await measure(`${from} -> ${to}`, () => stack.up({ ...values, ...modes[to] }));
        from = to;
      }
    }
    console.log(`By ${deployer}; medians of ${rounds} rounds.\n`);
    print(results, floor);
  } finally {
    await stack.down();
  }
}

/**
 * How long the API is away while Docker alone replaces Pingoo's container: milliseconds for each round. It is done to a
 * copy of the container on a port of its own, because the stack's is known to the engine by its identity.
 */
async function replacedByHand({ docker, name }: Subject, apiUrl: string, rounds: number): Promise<number[]> {
  const original = docker.getContainer(`torrust-pingoo-${name}-pingoo`);
  const { Config, HostConfig, NetworkSettings } = await original.inspect();
  const folders = ["/etc/pingoo", "/etc/guard"];
  const files = await Promise.all(folders.map(async (path) => buffer(await original.getArchive({ path }))));
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
    for (const folder of files) await copy.putArchive(folder, { path: "/etc" });
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
  const rows = [...results].map(([way, seen]) => [
    way,
    ...services.map((service) => {
      const gap = median(seen.get(service)!.map(({ gap }) => gap));
      const failures = median(seen.get(service)!.map(({ failures }) => failures));
      return `${Math.round(gap)} (${times(gap, least)}, ${failures})`;
    }),
  ]);
  console.log(table(["switch", ...services], rows));
}
