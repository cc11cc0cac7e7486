import { z } from "zod";

/**
 * torrust-tracker-deployer's configuration of an environment (v0.1.0). Its state, `data/<name>/environment.json`, holds
 * the same under other names: see `fromState`.
 */
const listener = z.strictObject({
  bind_address: z.string(),
  domain: z.string().nullish(),
  use_tls_proxy: z.boolean().nullish(),
});
const sqlite = z.strictObject({ driver: z.literal("sqlite3"), database_name: z.string() });
const mysql = z.strictObject({
  driver: z.literal("mysql"),
  host: z.string(),
  port: z.int(),
  database_name: z.string(),
  username: z.string(),
  password: z.string(),
  root_password: z.string().nullish(),
});
const lxd = z.strictObject({ provider: z.literal("lxd"), profile_name: z.string() });
const hetzner = z.strictObject({
  provider: z.literal("hetzner"),
  api_token: z.string(),
  server_type: z.string(),
  location: z.string(),
  image: z.string(),
});
const environmentSchema = z.strictObject({
  environment: z.strictObject({
    name: z.string(),
    description: z.string().nullish(),
    instance_name: z.string().nullish(),
  }),
  ssh_credentials: z.strictObject({
    private_key_path: z.string(),
    public_key_path: z.string(),
    username: z.string().default("torrust"),
    port: z.int().default(22),
  }),
  provider: z.discriminatedUnion("provider", [lxd, hetzner]),
  tracker: z.strictObject({
    core: z.strictObject({ database: z.discriminatedUnion("driver", [sqlite, mysql]), private: z.boolean() }),
    udp_trackers: z.array(listener.omit({ use_tls_proxy: true })),
    http_trackers: z.array(listener),
    http_api: listener.extend({ admin_token: z.string() }),
    health_check_api: listener.optional(),
  }),
  prometheus: z.strictObject({ scrape_interval_in_secs: z.int() }).nullish(),
  grafana: z
    .strictObject({
      admin_user: z.string().default("admin"),
      admin_password: z.string(),
      domain: z.string().nullish(),
      use_tls_proxy: z.boolean().nullish(),
    })
    .nullish(),
  https: z.strictObject({ admin_email: z.string(), use_staging: z.boolean().optional() }).nullish(),
  backup: z.strictObject({ schedule: z.string().optional(), retention_days: z.int().optional() }).nullish(),
});
export type Environment = z.output<typeof environmentSchema>;

/** An environment, and where its text has it. */
export interface ReadEnvironment {
  readonly given: Environment;
  /** What leads to it in the text of a state; undefined for a configuration. */
  readonly at?: string;
  /** Address of the machine that the deployer made or knows. */
  readonly address?: string;
  /** Paths of what is not known here and was left out. */
  readonly unknown: readonly string[];
}

/**
 * Reads an environment of torrust-tracker-deployer.
 *
 * @param text its configuration, or its state
 * @returns the environment, or what is wrong with the text
 */
export function readEnvironment(text: string): ReadEnvironment | { readonly problems: readonly string[] } {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return { problems: ["is no JSON"] };
  }
  const { configuration, address, at } = fromState(json) ?? { configuration: json };
  const unknown: string[] = [];
  const known = withoutUnknown(configuration, unknown);
  return "problems" in known ? known : { given: known.given, at, address, unknown };
}

/** Where the state keeps what the configuration has; `at` leads to it. */
const stateSchema = z.record(
  z.string(),
  z.looseObject({
    context: z.looseObject({
      user_inputs: z.looseObject({
        name: z.string(),
        provider_config: z.unknown(),
        ssh_credentials: z.looseObject({
          ssh_priv_key_path: z.string(),
          ssh_pub_key_path: z.string(),
          ssh_username: z.string(),
        }),
        ssh_port: z.int(),
        tracker: z.looseObject({
          core: z.looseObject({ database: z.looseObject({ driver: z.string(), config: z.looseObject({}) }) }),
        }),
      }),
      runtime_outputs: z.looseObject({ instance_ip: z.string().nullish() }),
    }),
  }),
);

/** The configuration in a state, and the address of its machine; undefined for anything else. */
function fromState(json: unknown) {
  const [entry] = Object.entries(stateSchema.safeParse(json).data ?? {});
  if (!entry) return undefined;
  const [state, { context }] = entry;
  const { name, instance_name, provider_config, ssh_credentials, ssh_port, tracker, ...rest } =
    context.user_inputs;
  const { ssh_priv_key_path, ssh_pub_key_path, ssh_username, ...more } = ssh_credentials;
  const { driver, config } = tracker.core.database;
  return {
    at: `${state}.context.user_inputs`,
    // A machine that was destroyed leaves its address.
    address: state === "Destroyed" ? undefined : (context.runtime_outputs.instance_ip ?? undefined),
    configuration: {
      environment: { name, instance_name },
      ssh_credentials: {
        private_key_path: ssh_priv_key_path,
        public_key_path: ssh_pub_key_path,
        username: ssh_username,
        port: ssh_port,
        ...more,
      },
      provider: provider_config,
      tracker: { ...tracker, core: { ...tracker.core, database: { driver, ...config } } },
      ...rest,
    },
  };
}

/** Reads a configuration; what the schema does not know is taken out of it, and told. */
function withoutUnknown(
  json: unknown,
  unknown: string[],
): { readonly given: Environment } | { readonly problems: readonly string[] } {
  const parsed = environmentSchema.safeParse(json);
  if (parsed.success) return { given: parsed.data };
  const problems = parsed.error.issues.filter(({ code }) => code !== "unrecognized_keys");
  if (problems.length > 0)
    return {
      problems: problems.map(({ path, message }) => `${path.join(".") || "the file"}: ${message}`),
    };
  const pruned = structuredClone(json);
  for (const issue of parsed.error.issues) {
    if (issue.code !== "unrecognized_keys") continue;
    const parent = issue.path.reduce((value, key) => (value as Record<PropertyKey, unknown>)[key], pruned);
    for (const key of issue.keys) {
      unknown.push([...issue.path, key].join("."));
      delete (parent as Record<string, unknown>)[key];
    }
  }
  return withoutUnknown(pruned, unknown);
}
