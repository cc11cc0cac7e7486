import { randomBytes } from "node:crypto";

import { fail, knownLimit, pass, type Check, type Context, type Outcome } from "./check";
import { buildClientHello } from "./client-hello";
import { hostPort, networkError, openTcp, openTls } from "./net";
import { handshakeId, limitsPage } from "./tls";
import { listeners, type WebTarget } from "./targets";

/** Milliseconds that another client is given while one stalls; a slow connection gets five times its handshake. */
const patience = { least: 1500, most: 4000 };

/**
 * Whether a client that stalls in the TLS handshake keeps others out. Where it does, as with a Pingoo that has one listener
 * and no guard, it keeps everybody out while the check lasts: 4 seconds at most, and it runs alone.
 */
export function stalledChecks({ targets }: Context): Check[] {
  return listeners(targets).map((target) => ({
    kind: "exposure.stalled-handshake",
    target: hostPort(target.host, target.port),
    topic: "Exposure",
    name: "stalled handshake",
    expected: "a client that stalls in the TLS handshake does not keep others out",
    remedy:
      "One idle connection takes the listener down: put something in front of it that ends slow handshakes.",
    needs: [handshakeId(target)],
    alone: true,
    run: (signal) => checkStalled(target, signal),
  }));
}

async function checkStalled(target: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const usual = await handshake(target, 8000, signal);
  const wait = Math.min(patience.most, Math.max(patience.least, 5 * usual));
  const staller = await openTcp(target, 4000, signal);
  let during: number | undefined;
  try {
    staller.on("error", () => undefined);
    // Half a ClientHello: as far as the server can tell, the rest is on its way.
    const hello = buildClientHello({ serverName: target.host, version: "1.3", random: randomBytes });
    staller.write(hello.subarray(0, hello.length >> 1));
    // Time for the server to take the staller up before the next client comes.
    await new Promise((resolve) => setTimeout(resolve, 100 + usual));
    during = await handshake(target, wait, signal).catch((error: unknown) => {
      if (networkError(error).kind === "timeout") return undefined;
      throw error;
    });
  } finally {
    staller.destroy();
  }
  if (during !== undefined) return pass(`another client got in after ${Math.round(during)} ms`);
  const after = await handshake(target, 5000, signal).catch(() => undefined);
  const seen = `others waited for ${(wait / 1000).toFixed(1)} s or more`;
  if (after === undefined) return fail(`${seen}, and still do after the staller left`);
  if (target.terminator === "nginx") return fail(seen);
  return knownLimit(
    `${seen} while one client stalled: Pingoo shakes hands one at a time`,
    limitsPage,
    "Give it more listeners and a guard that ends such connections: pulumi config set pingooListeners 128",
  );
}

/** Milliseconds that a handshake took. @throws {NetworkError} */
async function handshake(target: WebTarget, timeout: number, signal: AbortSignal): Promise<number> {
  const since = performance.now();
  (await openTls(target, {}, timeout, signal)).destroy();
  return performance.now() - since;
}
