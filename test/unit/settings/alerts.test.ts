import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { problemsOf, settingsOf } from "../support/config";
import { promised } from "../support/deploy";

const email = { to: "a@torrust.org", from: "alerts@torrust.org", smtp: "smtp.torrust.org:587" };
const receivers = (alertReceivers: object) => problemsOf({ alertReceivers });

describe("alerts", () => {
  it("are on wherever Prometheus is, with nobody to tell", () => {
    const { alerts } = settingsOf();
    expect(alerts).toMatchObject({ delay: 300, certificateDays: 21 });
    expect(Object.values(alerts!.receivers).filter(Boolean)).toEqual([]);
    expect(settingsOf({ prometheus: false }).alerts).toBeUndefined();
    expect(settingsOf({ alerts: false }).alerts).toBeUndefined();
  });

  it("keep the receivers' secrets secret, however they were set", async () => {
    const { alerts } = settingsOf({
      alertReceivers: {
        webhook: { url: "https://hook.torrust.org/x", token: "t" },
        telegram: { token: "1:x", chatId: -100 },
        email: { ...email, username: "u", password: "p w" },
      },
    });
    const { webhook, telegram, email: mail } = alerts!.receivers;
    for (const [secret, value] of [
      [webhook!.url, "https://hook.torrust.org/x"],
      [webhook!.token!, "t"],
      [telegram!.token, "1:x"],
      [mail!.password!, "p w"],
    ] as const) {
      expect(await promised(secret)).toBe(value);
      expect(await (secret as unknown as { isSecret: Promise<boolean> }).isSecret).toBe(true);
    }
    expect(mail).toMatchObject({ ...email, username: "u", tls: true });
    expect(telegram!.chatId).toBe(-100);
  });

  it("take numbers and truth values as text, as `pulumi config set --path` may write them", () => {
    const { alerts } = settingsOf({
      alertReceivers: { telegram: { token: "1:x", chatId: "-100" }, email: { ...email, tls: "false" } },
    });
    expect(alerts!.receivers.telegram!.chatId).toBe(-100);
    expect(alerts!.receivers.email!.tls).toBe(false);
  });

  const bad: [what: string, receivers: object, path: string, message: RegExp][] = [
    ["an unknown kind", { slak: { url: "https://a.b" } }, "alertReceivers.slak", /Did you mean slack\?/],
    [
      "an unknown key",
      { slack: { url: "https://a.b", chanel: "#a" } },
      "alertReceivers.slack.chanel",
      /Did you mean channel\?/,
    ],
    ["a missing URL", { slack: {} }, "alertReceivers.slack.url", /is missing or no text/],
    ["a URL that is none", { ntfy: { url: "ntfy.sh/x" } }, "alertReceivers.ntfy.url", /is no URL/],
    ["another scheme", { webhook: { url: "ftp://a.b/c" } }, "alertReceivers.webhook.url", /is no URL/],
    ["a template", { webhook: { url: "https://a.b/{{x}}" } }, "alertReceivers.webhook.url", /%7B%7B/],
    ["text instead of an object", { slack: "https://a.b" }, "alertReceivers.slack", /is no object/],
    ["no object at all", [] as object, "alertReceivers", /is no object/],
    [
      "an address that is none",
      { email: { ...email, to: "a" } },
      "alertReceivers.email.to",
      /no e-mail address/,
    ],
    [
      "a server without a port",
      { email: { ...email, smtp: "a.b" } },
      "alertReceivers.email.smtp",
      /host:port/,
    ],
    [
      "a port out of range",
      { email: { ...email, smtp: "a:99999" } },
      "alertReceivers.email.smtp",
      /host:port/,
    ],
    [
      "a password without a user name",
      { email: { ...email, password: "p" } },
      "alertReceivers.email.username",
      /go together/,
    ],
    [
      "a user name without a password",
      { email: { ...email, username: "u" } },
      "alertReceivers.email.password",
      /go together/,
    ],
    [
      "a chat by name",
      { telegram: { token: "1:x", chatId: "@me" } },
      "alertReceivers.telegram.chatId",
      /getUpdates/,
    ],
    [
      "a token with a space",
      { webhook: { url: "https://a.b", token: "a b" } },
      "alertReceivers.webhook.token",
      /1 to 1024/,
    ],
  ];
  it.each(bad)("refuse %s", (_what, given, path, message) => {
    expect(receivers(given)).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it("refuse receivers where nothing is measured", () => {
    const given = { prometheus: false, alertReceivers: { slack: { url: "https://a.b" } } };
    expect(problemsOf(given)).toEqual([
      { path: "alertReceivers", message: expect.stringContaining("pulumi config set prometheus true") },
    ]);
    expect(problemsOf({ ...given, alerts: false })).toEqual([]);
  });

  it.each([
    ["alertDelay", 0],
    ["alertDelay", 90_000],
    ["alertCertificateDays", 0],
    ["alertCertificateDays", 366],
  ])("refuse %s %d", (key, value) => {
    expect(problemsOf({ [key]: value })).toEqual([
      { path: key, message: expect.stringMatching(/out of range/) },
    ]);
  });

  it("never repeat what may be secret", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 3, maxLength: 12, unit: "grapheme" }), (text) => {
        const secret = `s3cr3t${text}`;
        const problems = [
          ...receivers({ webhook: { url: ` ${secret}`, token: `${secret} é` } }),
          ...receivers({ email: { ...email, username: "u", password: ` ${secret}` } }),
          ...receivers({ telegram: { token: ` ${secret}`, chatId: secret }, slack: secret }),
          ...problemsOf({ alertReceivers: `{"webhook": ${secret}` }),
        ];
        expect(problems.length).toBeGreaterThanOrEqual(5);
        for (const { message } of problems) expect(message).not.toContain("s3cr3t");
      }),
    );
  });
});
