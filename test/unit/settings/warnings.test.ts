import { describe, expect, it } from "vitest";

import { warningsOf } from "../../../settings/warnings";
import { settingsOf } from "../support/config";

const tracker = `torrust/tracker@sha256:${"a".repeat(64)}`;

describe("a warning", () => {
  it.each([
    ["the defaults", {}, []],
    ["the shortest interval that is listed", { announceInterval: 300 }, []],
    ["the longest", { announceInterval: 10_800 }, []],
    [
      "a shorter one",
      { announceInterval: 299 },
      [/^announceInterval is 299 s\. newTrackon .* 300 to 10800 s/],
    ],
    ["a longer one", { announceInterval: 10_801 }, [/^announceInterval is 10801 s/]],
    [
      "counted downloads",
      { countDownloads: true },
      [/^countDownloads is on\. .*database.*set countDownloads false$/],
    ],
    [
      "downloads that a newer tracker counts",
      { countDownloads: true, trackerSchemaVersion: "3.0.0", images: { tracker } },
      [],
    ],
  ])("is told of %s as it should be", (_what, values, expected) => {
    const warnings = warningsOf(settingsOf(values));
    expect(warnings).toEqual(expected.map((text) => expect.stringMatching(text)));
  });
});
