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

export interface SwarmOptions {
  readonly docker: Docker;
  /** A network on which the public names resolve. */
  readonly network: string;
  /** `name:address` of those that do not. */
  readonly hosts: readonly string[];
  /** CA certificate (PEM) of the trackers. */
  readonly ca: string;
  /** The address of the nth member: one that no service of the stack will want. */
  readonly address: (member: number) => string;
}

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
    const { docker, network, hosts, ca, address } = this.options;
    const container = await docker.createContainer({
      Image: imageReferences().clients,
      name: this.nameOf(member),
      Cmd: [client],
      HostConfig: { NetworkMode: network, ExtraHosts: [...hosts], Init: true },
      NetworkingConfig: {
        EndpointsConfig: { [network]: { IPAMConfig: { IPv4Address: address(member) } } },
      },
    });
    const given = [...files, { path: "/torrents/ca.pem", content: Buffer.from(ca) }];
    await container.putArchive(tar(given.map((file) => ({ ...file, mode: 0o644 }))), { path: "/" });
    await container.start();
  }
}
