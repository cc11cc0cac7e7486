import { afterEach, describe, expect, it } from "vitest";

import { fetchHttps } from "../../../verify/http";
import { openLive, UpgradeRefused } from "../../../verify/live";
import { names, password, startDeployment, type Fault } from "./support/deployment";

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

const { signal } = new AbortController();

async function open(fault?: Fault, cookie?: string) {
  const deployment = await startDeployment({ fault });
  closers.push(deployment.close);
  const endpoint = { host: names.grafana, port: deployment.ports.grafana, connect: "127.0.0.1" };
  const body = JSON.stringify({ user: "admin", password });
  const { headers } = await fetchHttps(endpoint, { method: "POST", path: "/login", body });
  return openLive(endpoint, cookie ?? headers["set-cookie"]![0]!.split(";")[0]!, 1000, signal);
}

describe("openLive", () => {
  it("speaks Centrifuge's protocol, answers pings and stays", async () => {
    const live = await open();
    expect(await live.ask({ connect: {} }, signal)).toMatchObject({ connect: { ping: 25 } });
    expect(await live.ask({ subscribe: { channel: "default/grafana/broadcast/x" } }, signal)).toEqual({
      id: 2,
      subscribe: {},
    });
    expect(await live.stay(200, signal)).toBe(0);
    live.close();
  });

  it("notices when it is cut off while it stays", async () => {
    const live = await open("live-closes");
    await live.ask({ connect: {} }, signal);
    const staying = live.stay(5000, signal);
    const asked = live.ask({ subscribe: { channel: "x" } }, signal);
    await expect(asked).rejects.toThrow("the WebSocket was closed (code 3501)");
    await expect(staying).rejects.toThrow("the WebSocket was closed (code 3501)");
    await expect(live.ask({ connect: {} }, signal)).rejects.toThrow("the WebSocket was closed");
  });

  it("tells of a refused upgrade by its status", async () => {
    await expect(open("websocket-stripped")).rejects.toEqual(new UpgradeRefused(400));
    await expect(open(undefined, "grafana_session=wrong")).rejects.toMatchObject({ status: 401 });
  });
});
