import type Docker from "dockerode";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { Agent, request } from "node:https";
import type { AddressInfo } from "node:net";
import type { IncomingMessage } from "node:http";
import { afterAll, beforeAll, describe, expect, inject, it } from "vitest";
import { WebSocketServer } from "ws";

import { ignoring } from "../../docker/calls";
import { buildImages } from "../images/build";
import { fetchLocal, openWebSocket } from "./support/clients";
import { apiCaOf, eventually, exec } from "./support/engine";
import {
  Crowd,
  PingooStack,
  stalls,
  type Flags,
  type PingooOptions,
  type Served,
  type Stalled,
} from "./support/pingoo";

const [httpsPort, passthroughPort] = [26443, 26444];
const [domain, wsDomain] = ["site.torrust.test", "ws.torrust.test"];
const siteUrl = `https://${domain}:${httpsPort}`;
const wsUrl = `https://${wsDomain}:${passthroughPort}`;

/** Of each kind. */
const stalling = { concurrency: 30, for: "7s" };

describe.skipIf(!inject("engine"))("Pingoo with its guard", { timeout: 120_000 }, () => {
  let stack: PingooStack;
  let crowd: Crowd;
  let site: Server;
  let options: PingooOptions;
  /** Where the crowd's clients find Pingoo. */
  let target: { address: string; name: string; path: string };

  /** Has the volume of certificates mounted. */
  let keeper: Docker.Container;

  beforeAll(async () => {
    stack = await PingooStack.fresh("guard");
    keeper = await smallDisk(stack, stack.names.volume("tls"));
    crowd = await Crowd.gather(stack.docker, "guard");
    site = await startSite();
    const upstream = `${stack.names.gateway("edge")}:${(site.address() as AddressInfo).port}`;
    options = {
      hosts: { [domain]: upstream },
      passthrough: { domain: wsDomain, upstream, hostPort: passthroughPort },
      httpsPort,
      listeners: 128,
    };
    await up();
  }, 1_800_000);
  afterAll(async () => {
    await crowd?.leave();
    await keeper?.remove({ force: true });
    await stack?.down();
    await stack?.docker.getVolume(stack.names.volume("tls")).remove();
    site?.closeAllConnections();
    site?.close();
  }, 120_000);

  async function up(changes: Partial<PingooOptions> = {}) {
    const summary = await stack.up({ ...options, ...changes });
    if (summary.created + summary.replaced > 0) {
      const address = `${await crowd.meet(stack.container("pingoo"))}:443`;
      target = { address, name: domain, path: "/" };
    }
    await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
    return summary;
  }
  const stall = (kind: string, flags: Flags = stalling) =>
    crowd.send<Stalled>("stall", { ...target, from: crowd.addresses("stalling"), kind, ...flags });
  const honest = (flags: Flags = { for: "5s", delay: "50ms" }) =>
    crowd.send<Served>("honest", { ...target, from: crowd.addresses("honest"), ...flags });

  /** Exit code of Pingoo's container when the engine asks it to stop, with as much patience as Docker has. */
  const stopped = async () => {
    await stack.container("pingoo").stop({ t: 10 });
    return (await stack.container("pingoo").inspect()).State.ExitCode;
  };

  it("serves everybody while others stall in each way, and cuts off nobody else", async () => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const [idle, slow, events] = [await ask("/", agent), await ask("/slow"), await ask("/events")];
    const { localPort } = idle.socket;
    idle.resume();
    await once(idle, "end");
    const socket = await openWebSocket(wsUrl, {});

    const [clients, ...stalled] = await Promise.all([honest(), ...stalls.map((kind) => stall(kind))]);
    expect(clients).toMatchObject({ served: clients.clients, clients: expect.any(Number) });
    expect(clients.clients).toBeGreaterThan(10);
    for (const { ended } of stalled) expect(ended).toBeGreaterThan(0);
    const reasons = async (reason: string) =>
      stack.metric("pingoo_guard_cuts_total", { listener: "https", reason, family: "ipv4" });
    expect(await reasons("silent")).toBeGreaterThan(0);
    expect(await reasons("handshake")).toBeGreaterThan(0);
    expect(await stack.metric("pingoo_guard_slow_clients", { family: "ipv4" })).toBeGreaterThan(0);

    // Those who were there before: idle, slowly reading, listening to events, on a WebSocket.
    expect([slow.destroyed, events.destroyed]).toEqual([false, false]);
    const again = await ask("/", agent);
    again.resume();
    expect(again.socket.localPort).toBe(localPort);
    await eventsGoOn(events);
    await eventsGoOn(slow);
    const echo = once(socket, "message");
    socket.send("still there");
    expect(String((await echo)[0])).toBe("still there");
    agent.destroy();
    slow.destroy();
    events.destroy();
    socket.close();
  });

  it("tells upstreams the client's own address", async () => {
    const seen = seenBy(site);
    await honest({ for: "1s", delay: "0s" });
    const network = crowd.addresses("honest").split(".").slice(0, 3).join(".");
    const addresses = seen().filter((address) => address.startsWith(`${network}.`));
    expect(new Set(addresses).size).toBeGreaterThan(5);
    await fetchLocal(siteUrl);
    expect(seen().at(-1)).toBe(stack.names.gateway("edge"));
  });

  it("gives Pingoo and the guard no capability but their own", async () => {
    const effective = async (command: string) => {
      const [pid] = await stack.pids(command);
      const { output } = await stack.exec("cat", `/proc/${pid}/status`);
      return ["CapEff", "CapBnd", "NoNewPrivs"].map(
        (key) => new RegExp(`${key}:\\s*(\\w+)`).exec(output)?.[1],
      );
    };
    const only = (bit: number) => (1 << bit).toString(16).padStart(16, "0");
    expect(await effective("/bin/pingoo")).toEqual([only(10), only(10), "1"]);
    expect(await effective("/usr/bin/python3 -I -B /opt/guard guard")).toEqual([only(12), only(12), "1"]);
    const { HostConfig, Mounts } = await stack.container("pingoo").inspect();
    expect(HostConfig.CapDrop).toEqual(["ALL"]);
    expect(HostConfig.SecurityOpt).toEqual(["no-new-privileges"]);
    expect(Mounts.map(({ Destination }) => Destination)).toEqual(["/etc/pingoo/tls"]);
  });

  it("opens no connection to the metrics network", async () => {
    const gateway = stack.names.gateway("metrics");
    const script = `import socket\ntry: socket.create_connection(("${gateway}", 1), 3)\nexcept OSError as e: print(e)`;
    const { output } = await stack.exec("python3", "-c", script);
    // The rule refuses by ICMP, whoever is there by a reset.
    expect(output).toMatch(/refused/i);
    const { output: counted } = await stack.exec("nft", "list", "table", "inet", "guard");
    expect(counted).toContain(`ip daddr ${stack.names.subnet("metrics")} reject`);
  });

  it("has the guard again when the guard ends or hangs", async () => {
    const guard = "/usr/bin/python3 -I -B /opt/guard guard";
    const [before] = await stack.pids(guard);
    await stack.kill("KILL", guard);
    await eventually(async () =>
      expect((await stack.pids(guard)).filter((pid) => pid !== before)).toHaveLength(1),
    );
    await stack.kill("STOP", guard);
    await eventually(async () => expect(await stack.metric("pingoo_guard_restarts_total")).toBe(2));
    expect((await stall("hello", { concurrency: 4, for: "4s" })).ended).toBeGreaterThan(0);
  });

  it("restarts Pingoo when it ends, under the same rules", async () => {
    await stack.kill("KILL", "/bin/pingoo");
    await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
    expect(await stack.metric("pingoo_restarts_total", { reason: "crashed" })).toBe(1);
    expect((await stall("hello", { concurrency: 4, for: "4s" })).ended).toBeGreaterThan(0);
  });

  it("restarts Pingoo when it hangs", async () => {
    await stack.kill("STOP", "/bin/pingoo");
    await eventually(async () => {
      // Somebody has to notice: clients come and wait.
      await honest({ for: "200ms", delay: "0s", patience: "1s" });
      expect(await stack.metric("pingoo_restarts_total", { reason: "hung" })).toBe(1);
    });
    await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
  });

  it("stops in good order while clients stall, and has its rules when it starts again", async () => {
    const [{ ended }] = await Promise.all([
      stall("hello", { concurrency: 20, for: "6s" }),
      (async () => {
        await new Promise((resolve) => setTimeout(resolve, 1000));
        expect(await stopped()).toBe(0);
        await stack.container("pingoo").start();
        await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
      })(),
    ]);
    expect(ended).toBeGreaterThan(0);
    expect(await stack.metric("pingoo_guard_rules_loaded")).toBe(1);
    expect((await stall("partial", { concurrency: 4, for: "4s" })).ended).toBeGreaterThan(0);
  });

  it("stops in good order when Pingoo does not", async () => {
    await stack.kill("STOP", "/bin/pingoo");
    expect(await stopped()).toBe(0);
    await stack.container("pingoo").start();
    await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
  });

  it("serves all the same where the kernel lets it do nothing, and says so once", async () => {
    const { Image, HostConfig, Config } = await stack.container("pingoo").inspect();
    const name = "unguarded-of-torrust-pingoo-guard";
    const powerless = await stack.docker.createContainer({
      Image,
      name,
      HostConfig: { CapDrop: ["ALL"], CapAdd: ["NET_BIND_SERVICE", "SETPCAP"], NetworkMode: "none" },
      Env: Config.Env,
    });
    try {
      expect(HostConfig.CapAdd).toContain("CAP_NET_ADMIN");
      for (const folder of ["/etc/guard", "/etc/pingoo"]) {
        const archive = await stack.container("pingoo").getArchive({ path: folder });
        await powerless.putArchive(archive, { path: "/etc" });
      }
      await powerless.start();
      const ask = [
        "python3",
        "-I",
        "-c",
        "import ssl,urllib.request as r; c=ssl._create_unverified_context(); print(r.urlopen(r.Request('https://127.0.0.1/', headers={'Host':'nobody'}), context=c))",
      ];
      await eventually(async () =>
        expect((await exec(stack.docker, powerless, ask)).output).toContain("404"),
      );
      await eventually(async () => {
        const log = (await powerless.logs({ stdout: true, stderr: true })).toString("utf8");
        expect(log.split("stalled handshakes cannot be cut off")).toHaveLength(2);
        expect(log.split("new connections cannot be shared")).toHaveLength(2);
      });
    } finally {
      await powerless.remove({ force: true });
    }
  });

  it("changes nothing when it is deployed again", async () => {
    expect(await up()).toMatchObject({ created: 0, replaced: 0, removed: 0 });
  });

  it("without guard lets one silent client keep everybody out", async () => {
    await up({ listeners: 1 });
    const [, clients] = await Promise.all([
      stall("silent", { concurrency: 1, for: "6s" }),
      new Promise((resolve) => setTimeout(resolve, 500)).then(() =>
        honest({ for: "2s", delay: "0s", patience: "2s" }),
      ),
    ]);
    expect(clients.served).toBe(0);
    await up();
    expect((await honest()).error).toBeUndefined();
  });

  describe("with an ACME server", () => {
    let pebble: Docker.Container;
    let ca: string;
    let serial: string;

    beforeAll(async () => {
      const { pebble: Image } = await buildImages({ only: ["pebble"] });
      const edge = stack.names.network("edge");
      pebble = await stack.docker.createContainer({
        Image,
        name: "pebble-of-torrust-pingoo-guard",
        ExposedPorts: { "15000/tcp": {} },
        HostConfig: {
          NetworkMode: edge,
          PortBindings: { "15000/tcp": [{ HostIp: "127.0.0.1", HostPort: "26500" }] },
        },
        NetworkingConfig: { EndpointsConfig: { [edge]: { Aliases: ["pebble"] } } },
      });
      await pebble.start();
      ca = await rootOf();
    });
    afterAll(async () => void (await pebble?.remove({ force: true, v: true })));

    /** The root of pebble's certificates; another one whenever it starts. */
    const rootOf = () =>
      eventually(async () => (await fetchLocal("https://pebble:26500/roots/0")).body.toString());
    const inPingoo = (script: string) => stack.exec("sh", "-c", script);
    const serialNow = async () => (await fetchLocal(siteUrl, { ca })).certificate.serialNumber;

    it("gets its certificates while clients stall", async () => {
      const acme = { kind: "directory" as const, name: "own", directoryUrl: "https://pebble:14000/dir" };
      const changes = { acme: { ...acme, caCertificate: await apiCaOf(pebble) } };
      await up(changes);
      const [{ ended }] = await Promise.all([
        stall("hello", { concurrency: 20, for: "7s" }),
        eventually(async () => (serial = await serialNow())),
      ]);
      expect(ended).toBeGreaterThan(0);
    });

    it("serves them while the directory does not answer, and goes on with ACME once it does", async () => {
      await pebble.pause();
      await stack.container("pingoo").restart({ t: 5 });
      expect(await eventually(serialNow)).toBe(serial);
      expect(await stack.metric("pingoo_without_acme")).toBe(1);
      await pebble.unpause();
      await eventually(async () => expect(await stack.metric("pingoo_without_acme")).toBe(0));
      expect(await serialNow()).toBe(serial);
    });

    it("sets aside what is damaged, and orders it anew", async () => {
      const folder = "/etc/pingoo/tls";
      const damage = `truncate -s 200 ${folder}/${domain}.pem && echo nonsense >${folder}/acme.json`;
      expect(await inPingoo(damage)).toMatchObject({ code: 0 });
      await stack.kill("KILL", "/bin/pingoo");
      const renewed = await eventually(serialNow);
      expect(renewed).not.toBe(serial);
      serial = renewed;
      const { output } = await inPingoo(`cat ${folder}/acme.json.damaged && ls ${folder}`);
      expect(output).toMatch(/^nonsense\n/);
      for (const file of ["acme.json", `${domain}.pem.damaged`, `${domain}.key.damaged`])
        expect(output.split(/\s+/)).toContain(file);
    });

    it("serves them while the disk is full, even those that it cannot store", async () => {
      const folder = "/etc/pingoo/tls";
      const fill = `dd if=/dev/zero bs=1k >>${folder}/fill; true`;
      const hasRoom = async () => {
        const script = `import certificates, pathlib; print(certificates.has_room(pathlib.Path("${folder}"), 1))`;
        return (await inPingoo(`cd /opt/guard && python3 -B -c '${script}'`)).output.trim();
      };
      expect(await hasRoom()).toBe("True");
      expect((await inPingoo(fill)).output).toContain("No space left on device");
      expect(await hasRoom()).toBe("False");
      await stack.kill("KILL", "/bin/pingoo");
      expect(await eventually(serialNow)).toBe(serial);
      await stack.container("pingoo").restart({ t: 5 });
      expect(await eventually(serialNow)).toBe(serial);

      const stored = async () =>
        (await inPingoo(`cd ${folder} && find . -name '${domain}.*' -size +0`)).output.trim();
      await inPingoo(`rm ${folder}/${domain}.*; ${fill}`);
      await stack.kill("KILL", "/bin/pingoo");
      const ordered = await eventually(serialNow);
      expect(ordered).not.toBe(serial);
      expect(await stored()).toBe("");

      await inPingoo(`rm ${folder}/fill`);
      await stack.kill("KILL", "/bin/pingoo");
      serial = await eventually(serialNow);
      expect(await eventually(async () => (await stored()).split("\n").sort())).toEqual(
        ["key", "pem"].map((part) => `./${domain}.${part}`),
      );
    });

    it("serves them while the directory refuses, after a restart of the container too", async () => {
      await pebble.stop({ t: 0 });
      await stack.kill("KILL", "/bin/pingoo");
      expect(await eventually(serialNow)).toBe(serial);
      await stack.container("pingoo").restart({ t: 5 });
      expect(await eventually(serialNow)).toBe(serial);
      expect(await stack.metric("pingoo_without_acme")).toBe(1);
      expect(await stack.logs()).toContain("Pingoo serves the certificates that it has, without ACME");
    });

    it("serves self-signed ones where the directory is away from the start, and orders once it is there", async () => {
      expect(await inPingoo("rm /etc/pingoo/tls/*")).toMatchObject({ code: 0 });
      await stack.container("pingoo").restart({ t: 5 });
      await eventually(async () => expect((await fetchLocal(siteUrl)).status).toBe(200));
      expect(await stack.metric("pingoo_without_acme")).toBe(1);
      await pebble.start();
      ca = await rootOf();
      // Within some tries, each twice as long after the one before.
      expect(await eventually(serialNow, 100)).not.toBe(serial);
    });
  });
});

function ask(path: string, agent: Agent | false = false): Promise<IncomingMessage> {
  return new Promise((resolve, reject) =>
    request(
      {
        host: "127.0.0.1",
        port: httpsPort,
        servername: domain,
        path,
        agent,
        rejectUnauthorized: false,
        headers: { host: `${domain}:${httpsPort}`, "user-agent": "test" },
      },
      resolve,
    )
      .on("error", reject)
      .end(),
  );
}

/** A volume that can be filled. It is in memory, so somebody has to have it mounted all the time: the container that is returned. */
async function smallDisk({ docker, name }: PingooStack, volume: string): Promise<Docker.Container> {
  const keeper = `keeper-of-torrust-pingoo-${name}`;
  await ignoring(404, docker.getContainer(keeper).remove({ force: true }));
  await ignoring(404, docker.getVolume(volume).remove());
  const options = { type: "tmpfs", device: "tmpfs", o: "size=256k" };
  await docker.createVolume({ Name: volume, Driver: "local", DriverOpts: options });
  const { guardBase: Image } = await buildImages({ only: ["guardBase"], docker });
  const HostConfig = { Binds: [`${volume}:/kept`], Init: true };
  const container = await docker.createContainer({
    Image,
    name: keeper,
    Cmd: ["sleep", "infinity"],
    HostConfig,
  });
  await container.start();
  return container;
}

/** Waits for another piece of an answer that has no end. */
async function eventsGoOn(answer: IncomingMessage): Promise<void> {
  await once(answer, "data");
}

/** What stands behind Pingoo: a page, a slow download, events without end, and an echo for WebSockets. */
async function startSite(): Promise<Server> {
  const server = createServer(({ url }, response) => {
    if (url !== "/slow" && url !== "/events") return void response.end("welcome");
    response.writeHead(200, {
      "content-type": url === "/events" ? "text/event-stream" : "application/octet-stream",
    });
    const timer = setInterval(() => response.write("data: still there\n\n"), url === "/slow" ? 1000 : 3000);
    response.on("close", () => clearInterval(timer));
    response.write("data: welcome\n\n");
    return undefined;
  });
  const sockets = new WebSocketServer({ server });
  sockets.on("connection", (socket) => socket.on("message", (data) => socket.send(String(data))));
  await new Promise<void>((resolve) => server.listen(0, "0.0.0.0", resolve));
  return server;
}

/** Collects the clients' addresses as Pingoo tells them. */
function seenBy(server: Server): () => string[] {
  const addresses: string[] = [];
  server.on("request", ({ headers }: IncomingMessage) =>
    addresses.push(String(headers["x-forwarded-for"]).split(", ").at(-1)!),
  );
  return () => addresses;
}
