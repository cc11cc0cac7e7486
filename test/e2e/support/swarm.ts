import type Docker from "dockerode";

import { ignoring } from "../../../docker/calls";
import { tar } from "../../../docker/archive";
import { imageReferences } from "../../images/build";
import { exec } from "./engine";
import { sha1, type SharedFile } from "./torrents";

/** The clients of the image `clients`. */
export const realClients = [
  "aria2",
  "transmission",
  "rtorrent",
  "qbittorrent",
  "libtorrent",
  "webtorrent",
] as const;
export type RealClient = (typeof realClients)[number];

/** What a client is given: files of its own to find, each through one announce URL. */
export interface Wanted {
  readonly file: SharedFile;
  readonly announce: string;
}

/** A published port, and the `address:port` of who is behind it. */
export interface Published {
  readonly protocol: string;
  readonly port: number;
  readonly target: string;
}

export interface SwarmOptions {
  readonly docker: Docker;
  /** The network of those who are behind the published ports. */
  readonly network: string;
  readonly published: readonly Published[];
  /** Public names, all of one address. */
  readonly names: readonly string[];
  /** CA certificate (PEM) of the trackers. */
  readonly ca: string;
  /** The address of the nth member: one that no service of the stack will want. */
  readonly address: (member: number) => string;
}

/**
 * The address of the public names (TEST-NET-1, RFC 5737). Ports that Docker publishes would show all containers under one
 * address, so each member has its connections to this one led to the containers behind.
 */
const publicAddress = "192.0.2.1";

/** BitTorrent clients as people run them, each in a container and with an address of its own. */
export class Swarm {
  constructor(private readonly options: SwarmOptions) {}

  /** Starts a member that has all of these files; which program shares them matters to nobody. */
  async seed(files: readonly SharedFile[], announce: string): Promise<void> {
    await this.start(0, "libtorrent", [
      ...files.map((file) => ({ path: `/torrents/${file.name}.torrent`, content: file.torrent(announce) })),
      ...files.map(({ name, content }) => ({ path: `/downloads/${name}`, content })),
    ]);
  }

  /** Starts a client that has none of what it wants. */
  async download(client: RealClient, wanted: readonly Wanted[]): Promise<void> {
    const torrents = wanted.map(({ file, announce }) => ({
      path: `/torrents/${file.name}.torrent`,
      content: file.torrent(announce),
    }));
    await this.start(1 + realClients.indexOf(client), client, torrents);
  }

  /** Names of the files that a client has whole. */
  async downloaded(client: RealClient, wanted: readonly Wanted[]): Promise<string[]> {
    const container = this.container(1 + realClients.indexOf(client));
    const { output } = await exec(this.options.docker, container, ["sh", "-c", "sha1sum /downloads/*"]);
    return wanted
      .map(({ file }) => file)
      .filter(({ content }) => output.includes(sha1(content).toString("hex")))
      .map(({ name }) => name);
  }

  /** What a client has said. */
  async logs(client: RealClient): Promise<string> {
    const container = this.container(1 + realClients.indexOf(client));
    return (await container.logs({ stdout: true, stderr: true })).toString("latin1");
  }

  /** Everybody goes, whatever an earlier run left included. */
  async leave(): Promise<void> {
    const members = Array.from({ length: 1 + realClients.length }, (_, member) => this.container(member));
    await Promise.all(members.map((container) => ignoring(404, container.remove({ force: true, v: true }))));
  }

  private container(member: number): Docker.Container {
    return this.options.docker.getContainer(this.nameOf(member));
  }

  private nameOf(member: number): string {
    return `member-${member}-of-${this.options.network}`;
  }

  private async start(
    member: number,
    client: RealClient,
    files: readonly { readonly path: string; readonly content: Buffer }[],
  ): Promise<void> {
    const { docker, network, names, published, ca, address } = this.options;
    const hosts = names.flatMap((name) => [`${name}:${publicAddress}`, `${name}.:${publicAddress}`]);
    const rules = published.map(
      ({ protocol, port, target }) => `ip daddr ${publicAddress} ${protocol} dport ${port} dnat to ${target}`,
    );
    const chain = ["chain output {", "type nat hook output priority -100", ...rules, "}"];
    const table = ["table ip published {", ...chain, "}", ""];
    const container = await docker.createContainer({
      Image: imageReferences().clients,
      name: this.nameOf(member),
      Cmd: [client],
      HostConfig: { NetworkMode: network, ExtraHosts: hosts, CapAdd: ["NET_ADMIN"], Init: true },
      NetworkingConfig: {
        EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address(member) } } },
      },
    });
    const given = [
      ...files,
      { path: "/torrents/ca.pem", content: Buffer.from(ca) },
      { path: "/torrents/published.nft", content: Buffer.from(table.join("\n")) },
    ];
    await container.putArchive(tar(given.map((file) => ({ ...file, mode: 0o644 }))), { path: "/" });
    await container.start();
  }
}
