import { isIP } from "node:net";

import { guarded } from "./access";
import { checkId, fail, pass, skip, type Check, type Context, type Outcome } from "./check";
import { fetchHttps } from "./http";
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
  const { api, httpTrackers, grafana, addresses } = context.targets;
  const { ipv4, ipv6 } = addresses;
  if (!ipv4 || !ipv6) return [];
  const checks = (target: WebTarget, healthPath: string, topic: Check["topic"]): Check[] =>
    // No client comes to an IPv4 address over IPv6.
    isIP(target.host) === 0
      ? endpointChecks(target, { ...target, connect: ipv6 }, healthPath, topic, context)
      : [];
  return [
    ...(api ? checks(api, "/api/health_check", "API") : []),
    ...httpTrackers.flatMap((tracker) => [
      ...checks(tracker, "/health_check", "HTTP tracker"),
      ...(isIP(tracker.host) === 0
        ? [peersCheck({ ...tracker, connect: ipv6 }, context, referenceAddress)]
        : []),
    ]),
    ...(grafana ? checks(grafana, "/api/health", "Grafana") : []),
  ];
}

function targetOf({ host, port }: WebTarget): string {
  return `${hostPort(host, port)}/ipv6`;
}

const healthKind = "ipv6.health";

function endpointChecks(
  usual: WebTarget,
  target: WebTarget,
  healthPath: string,
  topic: Check["topic"],
  { hasIpv6For }: Context,
): Check[] {
  const common = { target: targetOf(target), topic, needs: [handshakeId(usual)] };
  const remedy = `See whether ${target.port}/tcp is published on IPv6 and open in the firewall; Docker needs ip6tables for IPv6.`;
  const health: Check = {
    ...common,
    kind: healthKind,
    name: "health by IPv6",
    expected: "200, as by IPv4",
    remedy,
    run: async (signal) => {
      if (!hasIpv6For(target.connect!)) return skip("this machine has no IPv6 that could reach it");
      const { status } = await fetchHttps(target, { path: healthPath }, signal);
      return status === 200 ? pass("200") : fail(String(status));
    },
  };
  return [
    health,
    {
      ...common,
      kind: "ipv6.certificate",
      name: "certificate by IPv6",
      expected: "the same as by IPv4",
      remedy: "See the log of the container that serves IPv6: it says which certificates it was given.",
      needs: [checkId(health)],
      run: (signal) => sameCertificate(usual, target, signal),
    },
  ];
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
