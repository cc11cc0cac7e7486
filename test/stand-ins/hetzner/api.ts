import { createServer, type IncomingMessage, type Server as HttpServer } from "node:http";
import type { AddressInfo } from "node:net";

/** What the API's servers and volumes are made of. */
export interface Machines {
  create(machine: NewMachine): Promise<void>;
  remove(server: number): Promise<void>;
  start(server: number): Promise<void>;
  /** Lets the system shut down by itself. */
  stop(server: number): Promise<void>;
  attach(server: number, volume: number): Promise<void>;
  detach(server: number, volume: number): Promise<void>;
  createVolume(volume: number, gigabytes: number): Promise<void>;
  resizeVolume(volume: number, gigabytes: number): Promise<void>;
  removeVolume(volume: number): Promise<void>;
}

export interface NewMachine {
  readonly server: number;
  readonly name: string;
  readonly userData: string;
  readonly publicKeys: readonly string[];
  readonly ipv4: string;
  readonly ipv6: string;
}

/** Servers and volumes that are entries in a list and nothing else. */
export const paperMachines: Machines = {
  create: async () => {},
  remove: async () => {},
  start: async () => {},
  stop: async () => {},
  attach: async () => {},
  detach: async () => {},
  createVolume: async () => {},
  resizeVolume: async () => {},
  removeVolume: async () => {},
};

type Kind = "servers" | "volumes" | "primary_ips" | "firewalls" | "ssh_keys" | "zones";

export interface HetznerOptions {
  readonly token: string;
  readonly machines?: Machines;
  /** Addresses that primary IPs are taken from, in this order; the IPv6 ones are /64 networks. */
  readonly ipv4?: readonly string[];
  readonly ipv6?: readonly string[];
  /** How many of a kind an account may have. */
  readonly limits?: Partial<Record<Kind, number>>;
  /** Milliseconds that every action takes at least. */
  readonly actionTime?: number;
  /** Requests that are answered before the rest is turned away for a second. @default no limit */
  readonly requestsPerSecond?: number;
  /** Names of DNS zones that the account has. */
  readonly zones?: readonly string[];
}

/** A request, as it is remembered. */
export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly body: Fields;
  readonly status: number;
}

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Fields = Record<string, any>;

interface RecordSet extends Fields {
  name: string;
  type: string;
  records: { value: string; comment?: string }[];
}

/** An answer that is an error, with the codes of https://docs.hetzner.cloud/reference/cloud. */
class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

const invalid = (message: string) => new ApiError(422, "invalid_input", message);
const notFound = (what: string) => new ApiError(404, "not_found", `${what} not found`);
const taken = (what: string) => new ApiError(409, "uniqueness_error", `${what} is already used`);

const serverTypes = [
  ["cx23", "x86", 2, 4, 40],
  ["cx33", "x86", 4, 8, 80],
  ["cax11", "arm", 2, 4, 40],
  ["ccx23", "x86", 4, 16, 160],
] as const;
const images = ["debian-12", "debian-13", "ubuntu-24.04"];
const locations = ["fsn1", "nbg1", "hel1"];

/**
 * A stand-in for the part of Hetzner Cloud's API that a deployment uses. It keeps the rules that a program can trip over:
 * tokens, quotas, unique names, protection, locks while an action runs, pages, rate limits.
 */
export class HetznerApi {
  readonly seen: Seen[] = [];
  readonly #options: HetznerOptions;
  readonly #machines: Machines;
  readonly #http: HttpServer;
  readonly #store: Record<Kind, Map<number, Fields>>;
  readonly #actions = new Map<number, Fields>();
  readonly #recordSets = new Map<number, RecordSet[]>();
  /** What a server was made with; nobody can ask for it. */
  readonly #userData = new Map<number, string>();
  readonly #failures: { match: RegExp; times: number; status: number; code: string }[] = [];
  #nextId = 4711;
  #window = { second: 0, requests: 0 };

  constructor(options: HetznerOptions) {
    this.#options = options;
    this.#machines = options.machines ?? paperMachines;
    const kinds: Kind[] = ["servers", "volumes", "primary_ips", "firewalls", "ssh_keys", "zones"];
    this.#store = Object.fromEntries(kinds.map((kind) => [kind, new Map()])) as never;
    for (const name of options.zones ?? []) this.#addZone(name);
    this.#http = createServer((request, response) => {
      void this.#answer(request).then(({ status, body, headers }) => {
        response.writeHead(status, { "content-type": "application/json", ...headers });
        response.end(body === undefined ? undefined : JSON.stringify(body));
      });
    });
  }

  /** @returns the endpoint that the provider is given */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}/v1`;
  }

  async stop(): Promise<void> {
    this.#http.closeAllConnections();
    await new Promise((resolve) => this.#http.close(resolve));
  }

  /** Answers the next requests that match `METHOD /path` with an error. */
  fail(match: RegExp, status: number, code: string, times = 1): void {
    this.#failures.push({ match, times, status, code });
  }

  /** What the account has of a kind. */
  list(kind: Kind): Fields[] {
    return [...this.#store[kind].values()];
  }

  /** Records of a zone, as `name type value`. */
  records(zone: string): string[] {
    const sets = this.#recordSets.get(this.#zone(zone).id) ?? [];
    return sets
      .flatMap(({ name, type, records }) => records.map(({ value }) => `${name} ${type} ${value}`))
      .sort();
  }

  userDataOf(server: number): string {
    return this.#userData.get(server) ?? "";
  }

  // ---- answering

  async #answer(request: IncomingMessage): Promise<{ status: number; body?: unknown; headers?: Fields }> {
    const url = new URL(request.url ?? "/", "http://localhost");
    const path = url.pathname.replace(/^\/v1/, "");
    const method = request.method ?? "GET";
    let body: Fields = {};
    const remembered = (status: number) => this.seen.push({ method, path: path + url.search, body, status });
    try {
      const text = await read(request);
      this.#throttle();
      if (request.headers.authorization !== `Bearer ${this.#options.token}`)
        throw new ApiError(401, "unauthorized", "unable to authenticate");
      try {
        body = text === "" ? {} : (JSON.parse(text) as Fields);
      } catch {
        throw new ApiError(400, "json_error", "invalid JSON in request");
      }
      const failure = this.#failures.find(({ match, times }) => times > 0 && match.test(`${method} ${path}`));
      if (failure) {
        failure.times--;
        throw new ApiError(failure.status, failure.code, `injected ${failure.code}`);
      }
      const result = this.#route(
        method,
        path.split("/").filter(Boolean).map(decodeURIComponent),
        body,
        url.searchParams,
      );
      const status = method === "DELETE" && result === undefined ? 204 : method === "POST" ? 201 : 200;
      remembered(status);
      return { status, body: result };
    } catch (error) {
      const known =
        error instanceof ApiError ? error : new ApiError(500, "server_error", String((error as Error).stack));
      remembered(known.status);
      return {
        status: known.status,
        body: { error: { code: known.code, message: known.message, details: {} } },
        headers: known.status === 429 ? { "RateLimit-Limit": "1", "RateLimit-Remaining": "0" } : {},
      };
    }
  }

  #throttle(): void {
    const limit = this.#options.requestsPerSecond;
    const second = Math.floor(Date.now() / 1000);
    if (this.#window.second !== second) this.#window = { second, requests: 0 };
    if (limit !== undefined && ++this.#window.requests > limit)
      throw new ApiError(429, "rate_limit_exceeded", "limit of requests reached");
  }

  #route(method: string, parts: readonly string[], body: Fields, query: URLSearchParams): unknown {
    const [kind = "", id, below, command, ...more] = parts;
    if (kind === "actions")
      return id ? { action: this.#action(Number(id)) } : this.#page("actions", this.#wanted(query), query);
    if (kind === "server_types")
      return this.#catalogue("server_types", serverTypes.map(toServerType), id, query);
    if (kind === "images") return this.#catalogue("images", allImages(), id, query);
    if (kind === "locations") return this.#catalogue("locations", locations.map(toLocation), id, query);
    if (kind === "zones" && below === "rrsets")
      return this.#rrsets(method, this.#zone(id ?? ""), [command, ...more], body, query);
    if (!(kind in this.#store)) throw notFound(`endpoint ${parts.join("/")}`);
    const store = kind as Kind;
    if (id === undefined) {
      if (method === "GET") return this.#page(kind, this.#filtered(this.list(store), query), query);
      if (method === "POST") return this.#create(store, body);
      throw new ApiError(405, "invalid_input", `${method} is not possible here`);
    }
    const item = store === "zones" ? this.#zone(id) : this.#find(store, Number(id));
    if (below === undefined) {
      if (method === "GET") return { [singular(kind)]: item };
      if (method === "PUT") return this.#update(store, item, body);
      if (method === "DELETE") return this.#delete(store, item);
    }
    if (below === "actions" && command === undefined && method === "GET")
      return this.#page("actions", [...this.#actions.values()], query);
    if (below === "actions" && command && method === "POST") return this.#command(store, item, command, body);
    throw notFound(`endpoint ${method} ${parts.join("/")}`);
  }

  #find(kind: Kind, id: number): Fields {
    const found = this.#store[kind].get(id);
    if (!found) throw notFound(singular(kind).replace("_", " "));
    return found;
  }

  #zone(idOrName: string): Fields {
    const found = this.list("zones").find(({ id, name }) => String(id) === idOrName || name === idOrName);
    if (!found) throw notFound("zone");
    return found;
  }

  #filtered(items: Fields[], query: URLSearchParams): Fields[] {
    const name = query.get("name");
    const selector = query.get("label_selector");
    return items.filter(
      (item) =>
        (name === null || item.name === name) &&
        (selector === null ||
          selector.split(",").every((part) => {
            const [key = "", value] = part.split(/==?/);
            return value === undefined ? key in item.labels : item.labels[key] === value;
          })),
    );
  }

  #catalogue(kind: string, items: Fields[], id: string | undefined, query: URLSearchParams): unknown {
    if (id !== undefined) {
      const item = items.find((one) => String(one.id) === id);
      if (!item) throw notFound(singular(kind));
      return { [singular(kind)]: item };
    }
    const architecture = query.get("architecture");
    const found = this.#filtered(items, query).filter(
      (item) => architecture === null || item.architecture === architecture,
    );
    return this.#page(kind, found, query);
  }

  #page(kind: string, items: readonly Fields[], query: URLSearchParams): unknown {
    const perPage = Math.min(50, Number(query.get("per_page") ?? 25));
    const page = Number(query.get("page") ?? 1);
    if (!(perPage >= 1) || !(page >= 1)) throw invalid("page and per_page are positive numbers");
    const last = Math.max(1, Math.ceil(items.length / perPage));
    const pagination = {
      page,
      per_page: perPage,
      previous_page: page > 1 ? page - 1 : null,
      next_page: page < last ? page + 1 : null,
      last_page: last,
      total_entries: items.length,
    };
    return { [kind]: items.slice((page - 1) * perPage, page * perPage), meta: { pagination } };
  }

  // ---- actions

  #action(id: number): Fields {
    const action = this.#actions.get(id);
    if (!action) throw notFound("action");
    return action;
  }

  #wanted(query: URLSearchParams): Fields[] {
    const ids = query.getAll("id").map(Number);
    return ids.length > 0 ? ids.flatMap((id) => this.#actions.get(id) ?? []) : [...this.#actions.values()];
  }

  /** Starts something that takes a while; until it is over, what it works on is locked. */
  #begin(
    command: string,
    resources: { id: number; type: string }[],
    work: () => Promise<void> | void,
  ): Fields {
    const action: Fields = {
      id: this.#nextId++,
      command,
      status: "running",
      progress: 0,
      started: new Date().toISOString(),
      finished: null,
      resources,
      error: null,
    };
    this.#actions.set(action.id, action);
    const ended = (result: Fields) =>
      Object.assign(action, { progress: 100, finished: new Date().toISOString(), ...result });
    const pause = new Promise((resolve) => setTimeout(resolve, this.#options.actionTime ?? 0));
    void Promise.all([pause, (async () => await work())()]).then(
      () => ended({ status: "success" }),
      (error: Error) => ended({ status: "error", error: { code: "action_failed", message: error.message } }),
    );
    return { ...action };
  }

  #refuseLocked(type: string, id: number): void {
    const busy = [...this.#actions.values()].some(
      ({ status, resources }) =>
        status === "running" && resources.some((one: Fields) => one.id === id && one.type === type),
    );
    if (busy) throw new ApiError(409, "locked", `${type} is locked, an action is running`);
  }

  // ---- resources

  #create(kind: Kind, body: Fields): unknown {
    if (kind !== "servers" && (typeof body.name !== "string" || body.name === ""))
      throw invalid("name is missing");
    if (this.list(kind).some(({ name }) => name === body.name)) throw taken(`name ${body.name}`);
    const limit = this.#options.limits?.[kind];
    if (limit !== undefined && this.#store[kind].size >= limit)
      throw new ApiError(
        403,
        "resource_limit_exceeded",
        `${singular(kind).replace("_", " ")} limit exceeded`,
      );
    const item: Fields = {
      id: this.#nextId++,
      name: body.name,
      labels: body.labels ?? {},
      created: new Date().toISOString(),
    };
    switch (kind) {
      case "ssh_keys":
        return this.#createKey(item, body);
      case "firewalls":
        return this.#add(kind, { ...item, rules: rulesOf(body), applied_to: [] }, { actions: [] });
      case "primary_ips":
        return this.#createIp(item, body);
      case "volumes":
        return this.#createVolume(item, body);
      case "servers":
        return this.#createServer(item, body);
      case "zones": {
        const zone = this.#addZone(body.name, item);
        return { zone, action: this.#begin("create_zone", [{ id: zone.id, type: "zone" }], () => {}) };
      }
    }
  }

  #add(kind: Kind, item: Fields, more: Fields = {}): unknown {
    this.#store[kind].set(item.id, item);
    return { [singular(kind)]: item, ...more };
  }

  #createKey(item: Fields, { public_key }: Fields): unknown {
    if (!/^(ssh|ecdsa|sk)-\S+ [A-Za-z0-9+/=]+/.test(public_key ?? ""))
      throw invalid("public_key is not valid");
    const fingerprint = String(public_key).split(" ")[1];
    if (this.list("ssh_keys").some((key) => key.fingerprint === fingerprint)) throw taken("SSH key");
    return this.#add("ssh_keys", { ...item, public_key, fingerprint });
  }

  #createIp(item: Fields, { type, location, auto_delete }: Fields): unknown {
    const used = this.list("primary_ips").map(({ ip }) => ip as string);
    const pool = (type === "ipv4" ? this.#options.ipv4 : this.#options.ipv6) ?? manyAddresses(type);
    const ip = pool.find((address) => !used.includes(address));
    if (!ip) throw new ApiError(412, "resource_unavailable", "there are no more addresses");
    return this.#add("primary_ips", {
      ...item,
      type,
      ip,
      location: toLocation(known(locations, location, "location")),
      auto_delete: auto_delete ?? false,
      assignee_id: null,
      assignee_type: "server",
      blocked: false,
      protection: { delete: false },
      dns_ptr: [],
    });
  }

  #createVolume(item: Fields, { size, location, format }: Fields): unknown {
    if (!(size >= 10 && size <= 10240)) throw invalid("size must be between 10 and 10240");
    const volume = {
      ...item,
      size,
      location: toLocation(known(locations, location, "location")),
      format: format ?? null,
      server: null,
      status: "available",
      linux_device: `/dev/disk/by-id/scsi-0HC_Volume_${item.id}`,
      protection: { delete: false },
    };
    const action = this.#begin("create_volume", [{ id: item.id, type: "volume" }], () =>
      this.#machines.createVolume(item.id, size),
    );
    return this.#add("volumes", volume, { action, next_actions: [] });
  }

  #createServer(item: Fields, body: Fields): unknown {
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(body.name ?? "")) throw invalid("name is no host name");
    if (Buffer.byteLength(body.user_data ?? "") > 32 * 1024) throw invalid("user_data is larger than 32 KiB");
    const type = serverTypes.map(toServerType).find(({ id, name }) => matches(body.server_type, id, name));
    if (!type) throw invalid("server type not found");
    const image = allImages().find(
      ({ id, name, architecture }) => matches(body.image, id, name) && architecture === type.architecture,
    );
    if (!image) throw invalid("image not found or of another architecture");
    const location = known(locations, body.location, "location");
    const keys = ((body.ssh_keys ?? []) as number[]).map((id) => this.#find("ssh_keys", id));
    const net = body.public_net ?? {};
    const ips = ([net.ipv4, net.ipv6] as (number | undefined)[]).map((id) => {
      if (id === undefined) throw invalid("public_net has to name both primary IPs here");
      const ip = this.#find("primary_ips", id);
      if (ip.assignee_id !== null)
        throw new ApiError(409, "primary_ip_assigned", `${ip.ip} is assigned already`);
      if (ip.location.name !== location) throw invalid("primary IP is in another location");
      return ip;
    });
    const [ipv4, ipv6] = ips as [Fields, Fields];
    for (const ip of ips) ip.assignee_id = item.id;
    const firewalls = ((body.firewalls ?? []) as { firewall: number }[]).map(({ firewall }) =>
      this.#find("firewalls", firewall),
    );
    for (const firewall of firewalls)
      firewall.applied_to.push({ type: "server", server: { id: item.id }, applied_to_resources: [] });
    const server: Fields = {
      ...item,
      status: "initializing",
      server_type: type,
      image,
      location: toLocation(location),
      datacenter: { id: 1, name: `${location}-dc1`, description: location, location: toLocation(location) },
      public_net: {
        ipv4: { id: ipv4.id, ip: ipv4.ip, blocked: false, dns_ptr: "" },
        ipv6: { id: ipv6.id, ip: ipv6.ip, blocked: false, dns_ptr: [] },
        floating_ips: [],
        firewalls: firewalls.map(({ id }) => ({ id, status: "applied" })),
      },
      private_net: [],
      volumes: [],
      load_balancers: [],
      protection: { delete: false, rebuild: false },
      primary_disk_size: type.disk,
      included_traffic: 0,
      outgoing_traffic: 0,
      ingoing_traffic: 0,
      backup_window: null,
      rescue_enabled: false,
      iso: null,
      locked: false,
      placement_group: null,
    };
    this.#userData.set(item.id, body.user_data ?? "");
    const action = this.#begin("create_server", [{ id: item.id, type: "server" }], async () => {
      await this.#machines.create({
        server: item.id,
        name: body.name,
        userData: body.user_data ?? "",
        publicKeys: keys.map(({ public_key }) => public_key as string),
        ipv4: ipv4.ip,
        ipv6: String(ipv6.ip).replace(/\/64$/, "1"),
      });
      server.status = "running";
    });
    return this.#add("servers", server, {
      action,
      next_actions: [],
      root_password: keys.length > 0 ? null : "not-a-secret",
    });
  }

  #update(kind: Kind, item: Fields, body: Fields): unknown {
    if (
      body.name !== undefined &&
      this.list(kind).some(({ id, name }) => name === body.name && id !== item.id)
    )
      throw taken(`name ${body.name}`);
    for (const key of ["name", "labels", "auto_delete"]) if (body[key] !== undefined) item[key] = body[key];
    return { [singular(kind)]: item };
  }

  #delete(kind: Kind, item: Fields): unknown {
    if (item.protection?.delete)
      throw new ApiError(423, "protected", `${singular(kind).replace("_", " ")} deletion is protected`);
    this.#refuseLocked(singular(kind), item.id);
    switch (kind) {
      case "ssh_keys":
        break;
      case "servers":
        return this.#deleteServer(item);
      case "primary_ips":
        if (item.assignee_id !== null)
          throw new ApiError(422, "must_be_unassigned", "primary IP must be unassigned");
        break;
      case "firewalls":
        if (item.applied_to.length > 0)
          throw new ApiError(422, "resource_in_use", "firewall is still in use");
        break;
      case "volumes":
        if (item.server !== null)
          throw new ApiError(422, "volume_still_attached", "volume must be detached first");
        void this.#machines.removeVolume(item.id);
        break;
      case "zones": {
        this.#recordSets.delete(item.id);
        this.#store.zones.delete(item.id);
        return { action: this.#begin("delete_zone", [{ id: item.id, type: "zone" }], () => {}) };
      }
    }
    this.#store[kind].delete(item.id);
    return undefined;
  }

  /** With it go its firewall's and its addresses' tie to it; volumes are detached. */
  #deleteServer(server: Fields): unknown {
    const action = this.#begin("delete_server", [{ id: server.id, type: "server" }], () =>
      this.#machines.remove(server.id),
    );
    this.#store.servers.delete(server.id);
    for (const volume of this.list("volumes")) if (volume.server === server.id) volume.server = null;
    for (const ip of this.list("primary_ips")) {
      if (ip.assignee_id !== server.id) continue;
      ip.assignee_id = null;
      if (ip.auto_delete) this.#store.primary_ips.delete(ip.id);
    }
    for (const firewall of this.list("firewalls"))
      firewall.applied_to = firewall.applied_to.filter((to: Fields) => to.server?.id !== server.id);
    return { action };
  }

  #command(kind: Kind, item: Fields, command: string, body: Fields): unknown {
    const type = singular(kind);
    this.#refuseLocked(type, item.id);
    const on = (work: () => Promise<void> | void, more: { id: number; type: string }[] = []) => ({
      action: this.#begin(command, [{ id: item.id, type }, ...more], work),
    });
    switch (`${kind} ${command}`) {
      case "firewalls set_rules":
        item.rules = rulesOf(body);
        return { actions: [] };
      case "primary_ips change_dns_ptr":
        item.dns_ptr = item.dns_ptr.filter(({ ip }: Fields) => ip !== body.ip);
        if (body.dns_ptr) item.dns_ptr.push({ ip: body.ip, dns_ptr: body.dns_ptr });
        return on(() => {});
      case "servers change_protection":
        if (body.delete !== body.rebuild) throw invalid("delete and rebuild protection have to be the same");
        item.protection = { delete: body.delete, rebuild: body.rebuild };
        return on(() => {});
      case "primary_ips change_protection":
      case "volumes change_protection":
      case "zones change_protection":
        item.protection = { delete: body.delete };
        return on(() => {});
      case "servers poweron":
        return on(async () => {
          await this.#machines.start(item.id);
          item.status = "running";
        });
      case "servers shutdown":
      case "servers poweroff":
        return on(async () => {
          await this.#machines.stop(item.id);
          item.status = "off";
        });
      case "servers change_type": {
        if (item.status !== "off") throw new ApiError(422, "server_not_stopped", "server must be off");
        const wanted = serverTypes
          .map(toServerType)
          .find(({ id, name }) => matches(body.server_type, id, name));
        if (wanted?.architecture !== item.server_type.architecture) throw invalid("server type not possible");
        return on(async () => {
          item.server_type = wanted;
          if (body.upgrade_disk) item.primary_disk_size = wanted?.disk;
          await this.#machines.start(item.id);
          item.status = "running";
        });
      }
      case "volumes attach": {
        if (item.server !== null)
          throw new ApiError(422, "volume_already_attached", "volume is attached already");
        const server = this.#find("servers", body.server);
        if (server.location.name !== item.location.name) throw invalid("server is in another location");
        return on(async () => {
          await this.#machines.attach(server.id, item.id);
          item.server = server.id;
          server.volumes.push(item.id);
        });
      }
      case "volumes detach": {
        const server = this.#store.servers.get(item.server);
        return on(async () => {
          if (server) await this.#machines.detach(server.id, item.id);
          if (server) server.volumes = server.volumes.filter((id: number) => id !== item.id);
          item.server = null;
        });
      }
      case "volumes resize":
        if (!(body.size > item.size)) throw invalid("a volume can only grow");
        return on(async () => {
          await this.#machines.resizeVolume(item.id, body.size);
          item.size = body.size;
        });
      default:
        throw notFound(`action ${command}`);
    }
  }

  // ---- DNS

  #addZone(
    name: string,
    item: Fields = { id: this.#nextId++, name, labels: {}, created: new Date().toISOString() },
  ): Fields {
    const servers = ["hydrogen.ns.hetzner.com.", "oxygen.ns.hetzner.com."];
    const zone: Fields = {
      ...item,
      ttl: 3600,
      mode: "primary",
      primary_nameservers: [],
      protection: { delete: false },
      authoritative_nameservers: { assigned: servers, delegated: servers, delegation_status: "valid" },
      registrar: "hetzner",
      status: "ok",
      record_count: 0,
    };
    this.#store.zones.set(zone.id, zone);
    this.#recordSets.set(zone.id, []);
    return zone;
  }

  #rrsets(
    method: string,
    zone: Fields,
    [name, type, below, command]: readonly (string | undefined)[],
    body: Fields,
    query: URLSearchParams,
  ): unknown {
    const sets = this.#recordSets.get(zone.id) ?? [];
    const action = (done: string) => this.#begin(done, [{ id: zone.id, type: "zone" }], () => {});
    const make = (
      set: { name: string; type: string },
      records: RecordSet["records"],
      ttl: number | null,
    ): RecordSet => {
      checkRecords(set.type, records);
      const made = {
        id: `${set.name}/${set.type}`,
        ...set,
        ttl,
        labels: body.labels ?? {},
        protection: { change: false },
        records: [...records],
        zone: zone.id,
      };
      sets.push(made);
      return made;
    };
    if (name === undefined && method === "GET") return this.#page("rrsets", sets, query);
    if (name === undefined && method === "POST") {
      if (sets.some((set) => set.name === body.name && set.type === body.type)) throw taken("RRSet");
      return {
        rrset: make({ name: body.name, type: body.type }, body.records ?? [], body.ttl ?? null),
        action: action("create_rrset"),
      };
    }
    if (name === undefined || type === undefined) throw notFound("endpoint");
    const found = sets.find((set) => set.name === name && set.type === type);
    const drop = () => sets.splice(sets.indexOf(found as RecordSet), 1);
    if (command === "add_records") {
      if (!found) make({ name, type }, body.records, body.ttl ?? null);
      else {
        if (found.records.some(({ value }) => body.records.some((record: Fields) => record.value === value)))
          throw taken("record");
        checkRecords(type, body.records);
        found.records.push(...body.records);
      }
      return { action: action(command) };
    }
    if (!found) throw notFound("RRSet");
    if (below === undefined) {
      if (method === "GET") return { rrset: found };
      if (method === "PUT") return { rrset: Object.assign(found, { labels: body.labels ?? found.labels }) };
      if (method === "DELETE") {
        drop();
        return { action: action("delete_rrset") };
      }
    }
    switch (command) {
      case "set_records":
        checkRecords(type, body.records);
        found.records = [...body.records];
        break;
      case "remove_records":
        found.records = found.records.filter(
          ({ value }) => !body.records.some((record: Fields) => record.value === value),
        );
        if (found.records.length === 0) drop();
        break;
      case "change_ttl":
        found.ttl = body.ttl;
        break;
      case "change_protection":
        found.protection = { change: body.change };
        break;
      default:
        throw notFound(`action ${command}`);
    }
    return { action: action(command) };
  }
}

function checkRecords(type: string, records: readonly { value: string }[]): void {
  if (records.length === 0) throw invalid("records are missing");
  for (const { value } of records)
    if (type === "TXT" && !/^"([^"\\]|\\.){0,255}"( "([^"\\]|\\.){0,255}")*$/.test(value))
      throw invalid("TXT values have to be strings of up to 255 characters in double quotes");
}

function rulesOf({ rules = [] }: Fields): Fields[] {
  if (rules.length > 50) throw invalid("more than 50 rules");
  return rules.map((rule: Fields) => {
    if (rule.protocol !== "icmp" && !rule.port) throw invalid("port is missing");
    return { source_ips: [], destination_ips: [], port: null, description: null, ...rule };
  });
}

function singular(kind: string): string {
  return kind.replace(/s$/, "");
}

function known(names: readonly string[], wanted: unknown, what: string): string {
  const name = typeof wanted === "string" ? wanted : undefined;
  if (name === undefined || !names.includes(name)) throw invalid(`${what} not found`);
  return name;
}

function matches(wanted: unknown, id: number, name: string): boolean {
  return wanted === id || wanted === String(id) || wanted === name;
}

function toLocation(name: string): Fields {
  return {
    id: locations.indexOf(name) + 1,
    name,
    description: name,
    country: "DE",
    city: name,
    latitude: 0,
    longitude: 0,
    network_zone: "eu-central",
  };
}

function toServerType(
  [name, architecture, cores, memory, disk]: (typeof serverTypes)[number],
  index: number,
) {
  return {
    id: index + 100,
    name,
    description: name.toUpperCase(),
    category: "shared",
    cores,
    memory,
    disk,
    architecture,
    storage_type: "local",
    cpu_type: "shared",
    prices: [],
    deprecated: false,
    deprecation: null,
    locations: locations.map((location, at) => ({
      id: at + 1,
      name: location,
      available: true,
      recommended: true,
      deprecation: null,
    })),
  };
}

function allImages() {
  return ["x86", "arm"].flatMap((architecture, group) =>
    images.map((name, index) => ({
      id: 200 + group * 100 + index,
      name,
      type: "system",
      status: "available",
      description: name,
      image_size: null,
      disk_size: 5,
      created: "2026-01-01T00:00:00Z",
      created_from: null,
      bound_to: null,
      os_flavor: name.split("-")[0],
      os_version: name.split("-")[1],
      architecture,
      rapid_deploy: true,
      protection: { delete: false },
      deprecated: null,
      deleted: null,
      labels: {},
    })),
  );
}

function manyAddresses(type: "ipv4" | "ipv6"): string[] {
  return Array.from({ length: 50 }, (_, index) =>
    type === "ipv4" ? `192.0.2.${index + 1}` : `2001:db8:${index + 1}::/64`,
  );
}

async function read(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString("utf8");
}
