import { afterEach, describe, expect, it } from "vitest";

import { HetznerApi, type HetznerOptions } from "../../stand-ins/hetzner/api";

const token = "a-token";
let api: HetznerApi;
let endpoint: string;
afterEach(() => api.stop());

async function start(options: Partial<HetznerOptions> = {}) {
  api = new HetznerApi({ token, ...options });
  endpoint = await api.start();
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Answer = { status: number; body: any };

async function call(method: string, path: string, body?: object, bearer = token): Promise<Answer> {
  const answer = await fetch(`${endpoint}${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}` },
    body: body && JSON.stringify(body),
  });
  const text = await answer.text();
  return { status: answer.status, body: text === "" ? undefined : JSON.parse(text) };
}

const error = ({ status, body }: Answer) => [status, body.error?.code];
const ip = async (type: string) =>
  (await call("POST", "/primary_ips", { name: type, type, location: "nbg1" })).body.primary_ip;
const server = async (more: object = {}) => {
  const [ipv4, ipv6] = [await ip("ipv4"), await ip("ipv6")];
  return call("POST", "/servers", {
    name: "vm",
    server_type: "cx23",
    image: "debian-12",
    location: "nbg1",
    public_net: { ipv4: ipv4.id, ipv6: ipv6.id },
    ...more,
  });
};
const settled = async (id: number) => {
  for (;;) {
    const { body } = await call("GET", `/actions/${id}`);
    if (body.action.status !== "running") return body.action.status as string;
  }
};

describe("the stand-in for Hetzner Cloud's API", () => {
  it("turns away whoever has not the token", async () => {
    await start();
    expect(error(await call("GET", "/servers", undefined, "another"))).toEqual([401, "unauthorized"]);
  });

  it("hands out lists in pages", async () => {
    await start();
    for (let number = 0; number < 30; number++) await call("POST", "/firewalls", { name: `fw-${number}` });
    const { body } = await call("GET", "/firewalls?page=2&per_page=20");
    expect(body.firewalls).toHaveLength(10);
    expect(body.meta.pagination).toMatchObject({
      page: 2,
      previous_page: 1,
      next_page: null,
      last_page: 2,
      total_entries: 30,
    });
    expect((await call("GET", "/firewalls?name=fw-7")).body.firewalls).toHaveLength(1);
  });

  it("has limits of number and rate", async () => {
    await start({ limits: { volumes: 1 } });
    const volume = (name: string) => call("POST", "/volumes", { name, size: 10, location: "nbg1" });
    expect((await volume("one")).status).toBe(201);
    expect(error(await volume("two"))).toEqual([403, "resource_limit_exceeded"]);
    await api.stop();
    await start({ requestsPerSecond: 0 });
    expect(error(await call("GET", "/servers"))).toEqual([429, "rate_limit_exceeded"]);
  });

  it("lets no name be used twice, and no key", async () => {
    await start();
    const key = { name: "k", public_key: "ssh-ed25519 AAAA" };
    expect((await call("POST", "/ssh_keys", key)).status).toBe(201);
    expect(error(await call("POST", "/ssh_keys", key))).toEqual([409, "uniqueness_error"]);
    expect(error(await call("POST", "/ssh_keys", { ...key, name: "other" }))).toEqual([
      409,
      "uniqueness_error",
    ]);
  });

  it("locks a server while something is done to it", async () => {
    await start({ actionTime: 300 });
    const { body } = await server();
    const shutdown = () => call("POST", `/servers/${body.server.id}/actions/shutdown`);
    expect(error(await shutdown())).toEqual([409, "locked"]);
    expect(await settled(body.action.id)).toBe("success");
    expect((await shutdown()).status).toBe(201);
  });

  it("deletes nothing that is protected or in use", async () => {
    await start();
    const volume = (await call("POST", "/volumes", { name: "v", size: 10, location: "nbg1" })).body;
    await settled(volume.action.id);
    const path = `/volumes/${volume.volume.id}`;
    await settled((await call("POST", `${path}/actions/change_protection`, { delete: true })).body.action.id);
    expect(error(await call("DELETE", path))).toEqual([423, "protected"]);
    await settled(
      (await call("POST", `${path}/actions/change_protection`, { delete: false })).body.action.id,
    );
    const { body } = await server();
    await settled(body.action.id);
    await settled((await call("POST", `${path}/actions/attach`, { server: body.server.id })).body.action.id);
    expect(error(await call("DELETE", path))).toEqual([422, "volume_still_attached"]);
    expect(error(await call("DELETE", `/primary_ips/${body.server.public_net.ipv4.id}`))).toEqual([
      422,
      "must_be_unassigned",
    ]);
    await settled((await call("DELETE", `/servers/${body.server.id}`)).body.action.id);
    expect((await call("DELETE", path)).status).toBe(204);
    expect((await call("DELETE", `/primary_ips/${body.server.public_net.ipv4.id}`)).status).toBe(204);
  });

  it("takes no server that could not be", async () => {
    await start();
    expect(error(await server({ user_data: "x".repeat(33_000) }))).toEqual([422, "invalid_input"]);
    await api.stop();
    await start();
    expect(error(await server({ server_type: "cx9000" }))).toEqual([422, "invalid_input"]);
    await api.stop();
    await start();
    expect(error(await server({ name: "two words" }))).toEqual([422, "invalid_input"]);
  });

  it("resizes a server that is off, and starts it", async () => {
    await start();
    const { body } = await server();
    await settled(body.action.id);
    const act = (name: string, more = {}) => call("POST", `/servers/${body.server.id}/actions/${name}`, more);
    expect(error(await act("change_type", { server_type: "cx33" }))).toEqual([422, "server_not_stopped"]);
    await settled((await act("poweroff")).body.action.id);
    await settled((await act("change_type", { server_type: "cx33" })).body.action.id);
    expect((await call("GET", `/servers/${body.server.id}`)).body.server).toMatchObject({
      status: "running",
      server_type: { name: "cx33" },
    });
  });

  it("keeps the records of a zone", async () => {
    await start({ zones: ["torrust.org"] });
    const sets = "/zones/torrust.org/rrsets";
    const address = { name: "api", type: "A", records: [{ value: "192.0.2.1" }] };
    expect((await call("POST", sets, address)).status).toBe(201);
    expect(error(await call("POST", sets, address))).toEqual([409, "uniqueness_error"]);
    const text = (action: string, value: string) =>
      call("POST", `${sets}/@/TXT/actions/${action}`, { records: [{ value }] });
    expect(error(await text("add_records", "bare"))).toEqual([422, "invalid_input"]);
    await text("add_records", '"v=spf1 -all"');
    await text("add_records", '"BITTORRENT UDP:6969"');
    await text("remove_records", '"BITTORRENT UDP:6969"');
    expect(api.records("torrust.org")).toEqual(['@ TXT "v=spf1 -all"', "api A 192.0.2.1"]);
  });

  it("fails on demand, once", async () => {
    await start();
    api.fail(/^GET \/servers/, 429, "rate_limit_exceeded");
    expect(error(await call("GET", "/servers"))).toEqual([429, "rate_limit_exceeded"]);
    expect((await call("GET", "/servers")).status).toBe(200);
  });
});
