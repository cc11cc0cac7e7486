import fc from "fast-check";
import { describe, expect, it } from "vitest";

import { defaultImages } from "../../../stack/images";
import { configKeys, parseSettings, secretKeys, SettingsError } from "../../../settings";
import {
  configSchema,
  minimal,
  plainHttp,
  problemsOf,
  project,
  rawConfig,
  settingsOf,
} from "../support/config";

describe("good configuration", () => {
  it("is complete with the defaults of Pulumi.yaml and the names", () => {
    expect(settingsOf()).toMatchObject({
      host: { kind: "local" },
      apiDomain: "api.torrust.org",
      httpTrackers: [{ domain: "tracker.torrust.org", port: 7070 }],
      udpTrackers: [{ port: 6969, domain: "tracker.torrust.org" }],
      tracker: {
        mode: "public",
        schemaVersion: "2.0.0",
        announceInterval: 300,
        countDownloads: false,
        memory: 8192,
        database: "sqlite",
      },
      acme: { kind: "directory", directoryUrl: "https://acme-v02.api.letsencrypt.org/directory" },
      httpsPort: 443,
      pingooListeners: 128,
      nginxRateLimit: 100,
      prometheus: { scrapeInterval: 15, retention: "15d" },
      grafana: undefined,
      publishAddresses: ["0.0.0.0"],
      images: defaultImages,
      protectData: false,
    });
  });

  it("needs no name but the trackers'", () => {
    const none = { apiDomain: "", httpTrackers: [] };
    const udp = settingsOf({ ...none, udpTrackers: [{ port: 6969, domain: "udp.torrust.org" }] });
    expect(udp.apiDomain).toBeUndefined();
    expect(udp.udpTrackers).toEqual([{ port: 6969, domain: "udp.torrust.org" }]);
    expect(problemsOf({ ...none, udpTrackers: [{ port: 6969, domain: "192.0.2.7" }] })).toEqual([]);
    expect(problemsOf({ apiDomain: "", udpTrackers: [] })).toEqual([]);
  });

  it.each([
    [{}, "tracker.torrust.org"],
    [{ apiDomain: "" }, "tracker.torrust.org"],
    [{ httpTrackers: [] }, "api.torrust.org"],
    [{ udpTrackers: [{ port: 6969, domain: "udp.torrust.org" }] }, "udp.torrust.org"],
  ])("names UDP trackers after the first HTTP tracker, then the API: %j", (values, domain) =>
    expect(settingsOf(values).udpTrackers).toEqual([{ port: 6969, domain }]),
  );

  it("publishes on IPv6 only where the tracker has IPv6", () => {
    expect(settingsOf({ ipv6: true }).publishAddresses).toEqual(["0.0.0.0", "::"]);
    expect(settingsOf({ ipv6: false }).publishAddresses).toEqual(["0.0.0.0"]);
  });

  it("numbers the HTTP trackers' ports", () => {
    const { httpTrackers } = settingsOf({
      httpTrackers: [{ domain: "a.org" }, { domain: "b.org" }, { domain: "c.org", port: 9000 }],
    });
    expect(httpTrackers.map(({ port }) => port)).toEqual([7070, 7071, 9000]);
  });

  it("puts Grafana on a port of its own, or on the shared one", () => {
    const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };
    expect(settingsOf(grafana).grafana).toEqual({
      domain: "grafana.torrust.org",
      port: 3443,
      listener: "own",
      proxy: "pingoo",
    });
    expect(settingsOf({ ...grafana, grafanaOnHttps: true }).grafana).toMatchObject({
      port: 443,
      listener: "https",
    });
  });

  it("puts Grafana behind nginx, or everything", () => {
    const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };
    const hybrid = settingsOf({ ...grafana, hybrid: true, acmeEmail: "admin@torrust.org" });
    expect(hybrid).toMatchObject({
      tlsProxy: "pingoo",
      grafana: { port: 3443, listener: "own", proxy: "nginx" },
      acme: { email: "admin@torrust.org" },
    });
    expect(settingsOf({ ...grafana, tlsProxy: "nginx", grafanaOnHttps: true })).toMatchObject({
      tlsProxy: "nginx",
      grafana: { port: 443, listener: "https", proxy: "nginx" },
    });
  });

  it("may have any httpPort while nginx does not run", () => {
    expect(problemsOf({ httpPort: 443 })).toEqual([]);
  });

  it("keeps announces to HTTPS unless plain HTTP is asked for", () => {
    const asked = (values: object) =>
      settingsOf({ ...values }).httpTrackers.map((tracker) => tracker.plainHttp);
    expect(asked({})).toEqual([false]);
    expect(asked(plainHttp)).toEqual([true]);
  });

  it("may have any httpsPort while nothing is served there", () => {
    const udpOnly = { apiDomain: "", httpTrackers: [], udpTrackers: [{ port: 6969, domain: "a.org" }] };
    const dashboards = { grafana: true, grafanaDomain: "grafana.torrust.org", grafanaPort: 443 };
    expect(problemsOf({ ...udpOnly, ...dashboards })).toEqual([]);
    expect(problemsOf({ ...udpOnly, tlsProxy: "nginx", httpPort: 443 })).toEqual([]);
  });

  it("may keep Grafana's domain while Grafana is off", () => {
    expect(settingsOf({ grafana: false, grafanaDomain: "grafana.torrust.org" }).grafana).toBeUndefined();
  });

  it("may use one port number for TCP and UDP", () => {
    expect(problemsOf({ httpsPort: 6969, udpTrackers: [{ port: 6969 }] })).toEqual([]);
  });

  it("may name this machine when nobody has to vouch for it", () => {
    expect(
      problemsOf({ acme: "none", apiDomain: "api.localhost", httpTrackers: [{ domain: "127.0.0.1" }] }),
    ).toEqual([]);
  });

  it("takes a test domain for an ACME directory of one's own", () => {
    const { acme } = settingsOf({ acme: "https://acme.test/dir", apiDomain: "api.torrust.test" });
    expect(acme).toEqual({
      kind: "directory",
      name: "https://acme.test/dir",
      directoryUrl: "https://acme.test/dir",
      caCertificate: undefined,
    });
  });

  it.each([
    "ghcr.io/torrust/tracker:3.1.0",
    `torrust/tracker@sha256:${"a".repeat(64)}`,
    `torrust/tracker:develop@sha256:${"a".repeat(64)}`,
    "localhost:5000/tracker:x",
  ])("takes the image %s", (tracker) =>
    expect(settingsOf({ images: { tracker } }).images).toEqual({ ...defaultImages, tracker }),
  );

  it.each(["pingooio/pingoo:0.14.7", "pingooio/pingoo:0.14.10", "example.org/pingoo:0.14.9-spawned"])(
    "takes the Pingoo %s",
    (pingoo) => expect(settingsOf({ images: { pingoo } }).images.pingoo).toBe(pingoo),
  );

  it("gives each stack a subnet of its own", () => {
    expect(settingsOf({}, "dev").subnet).not.toBe(settingsOf({}, "prod").subnet);
    expect(settingsOf({ subnet: "192.168.7.0/24" }).subnet).toBe("192.168.7.0/24");
  });
});

describe("bad configuration", () => {
  const digest = `sha256:${"a".repeat(64)}`;
  const grafana = { grafana: true, grafanaDomain: "grafana.torrust.org" };
  const bad: [what: string, values: Record<string, unknown>, path: string, message: RegExp][] = [
    [
      "UDP on a private tracker",
      { trackerMode: "private" },
      "udpTrackers",
      /serves no UDP then.*udpTrackers '\[\]'/,
    ],
    ["an unknown key", { httpsPorts: 1 }, "httpsPorts", /not known.*Did you mean httpsPort\?/],
    ["an unknown key like no other", { zzz: 1 }, "zzz", /not known\. Known are: .*apiDomain/],
    [
      "an unknown key in a list",
      { httpTrackers: [{ domain: "a.org", prot: 1 }] },
      "httpTrackers[0].prot",
      /Did you mean port\?/,
    ],
    ["an unknown image", { images: { tracke: "a:1" } }, "images.tracke", /Did you mean tracker\?/],
    [
      "an unknown target",
      { target: "moon" },
      "target",
      /"moon" is not known\. Write one of: local, ssh, hetzner\./,
    ],
    ["an empty port", { httpsPort: "" }, "httpsPort", /"" is no whole number/],
    ["a bad Grafana domain", { grafanaDomain: "a b" }, "grafanaDomain", /no host name/],
    ["an empty domain", { httpTrackers: [{ domain: "" }] }, "httpTrackers[0].domain", /is empty/],
    [
      "a UDP tracker without a name",
      { apiDomain: "", httpTrackers: [] },
      "udpTrackers[0].domain",
      /is missing.*neither httpTrackers nor apiDomain.*udpTrackers\[0\]\.domain' udp\.example\.org/,
    ],
    ["capital letters", { apiDomain: "API.torrust.org" }, "apiDomain", /Write "api\.torrust\.org"/],
    ["a wildcard", { apiDomain: "*.torrust.org" }, "apiDomain", /wildcard/],
    ["a domain that is not ASCII", { apiDomain: "bücher.org" }, "apiDomain", /xn--/],
    ["a URL", { apiDomain: "https://api.torrust.org" }, "apiDomain", /no host name/],
    ["a domain with a port", { apiDomain: "api.torrust.org:443" }, "apiDomain", /no host name/],
    ["a trailing dot", { apiDomain: "api.torrust.org." }, "apiDomain", /ends in a dot/],
    ["a label that begins with a hyphen", { apiDomain: "-a.torrust.org" }, "apiDomain", /no host name/],
    ["a label of 64 letters", { apiDomain: `${"a".repeat(64)}.org` }, "apiDomain", /no host name/],
    ["an empty label", { apiDomain: "a..org" }, "apiDomain", /no host name/],
    ["a line break", { apiDomain: "a.org\nb" }, "apiDomain", /no host name/],
    ["a quote", { httpTrackers: [{ domain: 'a".org' }] }, "httpTrackers[0].domain", /no host name/],
    [
      "a domain used twice",
      { apiDomain: "tracker.torrust.org" },
      "httpTrackers[0].domain",
      /already used by apiDomain/,
    ],
    [
      "Grafana on a tracker's domain",
      { ...grafana, grafanaDomain: "tracker.torrust.org" },
      "grafanaDomain",
      /already used by httpTrackers\[0\]/,
    ],
    ["an IP address with ACME", { apiDomain: "192.0.2.1" }, "apiDomain", /IP address.*acme none/],
    ["localhost with ACME", { apiDomain: "localhost" }, "apiDomain", /this machine itself/],
    ["a name below localhost with ACME", { apiDomain: "api.localhost" }, "apiDomain", /this machine itself/],
    ["a test domain with Let's Encrypt", { apiDomain: "api.test" }, "apiDomain", /no public DNS/],
    ["a name without a dot with Let's Encrypt", { apiDomain: "tracker" }, "apiDomain", /no public DNS/],
    ["a port of 0", { httpsPort: 0 }, "httpsPort", /^0 is out of range.*1 to 65535/],
    ["a port of 65536", { httpsPort: 65536 }, "httpsPort", /out of range/],
    ["a port with letters", { httpsPort: "443abc" }, "httpsPort", /"443abc" is no whole number/],
    ["a fraction", { udpTrackers: [{ port: 6969.5 }] }, "udpTrackers[0].port", /6969\.5 is no whole number/],
    [
      "a port that is a text",
      { udpTrackers: [{ port: "x" }] },
      "udpTrackers[0].port",
      /"x" is no whole number/,
    ],
    ["no port", { udpTrackers: [{}] }, "udpTrackers[0].port", /is missing/],
    ["no domain", { httpTrackers: [{ port: 7070 }] }, "httpTrackers[0].domain", /is missing/],
    ["a text for a list", { httpTrackers: "tracker.torrust.org" }, "httpTrackers", /is not JSON/],
    ["an object for a list", { httpTrackers: { domain: "a.org" } }, "httpTrackers", /is no list/],
    [
      "Grafana on the trackers' port",
      { ...grafana, grafanaPort: 443 },
      "grafanaPort",
      /TCP port 443 is already taken on the host by httpsPort/,
    ],
    [
      "one UDP port twice",
      { udpTrackers: [{ port: 6969 }, { port: 6969 }] },
      "udpTrackers[1].port",
      /already taken.*udpTrackers\[0\]/,
    ],
    [
      "an HTTP tracker on the API's port",
      { httpTrackers: [{ domain: "a.org", port: 1212 }] },
      "httpTrackers[0].port",
      /tracker's API/,
    ],
    [
      "two HTTP trackers on one port",
      { httpTrackers: [{ domain: "a.org", port: 7071 }, { domain: "b.org" }] },
      "httpTrackers[1].port",
      /already taken/,
    ],
    ["nobody to announce to", { httpTrackers: [], udpTrackers: [] }, "httpTrackers", /nobody could announce/],
    ["Grafana without a domain", { grafana: true }, "grafanaDomain", /is missing/],
    ["Grafana without Prometheus", { ...grafana, prometheus: false }, "grafana", /needs Prometheus/],
    ["a place for a Grafana that is off", { grafanaOnHttps: true }, "grafanaOnHttps", /Grafana is off/],
    ["hybrid without Grafana", { hybrid: true }, "hybrid", /Grafana, which is off.*set grafana true/],
    [
      "hybrid with Grafana beside the trackers",
      { ...grafana, hybrid: true, grafanaOnHttps: true },
      "grafanaOnHttps",
      /proxy of its own.*grafanaOnHttps false/,
    ],
    [
      "plain HTTP on Grafana's port",
      { ...grafana, hybrid: true, httpPort: 3443 },
      "httpPort",
      /TCP port 3443 is already taken on the host by grafanaPort/,
    ],
    [
      "plain HTTP on the trackers' port",
      { tlsProxy: "nginx", httpPort: 443 },
      "httpPort",
      /already taken on the host by httpsPort/,
    ],
    [
      "plain announces on the port of HTTPS",
      { ...plainHttp, httpPort: 443 },
      "httpPort",
      /TCP port 443 is already taken on the host by httpsPort/,
    ],
    [
      "plain HTTP for a tracker that says so in words",
      { httpTrackers: [{ domain: "a.org", plainHttp: "yes" }] },
      "httpTrackers[0].plainHttp",
      /"yes" is neither true nor false/,
    ],
    [
      "an address behind nginx",
      { tlsProxy: "nginx", acme: "none", apiDomain: "192.0.2.1" },
      "apiDomain",
      /which nginx cannot serve/,
    ],
    [
      "Grafana at an address behind nginx",
      { grafana: true, hybrid: true, acme: "none", grafanaDomain: "192.0.2.1" },
      "grafanaDomain",
      /which nginx cannot serve/,
    ],
    ["an unknown proxy", { tlsProxy: "caddy" }, "tlsProxy", /Write one of: pingoo, nginx/],
    ["an e-mail address that is none", { acmeEmail: "admin" }, "acmeEmail", /"admin" is no e-mail address/],
    ["an e-mail address with a shell in it", { acmeEmail: "a$(id)@b.org" }, "acmeEmail", /no e-mail address/],
    ["a truth value of another language", { grafana: "yes" }, "grafana", /"yes" is neither true nor false/],
    ["scraping all the time", { prometheusScrapeInterval: 0 }, "prometheusScrapeInterval", /1 to 3600/],
    [
      "a retention without a unit",
      { prometheusRetention: "15" },
      "prometheusRetention",
      /"15" is no duration/,
    ],
    ["a misspelt authority", { acme: "letsencript" }, "acme", /Did you mean letsencrypt\?/],
    ["an authority without TLS", { acme: "http://acme.test/dir" }, "acme", /https URL/],
    [
      "a CA for a public authority",
      { acmeCaCertificate: "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----" },
      "acmeCaCertificate",
      /only for an ACME directory given by its URL/,
    ],
    [
      "a CA that is none",
      { acme: "https://acme.test/dir", acmeCaCertificate: "ca.pem" },
      "acmeCaCertificate",
      /no PEM certificate/,
    ],
    [
      "an image without a tag",
      { images: { tracker: "torrust/tracker" } },
      "images.tracker",
      /neither tag nor digest/,
    ],
    [
      "the latest image",
      { images: { grafana: "grafana/grafana:latest" } },
      "images.grafana",
      /moves with every release/,
    ],
    [
      "a moving branch",
      { images: { tracker: "torrust/tracker:develop" } },
      "images.tracker",
      /add the digest/,
    ],
    [
      "a Pingoo whose listeners end",
      { images: { pingoo: "pingooio/pingoo:0.14.8" } },
      "images.pingoo",
      /^"pingooio\/pingoo:0\.14\.8" must not be deployed: .* no certificate .* Write pingooio\/pingoo:0\.14\.7, or run: pulumi config rm --path images\.pingoo$/,
    ],
    [
      "a Pingoo whose listeners end, by tag and digest",
      { images: { pingoo: `registry.example.org:5000/pingoo:v0.14.9@${digest}` } },
      "images.pingoo",
      /with Pingoo 0\.14\.9 an https listener ends/,
    ],
    ["an image with a space", { images: { tracker: "a b:1" } }, "images.tracker", /no image reference/],
    [
      "a digest that is too short",
      { images: { tracker: "a@sha256:abc" } },
      "images.tracker",
      /no image reference/,
    ],
    [
      "schema 3 for tracker 3.0.0",
      { trackerSchemaVersion: "3.0.0" },
      "trackerSchemaVersion",
      /not understood by torrust\/tracker:3\.0\.0/,
    ],
    [
      "an unknown schema",
      { trackerSchemaVersion: "1.0.0", images: { tracker: `a@${digest}` } },
      "trackerSchemaVersion",
      /not known/,
    ],
    [
      "a host address that is none",
      { publishAddresses: ["127.0.0.1", "localhost"] },
      "publishAddresses[1]",
      /no IP address/,
    ],
    ["no IPv4 to publish on", { publishAddresses: ["::"] }, "publishAddresses", /no IPv4 address/],
    ["a subnet that is too large", { subnet: "10.0.0.0/16" }, "subnet", /no IPv4 \/24/],
    ["a public subnet", { subnet: "8.8.8.0/24" }, "subnet", /no private network/],
    ["a negative limit", { nginxRateLimit: -1 }, "nginxRateLimit", /Write requests per second.*or 0/],
    ["no listener", { pingooListeners: 0 }, "pingooListeners", /out of range.*Write 1, or a number from 4/],
    ["too few listeners", { pingooListeners: 3 }, "pingooListeners", /too few.*Write 1, or a number from 4/],
    ["an interval of nothing", { announceInterval: 0 }, "announceInterval", /30 to 86400/],
    ["a choice that is none", { countDownloads: "yes" }, "countDownloads", /neither true nor false/],
    [
      "hardly any memory",
      { trackerMemory: 63 },
      "trackerMemory",
      /too little to run in\. .* 0 for the default/,
    ],
    ["memory in bytes", { trackerMemory: 2 ** 31 }, "trackerMemory", /out of range\. Write MB/],
    ["a short token", { adminToken: "short" }, "adminToken", /16 to 256 printable/],
    [
      "a password with a line break",
      { grafanaAdminPassword: "secret\npassword" },
      "grafanaAdminPassword",
      /printable ASCII/,
    ],
  ];

  it.each(bad)("refuses %s", (_what, values, path, message) => {
    expect(problemsOf(values)).toEqual([{ path, message: expect.stringMatching(message) }]);
  });

  it("says what to run when a key is missing", () => {
    const { httpsPort: _, ...rest } = rawConfig(minimal);
    expect(parseSettings(rest, project, "dev")).toEqual({
      problems: [{ path: "httpsPort", message: "is missing. Run: pulumi config set httpsPort <value>" }],
    });
  });

  it("names all problems of single values at once, in one error", () => {
    const problems = problemsOf({
      apiDomain: "*.a.org",
      httpsPort: 0,
      acme: "x",
      udpTrackers: [{ port: -1 }],
      typo: 1,
    });
    expect(problems.map(({ path }) => path).sort()).toEqual([
      "acme",
      "apiDomain",
      "httpsPort",
      "typo",
      "udpTrackers[0].port",
    ]);
    const { message } = new SettingsError("dev", problems);
    expect(message).toMatch(/^The configuration of stack "dev" has 5 problems:\n {2}- /);
    expect(message.split("\n")).toHaveLength(6);
  });

  it("names problems of single values and problems between the others in one error", () => {
    const problems = problemsOf({
      httpsPort: 0,
      apiDomain: "tracker.torrust.org",
      grafana: true,
      acme: "x",
      typo: 1,
    });
    expect(problems.map(({ path }) => path).sort()).toEqual([
      "acme",
      "grafanaDomain",
      "httpTrackers[0].domain",
      "httpsPort",
      "typo",
    ]);
  });

  it("draws no conclusion from a value that it could not read", () => {
    const problems = problemsOf({ grafana: "yes", grafanaOnHttps: true, acme: "x", apiDomain: "localhost" });
    expect(problems.map(({ path }) => path).sort()).toEqual(["acme", "grafana"]);
  });

  it("names all problems between values at once", () => {
    const problems = problemsOf({
      apiDomain: "tracker.torrust.org",
      grafana: true,
      prometheus: false,
      udpTrackers: [{ port: 1 }, { port: 1 }],
    });
    expect(problems.map(({ path }) => path).sort()).toEqual([
      "grafana",
      "grafanaDomain",
      "httpTrackers[0].domain",
      "udpTrackers[1].port",
    ]);
  });

  it("never repeats a secret", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 3, maxLength: 12, unit: "grapheme" }), (secret) => {
        const text = JSON.stringify(
          problemsOf({ adminToken: `s3cr3t${secret} `, grafanaAdminPassword: `é${secret}pa55` }),
        );
        expect(text).not.toContain("s3cr3t");
        expect(text).not.toContain("pa55");
      }),
    );
  });

  it("answers whatever it is given with settings or problems", () => {
    const keys = [...configKeys, "unknown"];
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.constantFrom(...keys),
          fc.oneof(fc.string(), fc.json(), fc.constantFrom("true", "1")),
        ),
        (values) => {
          const result = parseSettings({ ...rawConfig(minimal), ...values }, project, "dev");
          if ("problems" in result) expect(result.problems.length).toBeGreaterThan(0);
          else expect(result.settings.apiDomain ?? "a").toMatch(/^[a-z0-9.-]+$/);
        },
      ),
    );
  });
});

it("reads exactly the keys that Pulumi.yaml declares, and the optional secrets", () => {
  expect([...configKeys].sort()).toEqual([...Object.keys(configSchema()), ...secretKeys].sort());
});
