import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer, type Server } from "node:net";
import { afterEach, describe, expect, it } from "vitest";

import { judgeAddress } from "../../../verify/http-tracker";
import { verify } from "../../../verify/deployment";
import { readTargets } from "../../../verify/targets";

const servers: Server[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => new Promise((resolve) => server.close(resolve))));
});

async function look(address: string) {
  const report = await verify({
    targets: readTargets({
      announceUrls: { udp: [`udp://tracker.test:6969`] },
      addresses: { ipv4: address },
    }),
    skip: ["udp-tracker", "dns"],
  });
  const [result] = report.checks;
  return result!;
}

/** Every address of 127.0.0.0/8 is this machine's on Linux: one that nobody else uses. */
describe.runIf(process.platform === "linux")("inner ports", () => {
  const address = `127.${process.pid % 250}.77.3`;

  async function listen(port: number, handler?: RequestListener): Promise<boolean> {
    const server = handler ? createHttpServer(handler) : createServer((socket) => socket.end());
    return new Promise((resolve) => {
      server
        .once("error", () => resolve(false))
        .listen(port, address, () => {
          servers.push(server);
          resolve(true);
        });
    });
  }

  it.each([
    [7070, "HTTP tracker", '{"status":"Ok"}'],
    [1212, "tracker API", '{"status":"Ok"}'],
    [3000, "Grafana", '{"database":"ok"}'],
    [9090, "Prometheus", "Prometheus Server is Healthy."],
    [9093, "Alertmanager", "OK"],
    [9115, "blackbox exporter", "blackbox_exporter_build_info 1"],
  ])("finds %i published", async (port, name, body) => {
    // Someone may hold the port on all addresses.
    if (!(await listen(port, (_, response) => void response.end(body)))) return;
    expect(await look(address)).toMatchObject({
      kind: "exposure.ports",
      status: "fail",
      seen: expect.stringContaining(`${port} (${name})`),
    });
  });

  it("does not blame the deployment for other programs of this machine", async () => {
    if (!(await listen(3000, (_, response) => void response.end("my app"))) || !(await listen(3306))) return;
    expect(await look(address)).toMatchObject({
      status: "pass",
      seen: "open on this machine, but by other programs: 3000, 3306",
    });
  });
});

describe("the address by which the tracker knows us", () => {
  const own = ["127.0.0.1", "192.168.1.5", "172.18.0.1"];
  it.each([
    ["as UDP sees it", "198.51.100.9", "192.168.1.5", "198.51.100.9", "pass"],
    ["ours on the connection", "192.168.1.5", "192.168.1.5", undefined, "pass"],
    ["the engine's gateway", "172.18.0.1", "127.0.0.1", undefined, "known-limit"],
    ["the engine's gateway, as UDP sees it too", "172.18.0.1", "127.0.0.1", "172.18.0.1", "known-limit"],
    ["a public one, behind a router", "198.51.100.9", "192.168.1.5", undefined, "pass"],
    ["the proxy's", "172.18.0.10", "127.0.0.1", undefined, "fail"],
    ["the proxy's, where UDP tells", "172.18.0.10", "127.0.0.1", "172.18.0.1", "fail"],
    ["another public one, where UDP tells", "203.0.113.1", "192.168.1.5", "198.51.100.9", "fail"],
  ] as const)("%s", (_, seen, localAddress, reference, status) => {
    expect(judgeAddress(seen, localAddress, reference, own).status).toBe(status);
  });
});
