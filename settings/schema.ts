import { isIP, isIPv4 } from "node:net";
import { z } from "zod";

import { defaultImages, imageKeys } from "../stack/images";
import { ports } from "../stack/names";
import { nearest } from "./nearest";
import { alertReceivers, knownReceiverKeys } from "./alerts";
import { hetznerSchema, hostKeys, sshHostSchema, sshKeyFileSchema, targets } from "./hosts";
import { backupKeys, backupSchema, backupSecretKeys, backupSecretsSchema } from "./backup";
import type { Problem } from "./problems";

/** Config keys that are set with `--secret`; undeclared in Pulumi.yaml. The first two are generated when absent. */
export const secretKeys = ["adminToken", "grafanaAdminPassword", ...backupSecretKeys] as const;

/** Certificate authorities that have a name. */
export const acmeDirectories: Readonly<Record<string, string>> = {
  letsencrypt: "https://acme-v02.api.letsencrypt.org/directory",
  "letsencrypt-staging": "https://acme-staging-v02.api.letsencrypt.org/directory",
};

// ---- one value at a time

/** A whole number, in itself or as the text that the engine hands over. */
const integer = (rule: string, min: number, max: number) =>
  z.unknown().transform((value, context) => {
    const fail = (message: string) => {
      context.addIssue({ code: "custom", message: `${message} ${rule}` });
      return z.NEVER;
    };
    if (value === undefined) return fail("is missing.");
    const number = typeof value === "string" && /^-?\d+$/.test(value) ? Number(value) : value;
    if (!Number.isInteger(number)) return fail(`${quote(value)} is no whole number.`);
    const inRange = typeof number === "number" && number >= min && number <= max;
    return inRange ? number : fail(`${number} is out of range.`);
  });

const port = integer("Write a port from 1 to 65535.", 1, 65535);

/** Fewer than four would leave nothing to spread once some are set aside for those who stalled. */
const listenerCount = integer("Write 1, or a number from 4 to 256.", 1, 256).refine(
  (count) => count === 1 || count >= 4,
  { error: "is too few to share connections among. Write 1, or a number from 4 to 256." },
);

const boolean = z
  .enum(["true", "false"], { error: quoting("is neither true nor false.") })
  .transform((value) => value === "true");

const choice = <const T extends readonly [string, ...string[]]>(values: T) =>
  z.enum(values, { error: quoting(`is not known. Write one of: ${values.join(", ")}.`) });

/** A list or object, which the engine hands over as JSON. */
function json<T extends z.ZodType>(schema: T, form: string) {
  return z
    .string()
    .transform((text, context) => {
      try {
        return JSON.parse(text) as unknown;
      } catch {
        context.addIssue({ code: "custom", message: `"${clip(text)}" is not JSON. Write ${form}.` });
        return z.NEVER;
      }
    })
    .pipe(schema);
}

const hostName = z
  .string({ error: quoting("is no text. Write a host name such as tracker.example.org.") })
  .superRefine((name, context) => {
    const problem = hostNameProblem(name);
    if (problem) context.addIssue({ code: "custom", message: `${quote(name)} ${problem}` });
  });

const optionalHostName = z.string().superRefine((name, context) => {
  const problem = name === "" ? undefined : hostNameProblem(name);
  if (problem) context.addIssue({ code: "custom", message: `${quote(name)} ${problem}` });
});

function hostNameProblem(name: string): string | undefined {
  if (name === "") return "is empty. Write a host name such as tracker.example.org.";
  if (name.includes("*"))
    return "is a wildcard, for which neither proxy can get a certificate. Write each name out.";
  if (name !== name.toLowerCase()) return `has capital letters. Write ${quote(name.toLowerCase())}.`;
  // eslint-disable-next-line no-control-regex
  if (/[^\x00-\x7f]/.test(name)) return "is not ASCII. Write its Punycode form, which begins with xn--.";
  if (name.endsWith(".")) return `ends in a dot. Write ${quote(name.slice(0, -1))}.`;
  const label = /^(?!-)[a-z0-9-]{1,63}(?<!-)$/;
  if (name.length > 253 || !name.split(".").every((part) => label.test(part)))
    return "is no host name (labels of letters, digits and inner hyphens, joined by dots; no scheme, port or path).";
  return undefined;
}

const imageReference = z
  .string({ error: quoting("is no text. Write an image such as registry/name:1.2.3.") })
  .superRefine((reference, context) => {
    const problem = imageProblem(reference);
    if (problem) context.addIssue({ code: "custom", message: `${quote(reference)} ${problem}` });
  });

function imageProblem(reference: string): string | undefined {
  const match =
    /^[a-z0-9][a-z0-9._/:-]*?(?::(?<tag>[\w][\w.-]{0,127}))?(?:@(?<digest>sha256:[0-9a-f]{64}))?$/.exec(
      reference,
    );
  if (!match?.groups) return "is no image reference. Write registry/name:tag or registry/name@sha256:digest.";
  const { tag, digest } = match.groups;
  if (digest) return undefined;
  if (!tag)
    return "has neither tag nor digest, so it means whatever is newest. Add the version's tag or digest.";
  if (tag === "latest" || tag === "develop")
    return `moves with every release of ":${tag}". Write a version's tag, or add the digest: ${reference}@sha256:…`;
  return undefined;
}

/** Releases of which each https listener ends for good with the first handshake that fails, a probe or ACME challenge among them. */
const unfitPingoo = /:v?(0\.14\.[89])(@|$)/;

const pingooImage = imageReference.superRefine((reference, context) => {
  const release = unfitPingoo.exec(reference)?.[1];
  if (release)
    context.addIssue({
      code: "custom",
      message: `${quote(reference)} must not be deployed: with Pingoo ${release} an https listener ends with the first handshake that fails, so that no certificate can be ordered and soon nobody is served (docs/pingoo-under-load.md). Write ${defaultImages.pingoo}, or run: pulumi config rm --path images.pingoo`,
    });
});

const subnet = z.string().superRefine((text, context) => {
  const fail = (why: string) =>
    context.addIssue({ code: "custom", message: `${quote(text)} ${why} Write one such as 10.230.7.0/24.` });
  if (text === "") return;
  const [address, bits] = text.split("/");
  if (!isIPv4(address ?? "") || bits !== "24" || !address?.endsWith(".0"))
    return fail("is no IPv4 /24 in CIDR form.");
  if (!/^(10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/.test(address))
    fail("is no private network (RFC 1918).");
});

const acme = z.string().superRefine((value, context) => {
  if (value === "none" || value in acmeDirectories) return;
  if (/^https:\/\/[\w.~:/?#[\]@!$&()*+,;=%-]+$/.test(value) && URL.canParse(value)) return;
  const near = nearest(value, ["none", ...Object.keys(acmeDirectories)]);
  const hint = near ? ` Did you mean ${near}?` : "";
  context.addIssue({
    code: "custom",
    message: `${quote(value)} is no certificate authority. Write letsencrypt, letsencrypt-staging, none or an ACME directory's https URL.${hint}`,
  });
});

const caCertificate = z
  .string()
  .refine(
    (text) =>
      text === "" ||
      /^(\s*-----BEGIN CERTIFICATE-----[\sA-Za-z0-9+/=]+-----END CERTIFICATE-----)+\s*$/.test(text),
    {
      error:
        "is no PEM certificate. Write the whole text from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----.",
    },
  );

const email = z
  .string()
  .refine(
    (text) => text === "" || (text.length <= 254 && /^[\w.+-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$/i.test(text)),
    {
      error: quoting("is no e-mail address. Write one such as admin@example.org, or leave it out."),
    },
  );

/** Used in a URL's query, an HTTP header and a TOML string: printable ASCII without spaces keeps all three simple. */
const secretText = (minimum: number) =>
  z
    .string()
    .refine((text) => text.length >= minimum && text.length <= 256 && /^[\x21-\x7e]*$/.test(text), {
      error: `must have ${minimum} to 256 printable ASCII characters without spaces. Leave it out to have one generated.`,
    })
    .optional();

const httpTracker = z.strictObject({
  domain: hostName,
  port: port.optional(),
  plainHttp: z.boolean({ error: quoting("is neither true nor false.") }).optional(),
});

/** Gives each HTTP tracker a port in the tracker's container, and HTTPS alone unless it wants more. */
function numbered(trackers: z.output<typeof httpTracker>[]) {
  return trackers.map(({ domain, port, plainHttp = false }, index) => ({
    domain,
    port: port ?? ports.firstHttpTracker + index,
    plainHttp,
  }));
}

const udpTracker = z.strictObject({
  port,
  domain: hostName.optional(),
});

const schema = {
  target: choice(targets),
  hetzner: json(hetznerSchema, 'an object such as {"sshKeys": ["ssh-ed25519 AAAA…"]}'),
  ssh: json(sshHostSchema, 'an object such as {"host": "tracker.example.org"}'),
  sshKeyFile: sshKeyFileSchema,
  hostTimeout: integer("Write seconds from 10 to 3600.", 10, 3600),
  dnsCheck: choice(["require", "warn", "skip"]),
  apiDomain: optionalHostName,
  httpTrackers: json(
    z
      .array(httpTracker, { error: "is no list. Write a list of {domain, port, plainHttp}." })
      .transform(numbered),
    'a list such as [{"domain": "tracker.example.org"}]',
  ),
  udpTrackers: json(
    z.array(udpTracker, { error: "is no list. Write a list of {port, domain}." }),
    'a list such as [{"port": 6969}]',
  ),
  trackerMode: choice(["public", "listed", "private"]),
  trackerSchemaVersion: choice(["2.0.0", "3.0.0"]),
  announceInterval: integer("Write seconds from 30 to 86400.", 30, 86400),
  countDownloads: boolean,
  trackerMemory: integer("Write MB from 64 to 1048576, or 0 for the default.", 0, 1_048_576).refine(
    (megabytes) => megabytes === 0 || megabytes >= 64,
    { error: "is too little to run in. Write MB from 64 to 1048576, or 0 for the default." },
  ),
  database: choice(["sqlite", "mysql"]),
  acme,
  acmeCaCertificate: caCertificate,
  acmeEmail: email,
  tlsProxy: choice(["pingoo", "nginx"]),
  pingooListeners: listenerCount,
  nginxRateLimit: integer("Write requests per second up to 100000, or 0 for no limit.", 0, 100_000),
  httpsPort: port,
  httpPort: port,
  prometheus: boolean,
  prometheusScrapeInterval: integer("Write seconds from 1 to 3600.", 1, 3600),
  prometheusRetention: z.string().regex(/^[1-9]\d*[hdwy]$/, {
    error: quoting("is no duration. Write a number and a unit, such as 12h, 15d or 1y."),
  }),
  alerts: boolean,
  alertReceivers,
  alertDelay: integer("Write seconds from 1 to 86400.", 1, 86400),
  alertCertificateDays: integer("Write days from 1 to 365.", 1, 365),
  grafana: boolean,
  grafanaDomain: optionalHostName,
  grafanaPort: port,
  grafanaOnHttps: boolean,
  hybrid: boolean,
  publishAddresses: json(
    z
      .array(z.string().refine((text) => isIP(text) !== 0, { error: quoting("is no IP address.") }))
      .refine((list) => list.some((text) => isIPv4(text)), {
        error: "has no IPv4 address, on which HTTPS could be published. Add 0.0.0.0 or 127.0.0.1.",
      }),
    'a list such as ["0.0.0.0", "::"]',
  ),
  ipv6: boolean,
  subnet,
  images: json(
    z.strictObject({
      ...(Object.fromEntries(imageKeys.map((key) => [key, imageReference.optional()])) as Record<
        (typeof imageKeys)[number],
        z.ZodOptional<typeof imageReference>
      >),
      pingoo: pingooImage.optional(),
    }),
    'an object such as {"tracker": "torrust/tracker:3.0.0"}',
  ),
  protectData: boolean,
  backup: json(backupSchema, 'an object such as {"repository": "/srv/backup"}'),
  adminToken: secretText(16),
  grafanaAdminPassword: secretText(8),
  ...backupSecretsSchema,
} satisfies Record<string, z.ZodType>;

/** The whole configuration: each value on its own is good, the combination not yet checked. */
export type ParsedConfig = { readonly [Key in keyof typeof schema]: z.output<(typeof schema)[Key]> };

/** The keys that a stack's configuration may have. */
export const configKeys: readonly string[] = Object.keys(schema);

/** Reads each value by itself: the good ones, and what is wrong with the others. */
export function parseConfig(raw: Readonly<Record<string, string>>): {
  config: Partial<ParsedConfig>;
  problems: Problem[];
} {
  const unknown = Object.keys(raw).filter((key) => !configKeys.includes(key));
  const problems = unknown.map((key) => ({ path: key, message: unknownKey(key, configKeys) }));
  const config: Record<string, unknown> = {};
  for (const [key, type] of Object.entries<z.ZodType>(schema)) {
    const parsed = type.safeParse(raw[key]);
    if (parsed.success) config[key] = parsed.data;
    else if (raw[key] === undefined)
      problems.push({ path: key, message: `is missing. Run: pulumi config set ${key} <value>` });
    else problems.push(...parsed.error.issues.flatMap((issue) => describe(key, issue)));
  }
  return { config, problems };
}

// ---- turning zod's issues into problems

function describe(key: string, issue: z.core.$ZodIssue): Problem[] {
  const path = pathOf([key, ...issue.path]);
  if (issue.code !== "unrecognized_keys") return [{ path, message: issue.message }];
  return issue.keys.map((unknown) => ({
    path: `${path}.${unknown}`,
    message: unknownKey(unknown, knownKeysIn(key, issue.path)),
  }));
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known);
  return near ? `is not known. Did you mean ${near}?` : `is not known. Known are: ${known.join(", ")}.`;
}

function knownKeysIn(key: string, path: readonly PropertyKey[]): readonly string[] {
  switch (key) {
    case "alertReceivers":
      return knownReceiverKeys(path);
    case "httpTrackers":
      return Object.keys(httpTracker.shape);
    case "udpTrackers":
      return Object.keys(udpTracker.shape);
    case "backup":
      return backupKeys;
    default:
      return hostKeys[key] ?? imageKeys;
  }
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, part) =>
      typeof part === "number" ? `${text}[${part}]` : text ? `${text}.${String(part)}` : String(part),
    "",
  );
}

/** An error text that begins with the offending value, or says that there is none. */
function quoting(rule: string) {
  return (issue: { input?: unknown }) =>
    issue.input === undefined ? `is missing. ${rule}` : `${quote(issue.input)} ${rule}`;
}

function quote(value: unknown): string {
  return clip(JSON.stringify(value) ?? String(value));
}

function clip(text: string): string {
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
