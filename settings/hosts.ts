import { isIP, isIPv4, isIPv6 } from "node:net";
import { z } from "zod";

import { mostUdpRules, portRanges } from "../configs/firewall-ports";
import type { Problem } from "./problems";

/** What lets people and programs log in at a host over SSH. */
interface SshAccess {
  /** Private key file on the deploying machine; absent: the SSH agent's keys and ssh's own choice. */
  readonly keyFile?: string;
  /** Seconds until a host that does not become ready counts as failed. */
  readonly timeout: number;
}

/** A Docker host that is there already. */
export interface SshHostSettings extends SshAccess {
  readonly kind: "ssh";
  /** Name or address. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Type and key, as in the host's /etc/ssh/ssh_host_*_key.pub, without the comment. */
  readonly hostKey: string;
  /** Public addresses of the host. */
  readonly ipv4: string;
  readonly ipv6?: string;
}

/** A machine of one's own on Hetzner Cloud. */
export interface HetznerSettings extends SshAccess {
  readonly kind: "hetzner";
  readonly serverType: string;
  readonly location: string;
  /** Absent: a new server has the newest that is known to do, and one that is there keeps its own. */
  readonly image?: string;
  /** Public keys that may log in, or names of keys that the Hetzner project has already. */
  readonly sshKeys: readonly string[];
  /** CIDR. */
  readonly sshAllowedFrom: readonly string[];
  /** DNS zone of the same Hetzner project in which the records are made. */
  readonly dnsZone?: string;
  /** GB. */
  readonly volumeSize: number;
  /** The server refuses to be deleted or replaced. */
  readonly protectServer: boolean;
}

/** Where the stack runs. */
export type HostSettings = { readonly kind: "local" } | SshHostSettings | HetznerSettings;

export const targets = ["local", "ssh", "hetzner"] as const;
export type Target = (typeof targets)[number];

// ---- one value at a time

const text = (pattern: RegExp, rule: string) =>
  z.string({ error: quoting(rule) }).regex(pattern, { error: quoting(rule) });
const whole = (min: number, max: number, rule: string) =>
  z
    .int({ error: quoting(rule) })
    .min(min, { error: quoting(rule) })
    .max(max, { error: quoting(rule) });
const flag = z.boolean({ error: quoting("is neither true nor false.") });

const publicKey = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+|sk-\S+@openssh\.com) [A-Za-z0-9+/]+={0,3}( .*)?$/;

const sshKey = z
  .string({ error: quoting("is no text. Write a public key such as ssh-ed25519 AAAA… me@laptop.") })
  .superRefine((key, context) => {
    if (key.includes("PRIVATE KEY"))
      context.addIssue({
        code: "custom",
        message: "is a private key. Write the public one, from the file ending in .pub.",
      });
    else if (!publicKey.test(key) && !/^[\w.@+-]+$/.test(key))
      context.addIssue({
        code: "custom",
        message: `${quote(key)} is no public key (ssh-ed25519 AAAA… me@laptop), nor the name of one in the Hetzner project.`,
      });
  });

const network = z
  .string({ error: quoting("is no text. Write addresses in CIDR form, such as 203.0.113.7/32.") })
  .refine(isCidr, {
    error: quoting("is no address in CIDR form. Write one such as 203.0.113.7/32 or 2001:db8::/64."),
  });

function isCidr(value: string): boolean {
  const [address = "", bits = "", ...more] = value.split("/");
  const longest = isIPv4(address) ? 32 : isIPv6(address) ? 128 : -1;
  return more.length === 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= longest;
}

const hostKey = z
  .string({ error: quoting("is no text. Write it as in the host's /etc/ssh/ssh_host_ed25519_key.pub.") })
  .regex(publicKey, {
    error: quoting("is no public key. Write it as in the host's /etc/ssh/ssh_host_ed25519_key.pub."),
  })
  .transform((key) => key.split(" ").slice(0, 2).join(" "));

/** Config `hetzner`. Which of its keys must be there is a rule, because it need not be there at all. */
export const hetznerSchema = z.strictObject({
  serverType: text(/^[a-z]+\d+[a-z]*$/, "is no server type. Write one such as cx23 or cax11.").default(
    "cx23",
  ),
  location: text(
    /^[a-z]{3,4}\d?$/,
    "is no location. Write one such as fsn1, nbg1, hel1, ash, hil or sin.",
  ).default("nbg1"),
  image: text(
    /^[a-z0-9][a-z0-9.-]*$/,
    "is no image. Write one such as debian-13 or ubuntu-24.04.",
  ).optional(),
  sshKeys: z.array(sshKey, { error: "is no list. Write a list of public keys." }).default([]),
  sshAllowedFrom: z
    .array(network, { error: "is no list. Write a list of addresses in CIDR form." })
    .default([]),
  sshOpenToWorld: flag.default(false),
  dnsZone: text(/^[a-z0-9-]+(\.[a-z0-9-]+)+$/, "is no DNS zone. Write one such as example.org.").optional(),
  volumeSize: whole(10, 10240, "is no size. Write GB from 10 to 10240.").default(10),
  protectServer: flag.optional(),
});

/** Config `ssh`. */
export const sshHostSchema = z.strictObject({
  host: text(
    /^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$/,
    "is no host. Write its name or address.",
  ).optional(),
  port: whole(1, 65535, "is no port. Write a port from 1 to 65535.").default(22),
  user: text(/^[a-z_][a-z0-9_-]*$/, "is no user. Write one such as root.").default("root"),
  hostKey: hostKey.optional(),
  ipv4: z
    .string({ error: quoting("is no IPv4 address.") })
    .refine(isIPv4, { error: quoting("is no IPv4 address.") })
    .optional(),
  ipv6: z
    .string({ error: quoting("is no IPv6 address.") })
    .refine(isIPv6, { error: quoting("is no IPv6 address.") })
    .optional(),
});

/** Keys of the two objects, for hints. */
export const hostKeys: Readonly<Record<string, readonly string[]>> = {
  hetzner: Object.keys(hetznerSchema.shape),
  ssh: Object.keys(sshHostSchema.shape),
};

/** Config `sshKeyFile`. ssh itself knows what ~ is; a relative path would depend on who starts it where. */
export const sshKeyFileSchema = z
  .string()
  .refine((path) => path === "" || /^(~\/|\/)[^\s%"'\\]+$/.test(path), {
    error: quoting("is no absolute path without blanks. Write one such as ~/.ssh/id_ed25519."),
  })
  .refine((path) => !path.endsWith(".pub"), {
    error: quoting("is a public key. Write the private one's path, which has no .pub."),
  });

// ---- all of it together

/** What of the configuration is about the host. */
export interface HostConfig {
  readonly target: Target;
  readonly hetzner: z.output<typeof hetznerSchema>;
  readonly ssh: z.output<typeof sshHostSchema>;
  readonly sshKeyFile: string;
  readonly hostTimeout: number;
  readonly protectData: boolean;
}

/** What is missing or contradicts itself, given the chosen target. */
export function hostProblems(config: Pick<HostConfig, "target" | "hetzner" | "ssh">): Problem[] {
  switch (config.target) {
    case "local":
      return [];
    case "ssh":
      return sshProblems(config.ssh);
    case "hetzner":
      return hetznerProblems(config.hetzner);
  }
}

function sshProblems({ host, hostKey, ipv4 }: HostConfig["ssh"]): Problem[] {
  const problems: Problem[] = [];
  if (host === undefined)
    problems.push({
      path: "ssh.host",
      message: "is missing. Run: pulumi config set --path ssh.host tracker.example.org",
    });
  if (hostKey === undefined)
    problems.push({
      path: "ssh.hostKey",
      message:
        "is missing, without which nobody could tell whether it is that host. Write what the host itself says: cat /etc/ssh/ssh_host_ed25519_key.pub",
    });
  if (host !== undefined && !isIPv4(host) && ipv4 === undefined)
    problems.push({
      path: "ssh.ipv4",
      message: `is missing. Write the public IPv4 address of ${host}: pulumi config set --path ssh.ipv4 203.0.113.7`,
    });
  return problems;
}

function hetznerProblems({ sshKeys, sshAllowedFrom, sshOpenToWorld }: HostConfig["hetzner"]): Problem[] {
  const problems: Problem[] = [];
  if (sshKeys.length === 0)
    problems.push({
      path: "hetzner.sshKeys",
      message:
        "has no key with which to log in. Run: pulumi config set --path 'hetzner.sshKeys[0]' \"$(cat ~/.ssh/id_ed25519.pub)\"",
    });
  if (sshAllowedFrom.length === 0)
    problems.push({
      path: "hetzner.sshAllowedFrom",
      message:
        "has no address from which SSH is allowed, not even yours. Run: pulumi config set --path 'hetzner.sshAllowedFrom[0]' \"$(curl -4 -s https://ifconfig.co)/32\"",
    });
  const world = sshAllowedFrom.findIndex((range) => range.endsWith("/0"));
  if (world >= 0 && !sshOpenToWorld)
    problems.push({
      path: `hetzner.sshAllowedFrom[${world}]`,
      message: `"${sshAllowedFrom[world]}" opens SSH to the world. Write your own network, or say that you mean it: pulumi config set --path hetzner.sshOpenToWorld true`,
    });
  return problems;
}

/** TCP ports that cannot be published, because sshd has them. */
export function sshPort({ target, ssh }: Pick<HostConfig, "target" | "ssh">): number | undefined {
  return target === "local" ? undefined : target === "ssh" ? ssh.port : 22;
}

/** The firewall of the host takes so many rules only; ports in a row need but one. */
export function firewallProblems(
  { target }: Pick<HostConfig, "target">,
  udpPorts: readonly number[],
): Problem[] {
  const ranges = portRanges(udpPorts);
  if (target !== "hetzner" || ranges.length <= mostUdpRules) return [];
  return [
    {
      path: "udpTrackers",
      message: `would need ${ranges.length} rules in Hetzner's firewall, which has room for ${mostUdpRules}. Choose ports in a row, such as 6969, 6970, 6971: they need one rule.`,
    },
  ];
}

/** A zone that none of the names is in makes no record. */
export function zoneProblems(
  { target, hetzner }: Pick<HostConfig, "target" | "hetzner">,
  domains: readonly string[],
): Problem[] {
  const zone = hetzner.dnsZone;
  if (target !== "hetzner" || zone === undefined || domains.some((domain) => isInZone(domain, zone)))
    return [];
  return [
    {
      path: "hetzner.dnsZone",
      message: `"${zone}" holds none of the stack's names (${domains.join(", ")}). Write the zone that they are in.`,
    },
  ];
}

export function isInZone(domain: string, zone: string): boolean {
  return domain === zone || domain.endsWith(`.${zone}`);
}

/** The token of Hetzner's API is the provider's configuration, not the program's: all that matters here is that it is there. */
export function tokenProblems(target: string | undefined, token: string | undefined): Problem[] {
  if (target !== "hetzner" || token) return [];
  return [
    {
      path: "hcloud:token",
      message:
        "is missing. Make one in the Hetzner project (Security, API tokens, read and write), then run: pulumi config set --secret hcloud:token",
    },
  ];
}

export function completeHost(config: HostConfig): HostSettings {
  const access: SshAccess = { keyFile: config.sshKeyFile || undefined, timeout: config.hostTimeout };
  switch (config.target) {
    case "local":
      return { kind: "local" };
    case "ssh": {
      const { host = "", hostKey = "", ipv4 = host, ...rest } = config.ssh;
      return { kind: "ssh", ...rest, host, hostKey, ipv4, ...access };
    }
    case "hetzner": {
      const { sshOpenToWorld: _, protectServer = config.protectData, ...rest } = config.hetzner;
      return { kind: "hetzner", ...rest, protectServer, ...access };
    }
  }
}

/** Whether a name is one, and so can have records. */
export function hasRecords(domain: string): boolean {
  return isIP(domain) === 0 && domain.includes(".");
}

function quoting(rule: string) {
  return ({ input }: { input?: unknown }) =>
    input === undefined ? `is missing. ${rule}` : `${quote(input)} ${rule}`;
}

function quote(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 80 ? `${shown.slice(0, 77)}…` : shown;
}
