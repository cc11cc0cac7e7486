import { watchdog } from "../configs/alertmanager";
import { checkId, fail, knownLimit, once, pass, skip, type Check, type Context, type Outcome } from "./check";
import { fetchHttps, hostHeader, jsonObject, type HttpRequest, type HttpResponse } from "./http";
import { openLive, UpgradeRefused, type LiveConnection } from "./live";
import { NetworkError, hostPort } from "./net";
import { count, excerpt, list } from "./text";
import { handshakeId } from "./tls";
import type { WebTarget } from "./targets";

/** Where Pingoo's lack of WebSockets in `http_proxy` is tracked. */
const webSocketIssue = "https://github.com/pingooio/pingoo/issues/23";

const timeout = 8000;
/** How long `--long` keeps a WebSocket open: nginx's default time-out, and then some. */
const minute = 62_000;
/** How long targets that Prometheus has not scraped yet are waited for; the default interval is 15 s. */
const firstScrape = 20_000;
/** How long an alert may be on its way from Prometheus to Alertmanager. */
const delivery = 5000;

/** Grafana behind its proxy, the evaluation's experiment 4; and through it Prometheus, which is not published. */
// eslint-disable-next-line max-lines-per-function -- one table of checks
export function grafanaChecks(context: Context): Check[] {
  const { grafana, grafanaPassword, mode } = context.targets;
  if (!grafana) return [];
  const canary = mode === "pingoo-https";
  const common = {
    target: hostPort(grafana.host, grafana.port),
    topic: "Grafana" as const,
    experiment: 4 as const,
  };
  const login = once((signal) => logIn(grafana, grafanaPassword ?? "", context, signal));
  const live = once((signal) => openConnection(grafana, login, context, signal));
  const connected = once(async (signal) => {
    const connection = await live(signal);
    const answer = await connection.ask({ connect: {} }, signal);
    if (!answer.connect)
      throw new NetworkError("other", `connect was refused: ${excerpt(JSON.stringify(answer))}`);
    return connection;
  });

  const health: Check = {
    ...common,
    kind: "grafana.health",
    name: "health",
    expected: `200 {"database":"ok"}`,
    remedy: "See whether Grafana's container is healthy, and whether the proxy leads to it.",
    needs: [handshakeId(grafana)],
    run: async (signal) => judgeHealth(await fetchHttps(grafana, { path: "/api/health" }, signal)),
  };
  const signIn: Check = {
    ...common,
    kind: "grafana.login",
    name: "login",
    expected: "the deployed password opens a session for admin",
    remedy:
      "The password was changed in Grafana after the first start: give the one in force as VERIFY_GRAFANA_PASSWORD, or reset it with `grafana cli admin reset-admin-password`.",
    needs: [checkId(health)],
    run: async (signal) => {
      if (!grafanaPassword) return skip("the password is not known");
      await login(signal);
      return pass("logged in");
    },
  };
  const webSocket: Check = {
    ...common,
    kind: "grafana.websocket",
    name: "WebSocket",
    expected: canary ? "101 for /api/live/ws, once Pingoo can" : "101 for /api/live/ws",
    remedy:
      "The proxy strips Upgrade: let Pingoo's tcp+tls listener (`grafanaOnHttps: false`) or nginx (`hybrid: true`) serve Grafana. If it is 403, the public URL is not the root_url of Grafana.",
    needs: [checkId(signIn)],
    run: async (signal) => {
      try {
        await live(signal);
        return pass(canary ? "101: this Pingoo passes WebSockets" : "101 Switching Protocols");
      } catch (error) {
        if (!(error instanceof UpgradeRefused)) throw error;
        return canary
          ? knownLimit(
              `${error.message}: this Pingoo strips Upgrade`,
              webSocketIssue,
              "Dashboards work without live updates; `grafanaOnHttps: false` brings them back.",
            )
          : fail(error.message);
      }
    },
  };
  const afterSocket = { needs: [checkId(webSocket)] };
  const subscription: Check = {
    ...common,
    ...afterSocket,
    kind: "grafana.live",
    name: "Live subscription",
    expected: "Grafana Live answers a subscription",
    remedy: "The WebSocket opens, but Grafana Live does not answer: see live settings in Grafana's log.",
    run: async (signal) => {
      if (await isCanarySilent(live, signal)) return skip("no WebSocket");
      const answers: string[] = [];
      const connection = await connected(signal);
      // Before a channel newer versions want the namespace, older ones the number of the organisation.
      for (const channel of ["1/grafana/broadcast/verify", "default/grafana/broadcast/verify"]) {
        const answer = await connection.ask({ subscribe: { channel } }, signal);
        if (answer.subscribe) return pass(`subscribed to ${channel}`);
        answers.push(excerpt(JSON.stringify(answer.error ?? answer)));
      }
      return fail(`refused: ${list(answers)}`);
    },
  };
  return [
    health,
    {
      ...common,
      kind: "grafana.refusal",
      name: "refused without login",
      expected: "401 for the API without a login",
      remedy: "Grafana lets anybody in: see auth.anonymous.",
      needs: [checkId(health)],
      run: async (signal) => {
        const { status } = await fetchHttps(grafana, { path: "/api/datasources" }, signal);
        return status === 401 || status === 403 ? pass(`${status}`) : fail(`${status}`);
      },
    },
    signIn,
    webSocket,
    subscription,
    ...(context.long
      ? [
          {
            ...common,
            kind: "grafana.live-minute",
            name: "WebSocket lasts",
            expected: "open after a minute, pings answered",
            remedy:
              "The proxy ends idle connections too early: nginx needs a proxy_read_timeout of more than 60 s.",
            needs: [checkId(subscription)],
            timeout: minute + 10_000,
            run: async (signal: AbortSignal) => {
              const pings = await (await connected(signal)).stay(minute, signal);
              return pass(`open after ${minute / 1000} s, ${count(pings, "ping")}`);
            },
          } satisfies Check,
        ]
      : []),
    {
      ...common,
      kind: "prometheus.targets",
      topic: "Prometheus",
      experiment: undefined,
      name: "targets",
      expected: "every target of Prometheus is up",
      remedy: "Prometheus cannot read a target: `lastError` above says why; see the container that it names.",
      needs: [checkId(signIn)],
      timeout: firstScrape + 15_000,
      run: (signal) => checkTargets(grafana, login, signal),
    },
    {
      ...common,
      kind: "alerting.watchdog",
      topic: "Prometheus",
      experiment: undefined,
      name: "alerting",
      expected: "the alert that always fires has reached Alertmanager",
      remedy:
        "Prometheus and Alertmanager do not meet: see both containers' logs. docs/runbooks/Watchdog.md goes on.",
      needs: [checkId(signIn)],
      run: (signal) => checkWatchdog(grafana, login, signal),
    },
  ];
}

/** In canary mode the WebSocket is a known limit, and what needs it runs all the same. */
async function isCanarySilent(
  live: (signal: AbortSignal) => Promise<LiveConnection>,
  signal: AbortSignal,
): Promise<boolean> {
  return live(signal).then(
    () => false,
    (error: unknown) => error instanceof UpgradeRefused,
  );
}

function judgeHealth({ status, body }: HttpResponse): Outcome {
  const database = jsonObject(body)?.database;
  return status === 200 && database === "ok"
    ? pass(`200, database ok`)
    : fail(`${status} ${excerpt(body)}`.trim());
}

/** What a request of a session carries. */
type Session = Pick<HttpRequest, "headers"> & { readonly cookie: string };

/** Logs in as a browser does, and out at the end. Never tries another password: five wrong ones lock the account. */
async function logIn(
  grafana: WebTarget,
  password: string,
  context: Context,
  signal: AbortSignal,
): Promise<Session> {
  const answer = await fetchHttps(
    grafana,
    {
      method: "POST",
      path: "/login",
      headers: { "content-type": "application/json", origin: `https://${hostHeader(grafana)}` },
      body: JSON.stringify({ user: "admin", password }),
    },
    signal,
  );
  if (answer.status !== 200) {
    const message = jsonObject(answer.body)?.message;
    throw new NetworkError(
      "other",
      `${answer.status} ${typeof message === "string" ? excerpt(message) : ""}`.trim(),
    );
  }
  const cookie = (answer.headers["set-cookie"] ?? [])
    .map((header) => header.split(";")[0] ?? "")
    .find((pair) => /^grafana_session=./.test(pair));
  if (!cookie) throw new NetworkError("other", "200, but no session cookie");
  context.secret(cookie.slice("grafana_session=".length));
  const session = { cookie, headers: { cookie } };
  context.atEnd(
    (within) => fetchHttps(grafana, { path: "/logout", headers: session.headers }, within),
    "last",
  );
  return session;
}

async function openConnection(
  grafana: WebTarget,
  login: (signal: AbortSignal) => Promise<Session>,
  context: Context,
  signal: AbortSignal,
): Promise<LiveConnection> {
  const { cookie } = await login(signal);
  const connection = await openLive(grafana, cookie, timeout, signal);
  context.atEnd(async () => connection.close());
  return connection;
}

// ---- Prometheus

interface ScrapeTarget {
  readonly name: string;
  readonly health: string;
  readonly error: string;
}

async function checkTargets(
  grafana: WebTarget,
  login: (signal: AbortSignal) => Promise<Session>,
  signal: AbortSignal,
): Promise<Outcome> {
  const { headers } = await login(signal);
  const path = "/api/datasources/proxy/uid/prometheus/api/v1/targets?state=active";
  const until = Date.now() + firstScrape;
  for (;;) {
    const answer = await fetchHttps(grafana, { path, headers, limit: 4 * 1024 * 1024 }, signal);
    const targets = readTargets(answer);
    // Just after a start Prometheus has not been everywhere yet.
    const pending = targets.some(({ health }) => health === "unknown");
    if (!pending || Date.now() > until || signal.aborted) return judgeTargets(targets);
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

/** Whether alerts get as far as Alertmanager, which is asked through its datasource in Grafana. */
async function checkWatchdog(
  grafana: WebTarget,
  login: (signal: AbortSignal) => Promise<Session>,
  signal: AbortSignal,
): Promise<Outcome> {
  const { headers } = await login(signal);
  const ask = async (source: string, path: string): Promise<unknown> => {
    const answer = await fetchHttps(
      grafana,
      { path: `/api/datasources/proxy/uid/${source}${path}`, headers, limit: 4 * 1024 * 1024 },
      signal,
    );
    if (answer.status !== 200)
      throw new NetworkError("other", `${source}: ${answer.status} ${excerpt(answer.body)}`.trim());
    try {
      return JSON.parse(answer.body.toString("utf8"));
    } catch {
      throw new NetworkError("other", `${source}: no JSON but ${excerpt(answer.body)}`);
    }
  };
  const { data } = (await ask("prometheus", "/api/v1/rules?type=alert")) as {
    data?: { groups?: readonly { rules?: readonly { name?: string; state?: string }[] }[] };
  };
  const rules = (data?.groups ?? []).flatMap((group) => group.rules ?? []);
  const state = rules.find(({ name }) => name === watchdog)?.state;
  if (state === undefined) return skip("there are no alerts");
  if (state !== "firing") return skip("Prometheus has just started; it fires within half a minute");
  const until = Date.now() + delivery;
  for (;;) {
    const alerts = (await ask("alertmanager", "/api/v2/alerts")) as { labels?: { alertname?: string } }[];
    const names = alerts.map(({ labels }) => excerpt(String(labels?.alertname)));
    const others = [...new Set(names)].filter((name) => name !== watchdog).sort();
    if (names.includes(watchdog))
      return pass(
        others.length === 0 ? "it has; nothing else fires" : `it has; also firing: ${list(others)}`,
      );
    if (Date.now() > until || signal.aborted) return fail("Prometheus fires it, Alertmanager has not got it");
    await new Promise((resolve) => setTimeout(resolve, 1500));
  }
}

/** Active targets of Prometheus' API. @throws {NetworkError} for an answer that has none of that form */
function readTargets({ status, body }: HttpResponse): ScrapeTarget[] {
  if (status !== 200) throw new NetworkError("other", `${status} ${excerpt(body)}`.trim());
  const data = jsonObject(body)?.data;
  const active: unknown =
    typeof data === "object" && data !== null ? Reflect.get(data, "activeTargets") : undefined;
  if (!Array.isArray(active)) throw new NetworkError("other", "an answer without targets");
  return active.map((target: Readonly<Record<string, unknown>> | null) => {
    const labels = target?.labels as Readonly<Record<string, unknown>> | null | undefined;
    return {
      name: excerpt([labels?.job, labels?.instance].filter((label) => typeof label === "string").join(" ")),
      health: String(target?.health),
      // A scrape's error may quote its URL, and that a token.
      error: excerpt(String(target?.lastError ?? "").replace(/\?[^\s"]*/g, "?…"), 160),
    };
  });
}

function judgeTargets(targets: readonly ScrapeTarget[]): Outcome {
  if (targets.length === 0) return fail("no targets");
  const down = targets.filter(({ health }) => health !== "up");
  if (down.length === 0) return pass(`${count(targets.length, "target")} up`);
  const named = down
    .slice(0, 5)
    .map(({ name, health, error }) => `${name} ${health}${error ? ` (${error})` : ""}`);
  return fail(`${down.length} of ${targets.length} not up: ${list(named)}`);
}
