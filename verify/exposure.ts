import { request as httpRequest } from "node:http";

import { checkId, fail, pass, type Check, type Context, type Outcome } from "./check";
import { isLoopback } from "./addresses";
import { fetchHttp, fetchHttps, hostHeader, userAgent, type HttpResponse } from "./http";
import { hostPort, networkError, openTcp, within } from "./net";
import { list } from "./text";
import { handshakeId } from "./tls";
import { listeners, webTargets, type HttpTrackerTarget, type Targets, type WebTarget } from "./targets";

/** TCP ports of the parts that must not be reached from outside, by what listens there inside. */
const innerPorts: readonly (readonly [number, string])[] = [
  [1212, "tracker API"],
  [1313, "tracker health"],
  [2375, "Docker"],
  [2376, "Docker"],
  [3000, "Grafana"],
  [3306, "MySQL"],
  [7070, "HTTP tracker"],
  [7071, "HTTP tracker"],
  [7979, "JSON exporter"],
  [9090, "Prometheus"],
  [9093, "Alertmanager"],
  [9094, "Alertmanager"],
  [9100, "node exporter"],
  [9115, "blackbox exporter"],
  [9117, "UDP probe"],
];

/** What the deployment shows that it should not. */
export function exposureChecks(context: Context): Check[] {
  return [...portChecks(context), ...hostChecks(context), ...plainChecks(context)];
}

// ---- ports

function portChecks(context: Context): Check[] {
  const { targets } = context;
  const { ipv4, ipv6 } = targets.addresses;
  const named = webTargets(targets)[0]?.host ?? targets.udpTrackers[0]?.host;
  const hosts = ipv4 || ipv6 ? [ipv4, ipv6].filter((address) => address !== undefined) : named ? [named] : [];
  const published = new Set([...webTargets(targets), ...targets.plainTrackers].map(({ port }) => port));
  const ports = innerPorts.filter(([port]) => !published.has(port));
  return hosts.map((host) => ({
    kind: "exposure.ports",
    target: host,
    topic: "Exposure",
    name: "inner ports",
    expected: `nothing listens on ${ports.map(([port]) => port).join(", ")}`,
    remedy:
      "Something is published that should stay inside: see `docker ps`, and the firewall (Docker's published ports bypass ufw).",
    run: async (signal) => {
      if (host.includes(":") && !context.hasIpv6For(host))
        return { status: "skip", seen: "this machine has no IPv6 that could reach it" };
      return checkPorts(host, ports, signal);
    },
  }));
}

async function checkPorts(
  host: string,
  ports: readonly (readonly [number, string])[],
  signal: AbortSignal,
): Promise<Outcome> {
  const open = (
    await Promise.all(
      ports.map(async ([port, service]) => {
        const listens = await openTcp({ host, port }, 3000, signal).then(
          (socket) => {
            socket.destroy();
            return true;
          },
          (error: unknown) => {
            // A filtered port stays silent; what the name service cannot find was not looked at.
            if (networkError(error).kind === "name") throw error;
            return false;
          },
        );
        return listens ? { port, service } : undefined;
      }),
    )
  ).filter((port) => port !== undefined);
  if (open.length === 0) return pass(`all ${ports.length} closed`);
  // On this machine other programs may use these ports.
  const ours = isLoopback(host)
    ? (
        await Promise.all(
          open.map(async (found) => ((await isOurs(host, found.port, signal)) ? found : undefined)),
        )
      ).filter((port) => port !== undefined)
    : open;
  const name = ({ port, service }: { port: number; service: string }) => `${port} (${service})`;
  if (ours.length > 0) return fail(`open: ${list(ours.map(name))}`);
  return pass(`open on this machine, but by other programs: ${open.map(({ port }) => port).join(", ")}`);
}

/** Plain HTTP paths by which the parts of a deployment give themselves away, and what they say there. */
const telltales: Readonly<Record<number, readonly [string, RegExp]>> = {
  1212: ["/api/health_check", /"status"\s*:\s*"Ok"/],
  1313: ["/health_check", /"details"/],
  3000: ["/api/health", /"database"/],
  7070: ["/health_check", /"status"\s*:\s*"Ok"/],
  7071: ["/health_check", /"status"\s*:\s*"Ok"/],
  7979: ["/metrics", /^# HELP/m],
  9090: ["/-/healthy", /Prometheus/],
  9093: ["/-/healthy", /OK/],
  9115: ["/metrics", /blackbox_/],
};

/** Whether what listens gives itself away as a part of such a deployment. */
async function isOurs(host: string, port: number, signal: AbortSignal): Promise<boolean> {
  const telltale = telltales[port];
  if (!telltale) return false;
  const [path, pattern] = telltale;
  const request = httpRequest({ host, port, path, agent: false, headers: { "user-agent": userAgent } });
  request.on("error", () => undefined);
  return within<boolean>(
    2000,
    signal,
    () => request.destroy(),
    (resolve, reject) => {
      request.on("error", reject);
      request.on("response", (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          if (text.length > 64 * 1024) response.destroy();
        });
        response.on("error", reject);
        response.on("close", () => resolve(pattern.test(text)));
      });
      request.end();
    },
  ).catch(() => false);
}

// ---- host names

function hostChecks({ targets }: Context): Check[] {
  return listeners(targets).map((target) => ({
    kind: "exposure.other-hosts",
    target: hostPort(target.host, target.port),
    topic: "Exposure",
    name: "other host names",
    expected: "no service answers to a foreign name, nor to one that only begins or ends with ours",
    remedy:
      "A route matches too much: it must compare the whole host name (Pingoo's `starts_with` does not).",
    // Behind a TCP listener only Grafana itself can refuse a name.
    needs: [
      handshakeId(target),
      ...(target === targets.grafana
        ? [checkId({ kind: "grafana.health", target: hostPort(target.host, target.port) })]
        : []),
    ],
    run: (signal) => checkHosts(target, targets, signal),
  }));
}

async function checkHosts(target: WebTarget, targets: Targets, signal: AbortSignal): Promise<Outcome> {
  const ours = new Set(webTargets(targets).map(({ host }) => host));
  const names = ["unknown.invalid", `${target.host}.invalid`, `x${target.host}`];
  const paths = targets.grafana === target ? ["/login"] : ["/api/health_check", "/health_check"];
  const tries = await Promise.all(
    names.flatMap((name) =>
      paths.map(async (path) => {
        const answer = await fetchHttps(
          target,
          { path, hostHeader: target.port === 443 ? name : `${name}:${target.port}`, serverName: name },
          signal,
        ).catch(unlessHungUp);
        return { name, path, ...judgeForeign(answer, ours) };
      }),
    ),
  );
  const wrong = tries.find(({ served }) => served);
  if (wrong) return fail(`${wrong.what} for ${wrong.name}${wrong.path}`);
  return pass([...new Set(tries.map(({ what }) => what))].join(", "));
}

/** Whoever hangs up gives nothing away. */
function unlessHungUp(error: unknown): undefined {
  const failed = networkError(error);
  if (failed.kind === "closed" || failed.kind === "tls") return undefined;
  throw failed;
}

function judgeForeign(
  answer: HttpResponse | undefined,
  ours: ReadonlySet<string>,
): { served: boolean; what: string } {
  if (!answer) return { served: false, what: "hung up" };
  const { status, headers } = answer;
  if (status >= 300 && status < 400) {
    const location = headers.location ?? "";
    const leads = URL.canParse(location) ? new URL(location).hostname : "";
    return { served: !ours.has(leads), what: ours.has(leads) ? `${status} to the real name` : `${status}` };
  }
  return { served: status < 400, what: `${status}` };
}

// ---- plain HTTP

/** One check for the listener without TLS, if there is one: whatever the name, it is the same port. */
function plainChecks({ targets }: Context): Check[] {
  const [listener] = targets.plainTrackers;
  if (!listener) return [];
  const target = hostPort(listener.host, listener.port);
  return [
    {
      kind: "exposure.plain-http",
      target,
      topic: "Exposure",
      name: "plain HTTP",
      expected: "API, Grafana, other trackers and foreign names are not served without TLS",
      remedy:
        "Tokens, passwords and sessions would cross the network in the clear: the proxy's plain HTTP has to serve announces and the like alone, of the trackers that want it.",
      needs: [checkId({ kind: "http-tracker.health", target })],
      run: (signal) => checkPlainHttp(listener, targets, signal),
    },
  ];
}

async function checkPlainHttp(
  listener: HttpTrackerTarget,
  targets: Targets,
  signal: AbortSignal,
): Promise<Outcome> {
  const { api, grafana, httpTrackers, plainTrackers } = targets;
  const plain = new Set(plainTrackers.map(({ host }) => host));
  const pages: readonly (readonly [host: string | undefined, path: string])[] = [
    [api?.host, "/api/health_check"],
    [listener.host, "/api/health_check"],
    [grafana?.host, "/api/health"],
    [httpTrackers.find(({ host }) => !plain.has(host))?.host, "/health_check"],
    ["unknown.invalid", "/health_check"],
  ];
  const ours = new Set(webTargets(targets).map(({ host }) => host));
  const tries = await Promise.all(
    pages.map(async ([host, path]) => {
      if (host === undefined) return undefined;
      const name = hostHeader({ host, port: listener.port }, 80);
      const answer = await fetchHttp(listener, { path, hostHeader: name }, signal).catch(unlessHungUp);
      return { host, path, ...judgeForeign(answer, ours) };
    }),
  );
  const tried = tries.filter((one) => one !== undefined);
  const wrong = tried.find(({ served }) => served);
  if (wrong) return fail(`${wrong.what} for ${wrong.host}${wrong.path}`);
  return pass([...new Set(tried.map(({ what }) => what))].join(", "));
}
