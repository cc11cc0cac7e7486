import { readTargets, verify } from "../../../verify";
import type { Outputs } from "./engine";

/**
 * What `npm run verify` finds wrong with a stack, a line for each check.
 *
 * @param ca CA certificate of the stack's ACME server
 */
export async function failedChecks(outputs: Outputs, ca?: string): Promise<string[]> {
  const trust = ca ? [ca] : undefined;
  // The names exist in no DNS.
  const skip = ["dns"];
  const { checks } = await verify({ targets: readTargets(outputs), trust, skip });
  if (!checks.some(({ status }) => status === "pass")) throw new Error("verify has tried nothing");
  return checks
    .filter(({ status }) => status === "fail")
    .map(({ id, expected, seen }) => `${id}: expected ${expected}, seen ${seen}`);
}
