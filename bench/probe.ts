import { randomBytes } from "node:crypto";

import { announceUdp, announceUrl, fetchLocal } from "../test/e2e/support/clients";

/** What a client saw of one service while something happened. */
export interface Seen {
  readonly requests: number;
  readonly failures: number;
  /** Milliseconds from the last good answer before the longest row of failures to the first one after it. */
  readonly gap: number;
}

/** Asks again and again, each time on a new connection, until it is told to end. */
export function probe(ask: () => Promise<boolean>, pause = 20): { end: () => Promise<Seen> } {
  let [requests, failures, gap, stop] = [0, 0, 0, false];
  let lastGood = performance.now();
  let [broken, everGood] = [false, false];
  const running = (async () => {
    while (!stop) {
      const good = await ask().catch(() => false);
      requests++;
      if (good) {
        if (broken) gap = Math.max(gap, performance.now() - lastGood);
        [lastGood, broken, everGood] = [performance.now(), false, true];
      } else {
        failures++;
        broken = true;
      }
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  })();
  return {
    end: async () => {
      stop = true;
      await running;
      if (!everGood || broken) throw new Error(everGood ? "no answer any more" : "never an answer");
      return { requests, failures, gap };
    },
  };
}

export interface Endpoints {
  readonly api: string;
  readonly tracker: string;
  readonly grafana: string;
  readonly udpPort: number;
}

/** Whether a URL answers with status 200, asked under its own name at the loopback address. */
export async function answers200(url: string, headers?: Record<string, string>): Promise<boolean> {
  return (await fetchLocal(url, { headers })).status === 200;
}

/** Probes of everything that a switch of the proxy could disturb. */
export function probeAll({ api, tracker, grafana, udpPort }: Endpoints) {
  const infoHash = randomBytes(20);
  return {
    API: probe(() => answers200(`${api}/api/health_check`)),
    "HTTP announce": probe(() => answers200(announceUrl(`${tracker}/announce`, infoHash, 6001))),
    "UDP announce": probe(async () => {
      await announceUdp("127.0.0.1", udpPort, infoHash, 6002);
      return true;
    }),
    Grafana: probe(() => answers200(`${grafana}/api/health`)),
  };
}
