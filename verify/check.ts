import type { SecureContext } from "node:tls";

import { NetworkError, networkError } from "./net";
import type { Targets } from "./targets";

/**
 * `known-limit`: a shortcoming of upstream software that is known and documented; it does not fail a run. `skip`: could
 * not be tried, and `seen` says why.
 */
export type Status = "pass" | "fail" | "known-limit" | "skip";

/** What checks of one thing are about; the sections of the table. */
export const topics = [
  "TLS",
  "API",
  "HTTP tracker",
  "UDP tracker",
  "Grafana",
  "Prometheus",
  "Exposure",
] as const;
export type Topic = (typeof topics)[number];

/** What a check found. */
export interface Outcome {
  readonly status: Status;
  readonly seen: string;
  /** Replaces the check's own, where it depends on what was found. */
  readonly remedy?: string;
  /** Where a known limit is tracked. */
  readonly link?: string;
}

/** One thing that is tried. */
export interface Check {
  /** What is tried, e.g. `tls.certificate`; stable. */
  readonly kind: string;
  /** On what, e.g. `api.example.org:443`. */
  readonly target: string;
  readonly topic: Topic;
  /** For people, e.g. `certificate`. */
  readonly name: string;
  /** The evaluation's experiment that it repeats or completes, 1 to 4. */
  readonly experiment?: 1 | 2 | 3 | 4;
  readonly expected: string;
  /** What to do when it fails. */
  readonly remedy: string;
  /** Checks that must have passed, else this one is skipped: what they tried would fail here too. */
  readonly needs?: readonly string[];
  /** Runs after all others, by itself. */
  readonly alone?: boolean;
  /** Milliseconds. Default: 20 000. */
  readonly timeout?: number;
  /** Throws or returns; what it throws is a failure with the message as `seen`. */
  run(signal: AbortSignal): Promise<Outcome>;
}

/** Unique name of a check: kind and target. */
export function checkId({ kind, target }: Pick<Check, "kind" | "target">): string {
  return `${kind}:${target}`;
}

export const pass = (seen: string): Outcome => ({ status: "pass", seen });
export const fail = (seen: string, remedy?: string): Outcome => ({ status: "fail", seen, remedy });
export const skip = (seen: string): Outcome => ({ status: "skip", seen });
export const knownLimit = (seen: string, link: string, remedy?: string): Outcome => ({
  status: "known-limit",
  seen,
  link,
  remedy,
});

/** What an error means as an outcome. */
export function failure(error: unknown): Outcome {
  return fail(error instanceof NetworkError ? error.message : networkError(error).message);
}

/** What all checks share in one run. */
export interface Context {
  readonly targets: Targets;
  /** Holds the certificates to trust; undefined: the public ones. */
  readonly trust?: SecureContext;
  /** Also what takes a minute. */
  readonly long: boolean;
  readonly resolver: NameResolver;
  /** Whether this machine could reach an IPv6 address. */
  readonly hasIpv6For: (address: string) => boolean;
  /** Further secrets that turned up on the way, e.g. a session's cookie: masked in the report. */
  readonly secret: (text: string) => void;
  /** Takes something back when the checks are over; errors are passed over. `last`: what the others still need. */
  readonly atEnd: (cleanUp: (signal: AbortSignal) => Promise<unknown>, last?: "last") => void;
}

/** The part of `dns.promises.Resolver` that is used. */
export interface NameResolver {
  resolve4(name: string): Promise<string[]>;
  resolve6(name: string): Promise<string[]>;
}

/** The promise of the first call, for work that several checks share. */
export function once<T>(work: (signal: AbortSignal) => Promise<T>): (signal: AbortSignal) => Promise<T> {
  let promise: Promise<T> | undefined;
  return (signal) => (promise ??= work(signal));
}
