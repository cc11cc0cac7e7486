import * as docker from "@pulumi/docker";
import * as hcloud from "@pulumi/hcloud";
import * as pulumi from "@pulumi/pulumi";
import * as random from "@pulumi/random";

import { renderCloudInit } from "../../configs/cloud-init";
import { dnsRecords, quotedText } from "../../configs/dns-records";
import { firewallRules } from "../../configs/firewall";
import { sshCommandLine } from "../../configs/ssh-client";
import { sshKeyPair } from "../../configs/ssh-key";
import { readScript } from "../../scripts";
import { serverName } from "../../stack/names";
import type { HetznerSettings, Settings } from "../../settings";
import { isInZone } from "../../settings/hosts";
import { EngineGate } from "../gates";
import type { Host } from "./host";
import { sshEngine } from "./ssh";

export interface HetznerHostArgs extends HetznerSettings {
  /** What will run there: decides on open ports and records. */
  readonly settings: Settings;
  /** It is reached over IPv6 as well. */
  readonly ipv6: boolean;
}

/** What a new server has unless its image is named. */
const newestImage = "debian-13";

/**
 * A machine of its own on Hetzner Cloud. Addresses and data volume outlive the server: one that takes its place finds
 * both again.
 */
export class HetznerHost extends pulumi.ComponentResource implements Host {
  public readonly engine: docker.Provider;
  public readonly addresses: Host["addresses"];
  public readonly ssh: pulumi.Output<string>;
  public readonly tie: pulumi.ResourceTransformation;

  constructor(name: string, args: HetznerHostArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:host:Hetzner", name, {}, opts);
    const { settings, location } = args;
    const project = pulumi.getProject();
    const machine = serverName(project, settings.stack);
    const labels = { "torrust-pingoo.stack": machine };
    const kept = settings.protectData;
    const child = { parent: this };

    const hostKey = new random.RandomBytes(`${name}-ssh-host-key`, { length: 32 }, child).base64.apply(
      (seed) => sshKeyPair(Buffer.from(seed, "base64")),
    );
    const firewall = new hcloud.Firewall(
      `${name}-firewall`,
      { name: machine, labels, rules: firewallRules(settings, args.sshAllowedFrom) },
      child,
    );
    const [ipv4, ipv6] = (["ipv4", "ipv6"] as const).map(
      (type) =>
        new hcloud.PrimaryIp(
          `${name}-${type}`,
          { name: `${machine}-${type}`, type, location, autoDelete: false, deleteProtection: kept, labels },
          { ...child, protect: kept },
        ),
    ) as [hcloud.PrimaryIp, hcloud.PrimaryIp];
    const volume = new hcloud.Volume(
      `${name}-data`,
      { name: `${machine}-data`, size: args.volumeSize, location, deleteProtection: kept, labels },
      { ...child, protect: kept },
    );
    const server = new hcloud.Server(
      `${name}-server`,
      {
        name: machine,
        serverType: args.serverType,
        image: args.image ?? newestImage,
        location,
        // The data is on the volume; a disk that grew could not go back to a smaller type.
        keepDisk: true,
        sshKeys: args.sshKeys.map((key) => sshKey(`${name}-ssh-key`, machine, key, labels, this)),
        firewallIds: [firewall.id.apply(Number)],
        publicNets: [{ ipv4: ipv4.id.apply(Number), ipv6: ipv6.id.apply(Number) }],
        userData: pulumi.secret(
          pulumi
            .all([hostKey, volume.linuxDevice])
            .apply(([key, volumeDevice]) =>
              renderCloudInit({ hostKey: key, volumeDevice, script: readScript }),
            ),
        ),
        shutdownBeforeDeletion: true,
        deleteProtection: args.protectServer,
        rebuildProtection: args.protectServer,
        labels,
      },
      {
        ...child,
        // Its name and addresses are free only once the old one is gone.
        deleteBeforeReplace: true,
        protect: args.protectServer,
        // Another image is another server: nobody gets one because a newer image has become the usual one.
        ignoreChanges: args.image === undefined ? ["image"] : [],
      },
    );
    const attachment = new hcloud.VolumeAttachment(
      `${name}-data-attachment`,
      { serverId: server.id.apply(Number), volumeId: volume.id.apply(Number), automount: false },
      // The server's end detaches the volume, after it has been shut down; nothing else should do so before.
      { ...child, deletedWith: server },
    );

    // Of its own /64 a server takes the first address.
    const addresses = { ipv4: ipv4.ipAddress, ipv6: ipv6.ipAddress.apply((network) => `${network}1`) };
    this.addresses = args.ipv6 ? addresses : { ipv4: addresses.ipv4 };
    this.reverseNames(name, settings, { ipv4, ipv6 }, addresses);
    if (args.dnsZone) this.records(name, settings, args.dnsZone);

    const target = pulumi.all([ipv4.ipAddress, hostKey]).apply(([host, { publicKey }]) => ({
      host,
      port: 22,
      user: "root",
      hostKey: publicKey,
      keyFile: args.keyFile,
    }));
    const known = pulumi.unsecret(target);
    this.ssh = known.apply(sshCommandLine);
    const gate = new EngineGate(
      `${name}-ready`,
      {
        target: known,
        setsItselfUp: true,
        timeout: args.timeout,
        // A larger volume wants its file system grown; a server of another type starts anew.
        occasions: [server.id, volume.size.apply(String), server.serverType],
      },
      { ...child, dependsOn: [attachment] },
    );
    this.engine = sshEngine(`${name}-engine`, known, { ...child, dependsOn: gate });
    this.tie = tieTo(server, volume, kept);
    this.registerOutputs({});
  }

  private reverseNames(
    name: string,
    settings: Settings,
    ips: { ipv4: hcloud.PrimaryIp; ipv6: hcloud.PrimaryIp },
    addresses: { ipv4: pulumi.Input<string>; ipv6: pulumi.Input<string> },
  ): void {
    const [tracker] = [...settings.udpTrackers, ...settings.httpTrackers];
    for (const type of ["ipv4", "ipv6"] as const)
      new hcloud.Rdns(
        `${name}-${type}-name`,
        {
          primaryIpId: ips[type].id.apply(Number),
          ipAddress: addresses[type],
          dnsPtr: tracker!.domain,
        },
        { parent: this },
      );
  }

  /** The records of every name that is in a zone. */
  private records(name: string, settings: Settings, zone: string): void {
    const child = { parent: this };
    const { ipv4 = "", ipv6 } = this.addresses;
    // Which records there are does not depend on the addresses, only what they hold.
    const planned = dnsRecords(settings, { ipv4: "ipv4", ipv6: ipv6 && "ipv6" });
    for (const { name: domain, type, value } of planned.filter((record) => isInZone(record.name, zone))) {
      const relative = domain === zone ? "@" : domain.slice(0, -zone.length - 1);
      const resource = `${name}-${domain}-${type.toLowerCase()}`;
      // Others may have texts of their own under the same name.
      if (type === "TXT")
        new hcloud.ZoneRecord(resource, { zone, name: relative, type, value: quotedText(value) }, child);
      else
        new hcloud.ZoneRrset(
          resource,
          { zone, name: relative, type, ttl: 300, records: [{ value: type === "A" ? ipv4 : ipv6! }] },
          child,
        );
    }
  }
}

/** A key that is a text is brought along, any other is the name of one that is there. */
function sshKey(
  name: string,
  machine: string,
  key: string,
  labels: Record<string, string>,
  parent: pulumi.Resource,
): pulumi.Input<string> {
  const [, blob, ...comment] = key.split(" ");
  if (blob === undefined) return key;
  const role = comment.join(" ") || blob.slice(-12);
  return new hcloud.SshKey(
    `${name}-${role}`,
    { name: `${machine} ${role}`, publicKey: key, labels },
    { parent },
  ).id;
}

/**
 * A server that takes another's place has an engine without anything in it, so all that was on the old one is made anew;
 * there is nothing left to delete. Docker's volumes lie on the data volume, and come and go with that.
 */
function tieTo(
  server: hcloud.Server,
  volume: hcloud.Volume,
  keepVolumes: boolean,
): pulumi.ResourceTransformation {
  return ({ type, props, opts }) => {
    if (!type.startsWith("docker:")) return undefined;
    const machine = type === "docker:index/volume:Volume" ? volume : server;
    const tied: pulumi.CustomResourceOptions = {
      replacementTrigger: machine.id,
      deletedWith: machine,
      deleteBeforeReplace: true,
    };
    // What protects them is the data volume's own protection: one of their own would also hold on to the server.
    const volumes = machine === volume ? { protect: false, retainOnDelete: keepVolumes } : {};
    return { props, opts: { ...opts, ...tied, ...volumes } };
  };
}
