import { stringify } from "yaml";

import type { Target } from "../settings/hosts";
import { readEnvironment, type Environment } from "./environment";

export interface Converted {
  /** The environment's name. */
  readonly stack: string;
  /** Text of Pulumi.<stack>.yaml, without a secret. */
  readonly yaml: string;
  /** Commands that set the secrets; they read them from the file, so that no shell's history has them. */
  readonly commands: readonly string[];
  /** What has no counterpart, or needs a look. */
  readonly notes: readonly string[];
}

export interface ConvertOptions {
  /** Name of the file, for the commands. */
  readonly file: string;
  readonly project: string;
  /** Where the stack is to run. @default the machine that the deployer made or knows; else one like it */
  readonly target?: Target;
  /** Text of a file; undefined where it cannot be read. */
  readonly readKey?: (path: string) => string | undefined;
}

/**
 * Turns an environment of torrust-tracker-deployer into a stack's configuration.
 *
 * @param text its configuration, or its state
 * @returns the configuration, or what is wrong with the text
 */
export function convertEnvironment(
  text: string,
  options: ConvertOptions,
): Converted | { readonly problems: readonly string[] } {
  const environment = readEnvironment(text);
  if ("problems" in environment) return environment;
  const { given, address, at, unknown } = environment;
  const notes: string[] = unknown.map((path) => `${path} is not known here and was left out.`);
  const target =
    options.target ?? (address ? "ssh" : given.provider.provider === "hetzner" ? "hetzner" : "local");
  const values = {
    ...host(given, target, address, options.readKey, notes),
    ...trackers(given, address, notes),
    ...monitoring(given, notes),
    ...authority(given, notes),
    ...backup(given, notes),
  };
  const config = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`${options.project}:${key}`, value]),
  );
  return {
    stack: given.environment.name,
    yaml: `# From the deployer's environment "${given.environment.name}".\n${stringify({ config }, { lineWidth: 0 })}`,
    commands: secrets(given, target, options.file, at),
    notes,
  };
}

function host(
  { provider, ssh_credentials }: Environment,
  target: Target,
  address: string | undefined,
  readKey: ConvertOptions["readKey"],
  notes: string[],
) {
  const { private_key_path, public_key_path, username, port } = ssh_credentials;
  if (target === "local") {
    notes.push(
      "target local: the stack is deployed to the Docker engine that DOCKER_HOST names, and ssh_credentials are not needed. For a machine reached by SSH: --target ssh.",
    );
    if (provider.provider === "hetzner")
      notes.push("provider.server_type, location, image and api_token have no use with target local.");
    return { target };
  }
  const usable = /^(~\/|\/)/.test(private_key_path);
  if (!usable)
    notes.push(
      `ssh_credentials.private_key_path is relative: write ${private_key_path} as an absolute path in sshKeyFile.`,
    );
  const access = usable ? { sshKeyFile: private_key_path } : {};
  if (target === "ssh") {
    notes.push(
      `target ssh: the stack goes to the same machine. Its host key is needed: pulumi config set --path ssh.hostKey "$(ssh -p ${port} ${username}@${address ?? "HOST"} cat /etc/ssh/ssh_host_ed25519_key.pub)", better read at its console.`,
    );
    if (!address) notes.push("the file does not say the machine's address: write it as ssh.host.");
    notes.push("what the machine itself is made of (server, firewall, addresses) stays with the deployer.");
    if (provider.provider === "lxd") notes.push("provider.profile_name (LXD) has no counterpart.");
    else
      notes.push("provider.api_token is not needed. For a new machine of the same type: --target hetzner.");
    return {
      target,
      ssh: { ...(address ? { host: address } : {}), user: username, port },
      ...access,
    };
  }
  if (provider.provider !== "hetzner") {
    notes.push(
      "target hetzner: provider lxd has neither server type nor location, so the defaults hold; profile_name has no counterpart.",
    );
  }
  const key = readKey?.(public_key_path)?.trim();
  if (!key)
    notes.push(
      `ssh_credentials.public_key_path: ${public_key_path} cannot be read here. Write its text: pulumi config set --path 'hetzner.sshKeys[0]' "$(cat ${public_key_path})"`,
    );
  notes.push(
    "target hetzner: a new machine is made beside the deployer's, which stays until you remove it. Say from where SSH is allowed, which was from everywhere: pulumi config set --path 'hetzner.sshAllowedFrom[0]' \"$(curl -4 -s https://ifconfig.co)/32\"",
  );
  if (username !== "root" || port !== 22)
    notes.push(
      `a new machine is reached as root on port 22: ssh_credentials' ${username} on port ${port} is left out.`,
    );
  const machine =
    provider.provider === "hetzner"
      ? { serverType: provider.server_type, location: provider.location, image: provider.image }
      : {};
  return { target, hetzner: { ...machine, ...(key ? { sshKeys: [key] } : {}) }, ...access };
}

function trackers({ tracker }: Environment, address: string | undefined, notes: string[]) {
  const { http_api, http_trackers, udp_trackers, core, health_check_api } = tracker;
  if (!http_api.domain)
    notes.push("tracker.http_api has no domain: the API is not public here. To publish it, write apiDomain.");
  const named = http_trackers.filter(({ domain }) => domain);
  for (const { bind_address } of http_trackers.filter(({ domain }) => !domain))
    notes.push(
      `the HTTP tracker at ${bind_address} has no domain: every one needs its own here. Add it to httpTrackers.`,
    );
  if (core.private && udp_trackers.length > 0)
    notes.push("a private tracker serves no UDP here: its UDP trackers are left out.");
  const udp = core.private ? [] : udp_trackers;
  if (http_api.domain && !http_api.use_tls_proxy)
    notes.push(
      `tracker.http_api at ${http_api.bind_address} was served without TLS; here it is by HTTPS alone, so its URL changes.`,
    );
  const httpPort = plainHttpPort(named, notes);
  if (health_check_api?.domain)
    notes.push(
      `tracker.health_check_api: ${health_check_api.domain} has no counterpart; npm run verify and the alerts look after health.`,
    );
  const { database } = core;
  notes.push(
    database.driver === "mysql"
      ? `tracker.core.database: MySQL is made here with a name and passwords of its own; ${database.database_name} at ${database.host} moves as a dump (docs/migration.md).`
      : `tracker.core.database: the file ${database.database_name} moves by copying it (docs/migration.md).`,
  );
  notes.push(
    "completed downloads were counted there, at the price of a write for each new torrent; here they are not unless countDownloads is set (docs/capacity.md).",
  );
  for (const { bind_address } of udp)
    if (!/^(0\.0\.0\.0|\[::\]):/.test(bind_address))
      notes.push(
        `the UDP tracker at ${bind_address} listens on every address here: publishAddresses names others.`,
      );
  // Without a name to share, a UDP tracker is reached by its address, as before.
  const nameless = named.length === 0 && !http_api.domain;
  const fallback = nameless ? address : undefined;
  udp.forEach(({ bind_address, domain }, index) => {
    if (!domain && nameless && !address)
      notes.push(
        `the UDP tracker at ${bind_address} has no domain: write one, or the host's address, as udpTrackers[${index}].domain.`,
      );
  });
  return {
    ...(http_api.domain ? { apiDomain: http_api.domain } : {}),
    httpTrackers: named.map(({ domain, use_tls_proxy }) => ({
      domain,
      ...(use_tls_proxy ? {} : { plainHttp: true }),
    })),
    ...(httpPort === undefined ? {} : { httpPort }),
    udpTrackers: udp.map(({ bind_address, domain }) => ({
      port: portOf(bind_address),
      ...((domain || fallback) && { domain: domain || fallback }),
    })),
    ...(core.private ? { trackerMode: "private" } : {}),
    ...(core.database.driver === "mysql" ? { database: "mysql" } : {}),
    ...(udp.some(({ bind_address }) => bind_address.startsWith("[")) ? { ipv6: true } : {}),
  };
}

/** Where HTTP trackers that had no TLS go on without it: all of them share one port here. */
function plainHttpPort(
  trackers: Environment["tracker"]["http_trackers"],
  notes: string[],
): number | undefined {
  const plain = trackers.filter(({ use_tls_proxy }) => !use_tls_proxy);
  const [port] = new Set(plain.map(({ bind_address }) => portOf(bind_address)));
  for (const { domain, bind_address } of plain)
    notes.push(
      `the HTTP tracker ${domain} was served without TLS: plainHttp keeps that, on port ${port}, beside HTTPS${portOf(bind_address) === port ? "" : `. Its URL changes, because it was on port ${portOf(bind_address)}`}.`,
    );
  return port;
}

function monitoring({ prometheus, grafana }: Environment, notes: string[]) {
  if (grafana && grafana.admin_user !== "admin")
    notes.push(`grafana.admin_user: the administrator's name is admin here, not ${grafana.admin_user}.`);
  if (grafana && !grafana.domain) notes.push("grafana has no domain: write grafanaDomain.");
  if (grafana?.domain)
    notes.push(
      "Grafana moves from port 443 to grafanaPort (3443). tlsProxy nginx keeps it on 443 beside the others with grafanaOnHttps true.",
    );
  return {
    ...(prometheus
      ? { prometheusScrapeInterval: prometheus.scrape_interval_in_secs }
      : { prometheus: false }),
    ...(grafana ? { grafana: true, ...(grafana.domain ? { grafanaDomain: grafana.domain } : {}) } : {}),
  };
}

function authority({ https }: Environment, notes: string[]) {
  if (!https) {
    notes.push(
      "https is not set there: certificates are self-signed (acme none). Set acme letsencrypt for real ones.",
    );
    return { acme: "none" };
  }
  return { acme: https.use_staging ? "letsencrypt-staging" : "letsencrypt", acmeEmail: https.admin_email };
}

function backup({ backup }: Environment, notes: string[]) {
  if (!backup) return {};
  notes.push(
    "backup: the repository is a folder of the host, as it was there. A place off the host is safer: docs/backup.md.",
  );
  return {
    backup: {
      repository: "/opt/torrust/storage/restic",
      schedule: backup.schedule ?? "0 3 * * *",
      retention: { daily: backup.retention_days ?? 7 },
    },
  };
}

function secrets(
  { provider, grafana, backup }: Environment,
  target: Target,
  file: string,
  at: string | undefined,
): string[] {
  const read = (path: string) =>
    `node -p "JSON.parse(require('fs').readFileSync('${file}', 'utf8')).${at ? `${at}.` : ""}${path}"`;
  return [
    ...(target === "hetzner"
      ? provider.provider === "hetzner"
        ? [
            `${read(`${at ? "provider_config" : "provider"}.api_token`)} | pulumi config set --secret hcloud:token`,
          ]
        : ["pulumi config set --secret hcloud:token"]
      : []),
    `${read("tracker.http_api.admin_token")} | pulumi config set --secret adminToken`,
    ...(grafana
      ? [`${read("grafana.admin_password")} | pulumi config set --secret grafanaAdminPassword`]
      : []),
    ...(backup ? ['pulumi config set --secret backupPassword "$(openssl rand -hex 24 | tee /dev/tty)"'] : []),
  ];
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
}
