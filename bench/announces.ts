import type Docker from "dockerode";
import { randomBytes } from "node:crypto";
import { PassThrough } from "node:stream";

import { defaultSubnet, namesFor, ports } from "../names";
import { announceUrl } from "../test/e2e/support/clients";
import { buildImages, imageReferences } from "../test/images/build";
import { benchValues, freshSubject, type Subject } from "./subject";
import { median, pause, table, times } from "./text";

const values = benchValues(21500);
const seconds = 5;

/** How clients announce: over connections that they keep, or over a new one each time. */
const manners = { "kept connections": [], "a connection each": ["-H", "Connection: close"] };
type Manner = keyof typeof manners;

interface Load {
  /** Successful requests a second. */
  readonly rate: number;
  /** Requests that were answered otherwise, or not at all. */
  readonly failed: number;
}

/**
 * Announces a second through each TLS proxy, as a share of what the tracker answers without one in the same minute; and
 * what the containers use under that load. Client, proxy and tracker share this machine.
 */
export async function benchAnnounces(rounds = 3): Promise<void> {
  await buildImages({ only: ["wrk"], log: (line) => console.error(line) });
  const stack = await freshSubject("bench-announces");
  const rows: string[][] = [];
  let used: string[][] = [];
  try {
    for (const [proxy, changes] of [
      ["pingoo", {}],
      ["nginx", { tlsProxy: "nginx" }],
    ] as const) {
      const { urls } = await stack.up({ ...values, ...changes });
      await pause(2000);
      for (const manner of Object.keys(manners) as Manner[]) {
        const through: number[] = [];
        const direct: number[] = [];
        const failed: number[] = [];
        for (let i = 0; i < rounds; i++) {
          direct.push((await load(stack, directUrl(stack), manner)).rate);
          const url = new URL(announceUrl(`${urls.trackers[0]}/announce`, infoHash, 6001));
          const [seen, usage] = await Promise.all([load(stack, url, manner), usageOf(stack, proxy)]);
          through.push(seen.rate);
          failed.push(seen.failed);
          if (i === 0 && manner === "kept connections") used = [...used, ...usage];
        }
        const share = through.map((rate, i) => rate / direct[i]!);
        rows.push([
          proxy,
          manner,
          Math.round(median(through)).toString(),
          Math.round(median(direct)).toString(),
          times(median(share), 1),
          String(Math.max(...failed)),
        ]);
      }
    }
  } finally {
    await stack.down();
  }
  console.log(`HTTP announces a second, 32 clients at once, medians of ${rounds} rounds of ${seconds} s\n`);
  console.log(table(["proxy", "clients use", "through TLS", "direct", "share", "failed"], rows));
  console.log("\nMemory and processor per container under that load on kept connections\n");
  console.log(table(["with", "container", "MiB", "% of a core"], used));
}

const infoHash = randomBytes(20);

function directUrl({ name }: Subject): URL {
  const names = namesFor("torrust-pingoo", name, defaultSubnet("torrust-pingoo", name));
  const tracker = `http://${names.address("edge", "tracker")}:${ports.firstHttpTracker}/announce`;
  return new URL(announceUrl(tracker, infoHash, 6001));
}

/** Announces from inside the stack's edge network, where its public names lead to the proxy. */
async function load({ docker, name }: Subject, url: URL, manner: Manner): Promise<Load> {
  const headers = { Host: url.host, "User-Agent": "wrk", "X-Forwarded-For": "192.0.2.1" };
  // Within the network HTTPS has its usual port, whichever it has on the host.
  const port = url.protocol === "https:" ? ports.https : url.port;
  const target = `${url.protocol}//${url.hostname}:${port}${url.pathname}${url.search}`;
  const container = await docker.createContainer({
    Image: imageReferences().wrk,
    Cmd: [
      ...["-t1", "-c32", `-d${seconds}s`, ...manners[manner]],
      ...Object.entries(headers).flatMap(([key, value]) => ["-H", `${key}: ${value}`]),
      target,
    ],
    HostConfig: { NetworkMode: `torrust-pingoo-${name}-edge` },
  });
  try {
    await container.start();
    await container.wait();
    return parseWrk(await textOf(docker, container));
  } finally {
    await container.remove({ force: true });
  }
}

async function textOf(docker: Docker, container: Docker.Container): Promise<string> {
  const chunks: Buffer[] = [];
  const sink = new PassThrough().on("data", (chunk: Buffer) => chunks.push(chunk));
  const log = await container.logs({ stdout: true, stderr: true, follow: true });
  docker.modem.demuxStream(log, sink, sink);
  await new Promise((resolve) => log.on("end", resolve));
  return Buffer.concat(chunks).toString("utf8");
}

/** Reads what wrk 4 prints. */
function parseWrk(text: string): Load {
  const [, requests, duration] = /(\d+) requests in ([\d.]+)s/.exec(text) ?? [];
  if (!requests || !duration) throw new Error(`wrk says:\n${text}`);
  const errors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text) ?? [];
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  // A server that closes the connection, as it was asked to, is counted as a read error.
  const unanswered = [errors[1], errors[3], errors[4]].reduce((sum, count) => sum + Number(count ?? 0), 0);
  return { rate: (Number(requests) - refused) / Number(duration), failed: refused + unanswered };
}

/** What the stack's containers use, in the middle of the load. */
async function usageOf({ docker, name }: Subject, proxy: string): Promise<string[][]> {
  await pause(1500);
  const prefix = `torrust-pingoo-${name}-`;
  const containers = await docker.listContainers({ filters: { name: [prefix] } });
  const rows = await Promise.all(
    containers.map(async ({ Id, Names }) => {
      const { memory_stats, cpu_stats, precpu_stats } = await docker
        .getContainer(Id)
        .stats({ stream: false });
      const cache = memory_stats.stats.total_inactive_file ?? memory_stats.stats.inactive_file ?? 0;
      const busy = cpu_stats.cpu_usage.total_usage - precpu_stats.cpu_usage.total_usage;
      const cores = cpu_stats.online_cpus || 1;
      const share = (100 * cores * busy) / (cpu_stats.system_cpu_usage - precpu_stats.system_cpu_usage);
      return [
        proxy,
        Names[0]!.slice(prefix.length + 1),
        ((memory_stats.usage - cache) / 2 ** 20).toFixed(1),
        share.toFixed(0),
      ];
    }),
  );
  return rows.sort(([, a], [, b]) => a!.localeCompare(b!));
}
