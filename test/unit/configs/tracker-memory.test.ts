import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { trackerHealthCommand, trackerMemoryAlert } from "../../../configs/tracker-memory";

describe.skipIf(!existsSync("/proc/1/status"))("the tracker's health check", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-memory-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  /** The check with another program in the place of the image's own. */
  const check = (metricsFolder: string, program: string) => {
    const [shell, ...args] = trackerHealthCommand(1313, metricsFolder);
    return spawnSync(
      shell!,
      args.map((arg) => arg.replace("/usr/bin/http_health_check", program)),
      { encoding: "utf8" },
    );
  };

  it("leaves what process 1 holds as a metric that anybody may read", () => {
    expect(check(folder, "echo")).toMatchObject({
      status: 0,
      stdout: "http://127.0.0.1:1313/health_check\n",
    });
    expect(readdirSync(folder)).toEqual(["tracker.prom"]);
    const file = join(folder, "tracker.prom");
    expect(readFileSync(file, "utf8")).toMatch(
      /^# HELP torrust_tracker_memory_bytes .+\n# TYPE torrust_tracker_memory_bytes gauge\ntorrust_tracker_memory_bytes [1-9]\d*\n$/,
    );
    expect(statSync(file).mode & 0o444).toBe(0o444);
  });

  it("says what the image's own says, with or without room for the metric", () => {
    expect(check(folder, "false").status).toBe(1);
    expect(check(join(folder, "gone"), "true").status).toBe(0);
  });
});

it("compares with what is configured, in bytes", () => {
  expect(trackerMemoryAlert(2944).expr).toContain("torrust_tracker_memory_bytes / 3087007744 > 0.8");
});
