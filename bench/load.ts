import type Docker from "dockerode";
import { PassThrough } from "node:stream";

import { ignoring } from "../docker/calls";
import { tar } from "../docker/archive";
import { defaultSubnet, namesFor, ports } from "../stack/names";
import { clientsContainer, sendClients, type Flags } from "../test/e2e/support/pingoo";
import { imageReferences } from "../test/images/build";
import type { Subject } from "./subject";

/** Clients at once, in every load of announces. */
export const clients = 32;

/** What became of a load. */
export interface Load {
  /** Successful announces a second. */
  readonly rate: number;
  /** Announces that were answered otherwise, or not at all. */
  readonly failed: number;
}

/** Address of the tracker's container, where no proxy is in between. */
export function trackerAddress({ name }: Subject): string {
  return namesFor("torrust-pingoo", name, defaultSubnet("torrust-pingoo", name)).address("edge", "tracker");
}

/** An address of the host that is nobody else's: what is published on it takes the way that outer clients take. */
export async function engineAddress(docker: Docker): Promise<string> {
  const { IPAM } = (await docker.getNetwork("bridge").inspect()) as Docker.NetworkInspectInfo;
  const { Gateway, Subnet } = IPAM?.Config?.[0] ?? {};
  // Engines before 23 name it only once they have been started again; it is the first address.
  const gateway = Gateway ?? Subnet?.replace(/0\/\d+$/, "1");
  if (!gateway) throw new Error("the engine's network `bridge` has no gateway");
  return gateway;
}

export interface HttpLoad {
  /** What is asked for again and again, unless the script says otherwise. */
  readonly url: URL;
  readonly seconds: number;
  /** Request headers besides the usual ones. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Lua of wrk's that makes the requests. */
  readonly script?: string;
}

/** Sends HTTP requests from inside the stack's edge network, where its public names lead to the proxy. */
export async function httpLoad({ docker, name }: Subject, load: HttpLoad): Promise<Load> {
  const { url, seconds, script } = load;
  const headers = { Host: url.host, "User-Agent": "wrk", "X-Forwarded-For": "192.0.2.1", ...load.headers };
  // Within the network HTTPS has its usual port, whichever it has on the host.
  const port = url.protocol === "https:" ? ports.https : url.port;
  const target = `${url.protocol}//${url.hostname}:${port}${url.pathname}${url.search}`;
  const container = await docker.createContainer({
    Image: imageReferences().wrk,
    Cmd: [
      ...["-t1", `-c${clients}`, `-d${seconds}s`, ...(script ? ["-s", "/script.lua"] : [])],
      ...Object.entries(headers).flatMap(([key, value]) => ["-H", `${key}: ${value}`]),
      target,
    ],
    HostConfig: { NetworkMode: `torrust-pingoo-${name}-edge` },
  });
  try {
    if (script)
      await container.putArchive(tar([{ path: "/script.lua", content: Buffer.from(script), mode: 0o644 }]), {
        path: "/",
      });
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

/** Clients on the host that announce over UDP. */
export class UdpClients {
  private constructor(
    private readonly docker: Docker,
    private readonly container: Docker.Container,
  ) {}

  static async gather({ docker, name }: Subject): Promise<UdpClients> {
    const own = `clients-of-torrust-pingoo-${name}`;
    await ignoring(404, docker.getContainer(own).remove({ force: true }));
    return new UdpClients(docker, await clientsContainer(docker, own, "host"));
  }

  /** @param address host:port */
  async announce(address: string, flags: Flags): Promise<Load> {
    const common = { address, concurrency: clients, patience: "2s" };
    const announced = await sendClients<{ perSecond: number; failures: number }>(
      this.docker,
      this.container,
      "announce",
      { ...common, ...flags },
    );
    return { rate: announced.perSecond, failed: announced.failures };
  }

  async leave(): Promise<void> {
    await this.container.remove({ force: true });
  }
}
