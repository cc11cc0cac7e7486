import { stringify } from "yaml";

import type { SshKeyPair } from "./ssh-key";

export interface CloudInitModel {
  /** The key by which the machine proves who it is, from its first connection on. */
  readonly hostKey: SshKeyPair;
  /** Block device of the data volume, by its id: `/dev/disk/by-id/scsi-0HC_Volume_4711`. */
  readonly volumeDevice: string;
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
export function renderCloudInit({ hostKey, volumeDevice }: CloudInitModel): string {
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
      file(dataVolumeCommand, dataVolumeScript(volumeDevice), "0755"),
      file("/etc/modules-load.d/torrust.conf", "nf_conntrack\n"),
      file("/etc/modprobe.d/torrust.conf", "options nf_conntrack hashsize=262144\n"),
      file("/etc/sysctl.d/90-torrust.conf", sysctls),
      file("/etc/apt/apt.conf.d/52torrust-upgrades", upgrades),
      file(setupCommand, setupScript, "0755"),
    ],
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

/** Docker takes every folder beside its volumes for one of them, lost+found too: hence the folder inside the volume. */
function dataVolumeScript(device: string): string {
  return `\
#!/bin/sh
set -eu
device=${device}
mount=/srv/torrust
volumes=/var/lib/docker/volumes

# The volume is attached after the server has been made.
waited=0
until [ -b "$device" ]; do
  if [ "$waited" -ge 600 ]; then
    echo "The data volume is not attached: there is no $device." >&2
    exit 1
  fi
  sleep 1
  waited=$((waited + 1))
done

if mountpoint -q "$mount"; then
  resize2fs "$device" || echo "The file system takes the volume's new size when the machine starts again." >&2
else
  found=0
  blkid --probe "$device" >/dev/null || found=$?
  case $found in
    0)
      e2fsck -f -p "$device" || [ $? -eq 1 ]
      resize2fs "$device"
      ;;
    2) mkfs.ext4 -q -m 0 -L torrust "$device" ;;
    *)
      echo "What is on $device cannot be told (blkid: $found); it is left as it is." >&2
      exit 1
      ;;
  esac
  mkdir -p "$mount"
  mount -o noatime "$device" "$mount"
fi

if ! mountpoint -q "$volumes"; then
  mkdir -p "$mount/volumes" "$volumes"
  chmod 0701 "$mount/volumes"
  mount --bind "$mount/volumes" "$volumes"
fi
`;
}

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

/** One script, because cloud-init reports the failure of the last command only. */
const setupScript = `\
#!/bin/sh
set -eu
passwd --lock root
systemctl daemon-reload
systemctl try-reload-or-restart ssh
systemctl enable docker
systemctl restart docker
docker info >/dev/null
sysctl --system >/dev/null
systemctl enable --now systemd-timesyncd unattended-upgrades
mkdir -p ${readyFile.slice(0, readyFile.lastIndexOf("/"))}
touch ${readyFile}
`;
