import type Docker from "dockerode";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { renderNginxConfig } from "../../configs/nginx";
import { tar } from "../../docker/archive";
import { ignoring } from "../../docker/calls";
import { buildImages } from "../images/build";
import { defaultEngine } from "../images/engine";
import { eventually, exec } from "./support/engine";

const tracker = "tracker.torrust.test";

describe.skipIf(!inject("engine"))("nginx' limit", { timeout: 120_000 }, () => {
  const limit = 10;
  let docker: Docker;
  const containers: Docker.Container[] = [];
  let sources: Docker.Container;

  beforeAll(async () => {
    const { nginx, guardBase } = await buildImages({ only: ["nginx", "guardBase"] });
    docker = await defaultEngine();
    const clients = "clients-of-nginx-limit-e2e";
    for (const container of [`nginx-of-${clients}`, clients])
      await ignoring(404, docker.getContainer(container).remove({ force: true }));
    sources = await docker.createContainer({
      Image: guardBase,
      name: clients,
      Cmd: ["sleep", "infinity"],
      HostConfig: {
        NetworkMode: "none",
        CapAdd: ["NET_ADMIN"],
        Sysctls: { "net.ipv6.conf.all.disable_ipv6": "0" },
      },
    });
    containers.push(sources);
    await sources.start();
    const nginxConf = renderNginxConfig({
      sites: [],
      plain: [{ name: "tracker", domain: tracker, upstream: "127.0.0.1:7070" }],
      httpPort: 80,
      publicHttpPort: 80,
      redirects: {},
      strictTransport: false,
      ipv6: true,
      rateLimit: { requests: limit, exempt: ["2001:db8:3::1"] },
    });
    const container = await docker.createContainer({
      Image: nginx,
      name: `nginx-of-${clients}`,
      HostConfig: { NetworkMode: `container:${clients}` },
    });
    containers.unshift(container);
    await container.putArchive(
      tar([{ path: "/etc/nginx/nginx.conf", content: Buffer.from(nginxConf), mode: 0o644 }]),
      {
        path: "/",
      },
    );
    const addresses = ["2001:db8:1::1", "2001:db8:1::2", "2001:db8:2::1", "2001:db8:3::1"];
    const script = addresses.map((address) => `busybox ip -6 addr add ${address}/128 dev lo`).join(" && ");
    const { code, output } = await exec(docker, sources, [
      "sh",
      "-c",
      `busybox ip link set lo up && ${script}`,
    ]);
    expect([code, output]).toEqual([0, ""]);
    await container.start();
  }, 600_000);
  afterAll(async () => {
    for (const container of containers) await container.remove({ force: true });
  });

  it("is for a /64, which one client has to itself, and for no other beside it", async () => {
    const flood = `
import collections, http.client
seen = collections.defaultdict(collections.Counter)
for network, addresses, count in [("a", ["2001:db8:1::1", "2001:db8:1::2"], ${15 * limit}), ("b", ["2001:db8:2::1"], ${5 * limit}), ("exempt", ["2001:db8:3::1"], ${15 * limit})]:
    for number in range(count):
        connection = http.client.HTTPConnection("::1", 80, source_address=(addresses[number % len(addresses)], 0))
        connection.request("GET", "/health_check", headers={"Host": "${tracker}"})
        seen[network][connection.getresponse().status] += 1
print({network: counter[429] for network, counter in seen.items()})
`;
    const found = await eventually(async () => {
      const { code, output } = await exec(docker, sources, ["python3", "-c", flood]);
      expect([code, output]).toEqual([0, expect.any(String)]);
      return JSON.parse(output.replaceAll("'", '"')) as Record<string, number>;
    });
    expect(found).toEqual({ a: expect.any(Number), b: 0, exempt: 0 });
    // Each address by itself would have kept within its limit.
    expect(found.a).toBeGreaterThan(0);
  });
});
