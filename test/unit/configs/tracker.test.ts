import fc from "fast-check";
import { parse } from "smol-toml";
import { describe, expect, it } from "vitest";

import { renderTrackerConfig, type TrackerModel } from "../../../configs/tracker";

const model: TrackerModel = {
  schemaVersion: "2.0.0",
  mode: "public",
  announceInterval: 300,
  countDownloads: false,
  database: { driver: "sqlite3", path: "/var/lib/torrust/tracker/database/sqlite3.db" },
  httpPorts: [7070, 7071],
  udpPorts: [6969],
  apiPort: 1212,
  healthPort: 1313,
  ipv6: false,
  accessTokens: { admin: "admin-token", metrics: "metrics-token" },
};
const mysql = {
  driver: "mysql",
  host: "10.230.7.168",
  port: 3306,
  user: "torrust",
  password: "p@ss/w:rd?%",
  database: "torrust_tracker",
} as const;

// eslint-disable-next-line @typescript-eslint/no-explicit-any
const rendered = (change: Partial<TrackerModel> = {}): any =>
  parse(renderTrackerConfig({ ...model, ...change }));

describe("tracker.toml, schema 2.0.0", () => {
  it("of a whole stack", () =>
    expect(renderTrackerConfig(model)).toMatchFileSnapshot("golden/tracker-2.toml"));

  it("trusts the proxy's header exactly where there is a proxy", () => {
    expect(rendered().core.net.on_reverse_proxy).toBe(true);
    expect(rendered({ httpPorts: [] }).core.net.on_reverse_proxy).toBe(false);
  });

  it("percent-encodes the password in the database's URL", () => {
    expect(rendered({ database: mysql }).core.database).toEqual({
      driver: "mysql",
      path: "mysql://torrust:p%40ss%2Fw%3Ard%3F%25@10.230.7.168:3306/torrust_tracker",
    });
  });
});

describe("tracker.toml, schema 3.0.0", () => {
  const schemaVersion = "3.0.0";

  it("of a whole stack", () =>
    expect(renderTrackerConfig({ ...model, schemaVersion, database: mysql, ipv6: true })).toMatchFileSnapshot(
      "golden/tracker-3.toml",
    ));

  it("has the proxy's header per listener, and no table that the schema does not know", () => {
    const { core, http_trackers, logging } = rendered({ schemaVersion });
    expect(http_trackers.every((listener: any) => listener.network.on_reverse_proxy)).toBe(true); // eslint-disable-line @typescript-eslint/no-explicit-any
    expect(core).not.toHaveProperty("net");
    expect(logging).not.toHaveProperty("threshold");
  });

  it("names the database's parts one by one", () => {
    expect(rendered({ schemaVersion, database: mysql }).core.database).toEqual({ ...mysql });
  });

  it("turns every listener's statistics on", () => {
    const { http_trackers, udp_trackers } = rendered({ schemaVersion });
    expect([...http_trackers, ...udp_trackers].every((listener) => listener.tracker_usage_statistics)).toBe(
      true,
    );
  });
});

describe.each(["2.0.0", "3.0.0"] as const)("tracker.toml, schema %s,", (schemaVersion) => {
  it.each([
    ["public", { listed: false, private: false }],
    ["listed", { listed: true, private: false }],
    ["private", { listed: false, private: true }],
  ] as const)("serves a %s tracker", (mode, core) => {
    expect(rendered({ schemaVersion, mode }).core).toMatchObject(core);
  });

  it.each([
    [30, 900],
    [300, 900],
    [1800, 3900],
    [86_400, 173_100],
  ])("keeps peers that announce every %i s for %i s", (announceInterval, timeout) => {
    const { core } = rendered({ schemaVersion, announceInterval });
    expect(core.announce_policy).toEqual({ interval: announceInterval, interval_min: announceInterval });
    expect(core.tracker_policy.max_peer_timeout).toBe(timeout);
  });

  it("writes no torrent down unless downloads are to be counted", () => {
    const policy = (change: Partial<TrackerModel>) =>
      rendered({ schemaVersion, ...change }).core.tracker_policy.persistent_torrent_completed_stat;
    expect(policy({})).toBe(false);
    expect(policy({ countDownloads: true })).toBe(true);
  });

  it("listens on IPv6 beside IPv4, never on both with one socket", () => {
    const addresses = (ipv6: boolean) =>
      rendered({ schemaVersion, ipv6 }).udp_trackers.map(
        (listener: { bind_address: string }) => listener.bind_address,
      );
    expect(addresses(false)).toEqual(["0.0.0.0:6969"]);
    expect(addresses(true)).toEqual(["0.0.0.0:6969", "[::]:6969"]);
  });

  it("keeps the health check to the container", () => {
    expect(rendered({ schemaVersion }).health_check_api.bind_address).toBe("127.0.0.1:1313");
  });

  it("lets no value out of its place", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", minLength: 1 }),
        fc.string({ unit: "grapheme", minLength: 1 }),
        (token, password) => {
          const config = rendered({
            schemaVersion,
            accessTokens: { admin: token },
            database: { ...mysql, password },
          });
          expect(config.http_api.access_tokens).toEqual({ admin: token });
          expect(Object.keys(config)).toEqual(Object.keys(rendered({ schemaVersion })));
        },
      ),
    );
  });
});
