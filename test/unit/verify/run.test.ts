import { describe, expect, it } from "vitest";

import { checkId, fail, knownLimit, pass, skip, type Check } from "../../../verify/check";
import { NetworkError } from "../../../verify/net";
import { runChecks } from "../../../verify/run";

const deadlines = { together: 2000, alone: 1000 };
const wait = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

function check(kind: string, run: Check["run"], more: Partial<Check> = {}): Check {
  return {
    kind,
    target: "x",
    topic: "TLS",
    name: kind,
    expected: "good",
    remedy: "mend it",
    run,
    ...more,
  };
}

describe("runChecks", () => {
  it("keeps the order, and says what to do for failures only", async () => {
    const results = await runChecks(
      [
        check("slow", async () => (await wait(30), pass("fine"))),
        check("bad", async () => fail("broken")),
        check("worse", async () => fail("broken", "mend that")),
        check("limit", async () => knownLimit("so it is", "https://example.org", "live with it")),
        check("throws", async () => {
          throw new NetworkError("refused", "connection refused");
        }),
        check("skipped", async () => skip("not here")),
      ],
      { deadlines },
    );
    expect(results.map(({ kind, status, seen, remedy, link }) => [kind, status, seen, remedy, link])).toEqual(
      [
        ["slow", "pass", "fine", null, null],
        ["bad", "fail", "broken", "mend it", null],
        ["worse", "fail", "broken", "mend that", null],
        ["limit", "known-limit", "so it is", "live with it", "https://example.org"],
        ["throws", "fail", "connection refused", "mend it", null],
        ["skipped", "skip", "not here", null, null],
      ],
    );
    expect(results[0]!.durationMs).toBeGreaterThanOrEqual(25);
  });

  it("skips what needs a failed or skipped check, and goes on after a known limit", async () => {
    const needs = (kind: string) => ({ needs: [checkId({ kind, target: "x" })] });
    const results = await runChecks(
      [
        check("third", async () => pass("never"), needs("second")),
        check("second", async () => pass("never"), needs("first")),
        check("first", async () => fail("broken")),
        check("limit", async () => knownLimit("known", "link")),
        check("after limit", async () => pass("ran"), needs("limit")),
      ],
      { deadlines },
    );
    expect(results.map(({ status, seen }) => `${status} ${seen}`)).toEqual([
      'skip not tried: "second" was not tried',
      'skip not tried: "first" failed',
      "fail broken",
      "known-limit known",
      "pass ran",
    ]);
  });

  it("bounds how many run at once, and lets nothing beside those that run alone", async () => {
    let running = 0;
    let most = 0;
    const order: string[] = [];
    const busy = (name: string, more: Partial<Check> = {}) =>
      check(
        name,
        async () => {
          most = Math.max(most, ++running);
          await wait(10);
          running--;
          order.push(name);
          return pass("");
        },
        more,
      );
    const many = Array.from({ length: 9 }, (_, index) => busy(`c${index}`));
    const alone = [busy("a1", { alone: true }), busy("a2", { alone: true })];
    await runChecks([...alone, ...many], {
      concurrency: 3,
      deadlines,
      between: async () => {
        expect(running).toBe(0);
        order.push("between");
        most = 0;
      },
    });
    expect(order.slice(-3)).toEqual(["between", "a1", "a2"]);
    expect(most).toBe(1);
  });

  it("ends checks at their own time, at the time of all, and leaves behind what does not heed it", async () => {
    const heeding = (signal: AbortSignal) =>
      new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    const since = Date.now();
    const results = await runChecks(
      [
        check("own time", heeding, { timeout: 50 }),
        check("all time", heeding),
        check("deaf", () => new Promise<never>(() => undefined)),
        check("late", async (signal) => (signal.aborted ? fail("too late") : pass("?")), {
          needs: ["all time:x"],
        }),
      ],
      { deadlines: { together: 200, alone: 100 } },
    );
    expect(results.map(({ status, seen }) => `${status} ${seen}`)).toEqual([
      "fail stopped",
      "fail stopped",
      "fail not done in time",
      'skip not tried: "all time" failed',
    ]);
    expect(Date.now() - since).toBeLessThan(2500);
  });

  it("refuses what cannot be run", async () => {
    const one = check("one", async () => pass(""));
    await expect(runChecks([one, one], { deadlines })).rejects.toThrow("one id");
    await expect(runChecks([{ ...one, needs: ["two:x"] }], { deadlines })).rejects.toThrow(
      "unknown check two:x",
    );
  });

  it("tells of each result as it comes", async () => {
    const told: string[] = [];
    await runChecks([check("a", async () => pass("")), check("b", async () => pass(""))], {
      deadlines,
      onStart: ({ kind }) => told.push(kind),
      onResult: ({ kind }, done, total) => told.push(`${kind} ${done}/${total}`),
    });
    expect(told).toEqual(["a", "b", "a 1/2", "b 2/2"]);
  });
});
