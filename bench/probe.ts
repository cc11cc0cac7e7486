import { randomBytes } from "node:crypto";

import { announceUdp, announceUrl, fetchLocal } from "../test/e2e/support/clients";

/** What a client saw of one service while something happened. */
export interface Seen {
  readonly requests: number;
  readonly failures: number;
  /** Milliseconds from the last good answer before the longest row of failures to the first one after it. */
  readonly gap: number;
}

/**
 * Asks again and again, each time on a new connection, until it is told to end and has a good answer; 20 seconds
 * without one are an error.
 */
export function probe(ask: () => Promise<boolean>, pause = 20): { end: () => Promise<Seen> } {
  let [requests, failures, gap, broken] = [0, 0, 0, false];
  let lastGood = performance.now();
  let deadline: number | undefined;
  const running = (async () => {
    while (deadline === undefined || broken) {
      const good = await ask().catch(() => false);
      requests++;
      if (good) {
        if (broken) gap = Math.max(gap, performance.now() - lastGood);
        lastGood = performance.now();
      } else {
        failures++;
        if (deadline !== undefined && performance.now() > deadline) throw new Error("no answer any more");
      }
      broken = !good;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  })();
  // Whoever ends it is told.
  running.catch(() => {});
  return {
    end: async () => {
      deadline = performance.now() + 20_000;
      await running;
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
