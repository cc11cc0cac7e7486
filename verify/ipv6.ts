import { isIP } from "node:net";

import { guarded } from "./access";
import { checkId, fail, pass, skip, type Check, type Context, type Outcome } from "./check";
import { fetchHttp, fetchHttps } from "./http";
import { judgeAddress, readPeers, Swarm } from "./http-tracker";
import { hostPort, openTls } from "./net";
import { handshakeId } from "./tls";
import type { HttpTrackerTarget, WebTarget } from "./targets";

const timeout = 8000;

/**
 * What is served over IPv4 is served over IPv6 too, where the deployment has it: perhaps by another program, so each
 * endpoint is tried anew. Where it is reached over IPv6 alone, all the other checks have done so.
 *
 * @param referenceAddress our IPv6 address as a UDP tracker of the deployment sees it, undefined where none can tell
 */
export function ipv6Checks(
  context: Context,
  referenceAddress: (signal: AbortSignal) => Promise<string | undefined>,
): Check[] {
  const { api, httpTrackers, plainTrackers, grafana, addresses } = context.targets;
  const { ipv4, ipv6 } = addresses;
  if (!ipv4 || !ipv6) return [];
  // No client comes to an IPv4 address over IPv6.
  const named = <T extends WebTarget>(all: readonly T[]) => all.filter(({ host }) => isIP(host) === 0);
  const secured = (target: WebTarget, healthPath: string, topic: Check["topic"]): Check[] => {
    const health = healthCheck({ ...target, connect: ipv6 }, fetchHttps, healthPath, topic, context);
    const needs = [handshakeId(target)];
    return [{ ...health, needs }, certificateCheck(target, { ...target, connect: ipv6 }, topic)];
  };
  const peers = (tracker: HttpTrackerTarget) =>
    peersCheck({ ...tracker, connect: ipv6 }, context, referenceAddress);
  return [
    ...named(api ? [api] : []).flatMap((target) => secured(target, "/api/health_check", "API")),
    ...named(httpTrackers).flatMap((tracker) => [
      ...secured(tracker, "/health_check", "HTTP tracker"),
      peers(tracker),
    ]),
    ...named(plainTrackers).flatMap((tracker) => [
      healthCheck({ ...tracker, connect: ipv6 }, fetchHttp, "/health_check", "HTTP tracker", context),
      peers(tracker),
    ]),
    ...named(grafana ? [grafana] : []).flatMap((target) => secured(target, "/api/health", "Grafana")),
  ];
}

function targetOf({ host, port }: WebTarget): string {
  return `${hostPort(host, port)}/ipv6`;
}

const healthKind = "ipv6.health";

function healthCheck(
  target: WebTarget,
  fetch: typeof fetchHttps,
  path: string,
  topic: Check["topic"],
  { hasIpv6For }: Context,
): Check {
  return {
    kind: healthKind,
    target: targetOf(target),
    topic,
    name: "health by IPv6",
    expected: "200, as by IPv4",
    remedy: `See whether ${target.port}/tcp is published on IPv6 and open in the firewall; Docker needs ip6tables for IPv6.`,
    run: async (signal) => {
      if (!hasIpv6For(target.connect!)) return skip("this machine has no IPv6 that could reach it");
      const { status } = await fetch(target, { path }, signal);
      return status === 200 ? pass("200") : fail(String(status));
    },
  };
}

function certificateCheck(usual: WebTarget, target: WebTarget, topic: Check["topic"]): Check {
  return {
    kind: "ipv6.certificate",
    target: targetOf(target),
    topic,
    name: "certificate by IPv6",
    expected: "the same as by IPv4",
    remedy: "See the log of the container that serves IPv6: it says which certificates it was given.",
    needs: [checkId({ kind: healthKind, target: targetOf(target) })],
    run: (signal) => sameCertificate(usual, target, signal),
  };
}

async function sameCertificate(usual: WebTarget, target: WebTarget, signal: AbortSignal): Promise<Outcome> {
  const [byIpv4, byIpv6] = await Promise.all([usual, target].map((each) => fingerprint(each, signal)));
  return byIpv4 === byIpv6 ? pass("the same") : fail("another one");
}

async function fingerprint(target: WebTarget, signal: AbortSignal): Promise<string> {
  const socket = await openTls(target, {}, timeout, signal);
  try {
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}

function peersCheck(
  tracker: HttpTrackerTarget,
  context: Context,
  referenceAddress: (signal: AbortSignal) => Promise<string | undefined>,
): Check {
  const target = targetOf(tracker);
  const swarm = new Swarm(tracker, context);
  return {
    kind: "ipv6.peers",
    target,
    topic: "HTTP tracker",
    name: "peers meet by IPv6",
    expected: "the second peer is told of the first, by the IPv6 address that the world sees",
    remedy: "The engine translates IPv6 to IPv4: it needs ip6tables, and the network IPv6.",
    needs: [checkId({ kind: healthKind, target })],
    run: (signal) =>
      guarded(async () => {
        const { first, second, localAddress } = await swarm.meet(signal);
        const seen = readPeers(second).find(({ port }) => port === first.port)?.ip;
        if (seen === undefined) return fail("the second peer was not told of the first");
        if (isIP(seen) !== 6) return fail(`${seen}, no IPv6 address`);
        return judgeAddress(seen, localAddress, await referenceAddress(signal).catch(() => undefined));
      }),
  };
}
