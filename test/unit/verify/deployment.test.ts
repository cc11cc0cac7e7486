import { afterEach, describe, expect, it } from "vitest";

import { verify, type VerifyOptions } from "../../../verify/deployment";
import { renderJson, renderJunit, renderTable, type Report } from "../../../verify/report";
import { readTargets } from "../../../verify/targets";
import { styleFor } from "../../../terminal/terminal";
import { daysFromNow, makeAuthority, makeIdentity } from "./support/certificates";
import {
  authority,
  names,
  password,
  startDeployment,
  token,
  type DeploymentOptions,
} from "./support/deployment";

type Deployment = Awaited<ReturnType<typeof startDeployment>>;
const running: Deployment[] = [];
afterEach(async () => {
  await Promise.all(running.splice(0).map((deployment) => deployment.close()));
});

async function deploy(options: DeploymentOptions = {}): Promise<Deployment> {
  const deployment = await startDeployment(options);
  running.push(deployment);
  return deployment;
}

/** Ports are checked by a test of their own: other programs of this machine may use them. */
async function check(deployment: Deployment, options: Partial<VerifyOptions> = {}): Promise<Report> {
  return verify({
    targets: deployment.targets,
    trust: [authority.cert],
    skip: ["exposure.ports", "exposure.stalled-handshake"],
    ...options,
  });
}

const kindsWith = (report: Report, status: string) => [
  ...new Set(report.checks.filter((found) => found.status === status).map(({ kind }) => kind)),
];

const failures = (report: Report) =>
  report.checks.filter(({ status }) => status === "fail").map(({ kind, seen }) => `${kind}: ${seen}`);

describe("a deployment as it should be", () => {
  it.each(["pingoo", "pingoo-tcp", "pingoo-https", "hybrid"] as const)("holds in mode %s", async (mode) => {
    const deployment = await deploy({ mode });
    const report = await check(deployment, { skip: ["exposure.ports"] });
    expect(failures(report)).toEqual([]);
    expect(report.ok).toBe(true);
    expect(kindsWith(report, "known-limit")).toEqual([
      "http-tracker.user-agent",
      "http-tracker.long-scrape",
      "http-tracker.parameters",
      "http-tracker.odd-user-agent",
      "udp-tracker.scrape-order",
      "udp-tracker.paused",
    ]);
    // The names end in .test.
    expect(kindsWith(report, "skip")).toEqual(["dns.addresses"]);
    expect(report.durationMs).toBeLessThan(10_000);
    expect(report.experiments.map(({ status }) => status)).toEqual([
      "pass",
      "pass",
      "known-limit",
      mode === "pingoo" ? "skip" : "pass",
    ]);
  });

  it("holds where nginx stands in front of everything, and who sends no User-Agent is let in", async () => {
    const versions = { min: "TLSv1.2", max: "TLSv1.3" } as const;
    const deployment = await deploy({
      mode: "nginx",
      https: { versions, postQuantum: "alert" },
      grafana: { versions },
    });
    const report = await check(deployment);
    expect(failures(report)).toEqual([]);
    // An nginx whose OpenSSL lacks X25519MLKEM768; the rest is the tracker's.
    expect(kindsWith(report, "known-limit")).toEqual([
      "tls.post-quantum",
      "http-tracker.parameters",
      "udp-tracker.scrape-order",
      "udp-tracker.paused",
    ]);
    const seen = (kind: string) => report.checks.find((found) => found.kind === kind)?.seen;
    expect(seen("http-tracker.long-scrape")).toBe("900 torrents over HTTP/1.1, 900 torrents over HTTP/2");
    expect(seen("http-tracker.name-forms")).toBe("3 forms over HTTP/1.1 and HTTP/2");
  });

  it("knows no limit of a tracker that has none", async () => {
    const versions = { min: "TLSv1.2", max: "TLSv1.3" } as const;
    const deployment = await deploy({
      mode: "nginx",
      fault: "tracker-lenient",
      udp: "faultless",
      https: { versions },
      grafana: { versions },
    });
    const report = await check(deployment);
    expect([failures(report), kindsWith(report, "known-limit")]).toEqual([[], []]);
  });

  it("holds where nothing but UDP is served", async () => {
    const { outputs } = await deploy({ udp: undefined });
    const { announceUrls } = outputs as { announceUrls: { udp: string[] } };
    const targets = readTargets({
      ...outputs,
      mode: "none",
      urls: { trackers: [] },
      announceUrls: { http: [], udp: announceUrls.udp },
      grafanaAdminPassword: undefined,
    });
    const report = await verify({ targets, skip: ["exposure.ports"] });
    expect(failures(report)).toEqual([]);
    expect(kindsWith(report, "pass")).toEqual([
      "udp-tracker.connect",
      "udp-tracker.announce",
      "udp-tracker.scrape",
    ]);
    expect(kindsWith(report, "known-limit")).toEqual(["udp-tracker.scrape-order", "udp-tracker.paused"]);
  });

  it.each(["pingoo-tcp", "hybrid"] as const)(
    "holds with announces over plain HTTP in mode %s",
    async (mode) => {
      const deployment = await deploy({ mode, plain: true, trackerMode: "private" });
      const report = await check(deployment);
      expect(failures(report)).toEqual([]);
      const [plain] = deployment.targets.plainTrackers;
      const kinds = report.checks
        .filter(({ target, status }) => status === "pass" && target === `${plain!.host}:${plain!.port}`)
        .map(({ kind }) => kind);
      expect(kinds).toEqual(
        expect.arrayContaining([
          "http-tracker.health",
          "http-tracker.announce",
          "http-tracker.scrape",
          "http-tracker.peers",
          "http-tracker.forwarded-for",
          "http-tracker.access",
          "http-tracker.name-forms",
          "exposure.plain-http",
        ]),
      );
      expect(kinds.filter((kind) => kind.startsWith("tls."))).toEqual([]);
      expect(deployment.swarms.remaining).toBe(0);
    },
  );

  it("is left as it was found", async () => {
    const deployment = await deploy();
    await check(deployment);
    // A torrent of each tracker, one of the odd requests, and three of a scrape's four.
    expect(deployment.swarms.swarms.size).toBe(6);
    expect(deployment.swarms.remaining).toBe(0);
    expect(deployment.sessions.size).toBe(0);
  });

  it.each(["listed", "private"] as const)(
    "holds when the tracker is %s, and leave to announce is taken back",
    async (trackerMode) => {
      const deployment = await deploy({ trackerMode });
      const report = await check(deployment);
      expect(failures(report)).toEqual([]);
      expect(kindsWith(report, "pass")).toEqual(
        expect.arrayContaining([
          "http-tracker.announce",
          "http-tracker.peers",
          "http-tracker.access",
          "udp-tracker.access",
        ]),
      );
      expect(deployment.swarms.remaining).toBe(0);
      expect(deployment.keys.size + deployment.listed.size).toBe(0);
      expect(deployment.log.requests.some((line) => line.startsWith("DELETE"))).toBe(true);
      expect(renderJson(report)).not.toContain("k".repeat(32));
    },
  );

  it.each([
    ["known-limit", false],
    ["pass", true],
  ])("counts completed downloads: %s where the tracker has metrics: %s", async (status, metrics) => {
    const deployment = await deploy({ outputs: { countDownloads: true }, metrics });
    const report = await check(deployment);
    expect(failures(report)).toEqual([]);
    expect(kindsWith(report, status)).toContain("api.downloads");
  });

  it("skips what needs secrets that it was not given", async () => {
    const deployment = await deploy({
      trackerMode: "listed",
      outputs: { adminToken: "", grafanaAdminPassword: undefined },
    });
    const report = await check(deployment);
    expect(failures(report)).toEqual([]);
    expect(kindsWith(report, "skip")).toEqual(
      expect.arrayContaining([
        "api.stats",
        "http-tracker.announce",
        "udp-tracker.announce",
        "grafana.login",
        "prometheus.targets",
        "alerting.watchdog",
      ]),
    );
  });

  it("cannot ask for leave to announce where the API is not public", async () => {
    const { outputs } = await deploy({ trackerMode: "listed" });
    const urls = { ...(outputs.urls as object), api: undefined };
    const report = await check(await deploy(), { targets: readTargets({ ...outputs, urls }) });
    expect(failures(report)).toEqual([]);
    expect(report.checks.filter(({ topic }) => topic === "API")).toEqual([]);
    expect(report.checks.find(({ kind }) => kind === "http-tracker.announce")).toMatchObject({
      status: "skip",
      seen: "the tracker is listed, and its API, which could give leave, is not public",
    });
  });

  it.each([
    [undefined, "pass", "it has; also firing: HighCpu"],
    ["alerts-off", "skip", "there are no alerts"],
    ["alerts-pending", "skip", "Prometheus has just started; it fires within half a minute"],
  ] as const)("sees whether alerting works (%s)", async (fault, status, seen) => {
    const report = await check(await deploy({ fault }));
    expect(report.checks.find(({ kind }) => kind === "alerting.watchdog")).toMatchObject({ status, seen });
  });

  it("can be checked by flags alone", async () => {
    const { ports } = await deploy();
    const targets = readTargets(undefined, {
      apiDomain: names.api,
      trackerDomain: names.tracker,
      grafanaDomain: names.grafana,
      udpPort: String(ports.udp),
      httpsPort: String(ports.https),
      grafanaPort: String(ports.grafana),
      connect: "127.0.0.1",
      adminToken: token,
      grafanaPassword: password,
    });
    const report = await verify({ targets, trust: [authority.cert], skip: ["exposure"] });
    expect(failures(report)).toEqual([]);
    expect(report.counts.pass).toBeGreaterThan(25);
  });
});

const selfSigned = makeIdentity({ name: "Pingoo", altNames: ["localhost"] });
const others = Object.values(names);

/** Each fault, and the kinds of checks that alone may fail for it, with a part of what is seen. */
const faults: readonly [string, DeploymentOptions, Readonly<Record<string, string | RegExp>>][] = [
  // The slow ones first, so that they run side by side.
  ["a UDP tracker that is silent", { udp: "silent" }, { "udp-tracker.connect": "no answer within 6.0 s" }],
  [
    "a UDP tracker that answers others",
    { udp: "wrong-transaction" },
    { "udp-tracker.connect": "no answer within 6.0 s" },
  ],
  ["a UDP tracker of another protocol", { udp: "garbage" }, { "udp-tracker.connect": "no answer" }],
  ["a Live that is silent", { fault: "live-silent" }, { "grafana.live": "no answer within 8.0 s" }],
  [
    "a server that accepts and never answers",
    { https: { mute: true } },
    { "tls.handshake": "no answer within 8.0 s" },
  ],
  [
    "an API without TLS",
    { plain: true, fault: "plain-api" },
    { "exposure.plain-http": `200 for ${names.api}/api/health_check` },
  ],
  [
    "a Grafana without TLS",
    { plain: true, fault: "plain-grafana" },
    { "exposure.plain-http": `200 for ${names.grafana}/api/health` },
  ],
  [
    "an expired certificate",
    {
      identity: makeIdentity(
        { name: "x", altNames: others, notBefore: daysFromNow(-90), notAfter: daysFromNow(-3) },
        authority,
      ),
    },
    { "tls.certificate": /^expired [23] days ago; / },
  ],
  [
    "a certificate that nears its end",
    {
      identity: makeIdentity(
        { name: "x", altNames: others, notBefore: daysFromNow(-80), notAfter: daysFromNow(10) },
        authority,
      ),
    },
    { "tls.certificate": /^expires in 9 days: renewal has failed/ },
  ],
  [
    "a certificate of tomorrow",
    {
      identity: makeIdentity(
        { name: "x", altNames: others, notBefore: daysFromNow(1), notAfter: daysFromNow(90) },
        authority,
      ),
    },
    { "tls.certificate": "not valid before" },
  ],
  [
    "a self-signed certificate",
    { identity: selfSigned },
    { "tls.certificate": /^self-signed: localhost, issuer Pingoo, ECDSA P-256/ },
  ],
  [
    "a certificate for another name",
    { identity: makeIdentity({ name: "x", altNames: ["other.test"] }, authority) },
    { "tls.certificate": "for another name" },
  ],
  [
    "a certificate of an unknown issuer",
    { identity: makeIdentity({ name: "x", altNames: others }, makeAuthority("Stranger")) },
    { "tls.certificate": "its chain is not trusted (UNABLE_TO_VERIFY_LEAF_SIGNATURE)" },
  ],
  [
    "TLS 1.2 allowed on Pingoo",
    { https: { versions: { min: "TLSv1.2", max: "TLSv1.3" } } },
    { "tls.versions": "TLS 1.2 accepted, 1.1 and older refused" },
  ],
  [
    "TLS 1.2 refused on nginx",
    { mode: "hybrid", grafana: { versions: { min: "TLSv1.3", max: "TLSv1.3" } } },
    { "tls.versions": "TLS 1.2 refused" },
  ],
  [
    "TLS 1.1 allowed on nginx",
    { mode: "hybrid", grafana: { versions: { min: "TLSv1.1", max: "TLSv1.3" } } },
    { "tls.versions": "TLS 1.1 accepted" },
  ],
  [
    "no TLS 1.3",
    { https: { versions: { min: "TLSv1.2", max: "TLSv1.2" } } },
    { "tls.handshake": "TLS: tlsv1 alert protocol version" },
  ],
  [
    "no post-quantum group, by alert",
    { https: { postQuantum: "alert" } },
    { "tls.post-quantum": "the server refused X25519MLKEM768: alert 40 (handshake failure)" },
  ],
  [
    "no post-quantum group, by retry",
    { https: { postQuantum: "retry" } },
    { "tls.post-quantum": "the server wants X25519 instead" },
  ],
  [
    "no post-quantum group, hanging up",
    { https: { postQuantum: "hang-up" } },
    { "tls.post-quantum": "the server hung up" },
  ],
  [
    "a post-quantum share that is too short",
    { https: { postQuantum: "short-share" } },
    { "tls.post-quantum": "a share of 32 bytes" },
  ],
  [
    "no TLS at all for post-quantum",
    { https: { postQuantum: "garbage" } },
    { "tls.post-quantum": "no TLS: a record of type 72" },
  ],
  ["an unhealthy API", { fault: "api-health" }, { "api.health": '200 {"status":"Error"}' }],
  ["an API that speaks HTML", { fault: "api-html" }, { "api.stats": '200, but no JSON with "torrents"' }],
  ["an open API", { fault: "api-open" }, { "api.refusal": "200 without a token, 200 with a wrong one" }],
  [
    "a gateway's error instead of a refusal",
    { fault: "api-gateway-down" },
    { "api.refusal": "502 without a token" },
  ],
  [
    "a wrong token",
    { outputs: { adminToken: "another token" } },
    { "api.stats": /^500 Unhandled rejection/ },
  ],
  ["an unhealthy tracker", { fault: "tracker-health" }, { "http-tracker.health": "503" }],
  [
    "a tracker that answers no dictionary",
    { fault: "tracker-no-dictionary" },
    { "http-tracker.announce": "an answer that is no dictionary" },
  ],
  [
    "a tracker that misses the proxy's header",
    { fault: "tracker-failure" },
    { "http-tracker.announce": "refused: missing or invalid the right most X-Forwarded-For IP" },
  ],
  [
    "a tracker that does not count",
    { fault: "tracker-no-swarm" },
    { "http-tracker.announce": "0 seeder, 1 leecher" },
  ],
  [
    "a tracker that tells of no peers",
    { fault: "tracker-no-peers" },
    { "http-tracker.peers": "the second peer was not told of the first" },
  ],
  [
    "a tracker that knows nothing when scraped",
    { fault: "tracker-no-scrape" },
    { "http-tracker.scrape": "the torrent is not in the answer" },
  ],
  [
    "a tracker that is not behind the proxy's header",
    { fault: "tracker-proxy-address" },
    { "http-tracker.peers": "172.18.0.10, which is not ours (127.0.0.1)" },
  ],
  [
    "a tracker that believes a spoofed header",
    { fault: "tracker-leftmost" },
    { "http-tracker.forwarded-for": "the tracker took 203.0.113.77 for the peer's address" },
  ],
  [
    "a tracker that fails without User-Agent",
    { fault: "tracker-500-without-agent" },
    { "http-tracker.user-agent": "500" },
  ],
  [
    "a route that compares names letter by letter",
    { fault: "route-by-letter" },
    {
      "api.name-forms": /^404 for API\.TORRUST\.TEST:\d+ over HTTP\/1\.1, .* and 404 for .* over HTTP\/2$/,
      "http-tracker.name-forms": /^404 for TRACKER/,
      "grafana.name-forms": /^404 for GRAFANA/,
    },
  ],
  [
    "a proxy that takes short requests only",
    { fault: "short-lines" },
    { "http-tracker.long-scrape": "414 over HTTP/1.1, 414 over HTTP/2" },
  ],
  [
    "a proxy or tracker that fails for an odd parameter",
    { fault: "tracker-500-for-parameters" },
    { "http-tracker.parameters": "500 for `event=`" },
  ],
  [
    "a UDP tracker that loses count of several",
    { udp: "mixed-counts" },
    { "udp-tracker.scrape-order": "0/0 0/0" },
  ],
  [
    "a private tracker that is open",
    { fault: "tracker-open", trackerMode: "private" },
    { "http-tracker.access": "200, accepted" },
  ],
  [
    "a private tracker with open UDP",
    { trackerMode: "private", udp: "first-lost" },
    { "udp-tracker.access": "accepted" },
  ],
  [
    "a UDP tracker that is closed",
    { udp: "closed" },
    { "udp-tracker.connect": /^nothing listens on UDP port \d+$/ },
  ],
  ["a UDP tracker that refuses", { udp: "error" }, { "udp-tracker.connect": "refused: no·[31m way" }],
  [
    "a UDP tracker that tells of no peers",
    { udp: "no-peers" },
    { "udp-tracker.announce": "the second peer was not told of the first" },
  ],
  [
    "a UDP tracker that does not count",
    { udp: "no-counts" },
    { "udp-tracker.scrape": "0 seeders, 0 leechers" },
  ],
  ["an unhealthy Grafana", { fault: "grafana-health" }, { "grafana.health": '200 {"database":"failing"}' }],
  ["a Grafana that lets anybody in", { fault: "grafana-anonymous" }, { "grafana.refusal": "200" }],
  [
    "another password in Grafana",
    { fault: "grafana-password" },
    { "grafana.login": "401 Invalid username or password" },
  ],
  [
    "a login without a session",
    { fault: "grafana-no-cookie" },
    { "grafana.login": "200, but no session cookie" },
  ],
  ["a stripped WebSocket", { fault: "websocket-stripped" }, { "grafana.websocket": "400 instead of 101" }],
  ["a Live that refuses", { fault: "live-refused" }, { "grafana.live": "invalid channel ID" }],
  [
    "a Live that hangs up",
    { fault: "live-closes" },
    { "grafana.live": "the WebSocket was closed (code 3501)" },
  ],
  [
    "a target of Prometheus that is down",
    { fault: "target-down" },
    {
      "prometheus.targets":
        '1 of 2 not up: tracker tracker:1 down (Get "http://tracker:1212/api/v1/stats?…": refused)',
    },
  ],
  [
    "an alert that gets lost",
    { fault: "alerts-lost" },
    { "alerting.watchdog": "Prometheus fires it, Alertmanager has not got it" },
  ],
  [
    "a Prometheus that does not know its rules",
    { fault: "alerts-garbled" },
    { "alerting.watchdog": "prometheus: no JSON but <html>" },
  ],
  ["a Prometheus without targets", { fault: "targets-none" }, { "prometheus.targets": "no targets" }],
  [
    "a route that catches all",
    { fault: "catch-all" },
    { "exposure.other-hosts": /^200 for unknown\.invalid\// },
  ],
];

describe("each fault fails its own check and no other", () => {
  it.concurrent(
    "and nothing but silence is done with in far less than a minute",
    async () => {
      const deployment = await startDeployment({
        https: { mute: true },
        grafana: { mute: true },
        udp: "silent",
      });
      const report = await check(deployment, { skip: ["exposure.ports"] }).finally(() => deployment.close());
      expect(kindsWith(report, "fail")).toEqual(["tls.handshake", "udp-tracker.connect"]);
      expect(report.durationMs).toBeLessThan(20_000);
    },
    30_000,
  );

  it.concurrent.each(["closed", "silent", "error"] as const)(
    "nor a private tracker whose UDP is %s",
    async (udp) => {
      const deployment = await startDeployment({ trackerMode: "private", udp });
      const report = await check(deployment, { skip: ["tls", "exposure", "grafana"] }).finally(() =>
        deployment.close(),
      );
      expect(failures(report)).toEqual([]);
      expect(kindsWith(report, "pass")).toContain("udp-tracker.access");
    },
  );

  it.concurrent.each(faults)(
    "%s",
    async (_, options, expected) => {
      const deployment = await startDeployment(options);
      const report = await check(deployment).finally(() => deployment.close());
      expect(kindsWith(report, "fail")).toEqual(Object.keys(expected));
      for (const { kind, status, seen, remedy } of report.checks) {
        if (status !== "fail") continue;
        const pattern = expected[kind]!;
        if (typeof pattern === "string") expect(seen).toContain(pattern);
        else expect(seen).toMatch(pattern);
        expect(remedy).toBeTruthy();
      }
      expect(report.ok).toBe(false);
      for (const text of [
        renderJson(report),
        renderJunit(report),
        renderTable(report, styleFor({ write: () => true }, {})),
      ]) {
        expect(text).not.toContain(token);
        expect(text).not.toContain(encodeURIComponent(token));
        expect(text).not.toContain(password);
        expect(text).not.toMatch(/session\d+secret/);
      }
    },
    30_000,
  );
});

describe("known limits", () => {
  it("is one when Pingoo strips the WebSocket of its https listener", async () => {
    const deployment = await deploy({ mode: "pingoo-https", fault: "websocket-stripped" });
    const report = await check(deployment);
    expect(failures(report)).toEqual([]);
    expect(report.checks.find(({ kind }) => kind === "grafana.websocket")).toMatchObject({
      status: "known-limit",
      seen: "200 instead of 101: this Pingoo strips Upgrade",
      link: "https://github.com/pingooio/pingoo/issues/23",
    });
    expect(report.checks.find(({ kind }) => kind === "grafana.live")).toMatchObject({
      status: "skip",
      seen: "no WebSocket",
    });
    expect(report.experiments[3]!.status).toBe("known-limit");
  });

  it("is one when handshakes are made one at a time, and the staller is let go", async () => {
    const deployment = await deploy({ mode: "pingoo", https: { serial: true } });
    const report = await check(deployment, { skip: ["exposure.ports"] });
    expect(failures(report)).toEqual([]);
    expect(report.checks.find(({ kind }) => kind === "exposure.stalled-handshake")).toMatchObject({
      status: "known-limit",
      link: "docs/verify.md#known-limits",
    });
    const again = await check(deployment, { skip: ["exposure.ports"] });
    expect(again.ok).toBe(true);
  });

  it("is a failure when nginx does so", async () => {
    const versions = { min: "TLSv1.2", max: "TLSv1.3" } as const;
    const deployment = await deploy({ mode: "hybrid", grafana: { serial: true, versions } });
    const report = await check(deployment, { skip: ["exposure.ports"] });
    expect(failures(report)).toEqual(["exposure.stalled-handshake: others waited for 1.5 s or more"]);
  });

  it("has the self-signed certificate where that is configured", async () => {
    const report = await check(await deploy({ identity: selfSigned, acme: "none" }), { trust: [] });
    expect(failures(report)).toEqual([]);
    expect(report.checks.find(({ kind }) => kind === "tls.certificate")!.seen).toMatch(
      /^self-signed, as `acme: none` says/,
    );
  });
});

it("notices a WebSocket that does not last, with `long`", async () => {
  const report = await check(await deploy({ fault: "live-drops" }), {
    long: true,
    skip: ["exposure", "tls"],
  });
  expect(failures(report)).toEqual(["grafana.live-minute: the WebSocket was closed (code 1006)"]);
});

it("waits for Prometheus' first look at a target", async () => {
  const deployment = await deploy({ fault: "targets-late" });
  expect(failures(await check(deployment))).toEqual([]);
  expect(deployment.log.targets).toBe(2);
});

it("reports a deployment that is not there", async () => {
  const deployment = await deploy();
  await running.pop()!.close();
  const report = await check(deployment);
  expect(kindsWith(report, "fail")).toEqual(["tls.handshake", "udp-tracker.connect"]);
  expect(failures(report)[0]).toBe("tls.handshake: connection refused");
});

it("leaves out what is not wanted, and runs what would need it", async () => {
  const report = await check(await deploy(), { skip: ["tls", "dns", "udp-tracker", "exposure", "grafana"] });
  expect(new Set(report.checks.map(({ topic }) => topic))).toEqual(
    new Set(["API", "HTTP tracker", "Prometheus"]),
  );
  expect(report.ok).toBe(true);
});
