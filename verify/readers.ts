import { isIP } from "node:net";

import { nearest } from "../settings/nearest";

/** Readers of outputs and flags: each returns undefined for what is absent or reported. */

/** Takes a problem down. */
export type Report = (path: string, message: string) => undefined;
/** As `URL` names a scheme. */
export type Protocol = "https:" | "http:" | "udp:";
/** Where a URL or flag leads. */
export interface Located {
  readonly host: string;
  readonly port: number;
  readonly pathname: string;
  readonly protocol: Protocol;
}

const impliedPorts: Readonly<Partial<Record<Protocol, number>>> = { "https:": 443, "http:": 80 };

export function asObject(value: unknown, path: string, problem: Report): Readonly<Record<string, unknown>> {
  if (value === undefined || value === null) return {};
  if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
  problem(path, "must be an object.");
  return {};
}

export function readList(value: unknown, path: string, problem: Report): readonly unknown[] {
  if (value === undefined || value === null) return [];
  if (Array.isArray(value)) return value;
  problem(path, "must be a list of URLs.");
  return [];
}

export function readUrl(
  value: unknown,
  path: string,
  protocols: readonly Protocol[],
  problem: Report,
): Located | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string" || !URL.canParse(value)) return problem(path, "must be a URL.");
  const url = new URL(value);
  const protocol = protocols.find((known) => known === url.protocol);
  if (!protocol)
    return problem(
      path,
      `must begin with ${protocols.map((known) => `${known}//`).join(" or ")}, not ${url.protocol}//.`,
    );
  if (url.username || url.password) return problem(path, "must not carry a user or password.");
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const port = url.port === "" ? impliedPorts[protocol] : Number(url.port);
  if (!port || host === "") return problem(path, "names no host and port.");
  return { host, port, pathname: url.pathname, protocol };
}

const hostPattern =
  /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/;

export function readDomain(
  text: string,
  path: string,
  defaultPort: number,
  problem: Report,
): Located | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:]*))(?::(\d+))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2] ?? "";
  if (!match || (isIP(host) === 0 && !hostPattern.test(host)))
    return problem(path, `${JSON.stringify(text)} is no host name in lower case, like tracker.example.org.`);
  const port = match[3] === undefined ? defaultPort : readPort(match[3], path, problem);
  return port === undefined ? undefined : { host, port, pathname: "/", protocol: "https:" };
}

export function readPort(text: string | undefined, path: string, problem: Report): number | undefined {
  if (text === undefined) return undefined;
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  return port >= 1 && port <= 65535
    ? port
    : problem(path, `${JSON.stringify(text)} is no port from 1 to 65535.`);
}

export function splitList(text: string): string[] {
  return text
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "");
}

export function readIssuer(
  value: unknown,
  path: string,
  problem: Report,
): "none" | "letsencrypt" | "letsencrypt-staging" | "directory" | undefined {
  switch (value) {
    case undefined:
    case null:
      return undefined;
    case "none":
    case "letsencrypt":
    case "letsencrypt-staging":
      return value;
    default:
      if (typeof value === "string" && URL.canParse(value) && new URL(value).protocol === "https:")
        return "directory";
      return problem(
        path,
        `${JSON.stringify(value)} is none of none, letsencrypt, letsencrypt-staging or an https:// directory.`,
      );
  }
}

/** What is there, each host and port once. */
export function present<T extends { readonly host: string; readonly port: number }>(
  items: readonly (T | undefined)[],
): T[] {
  const there = items.filter((item) => item !== undefined);
  return there.filter(
    (item, index) => there.findIndex(({ host, port }) => host === item.host && port === item.port) === index,
  );
}

export function readOneOf<T extends string>(
  value: unknown,
  path: string,
  known: readonly T[],
  problem: Report,
): T | undefined {
  if (value === undefined || value === null) return undefined;
  const found = known.find((candidate) => candidate === value);
  if (found) return found;
  const near = typeof value === "string" ? nearest(value, known) : undefined;
  return problem(
    path,
    `${JSON.stringify(value)} is none of ${known.join(", ")}.${near ? ` Did you mean ${near}?` : ""}`,
  );
}

export function readSecret(value: unknown, path: string, problem: Report): string | undefined {
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") return problem(path, "must be a text.");
  if (value === "[secret]")
    return problem(path, "is hidden. Write the outputs with `pulumi stack output --json --show-secrets`.");
  return value;
}
