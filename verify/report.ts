import { table, formatDuration, type Style } from "../terminal/terminal";
import { hostPort } from "./net";
import { topics, type Status, type Topic } from "./check";
import type { CheckResult } from "./run";
import { count, printable } from "./text";
import { webTargets, type Targets } from "./targets";

/** What `--json` prints; described in docs/verify.md. New fields may come, none goes or changes its meaning. */
export interface Report {
  /** Version of this form. */
  readonly schema: 1;
  /** Whether nothing failed. */
  readonly ok: boolean;
  /** ISO 8601, UTC. */
  readonly startedAt: string;
  /** Milliseconds. */
  readonly durationMs: number;
  readonly counts: {
    readonly pass: number;
    readonly fail: number;
    readonly knownLimit: number;
    readonly skip: number;
  };
  readonly deployment: {
    readonly mode: string | null;
    readonly acme: string;
    readonly trackerMode: string;
    readonly addresses: readonly string[];
    /** `host:port` of the HTTPS endpoints. */
    readonly https: readonly string[];
    /** `host:port` of the HTTP trackers without TLS. */
    readonly http: readonly string[];
    /** `host:port` of the UDP trackers. */
    readonly udp: readonly string[];
  };
  /** The evaluation's experiments, by what their checks found. */
  readonly experiments: readonly {
    readonly number: 1 | 2 | 3 | 4;
    readonly name: string;
    /** `fail` if any check failed, else `known-limit` if any is, else `pass` if any passed, else `skip`. */
    readonly status: Status;
  }[];
  readonly checks: readonly CheckResult[];
}

/** The experiments of the evaluation of Pingoo (torrust-tracker-deployer, 2026-01). */
const experimentNames = {
  1: "Hello World: TLS",
  2: "Tracker API",
  3: "HTTP tracker",
  4: "Grafana (WebSocket)",
} as const;

/** Puts a report together. Pure. */
export function makeReport(
  targets: Targets,
  checks: readonly CheckResult[],
  { startedAt, durationMs }: { readonly startedAt: Date; readonly durationMs: number },
): Report {
  const number = (status: Status) => checks.filter((check) => check.status === status).length;
  return {
    schema: 1,
    ok: number("fail") === 0,
    startedAt: startedAt.toISOString(),
    durationMs: Math.round(durationMs),
    counts: {
      pass: number("pass"),
      fail: number("fail"),
      knownLimit: number("known-limit"),
      skip: number("skip"),
    },
    deployment: {
      mode: targets.mode ?? null,
      acme: targets.issuer,
      trackerMode: targets.trackerMode,
      addresses: [targets.addresses.ipv4, targets.addresses.ipv6].filter((address) => address !== undefined),
      https: webTargets(targets).map(({ host, port }) => hostPort(host, port)),
      http: targets.plainTrackers.map(({ host, port }) => hostPort(host, port)),
      udp: targets.udpTrackers.map(({ host, port }) => hostPort(host, port)),
    },
    experiments: ([1, 2, 3, 4] as const).map((experiment) => ({
      number: experiment,
      name: experimentNames[experiment],
      status: worst(checks.filter((check) => check.experiment === experiment).map(({ status }) => status)),
    })),
    checks: [...checks],
  };
}

function worst(statuses: readonly Status[]): Status {
  return (["fail", "known-limit", "pass"] as const).find((status) => statuses.includes(status)) ?? "skip";
}

/** The same report with the checks' texts changed, for masking. */
export function mapTexts(report: Report, change: (text: string) => string): Report {
  const checks = report.checks.map((check) => ({
    ...check,
    expected: change(check.expected),
    seen: change(check.seen),
    remedy: check.remedy && change(check.remedy),
  }));
  return { ...report, checks };
}

const marks: Readonly<Record<Status, string>> = { pass: "✓", fail: "✗", "known-limit": "!", skip: "-" };

function painted(status: Status, style: Style): (text: string) => string {
  switch (status) {
    case "pass":
      return style.green;
    case "fail":
      return style.red;
    case "known-limit":
      return style.yellow;
    case "skip":
      return style.dim;
  }
}

/** The report for people: a table by topic, what to do, and a summary. Pure. */
export function renderTable(report: Report, style: Style): string {
  const rows: { topic: Topic; cells: string[] }[] = report.checks.map((check) => {
    const paint = painted(check.status, style);
    return {
      topic: check.topic,
      cells: [
        `  ${paint(marks[check.status])}`,
        check.name,
        style.dim(check.target),
        paint(check.status === "known-limit" ? `known limit: ${check.seen}` : check.seen),
        style.dim(check.durationMs >= 50 ? formatDuration(check.durationMs) : ""),
      ],
    };
  });
  // One table over all topics, so that their columns line up; the sections are cut out of it afterwards.
  const lines = table(rows.map(({ cells }) => [...cells.slice(0, 3), `${cells[3]}  ${cells[4]}`])).split(
    "\n",
  );
  const sections = topics
    .map((topic) => ({ topic, lines: lines.filter((_, index) => rows[index]?.topic === topic) }))
    .filter((section) => section.lines.length > 0)
    .map((section) => [style.bold(section.topic), ...section.lines].join("\n"));
  const advice = alike(
    report.checks.filter(
      ({ status, remedy, link }) => status === "fail" || (status === "known-limit" && (remedy || link)),
    ),
  ).map(({ check, targets }) => {
    const paint = painted(check.status, style);
    return [
      `${paint(marks[check.status])} ${style.bold(`${check.topic}, ${check.name}`)} ${style.dim(targets.join(", "))}`,
      `    expected  ${check.expected}`,
      `    seen      ${check.seen}`,
      ...(check.remedy ? [`    ${check.status === "fail" ? "fix     " : "note    "}  ${check.remedy}`] : []),
      ...(check.link ? [`    see       ${check.link}`] : []),
    ].join("\n");
  });
  const experiments = report.experiments
    .map(({ number, name, status }) => `${painted(status, style)(marks[status])} ${number} ${name}`)
    .join("   ");
  const { pass, fail, knownLimit, skip } = report.counts;
  const summary = [
    `${pass} hold`,
    fail > 0 ? style.red(`${fail} fail`) : "0 fail",
    ...(knownLimit > 0 ? [style.yellow(count(knownLimit, "known limit"))] : []),
    ...(skip > 0 ? [`${skip} not tried`] : []),
  ].join(", ");
  const verdict = report.ok
    ? style.green(style.bold("All that was tried holds"))
    : style.red(style.bold("Not all holds"));
  return [
    ...sections,
    ...advice,
    `Experiments of the evaluation: ${experiments}`,
    `${verdict}: ${summary}. ${formatDuration(report.durationMs)}.`,
  ]
    .join("\n\n")
    .concat("\n");
}

/** Results that differ in their target only, as one. */
function alike(
  checks: readonly CheckResult[],
): { readonly check: CheckResult; readonly targets: string[] }[] {
  const groups = new Map<string, { readonly check: CheckResult; readonly targets: string[] }>();
  for (const check of checks) {
    const { kind, status, expected, seen, remedy } = check;
    const key = JSON.stringify([kind, status, expected, seen, remedy]);
    const group = groups.get(key);
    if (group) group.targets.push(check.target);
    else groups.set(key, { check, targets: [check.target] });
  }
  return [...groups.values()];
}

/** The report as JSON text. Pure. */
export function renderJson(report: Report): string {
  return `${JSON.stringify(report, null, 2)}\n`;
}

/** The report as JUnit XML, as CI systems read it: a suite per topic; known limits count as skipped. Pure. */
export function renderJunit(report: Report): string {
  const seconds = (milliseconds: number) => (milliseconds / 1000).toFixed(3);
  const suites = topics
    .map((topic) => ({ topic, checks: report.checks.filter((check) => check.topic === topic) }))
    .filter(({ checks }) => checks.length > 0);
  const total = (checks: readonly CheckResult[], statuses: readonly Status[]) =>
    checks.filter(({ status }) => statuses.includes(status)).length;
  const counts = (checks: readonly CheckResult[]) =>
    `tests="${checks.length}" failures="${total(checks, ["fail"])}" errors="0" skipped="${total(checks, ["skip", "known-limit"])}"`;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="verify" ${counts(report.checks)} time="${seconds(report.durationMs)}">`,
  ];
  for (const { topic, checks } of suites) {
    const time = checks.reduce((sum, { durationMs }) => sum + durationMs, 0);
    lines.push(
      `  <testsuite name="${xml(topic)}" ${counts(checks)} time="${seconds(time)}" timestamp="${report.startedAt.slice(0, 19)}">`,
    );
    for (const check of checks) {
      const open = `    <testcase classname="${xml(check.kind)}" name="${xml(`${check.name} ${check.target}`)}" time="${seconds(check.durationMs)}"`;
      const inner = junitResult(check);
      lines.push(inner ? `${open}>\n${inner}\n    </testcase>` : `${open}/>`);
    }
    lines.push("  </testsuite>");
  }
  lines.push("</testsuites>");
  return `${lines.join("\n")}\n`;
}

function junitResult({ status, expected, seen, remedy, link }: CheckResult): string | undefined {
  switch (status) {
    case "pass":
      return undefined;
    case "skip":
      return `      <skipped message="${xml(seen)}"/>`;
    case "known-limit":
      return `      <skipped message="${xml(`known limit: ${seen}${link ? ` (${link})` : ""}`)}"/>`;
    case "fail": {
      const body = `expected: ${expected}\nseen: ${seen}${remedy ? `\nfix: ${remedy}` : ""}`;
      return `      <failure message="${xml(seen)}" type="fail">${xml(body)}</failure>`;
    }
  }
}

/** Text for XML 1.0, in an attribute or an element; characters that XML cannot hold are replaced. */
function xml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    "&": "&amp;",
    "<": "&lt;",
    ">": "&gt;",
    '"': "&quot;",
  };
  return text
    .split("\n")
    .map((line) => printable(line).replace(/[\ufffe\uffff]/g, "·"))
    .join("\n")
    .replace(/[&<>"]/g, (character) => entities[character] ?? character)
    .replace(/\n/g, "&#10;");
}
