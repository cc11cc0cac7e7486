import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

import { renderUdpProbe } from "../../../configs/udp-probe";
import { readScript } from "../../../scripts";
import { startUdpTracker, type UdpFault } from "../verify/support/udp-server";

const hasPython = spawnSync("python3", ["--version"]).status === 0;

describe.skipIf(!hasPython)("the probe for UDP trackers", () => {
  let probe: ChildProcess;
  let port: number;

  beforeAll(async () => {
    port = await freePort();
    probe = spawn("python3", ["-c", renderUdpProbe(readScript("udp-probe.py"), port)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    await vi.waitFor(() => fetch(`http://127.0.0.1:${port}/`), { timeout: 15_000 });
  });
  afterAll(async () => {
    const ended = new Promise((resolve) => probe.once("exit", resolve));
    probe.kill();
    expect(await ended).toBe(0);
  });

  /** What Prometheus would see, waiting no longer than a second. */
  const ask = async (target: string) => {
    const response = await fetch(`http://127.0.0.1:${port}/probe?target=${target}`, {
      headers: { "x-prometheus-scrape-timeout-seconds": "1" },
    });
    expect([response.status, response.headers.get("content-type")]).toEqual([
      200,
      expect.stringContaining("version=0.0.4"),
    ]);
    return await response.text();
  };
  const successOf = async (fault?: UdpFault) => {
    const tracker = await startUdpTracker({ fault });
    try {
      return /^probe_success (\d)$/m.exec(await ask(`127.0.0.1:${tracker.port}`))?.[1];
    } finally {
      await tracker.close();
    }
  };

  it("sees a tracker that answers", async () => expect(await successOf()).toBe("1"));

  it.each(["silent", "error", "wrong-transaction", "garbage"] as const)(
    "sees one that is %s",
    async (fault) => expect(await successOf(fault)).toBe("0"),
  );

  it("sees that nobody listens, and a name that does not exist", async () => {
    for (const target of [`127.0.0.1:${await freePort()}`, "nobody.invalid:6969"])
      expect(await ask(target)).toMatch(/^probe_success 0$/m);
  });

  it.each(["/", "/probe", "/probe?target=host", "/probe?target=:1"])("refuses %s", async (path) => {
    expect((await fetch(`http://127.0.0.1:${port}${path}`)).status).toBe(404);
  });
});

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    }),
  );
}
