import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";

import { probeAll } from "../../bench/probe";
import type { ResourceRequest } from "../../program/monitor";
import { buildImages, deployedImages } from "../images/build";
import { ensureTrackerWithClock } from "../images/clock";
import { announceUdp, announceUrl, fetchLocal } from "./support/clients";
import { eventually, exec, TestStack, type Outputs } from "./support/engine";
import { expectVerified } from "./support/verify";

const [httpsPort, grafanaPort, udpPort] = [25443, 25444, 25969];
const values = {
  apiDomain: "api.torrust.test",
  httpTrackers: [{ domain: "tracker.torrust.test" }],
  udpTrackers: [{ port: udpPort }],
  acme: "none",
  httpsPort,
  grafana: true,
  grafanaDomain: "grafana.torrust.test",
  grafanaPort,
  prometheusScrapeInterval: 1,
};

describe.skipIf(!inject("engine"))("when something fails", { timeout: 600_000 }, () => {
  let stack: TestStack;
  let outputs: Outputs;

  beforeAll(async () => {
    await buildImages({ log: (line) => console.log(line) });
    stack = await TestStack.fresh("faults-e2e");
    // Small enough to be filled.
    for (const [volume, options] of Object.entries(disks))
      await stack.docker.createVolume({
        Name: volumeOf(stack, volume),
        Driver: "local",
        DriverOpts: { type: "tmpfs", device: "tmpfs", o: options },
      });
  }, 1_800_000);
  afterAll(async () => {
    await stack?.down();
    for (const volume of Object.keys(disks)) await stack?.docker.getVolume(volumeOf(stack, volume)).remove();
  }, 120_000);

  const asRoot = async (service: string, script: string) => {
    const done = await exec(stack.docker, stack.container(service), ["sh", "-c", script], "0:0");
    expect(done).toMatchObject({ code: 0 });
    return done;
  };
  const healthy = () => eventually(async () => expect((await fetchLocal(health())).status).toBe(200));
  const health = () => `${outputs.urls.trackers[0]}/health_check`;

  it("an up that is interrupted after each single resource goes on from there", async () => {
    const made = new Set<string>();
    let attempts = 0;
    for (let finished = false; !finished; attempts++) {
      // One resource more than the last time.
      let interrupted = false;
      const interrupt = ({ urn }: ResourceRequest) => {
        if (interrupted || made.has(urn)) return;
        made.add(urn);
        interrupted = true;
        throw new Error("interrupted");
      };
      finished = await stack.up(values, interrupt).then(
        (done) => {
          outputs = done.outputs;
          return true;
        },
        (error: Error) => {
          expect(error.message).toBe("interrupted");
          return false;
        },
      );
    }
    expect(attempts).toBeGreaterThan(20);
    expect((await stack.up(values)).summary).toMatchObject({ created: 0, replaced: 0, removed: 0 });
    await expectVerified(outputs);
  });

  it("a service whose process is killed comes back by itself, and only what lies behind it notices", async () => {
    for (const service of await servicesOf(stack)) {
      const container = stack.container(service);
      const before = await container.inspect();
      const probes = Object.entries(
        probeAll({
          api: outputs.urls.api,
          tracker: outputs.urls.trackers[0]!,
          grafana: outputs.urls.grafana!,
          udpPort,
        }),
      );
      process.kill(before.State.Pid, "SIGKILL");
      await eventually(async () => {
        const { State, RestartCount } = await container.inspect();
        expect([service, State.Running, State.Pid !== before.State.Pid]).toEqual([service, true, true]);
        expect(RestartCount).toBe(before.RestartCount + 1);
      });
      await healthy();
      await eventually(async () =>
        expect((await fetchLocal(`${outputs.urls.grafana}/api/health`)).status).toBe(200),
      );
      const failed: string[] = [];
      for (const [what, { end }] of probes) {
        const { failures, gap } = await end();
        if (failures === 0) continue;
        failed.push(what);
        console.log(`${service} killed: ${what} away for ${(gap / 1000).toFixed(1)} s`);
      }
      expect([service, failed.filter((what) => !affected[service]?.includes(what))]).toEqual([service, []]);
    }
    await expectVerified(outputs);
  });

  it("what was removed, stopped or paused by hand is put right by up", async () => {
    await stack.container("pingoo").remove({ force: true });
    await stack.container("tracker").stop();
    await stack.container("prometheus").pause();
    const { summary } = await stack.up(values);
    expect(summary.removed).toBe(0);
    await expectVerified(outputs);
  });

  it("a network that is cut and mended needs no restart", async () => {
    const edge = stack.docker.getNetwork(`torrust-pingoo-${stack.name}-edge`);
    const tracker = await stack.container("tracker").inspect();
    const { IPAMConfig, Aliases } = tracker.NetworkSettings.Networks[`torrust-pingoo-${stack.name}-edge`]!;
    await edge.disconnect({ Container: tracker.Id });
    const answer = await fetchLocal(health()).then(
      ({ status }) => status,
      () => "none",
    );
    expect(answer).not.toBe(200);
    await edge.connect({ Container: tracker.Id, EndpointConfig: { IPAMConfig, Aliases } });
    await healthy();
  });

  it("proxy and tracker need no name resolved, not even to start again", async () => {
    const resolvers = await Promise.all(
      ["pingoo", "tracker"].map(async (service) => {
        const { output } = await asRoot(service, "cat /etc/resolv.conf");
        await asRoot(service, "echo nameserver 192.0.2.1 >/etc/resolv.conf");
        return { service, before: output };
      }),
    );
    expect((await asRoot("tracker", "getent hosts pingoo || echo unknown")).output).toBe("unknown\n");
    await asRoot("pingoo", "kill -9 $(pidof pingoo)");
    await healthy();
    const { status } = await fetchLocal(announceUrl(outputs.announceUrls.http[0]!, randomBytes(20), 6003));
    expect(status).toBe(200);
    for (const { service, before } of resolvers)
      await asRoot(service, `cat >/etc/resolv.conf <<'END'\n${before}END`);
    await expectVerified(outputs);
  });

  it("a tracker whose clock jumps by years answers everybody all the same", async () => {
    const tracker = await ensureTrackerWithClock(stack.docker, (line) => console.log(line));
    await stack.up({ ...values, images: { ...deployedImages(), tracker } });
    await healthy();
    const infoHash = randomBytes(20);
    let [port, known] = [6100, 2];
    const announce = async () => {
      await announceUdp("127.0.0.1", udpPort, infoHash, port++);
      const url = announceUrl(outputs.announceUrls.http[0]!, infoHash, port++);
      const { body } = await fetchLocal(url);
      return Number(/10:incompletei(\d+)e/.exec(body.toString("latin1"))?.[1]);
    };
    expect(await announce()).toBe(2);
    // When a key ends that is made for a day.
    const daysAhead = async () => {
      const url = `${outputs.urls.api}/api/v1/key/86400?token=${outputs.adminToken}`;
      const { body } = await fetchLocal(url, { method: "POST" });
      const { valid_until } = JSON.parse(body.toString()) as { valid_until: number };
      return Math.round(valid_until / 86_400 - Date.now() / 86_400_000) - 1;
    };
    for (const days of [800, -800, 0]) {
      await asRoot("tracker", `echo ${days < 0 ? "" : "+"}${days}d >/etc/faketimerc`);
      expect(await daysAhead()).toBe(days);
      expect(await announce()).toBe((known += 2));
      await expectVerified(outputs);
    }
    await stack.up(values);
    await expectVerified(outputs);
  });

  it("a tracker with a full disk still answers, and stores again once there is room", async () => {
    const makeRoom = await fill(stack, "tracker", "/var/lib/torrust/tracker");
    const infoHash = randomBytes(20);
    await announceUdp("127.0.0.1", udpPort, infoHash, 6001);
    const { status } = await fetchLocal(announceUrl(outputs.announceUrls.http[0]!, infoHash, 6002));
    expect(status).toBe(200);
    await makeRoom();
    await stack.container("tracker").restart();
    await healthy();
    await expectVerified(outputs);
  });

  it("full disks of Prometheus and Grafana keep nobody from announcing, and need no restart", async () => {
    const ends = [
      await fill(stack, "prometheus", "/prometheus"),
      await fill(stack, "grafana", "/var/lib/grafana"),
    ];
    const probes = Object.entries(
      probeAll({
        api: outputs.urls.api,
        tracker: outputs.urls.trackers[0]!,
        grafana: outputs.urls.grafana!,
        udpPort,
      }),
    );
    await eventually(async () => expect(await stack.logs("prometheus")).toContain("no space left on device"));
    for (const makeRoom of ends) await makeRoom();
    for (const [what, { end }] of probes) expect([what, (await end()).failures]).toEqual([what, 0]);
    await expectVerified(outputs);
  });
});

/** What may fail while a service starts anew. */
const affected: Readonly<Record<string, readonly string[]>> = {
  pingoo: ["API", "HTTP announce", "Grafana"],
  tracker: ["API", "HTTP announce", "UDP announce"],
  grafana: ["Grafana"],
};

/** Size of the volumes that are filled, and whose they are. */
const disks: Readonly<Record<string, string>> = {
  tracker: "size=512k,uid=1000",
  prometheus: "size=48m,uid=65534",
  grafana: "size=8m,uid=472",
};

function volumeOf(stack: TestStack, volume: string): string {
  return `torrust-pingoo-${stack.name}-${volume}`;
}

/** Fills a volume of a service's container. @returns what makes room again */
async function fill(stack: TestStack, service: string, folder: string): Promise<() => Promise<void>> {
  const script = `dd if=/dev/zero of=${folder}/fill bs=1k 2>&1; true`;
  expect((await stack.exec(service, "sh", "-c", script)).output).toContain("No space left on device");
  return async () => {
    expect((await stack.exec(service, "rm", `${folder}/fill`)).code).toBe(0);
  };
}

async function servicesOf(stack: TestStack): Promise<string[]> {
  const prefix = `/torrust-pingoo-${stack.name}-`;
  const containers = await stack.docker.listContainers();
  return containers
    .flatMap(({ Names }) => Names.filter((name) => name.startsWith(prefix)))
    .map((name) => name.slice(prefix.length))
    .sort();
}
