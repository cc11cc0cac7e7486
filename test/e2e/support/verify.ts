import { expect } from "vitest";

import { eventually, type Outputs } from "./engine";
import { failedChecks } from "./failed-checks";

/**
 * Waits until `npm run verify` finds nothing wrong with a stack; a scrape that a restart cut short is forgiven.
 *
 * @param ca CA certificate of the stack's ACME server
 */
export async function expectVerified(outputs: Outputs, ca?: string): Promise<void> {
  await eventually(async () => expect(await failedChecks(outputs, ca)).toEqual([]));
}
