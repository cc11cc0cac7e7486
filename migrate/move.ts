import { join } from "node:path";

import { unpack } from "../docker/archive";
import { absentWhen } from "../docker/calls";
import { containersOf, type StackEngine } from "../docker/stack";
import { CommandError } from "../terminal/terminal";
import {
  daysLeft,
  describeChain,
  findCandidates,
  judge,
  renewalDays,
  type Usable,
  type Verdict,
} from "./certificates";
import { openVolume } from "./volume";

export interface MigrateOptions {
  readonly engine: StackEngine;
  /** An image that the engine has or can pull. */
  readonly image: string;
  /** Holds what `findCandidates` looks for. */
  readonly folder: string;
  readonly domains: readonly string[];
  readonly acme: string;
  readonly apply: boolean;
  readonly replace: boolean;
  /** @default now */
  readonly now?: Date;
}

/** What became of a domain, or would. */
export interface Migrated {
  readonly domain: string;
  readonly action: "moved" | "kept" | "refused";
  readonly detail: string;
}

/**
 * Puts a folder's certificates where Pingoo looks for them when it starts, `<domain>.pem` and `<domain>.key`, and starts
 * it again if it runs. What was there is kept as `<domain>.*.before`.
 */
export async function migrateCertificates(options: MigrateOptions): Promise<Migrated[]> {
  const { engine, image, folder, domains, acme, apply, replace, now = new Date() } = options;
  const verdicts = judge(domains, findCandidates(folder), { now, acme });
  const volume = `${engine.prefix}-tls`;
  const exists = (await absentWhen(404, engine.docker.getVolume(volume).inspect())) !== undefined;
  if (!exists && !(apply && verdicts.some(({ use }) => use)))
    return verdicts.map((verdict) => decide(verdict, undefined, replace, now));
  if (!exists)
    await engine.docker.createVolume({
      Name: volume,
      // As the program declares it, so that it takes the volume for its own.
      Labels: { "torrust-pingoo.role": "tls", "torrust-pingoo.stack": engine.prefix },
    });
  const files = await openVolume(engine, volume, image);
  try {
    const results: Migrated[] = [];
    for (const verdict of verdicts) {
      const { domain, use } = verdict;
      const [chain, key] = [await files.read(`${domain}.pem`), await files.read(`${domain}.key`)];
      const result = decide(verdict, chain, replace, now);
      results.push(result);
      if (!apply || result.action !== "moved" || !use) continue;
      const entry = (name: string, text: string, mode: number) => ({
        path: name,
        content: Buffer.from(text),
        mode,
      });
      await files.write([
        ...(chain ? [entry(`${domain}.pem.before`, chain, 0o600)] : []),
        ...(key ? [entry(`${domain}.key.before`, key, 0o600)] : []),
        entry(`${domain}.key`, use.key, 0o600),
        entry(`${domain}.pem`, use.chain, 0o644),
      ]);
    }
    if (apply && results.some(({ action }) => action === "moved")) await restartPingoo(engine);
    return results;
  } finally {
    await files.close();
  }
}

function decide(
  { domain, use, reasons }: Verdict,
  present: string | undefined,
  replace: boolean,
  now: Date,
): Migrated {
  if (!use)
    return {
      domain,
      action: "refused",
      detail: reasons.length > 0 ? reasons.join("; ") : "no certificate for it was found: Pingoo orders one",
    };
  const found = present === undefined ? undefined : describeChain(present);
  if (found?.serial === use.serial) return { domain, action: "kept", detail: "it is there already" };
  if (found && !found.selfSigned && found.expires >= use.expires && !replace)
    return {
      domain,
      action: "kept",
      detail: `Pingoo has one until ${found.expires.toISOString().slice(0, 10)}, the other ends before (--replace takes it all the same)`,
    };
  return { domain, action: "moved", detail: describe(use, now) };
}

function describe({ origin, issuer, expires }: Usable, now: Date): string {
  const left = daysLeft(expires, now);
  const renewal = left < renewalDays ? `, so few that Pingoo orders a new one when it starts` : "";
  return `${origin}, by ${issuer}, until ${expires.toISOString().slice(0, 10)} (${left} days)${renewal}`;
}

/** Pingoo reads certificates when it starts only. */
async function restartPingoo(engine: StackEngine): Promise<void> {
  const pingoo = (await containersOf(engine)).get("pingoo");
  if (pingoo?.State.Running) await engine.docker.getContainer(pingoo.Id).restart({ t: 20 });
}

/**
 * Copies what certbot keeps in a stack's volume.
 *
 * @param image an image that the engine has or can pull
 * @param into  folder that is there
 * @returns where the copy is
 * @throws {CommandError} exit code 2 where nginx never ran in this stack
 */
export async function fetchLineages(engine: StackEngine, image: string, into: string): Promise<string> {
  const volume = `${engine.prefix}-letsencrypt`;
  if (!(await absentWhen(404, engine.docker.getVolume(volume).inspect())))
    throw new CommandError(
      `There is no volume ${volume} on the engine at ${engine.address}: nginx never ran in this stack.`,
      2,
    );
  const files = await openVolume(engine, volume, image);
  try {
    await unpack(await files.archive(), into);
  } finally {
    await files.close();
  }
  return join(into, "volume");
}
