import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { styleFor } from "../../../terminal/terminal";
import { makeReport, mapTexts, renderJson, renderJunit, renderTable } from "../../../verify/report";
import type { CheckResult } from "../../../verify/run";
import { readTargets } from "../../../verify/targets";

const targets = readTargets({
  urls: {
    api: "https://api.localhost:8443",
    trackers: ["https://tracker.localhost"],
    grafana: "https://[::1]:3443",
  },
  announceUrls: { udp: ["udp://tracker.localhost:6969/announce"] },
  addresses: { ipv4: "127.0.0.1", ipv6: "::1" },
  adminToken: "t0ken",
  mode: "pingoo-tcp",
  acme: "none",
});

function result(more: Partial<CheckResult>): CheckResult {
  return {
    id: `${more.kind}:x`,
    kind: "tls.handshake",
    target: "x",
    topic: "TLS",
    name: "TLS 1.3",
    experiment: 1,
    status: "pass",
    expected: "TLS 1.3",
    seen: "TLS 1.3",
    durationMs: 20,
    remedy: null,
    link: null,
    ...more,
  };
}

const checks = [
  result({}),
  result({
    kind: "api.health",
    topic: "API",
    name: "health",
    experiment: 2,
    status: "fail",
    seen: '502 <b>"&"</b>',
    remedy: "see the log",
    durationMs: 1500,
  }),
  result({
    kind: "http-tracker.user-agent",
    topic: "HTTP tracker",
    name: "no User-Agent",
    experiment: 3,
    status: "known-limit",
    seen: "403",
    remedy: "use UDP",
    link: "docs/verify.md#known-limits",
  }),
  result({
    kind: "grafana.health",
    topic: "Grafana",
    name: "health",
    experiment: 4,
    status: "skip",
    seen: "not tried",
  }),
];
const when = { startedAt: new Date("2026-02-03T04:05:06Z"), durationMs: 1234.5 };
const report = makeReport(targets, checks, when);

describe("makeReport", () => {
  it("has the form that docs/verify.md describes", () => {
    expect({ ...report, checks: report.checks.length }).toEqual({
      schema: 1,
      ok: false,
      startedAt: "2026-02-03T04:05:06.000Z",
      durationMs: 1235,
      counts: { pass: 1, fail: 1, knownLimit: 1, skip: 1 },
      deployment: {
        mode: "pingoo-tcp",
        acme: "none",
        trackerMode: "public",
        addresses: ["127.0.0.1", "::1"],
        https: ["api.localhost:8443", "tracker.localhost:443", "[::1]:3443"],
        http: [],
        udp: ["tracker.localhost:6969"],
      },
      experiments: [
        { number: 1, name: "Hello World: TLS", status: "pass" },
        { number: 2, name: "Tracker API", status: "fail" },
        { number: 3, name: "HTTP tracker", status: "known-limit" },
        { number: 4, name: "Grafana (WebSocket)", status: "skip" },
      ],
      checks: 4,
    });
    expect(makeReport(targets, [result({}), result({ status: "known-limit" })], when).ok).toBe(true);
  });
});

describe("renderTable", () => {
  it("shows what was seen, and what to do", () => {
    expect(renderTable(report, styleFor({ write: () => true }, {}))).toBe(`TLS
  ✓  TLS 1.3        x  TLS 1.3

API
  ✗  health         x  502 <b>"&"</b>  1.5 s

HTTP tracker
  !  no User-Agent  x  known limit: 403

Grafana
  -  health         x  not tried

✗ API, health x
    expected  TLS 1.3
    seen      502 <b>"&"</b>
    fix       see the log

! HTTP tracker, no User-Agent x
    expected  TLS 1.3
    seen      403
    note      use UDP
    see       docs/verify.md#known-limits

Experiments of the evaluation: ✓ 1 Hello World: TLS   ✗ 2 Tracker API   ! 3 HTTP tracker   - 4 Grafana (WebSocket)

Not all holds: 1 hold, 1 fail, 1 known limit, 1 not tried. 1.2 s.
`);
  });

  it("gives advice once for what is alike", () => {
    const [, failed] = checks;
    const twice = makeReport(targets, [failed!, { ...failed!, target: "y" }], when);
    expect(renderTable(twice, styleFor({ write: () => true }, {}))).toContain("✗ API, health x, y\n");
  });

  it("uses colours on a terminal", () => {
    expect(renderTable(report, styleFor({ write: () => true, isTTY: true }, {}))).toContain(
      "\u001b[31m✗\u001b[39m",
    );
  });
});

it("renderJson is the report", () => {
  expect(JSON.parse(renderJson(report))).toEqual(report);
});

describe("renderJunit", () => {
  it("counts and escapes", () => {
    const text = renderJunit(report);
    expect(text).toContain(
      '<testsuites name="verify" tests="4" failures="1" errors="0" skipped="2" time="1.234">'.replace(
        "1.234",
        "1.235",
      ),
    );
    expect(text).toContain(
      '<testsuite name="API" tests="1" failures="1" errors="0" skipped="0" time="1.500" timestamp="2026-02-03T04:05:06">',
    );
    expect(text).toContain('<testcase classname="api.health" name="health x" time="1.500">');
    expect(text).toContain(
      '<failure message="502 &lt;b&gt;&quot;&amp;&quot;&lt;/b&gt;" type="fail">expected: TLS 1.3&#10;seen:',
    );
    expect(text).toContain('<skipped message="known limit: 403 (docs/verify.md#known-limits)"/>');
    expect(text).toContain('<testcase classname="tls.handshake" name="TLS 1.3 x" time="0.020"/>');
  });

  it("is XML 1.0 whatever the texts hold", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.constantFrom("fail", "skip", "known-limit"),
        (seen, status) => {
          const text = renderJunit(
            makeReport(targets, [result({ seen, remedy: seen, name: seen, status })], when),
          );
          expect(text.replaceAll("\n", "")).not.toMatch(/\p{Control}|\p{Surrogate}|[\ufffe\uffff]/u);
          for (const [, value] of text.matchAll(/="([^"]*)"/g)) expect(value).not.toMatch(/[<>]|&(?!#?\w+;)/);
        },
      ),
    );
  });
});

it("mapTexts changes what people read, and nothing that programs do", () => {
  const masked = mapTexts(report, (text) => text.replaceAll("s", "*"));
  expect(masked.checks[1]).toMatchObject({ status: "fail", kind: "api.health", remedy: "*ee the log" });
  expect(masked.checks[1]!.link).toBeNull();
});
