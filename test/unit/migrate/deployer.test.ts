import { describe, expect, it } from "vitest";
import { parse } from "yaml";

import { convertEnvironment, type Converted, type ConvertOptions } from "../../../migrate/deployer";
import { problemsOf, project } from "../support/config";

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
