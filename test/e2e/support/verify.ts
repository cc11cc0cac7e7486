import { expect } from "vitest";

import { readTargets, verify } from "../../../commands/verify";
import { eventually, type Outputs } from "./engine";

/**
 * Waits until `npm run verify` finds nothing wrong with a stack; a scrape that a restart cut short is forgiven.
 *
 * @param ca CA certificate of the stack's ACME server
 */
export async function expectVerified(outputs: Outputs, ca?: string): Promise<void> {
  await eventually(async () => expect(await failedChecks(outputs, ca)).toEqual([]));
}

/** A line for each check that failed. */
async function failedChecks(outputs: Outputs, ca?: string): Promise<string[]> {
  const trust = ca ? [ca] : undefined;
  // The names exist in no DNS.
  const skip = ["dns"];
  const { checks } = await verify({ targets: readTargets(outputs), trust, skip });
  if (!checks.some(({ status }) => status === "pass")) throw new Error("verify has tried nothing");
  return checks
    .filter(({ status }) => status === "fail")
    .map(({ id, expected, seen }) => `${id}: expected ${expected}, seen ${seen}`);
}
