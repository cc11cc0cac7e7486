import { stringify } from "yaml";

import { renderScript } from "./script";
import type { SshKeyPair } from "./ssh-key";

export interface CloudInitModel {
  /** The key by which the machine proves who it is, from its first connection on. */
  readonly hostKey: SshKeyPair;
  /** Block device of the data volume, by its id: `/dev/disk/by-id/scsi-0HC_Volume_4711`. */
  readonly volumeDevice: string;
  /** Source of a script that runs on the machine. */
  readonly script: (name: "data-volume.sh" | "host-setup.sh") => string;
}

/** Largest user data that Hetzner takes, in bytes. */
export const userDataLimit = 32 * 1024;

/** Exists once the machine has been set up without an error; cloud-init's own status misses some. */
export const readyFile = "/var/lib/torrust-host/ready";

/** Mounts the data volume, formats one that is empty, and grows its file system to the volume's size; can be repeated. */
export const dataVolumeCommand = "/usr/local/sbin/torrust-data-volume";

const setupCommand = "/usr/local/sbin/torrust-host-setup";

/**
 * User data (cloud-config) of a machine that runs Docker and nothing else: engine, data volume, SSH, kernel settings,
 * updates. What the stack's services need is none of its business, because a change of user data replaces the machine.
 */
export function renderCloudInit({ hostKey, volumeDevice, script }: CloudInitModel): string {
  const file = (path: string, content: string, permissions = "0644") => ({ path, permissions, content });
  const config = {
    ssh_deletekeys: true,
    ssh_genkeytypes: ["ed25519"],
    ssh_keys: { ed25519_private: hostKey.privateKey, ed25519_public: hostKey.publicKey },
    ssh_pwauth: false,
    disable_root: false,
    write_files: [
      file("/etc/ssh/sshd_config.d/10-torrust.conf", sshd),
      file("/etc/docker/daemon.json", `${JSON.stringify(dockerDaemon, null, 2)}\n`),
      file("/etc/systemd/system/docker.service.d/10-torrust-data.conf", dockerNeedsData),
      file("/etc/systemd/system/torrust-data.service", dataService),
      file(dataVolumeCommand, renderScript(script("data-volume.sh"), { device: volumeDevice }), "0755"),
      file("/etc/modules-load.d/torrust.conf", "nf_conntrack\n"),
      file("/etc/modprobe.d/torrust.conf", "options nf_conntrack hashsize=262144\n"),
      file("/etc/sysctl.d/90-torrust.conf", sysctls),
      file("/etc/apt/apt.conf.d/52torrust-upgrades", upgrades),
      file(setupCommand, renderScript(script("host-setup.sh")), "0755"),
    ],
    // From Debian 13 on `docker` itself is a package that this one recommends; a package more here would replace each server.
    packages: ["docker.io", "e2fsprogs", "systemd-timesyncd", "unattended-upgrades"],
    runcmd: [[setupCommand]],
  };
  return `#cloud-config\n${stringify(config, { lineWidth: 0 })}`;
}

/** The Docker provider opens a session for each operation; sshd's defaults turn some of them away. */
const sshd = `\
HostKey /etc/ssh/ssh_host_ed25519_key
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AuthenticationMethods publickey
X11Forwarding no
LoginGraceTime 30
MaxStartups 200:30:400
MaxSessions 100
`;

/** No log options: together with the containers' own they would make every preview show a difference. */
const dockerDaemon = {
  // Docker before 27 counts ip6tables among its experiments. Without it UDP over IPv6 reaches no container.
  experimental: true,
  ip6tables: true,
};

/** An engine without the volume would start with no data and let the services make new ones. */
const dockerNeedsData = `\
[Unit]
Requires=torrust-data.service
After=torrust-data.service
`;

const dataService = `\
[Unit]
Description=Data volume of the Docker engine
Before=docker.service

[Service]
Type=oneshot
RemainAfterExit=yes
TimeoutStartSec=15min
ExecStart=${dataVolumeCommand}
`;

/** A UDP client's two packets would otherwise fill the table of connections for minutes. Errors: not settable in a container. */
const sysctls = `\
-net.netfilter.nf_conntrack_max = 1048576
-net.netfilter.nf_conntrack_udp_timeout = 10
-net.netfilter.nf_conntrack_udp_timeout_stream = 15
-net.ipv6.conf.all.forwarding = 1
`;

const upgrades = `\
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Automatic-Reboot "true";
Unattended-Upgrade::Automatic-Reboot-Time "04:00";
`;
