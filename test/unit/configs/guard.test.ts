import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

import { guardAlerts, renderGuardConfig, renderGuardRules, spreadPorts } from "../../../configs/guard";
import { root } from "../support/config";

const shared = [
  { name: "https", ports: spreadPorts(443, 20001, 16) },
  { name: "grafana", ports: spreadPorts(3443, 20501, 8) },
];

/** Ports to which connections to `published` go, those of slow IPv4 clients or of everybody. */
function targets(rules: string, published: number, who: "slow" | "all"): number[] {
  const line = rules.split("\n").find((line) => {
    const match = /tcp dport (\d+) (ip saddr @slow4 )?redirect/.exec(line);
    return match && Number(match[1]) === published && (match[2] ? "slow" : "all") === who;
  });
  const [, modulus, map] = /numgen inc mod (\d+) map { (.*) }/.exec(line ?? "")!;
  const entries = map!.split(", ").map((entry) => entry.split(" : ").map(Number));
  expect(entries.map(([index]) => index)).toEqual(Array.from({ length: Number(modulus) }, (_, i) => i));
  return entries.map(([, port]) => port!);
}

describe("the guard's rules", () => {
  it("of a whole stack", () =>
    expect(renderGuardRules(shared, "10.230.7.64/26")).toMatchFileSnapshot("golden/guard.nft"));

  it.each([4, 7, 8, 32, 128, 256])("use each of %i listeners, for one kind of client only", (count) => {
    const ports = spreadPorts(443, 20001, count);
    const rules = renderGuardRules([{ name: "https", ports }]);
    const [all, slow] = [targets(rules, 443, "all"), targets(rules, 443, "slow")];
    expect([...all, ...slow].sort((a, b) => a - b)).toEqual(ports);
    expect(all).toContain(443);
    expect(slow.length).toBe(Math.max(1, Math.floor(count / 8)));
  });

  it("keep what is in the container from the metrics network, if there is one", () => {
    expect(renderGuardRules(shared, "10.230.7.64/26")).toContain("ip daddr 10.230.7.64/26 reject");
    expect(renderGuardRules(shared)).not.toContain("reject");
  });
});

describe("guard.json", () => {
  it("of a whole stack", () =>
    expect(
      renderGuardConfig({
        shared,
        exempt: ["10.230.7.1"],
        metricsAddress: "10.230.7.74",
        metricsPort: 9180,
        acmeDomains: ["tracker.torrust.org", "api.torrust.org"],
      }),
    ).toMatchFileSnapshot("golden/guard.json"));
});

it("alerts about metrics that the guard has", () => {
  const known = readFileSync(join(root, "guard/metrics.py"), "utf8");
  for (const { expr } of guardAlerts)
    for (const [metric] of expr.matchAll(/pingoo_\w+/g)) expect(known).toContain(`"${metric}"`);
});
