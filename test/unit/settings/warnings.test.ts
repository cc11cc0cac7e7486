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

describe("a machine on Hetzner Cloud", () => {
  const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOpKbGPinFIKvvVQexMuxfmVR3auvr57kkIe6mkURtIs me@laptop";
  const warnings = (serverType: string, more: object = {}) =>
    warningsOf(
      settingsOf({
        target: "hetzner",
        hetzner: { sshKeys: [key], sshAllowedFrom: ["203.0.113.7/32"], serverType },
        ...more,
      }),
    );
  const mail = (smtp: string) => ({
    alertReceivers: { email: { to: "a@example.org", from: "b@example.org", smtp } },
  });

  it.each([
    ["cx11", "cx23"],
    ["cx21", "cx23"],
    ["cx22", "cx23"],
    ["cx52", "cx53"],
    ["ccx12", "ccx13"],
    ["ccx62", "ccx63"],
  ])("of type %s has a successor: %s", (gone, successor) =>
    expect(warnings(gone)).toEqual([
      expect.stringMatching(
        `^hetzner.serverType ${gone} is sold no longer: .* hetzner.serverType ${successor}$`,
      ),
    ]),
  );

  it.each(["cx23", "cpx11", "cpx22", "ccx13", "ccx63"])("of type %s needs no warning", (serverType) =>
    expect(warnings(serverType)).toEqual([]),
  );

  it("with ARM needs a tracker that is built for it", () => {
    const images = { tracker: "ghcr.io/someone/tracker:3.0.0-arm64" };
    expect(warnings("cax11")).toEqual([
      expect.stringMatching(/^hetzner\.serverType cax11 is ARM, and torrust\/tracker:3\.0\.0 .* amd64 alone/),
    ]);
    expect(warnings("cax11", { images })).toEqual([]);
  });

  it.each(["mail.example.org:25", "mail.example.org:465"])("does not reach %s", (smtp) =>
    expect(warnings("cx23", mail(smtp))).toEqual([
      expect.stringMatching(/blocks ports 25 and 465 .* alertReceivers\.email\.smtp mail\.example\.org:587$/),
    ]),
  );

  it("reaches a mail server elsewhere, as any other machine does all of them", () => {
    expect(warnings("cx23", mail("mail.example.org:587"))).toEqual([]);
    expect(warnings("cx23", mail("mail.example.org:2525"))).toEqual([]);
    expect(warningsOf(settingsOf(mail("mail.example.org:25")))).toEqual([]);
  });
});
