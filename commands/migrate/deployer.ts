import { stringify } from "yaml";
import { z } from "zod";

/** The parts of torrust-tracker-deployer's environment.json (v0.1.0) that mean something here. */
const listener = z.object({ bind_address: z.string(), domain: z.string().nullish() });
const environmentSchema = z.object({
  environment: z.object({ name: z.string() }),
  provider: z.looseObject({ provider: z.string() }),
  tracker: z.object({
    core: z.object({ database: z.looseObject({ driver: z.string() }), private: z.boolean() }),
    udp_trackers: z.array(listener),
    http_trackers: z.array(listener),
    http_api: listener.extend({ admin_token: z.string() }),
  }),
  prometheus: z.object({ scrape_interval_in_secs: z.int() }).nullish(),
  grafana: z.object({ admin_password: z.string(), domain: z.string().nullish() }).nullish(),
  https: z.object({ admin_email: z.string(), use_staging: z.boolean().optional() }).nullish(),
  backup: z.object({ schedule: z.string().optional(), retention_days: z.int().optional() }).nullish(),
});
type Environment = z.output<typeof environmentSchema>;

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

/**
 * Turns an environment of torrust-tracker-deployer into a stack's configuration. Pure.
 *
 * @param file name of the file, for the commands
 * @returns the configuration, or what is wrong with the text
 */
export function convertEnvironment(
  text: string,
  file: string,
  project: string,
): Converted | { readonly problems: readonly string[] } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problems: ["is no JSON"] };
  }
  const parsed = environmentSchema.safeParse(json);
  if (!parsed.success)
    return {
      problems: parsed.error.issues.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`),
    };
  const given = parsed.data;
  const notes: string[] = [];
  const values = {
    ...trackers(given, notes),
    ...monitoring(given, notes),
    ...authority(given, notes),
    ...backup(given, notes),
  };
  if (given.provider.provider !== "lxd" && given.provider.provider !== "hetzner")
    notes.push(`provider ${given.provider.provider} is not known.`);
  notes.push(
    `provider ${given.provider.provider}: the stack is deployed to the Docker engine that DOCKER_HOST names; what the server is made of stays where it is.`,
  );
  const config = Object.fromEntries(
    Object.entries(values).map(([key, value]) => [`${project}:${key}`, value]),
  );
  return {
    stack: given.environment.name,
    yaml: `# From the deployer's environment "${given.environment.name}".\n${stringify({ config }, { lineWidth: 0 })}`,
    commands: secrets(given, file),
    notes,
  };
}

function trackers({ tracker }: Environment, notes: string[]) {
  const { http_api, http_trackers, udp_trackers, core } = tracker;
  if (!http_api.domain) notes.push("tracker.http_api has no domain: write apiDomain.");
  const named = http_trackers.filter(({ domain }) => domain);
  for (const { bind_address } of http_trackers.filter(({ domain }) => !domain))
    notes.push(
      `the HTTP tracker at ${bind_address} has no domain: every one needs its own here. Add it to httpTrackers.`,
    );
  if (core.private && udp_trackers.length > 0)
    notes.push("a private tracker serves no UDP here: its UDP trackers are left out.");
  const udp = core.private ? [] : udp_trackers;
  return {
    target: "local",
    ...(http_api.domain ? { apiDomain: http_api.domain } : {}),
    httpTrackers: named.map(({ domain }) => ({ domain })),
    udpTrackers: udp.map(({ bind_address, domain }) => ({
      port: portOf(bind_address),
      ...(domain ? { domain } : {}),
    })),
    ...(core.private ? { trackerMode: "private" } : {}),
    ...(core.database.driver === "mysql" ? { database: "mysql" } : {}),
    ...(udp.some(({ bind_address }) => bind_address.startsWith("[")) ? { ipv6: true } : {}),
  };
}

function monitoring({ prometheus, grafana }: Environment, notes: string[]) {
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

function secrets({ grafana, backup }: Environment, file: string): string[] {
  const read = (path: string) =>
    `node -p "JSON.parse(require('fs').readFileSync('${file}', 'utf8')).${path}"`;
  return [
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
