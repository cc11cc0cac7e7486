import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";

import { trackerImage } from "../../../migrate/destination";
import { findCandidates, judge, type Candidate } from "../../../migrate/certificates";
import { convertEnvironment, type Converted, type ConvertOptions } from "../../../migrate/deployer";
import { openVolume } from "../../../migrate/volume";
import { planStack } from "../../../plan";
import type { StackEngine } from "../../../docker/stack";
import { minimal, problemsOf, project } from "../support/config";
import { daysFromNow, makeAuthority, makeIdentity, type Identity } from "../verify/support/certificates";

const authority = makeAuthority();
const other = makeAuthority("Other Root");
const now = new Date();
const domain = "api.torrust.org";
const origin = `live/${domain}`;

function candidate(identity: Identity, more: Partial<Candidate> = {}): Candidate {
  return { origin, chain: identity.cert + authority.cert, key: identity.key, ...more };
}
const issue = (changes: object = {}) =>
  makeIdentity({ name: domain, altNames: [domain], ...changes }, authority);
const verdict = (candidates: Candidate[], acme = "letsencrypt") =>
  judge([domain], candidates, { now, acme })[0]!;

describe("a certificate that is moved", () => {
  it("is the one that lasts longest", () => {
    const [short, long] = [
      candidate(issue({ notAfter: daysFromNow(20) })),
      candidate(issue(), { origin: "live/b" }),
    ];
    expect(verdict([short, long]).use).toMatchObject({ origin: "live/b", issuer: "Test Root" });
    expect(verdict([short]).use).toMatchObject({ origin });
  });

  it.each(["rsa", "ec"] as const)("may have a key of type %s", (keyType) => {
    const identity = makeIdentity({ name: domain, altNames: ["x.org", domain], keyType }, authority);
    expect(verdict([candidate(identity)]).use).toBeDefined();
  });

  const fresh = issue();
  it.each<[string, Candidate, RegExp]>([
    [
      "expired",
      candidate(issue({ notBefore: daysFromNow(-9), notAfter: daysFromNow(-1) })),
      /expired on \d{4}-/,
    ],
    ["is not valid yet", candidate(issue({ notBefore: daysFromNow(1) })), /is not valid before/],
    [
      "is for another name",
      candidate(issue({ altNames: ["www.torrust.org"] })),
      /is for www\.torrust\.org, not for/,
    ],
    ["is a wildcard's", candidate(issue({ altNames: ["*.torrust.org"] })), /wildcard \*\.torrust\.org/],
    ["has another's key", candidate(fresh, { key: issue().key }), /key that is not the certificate's/],
    ["has an encrypted key", candidate(fresh, { key: encryptedKey() }), /encrypted one must be decrypted/],
    ["has no key", candidate(fresh, { key: "" }), /cannot be read/],
    ["is self-signed", candidate(makeIdentity({ name: domain, altNames: [domain] })), /is self-signed/],
    ["is alone", candidate(fresh, { chain: fresh.cert }), /lacks its issuer's certificate/],
    [
      "has another's chain",
      candidate(fresh, { chain: fresh.cert + other.cert }),
      /lacks its issuer's certificate/,
    ],
    ["is no certificate", candidate(fresh, { chain: "nonsense" }), /holds no certificate/],
    ["has a key on another curve", candidate(issue({ keyType: "p521" })), /curve secp521r1/],
    ["is damaged", candidate(fresh, { chain: fresh.cert.replace(/\n.{20}/, "\n") }), /holds no certificate/],
  ])("is not one that %s", (_what, given, reason) => {
    const { use, reasons } = verdict([given]);
    expect(use).toBeUndefined();
    expect(reasons.join()).toMatch(reason);
    expect(reasons.join()).not.toContain("PRIVATE KEY");
  });

  it("is of the authority that is configured", () => {
    const staging = makeAuthority("(STAGING) Pretend Pear X1");
    const identity = makeIdentity({ name: domain, altNames: [domain] }, staging);
    const given = candidate(identity, { chain: identity.cert + staging.cert });
    expect(verdict([given]).reasons.join()).toMatch(/staging environment/);
    expect(verdict([given], "letsencrypt-staging").use).toBeDefined();
  });

  it("says nothing of certificates for other names", () => {
    const given = candidate(issue({ altNames: ["www.torrust.org"] }), { origin: "live/www.torrust.org" });
    expect(verdict([given])).toEqual({ domain, use: undefined, reasons: [] });
  });
});

describe("certificates", () => {
  const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (path: string, text: string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  };

  it("are found in certbot's folder and in Caddy's", () => {
    write("archive/a.org/fullchain1.pem", "chain of a");
    write("archive/a.org/privkey1.pem", "key of a");
    mkdirSync(join(folder, "live/a.org"), { recursive: true });
    for (const name of ["fullchain", "privkey"])
      symlinkSync(`../../archive/a.org/${name}1.pem`, join(folder, `live/a.org/${name}.pem`));
    write("live/README", "not a lineage");
    write("live/half.org/fullchain.pem", "chain without a key");
    const caddy = "data/caddy/certificates/acme-v02.api.letsencrypt.org-directory/b.org";
    write(`${caddy}/b.org.crt`, "chain of b");
    write(`${caddy}/b.org.key`, "key of b");
    const found = findCandidates(folder).sort((a, b) => a.chain.localeCompare(b.chain));
    expect(found).toEqual([
      { origin: "live/a.org", chain: "chain of a", key: "key of a" },
      { origin: caddy, chain: "chain of b", key: "key of b" },
    ]);
    expect(findCandidates(join(folder, "archive"))).toEqual([]);
  });
});

describe("the deployer's environment", () => {
  const environment = {
    environment: { name: "demo" },
    ssh_credentials: { private_key_path: "/keys/a", public_key_path: "/keys/a.pub" },
    provider: {
      provider: "hetzner",
      api_token: "secret-token",
      server_type: "cx22",
      location: "fsn1",
      image: "ubuntu-24.04",
    },
    tracker: {
      core: { database: { driver: "sqlite3", database_name: "tracker.db" }, private: false },
      udp_trackers: [{ bind_address: "[::]:6969", domain: "udp.torrust.org" }],
      http_trackers: [{ bind_address: "0.0.0.0:7070", domain: "http.torrust.org", use_tls_proxy: true }],
      http_api: {
        bind_address: "0.0.0.0:1212",
        admin_token: "secret-admin",
        domain: "api.torrust.org",
        use_tls_proxy: true,
      },
      health_check_api: { bind_address: "127.0.0.1:1313" },
    },
    prometheus: { scrape_interval_in_secs: 20 },
    grafana: { admin_user: "admin", admin_password: "secret-grafana", domain: "grafana.torrust.org" },
    https: { admin_email: "admin@torrust.org" },
    backup: { schedule: "0 4 * * *", retention_days: 9 },
  };
  const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ2dn0Q1 me@laptop";
  const options: ConvertOptions = {
    file: "environment.json",
    project,
    readKey: (path) => (path === "/keys/a.pub" ? `${publicKey}\n` : undefined),
  };
  const convert = (changes: object = {}, more: Partial<ConvertOptions> = {}) =>
    convertEnvironment(JSON.stringify({ ...environment, ...changes }), { ...options, ...more }) as Converted;
  /** As the deployer keeps the same, once it has a machine. */
  const stateOf = (address: string | null, state = "Running") => {
    const { environment: named, ssh_credentials, provider, tracker, ...rest } = environment;
    const { driver, ...config } = tracker.core.database;
    return {
      [state]: {
        context: {
          created_at: "2026-03-03T15:30:00Z",
          user_inputs: {
            ...named,
            instance_name: "torrust-tracker-vm-demo",
            provider_config: provider,
            ssh_credentials: {
              ssh_priv_key_path: ssh_credentials.private_key_path,
              ssh_pub_key_path: ssh_credentials.public_key_path,
              ssh_username: "torrust",
            },
            ssh_port: 2222,
            tracker: { ...tracker, core: { ...tracker.core, database: { driver, config } } },
            ...rest,
          },
          internal_config: { data_dir: "./data/demo" },
          runtime_outputs: { instance_ip: address, provision_method: "Provisioned" },
        },
        state: null,
      },
    };
  };
  const convertState = (state: object, more: Partial<ConvertOptions> = {}) =>
    convertEnvironment(JSON.stringify(state), { ...options, ...more }) as Converted;
  const valuesOf = ({ yaml }: Converted) =>
    Object.fromEntries(
      Object.entries((parse(yaml) as { config: object }).config).map(([key, value]) => [
        key.replace(`${project}:`, ""),
        value as unknown,
      ]),
    );

  it("becomes a configuration that is accepted once its secrets are set", () => {
    const converted = convert();
    expect(converted.stack).toBe("demo");
    const values = valuesOf(converted);
    expect(values).toEqual({
      target: "hetzner",
      hetzner: { serverType: "cx22", location: "fsn1", image: "ubuntu-24.04", sshKeys: [publicKey] },
      sshKeyFile: "/keys/a",
      apiDomain: "api.torrust.org",
      httpTrackers: [{ domain: "http.torrust.org" }],
      udpTrackers: [{ port: 6969, domain: "udp.torrust.org" }],
      ipv6: true,
      prometheusScrapeInterval: 20,
      grafana: true,
      grafanaDomain: "grafana.torrust.org",
      acme: "letsencrypt",
      acmeEmail: "admin@torrust.org",
      backup: { repository: "/opt/torrust/storage/restic", schedule: "0 4 * * *", retention: { daily: 9 } },
    });
    expect(problemsOf(values).map(({ path }) => path)).toEqual(["hetzner.sshAllowedFrom", "backupPassword"]);
    expect(converted.commands.join("\n")).toMatch(/provider\.api_token.*config set --secret hcloud:token/);
    expect(converted.notes.join("\n")).toMatch(/sshAllowedFrom/);
  });

  it("gives no secret away", () => {
    expect(JSON.stringify(convert())).not.toContain("secret-");
    expect(convert().commands.join("\n")).toMatch(/admin_token.*config set --secret adminToken/);
  });

  it("goes on with the machine that its state knows", () => {
    const converted = convertState(stateOf("203.0.113.9"));
    const values = valuesOf(converted);
    expect(values).toEqual({
      ...valuesOf(convert({}, { target: "local" })),
      target: "ssh",
      ssh: { host: "203.0.113.9", user: "torrust", port: 2222 },
      sshKeyFile: "/keys/a",
    });
    const paths = (more: object) => problemsOf({ ...values, ...more }).map(({ path }) => path);
    expect(paths({ backupPassword: "correct-horse-battery" })).toEqual(["ssh.hostKey"]);
    expect(converted.notes.join("\n")).toMatch(/ssh -p 2222 torrust@203\.0\.113\.9 cat/);
    expect(converted.commands[0]).toContain(".Running.context.user_inputs.tracker.http_api.admin_token");
  });

  it.each([
    ["no machine yet", stateOf(null, "Created")],
    ["a machine that was destroyed", stateOf("203.0.113.9", "Destroyed")],
  ])("makes a new one where the state has %s", (_what, state) => {
    expect(valuesOf(convertState(state))).toMatchObject({ target: "hetzner", hetzner: { location: "fsn1" } });
    expect(convertState(state).commands[0]).toContain("user_inputs.provider_config.api_token");
  });

  it("has another target where one is asked for", () => {
    expect(valuesOf(convertState(stateOf("203.0.113.9"), { target: "hetzner" })).target).toBe("hetzner");
    const values = valuesOf(convert({}, { target: "local" }));
    expect(values).toMatchObject({ target: "local" });
    expect(values).not.toHaveProperty("sshKeyFile");
    expect(problemsOf({ ...values, backupPassword: "correct-horse-battery" })).toEqual([]);
  });

  it("runs LXD's machine over SSH, or what DOCKER_HOST names", () => {
    const provider = { provider: "lxd", profile_name: "torrust-profile" };
    expect(valuesOf(convert({ provider })).target).toBe("local");
    const ssh = convert({ provider }, { target: "ssh" });
    expect(valuesOf(ssh)).toMatchObject({ target: "ssh", ssh: { user: "torrust", port: 22 } });
    expect(ssh.notes.join("\n")).toMatch(/address: write it as ssh\.host[\s\S]*profile_name/);
  });

  it("keeps the URLs of HTTP trackers without TLS, as far as they shared a port", () => {
    const { tracker } = environment;
    const listener = (domain: string, port: number, use_tls_proxy?: boolean) => ({
      bind_address: `0.0.0.0:${port}`,
      domain,
      use_tls_proxy,
    });
    const of = (...http_trackers: object[]) =>
      convert({ tracker: { ...tracker, http_trackers }, backup: null }, { target: "local" });
    const one = of(listener("a.org", 7070), listener("b.org", 7071, true));
    expect(valuesOf(one)).toMatchObject({
      httpTrackers: [{ domain: "a.org", plainHttp: true }, { domain: "b.org" }],
      httpPort: 7070,
    });
    expect(problemsOf(valuesOf(one))).toEqual([]);
    const two = of(listener("a.org", 7070), listener("b.org", 7071));
    expect(valuesOf(two).httpPort).toBe(7070);
    expect(two.notes.join("\n")).toMatch(/b\.org .*Its URL changes, because it was on port 7071/);
    expect(valuesOf(convert())).not.toHaveProperty("httpPort");
  });

  it("may be one of UDP trackers alone", () => {
    const { tracker } = environment;
    const { domain: _domain, use_tls_proxy: _tls, ...http_api } = tracker.http_api;
    const udp_trackers = [{ bind_address: "0.0.0.0:6969" }];
    const udpOnly = { tracker: { ...tracker, http_api, http_trackers: [], udp_trackers }, grafana: null };
    const unnamed = convert({ ...udpOnly, backup: null }, { target: "local" });
    expect(valuesOf(unnamed)).toMatchObject({ httpTrackers: [], udpTrackers: [{ port: 6969 }] });
    expect(problemsOf({ apiDomain: "", ...valuesOf(unnamed) }).map(({ path }) => path)).toEqual([
      "udpTrackers[0].domain",
    ]);
    expect(unnamed.notes.join("\n")).toMatch(
      /http_api has no domain: .*not public[\s\S]*udpTrackers\[0\]\.domain/,
    );

    const state = stateOf("203.0.113.9");
    const { user_inputs } = state.Running!.context;
    Object.assign(user_inputs, { grafana: null, backup: null });
    Object.assign(user_inputs.tracker, { http_api, http_trackers: [], udp_trackers });
    const named = convertState(state, { target: "local" });
    expect(valuesOf(named).udpTrackers).toEqual([{ port: 6969, domain: "203.0.113.9" }]);
    expect(problemsOf({ apiDomain: "", ...valuesOf(named) })).toEqual([]);
  });

  it("drops nothing in silence", () => {
    const converted = convert({
      provider: { ...environment.provider, server_type: "cx22", placement: "spread" },
      ssh_credentials: { private_key_path: "fixtures/a", public_key_path: "fixtures/a.pub", port: 2222 },
      tracker: {
        ...environment.tracker,
        udp_trackers: [{ bind_address: "192.0.2.1:6969" }],
        http_trackers: [{ bind_address: "0.0.0.0:7070", domain: "http.torrust.org" }],
        health_check_api: { bind_address: "0.0.0.0:1313", domain: "health.torrust.org" },
      },
      grafana: { ...environment.grafana, admin_user: "root" },
      cdn: { on: true },
    });
    const notes = converted.notes.join("\n");
    for (const told of [
      /^cdn is not known/m,
      /^provider\.placement is not known/m,
      /fixtures\/a as an absolute path in sshKeyFile/,
      /fixtures\/a\.pub cannot be read/,
      /torrust on port 2222 is left out/,
      /192\.0\.2\.1:6969/,
      /http\.torrust\.org was served without TLS: plainHttp keeps that, on port 7070/,
      /health\.torrust\.org/,
      /tracker\.db/,
      /admin here, not root/,
    ])
      expect(notes).toMatch(told);
  });

  it("says what has no counterpart", () => {
    const { tracker } = environment;
    const mysql = {
      driver: "mysql",
      host: "mysql",
      port: 3306,
      database_name: "tracker",
      username: "tracker_user",
      password: "secret-mysql",
    };
    const changes = {
      https: null,
      prometheus: null,
      grafana: null,
      backup: null,
      tracker: {
        ...tracker,
        core: { database: mysql, private: true },
        http_trackers: [...tracker.http_trackers, { bind_address: "0.0.0.0:7071" }],
      },
    };
    const converted = convert(changes, { target: "local" });
    const values = valuesOf(converted);
    expect(values).toMatchObject({
      acme: "none",
      prometheus: false,
      database: "mysql",
      trackerMode: "private",
      udpTrackers: [],
    });
    expect(problemsOf(values)).toEqual([]);
    const notes = converted.notes.join("\n");
    expect(notes).toMatch(/completed downloads .* here they are not unless countDownloads is set/);
    expect(notes).toMatch(/7071 has no domain/);
    expect(notes).toMatch(/private tracker serves no UDP/);
    expect(notes).toMatch(/acme none/);
  });

  it.each(["{", "[]", "{}", '{"environment": {"name": 1}}'])("is not %s", (text) =>
    expect(convertEnvironment(text, options)).toHaveProperty("problems"),
  );
});

function encryptedKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const options = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "x" } as const;
  return privateKey.export(options).toString();
}

describe("the volume before the first deployment", () => {
  it("is reached by an image that the stack is configured with", async () => {
    const folder = mkdtempSync(join(tmpdir(), "torrust-pingoo-migrate-"));
    try {
      const config = { ...minimal, images: { tracker: "registry.torrust.org/tracker:1" } };
      const file = join(folder, "Pulumi.here.yaml");
      writeFileSync(file, stringify({ config }));
      const planned = await planStack({ stack: "here", file });
      if ("problems" in planned) throw new Error(JSON.stringify(planned.problems));
      expect(trackerImage(planned.result)).toBe("registry.torrust.org/tracker:1");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("is not reached when no image can be had, which is said", async () => {
    const docker = {
      listContainers: () => Promise.resolve([]),
      getImage: () => ({ inspect: () => Promise.reject(Object.assign(new Error(), { statusCode: 404 })) }),
      pull: () => Promise.reject(new Error("no such host")),
    };
    const engine = { docker, prefix: "torrust-pingoo-here" } as unknown as StackEngine;
    await expect(openVolume(engine, "torrust-pingoo-here-tls", "pingoo:1")).rejects.toThrow(
      "To reach the volume torrust-pingoo-here-tls, the image pingoo:1 is needed, which cannot be pulled: no such host",
    );
  });
});
