import { createHash } from "node:crypto";

import type { Backend, ResourceRequest } from "./monitor";
import { reveal, SecretValue } from "./secrets";

/**
 * Makes up plausible identifiers and outputs, the same each time: for `npm run plan` and for tests of the program.
 * What a provider would generate in secret is a recognisable placeholder.
 */
export const planBackend: Backend = {
  async create(resource) {
    return { id: plannedId(resource), state: plannedState(resource) };
  },
};

function plannedId({ type, urn, inputs }: ResourceRequest): string {
  const digest = digestOf(urn);
  if (type.startsWith("docker:index/volume:")) return plainText(inputs.name) ?? digest.slice(0, 12);
  if (type.startsWith("hcloud:")) return plannedNumber(urn);
  if (type.startsWith("pulumi:providers:"))
    return `${digest.slice(0, 8)}-0000-4000-8000-${digest.slice(8, 20)}`;
  return type.startsWith("docker:") ? digest : digest.slice(0, 12);
}

/** Hetzner's identifiers are numbers. */
function plannedNumber(urn: string): string {
  return String(1_000_000 + (parseInt(digestOf(urn).slice(0, 8), 16) % 9_000_000));
}

function plannedState({ type, name, urn, inputs }: ResourceRequest): Record<string, unknown> {
  const digest = digestOf(urn);
  const named = { name: inputs.name ?? `${name}-${digest.slice(0, 7)}` };
  const octet = 1 + (parseInt(digest.slice(0, 2), 16) % 254);
  switch (type) {
    case "docker:index/remoteImage:RemoteImage":
      // The reference instead of an invented digest, so that a plan shows which image a container runs.
      return { imageId: inputs.name ?? name, repoDigest: inputs.name ?? name };
    case "docker:index/network:Network":
      return {
        ...named,
        driver: inputs.driver ?? "bridge",
        scope: "local",
        internal: inputs.internal ?? false,
      };
    case "docker:index/volume:Volume":
      return { ...named, driver: "local", mountpoint: `/var/lib/docker/volumes/${String(named.name)}/_data` };
    case "docker:index/container:Container":
      return {
        ...named,
        hostname: inputs.hostname ?? digest.slice(0, 12),
        networkDatas: networkDatas(inputs),
      };
    case "random:index/randomPassword:RandomPassword":
      return generatedSecret(name, digest, Number(reveal(inputs.length) ?? 32), ["result", "bcryptHash"]);
    case "random:index/randomString:RandomString":
      return generatedSecret(name, digest, Number(reveal(inputs.length) ?? 32), ["result"]);
    case "random:index/randomBytes:RandomBytes":
      return randomBytes(digest, Number(reveal(inputs.length) ?? 32));
    case "hcloud:index/server:Server":
      return {
        ...named,
        ipv4Address: `192.0.2.${octet}`,
        ipv6Address: `2001:db8:${digest.slice(0, 4)}::1`,
        ipv6Network: `2001:db8:${digest.slice(0, 4)}::/64`,
        status: "running",
      };
    case "hcloud:index/primaryIp:PrimaryIp":
    case "hcloud:index/floatingIp:FloatingIp":
      return {
        ...named,
        ipAddress: inputs.type === "ipv6" ? `2001:db8:${digest.slice(0, 4)}::` : `192.0.2.${octet}`,
        ipNetwork: inputs.type === "ipv6" ? `2001:db8:${digest.slice(0, 4)}::/64` : "",
      };
    case "hcloud:index/volume:Volume":
      return { ...named, linuxDevice: `/dev/disk/by-id/scsi-0HC_Volume_${plannedNumber(urn)}` };
    default:
      return type.startsWith("docker:") || type.startsWith("hcloud:") ? named : {};
  }
}

/** Placeholder of the asked length that names its resource, letters, digits and hyphens only. */
function generatedSecret(
  name: string,
  digest: string,
  length: number,
  outputs: readonly string[],
): Record<string, unknown> {
  const long = `generated-${name.replace(/[^A-Za-z0-9]+/g, "-")}-${digest}${digest}${digest}${digest}`;
  const value = long.slice(0, Math.max(1, length));
  return Object.fromEntries(outputs.map((output) => [output, new SecretValue(value)]));
}

/** Bytes have to be such as can be decoded. */
function randomBytes(digest: string, length: number): Record<string, unknown> {
  const bytes = Buffer.alloc(length, digest, "hex");
  return { base64: new SecretValue(bytes.toString("base64")), hex: new SecretValue(bytes.toString("hex")) };
}

function networkDatas(inputs: ResourceRequest["inputs"]): unknown[] {
  const networks = reveal(inputs.networksAdvanced);
  if (!Array.isArray(networks)) return [];
  return networks.map((network: Record<string, unknown>) => ({
    networkName: network.name,
    ipAddress: network.ipv4Address ?? "",
    globalIpv6Address: network.ipv6Address ?? "",
  }));
}

function plainText(value: unknown): string | undefined {
  const plain = reveal(value);
  return typeof plain === "string" && plain !== "" ? plain : undefined;
}

function digestOf(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
