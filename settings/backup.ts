import * as pulumi from "@pulumi/pulumi";
import { z } from "zod";

import { parseCron, type Schedule } from "./cron";
import type { Problem } from "./problems";
import type { Secret } from "./secret";

/** What a backup can hold. `config` are the generated files, `letsencrypt` is what certbot obtained. */
export const backupParts = ["tls", "letsencrypt", "config", "tracker", "grafana"] as const;
export type BackupPart = (typeof backupParts)[number];

/** How many snapshots stay, by restic's `forget --keep-<period>`. */
export const retentionPeriods = ["last", "hourly", "daily", "weekly", "monthly", "yearly"] as const;
export type Retention = Readonly<Partial<Record<(typeof retentionPeriods)[number], number>>>;

/** Secrets of the backup: the repository's password, and what opens the place where it lies. */
export const backupSecretKeys = [
  "backupPassword",
  "backupSshKey",
  "backupS3AccessKeyId",
  "backupS3SecretAccessKey",
  "backupRestPassword",
] as const;
export type BackupSecret = (typeof backupSecretKeys)[number];

export type RepositoryKind = "local" | "sftp" | "s3" | "rest";

export interface BackupSettings {
  readonly repository: {
    readonly kind: RepositoryKind;
    /** A folder of the host, or restic's way to name a place (https://restic.readthedocs.io, "Preparing a new repository"). */
    readonly location: string;
    /** Lines of a known_hosts file, for `sftp`. */
    readonly knownHosts?: string;
  };
  readonly schedule: Schedule;
  readonly retention: Retention;
  readonly include: readonly BackupPart[];
  readonly secrets: Readonly<Partial<Record<BackupSecret, Secret>>>;
}

const locations: readonly { readonly kind: RepositoryKind; readonly pattern: RegExp }[] = [
  { kind: "local", pattern: /^\/(?!\/)[\w.@/-]*[\w@-]\/?$/ },
  { kind: "sftp", pattern: /^sftp:(\/\/[\w.-]+@[\w.-]+(:\d+)?\/|[\w.-]+@[\w.-]+:)[\w.@/-]+$/ },
  { kind: "s3", pattern: /^s3:(https?:\/\/)?[\w.-]+(:\d+)?\/[\w.-]+(\/[\w./-]*)?$/ },
  { kind: "rest", pattern: /^rest:https?:\/\/([^@/\s]+@)?[\w.-]+(:\d+)?\/[\w./-]*$/ },
];

const forms =
  "a folder of the host (/srv/backup), sftp:user@host:/path, s3:https://host/bucket or rest:https://host/path";

function kindOf(location: string): RepositoryKind | undefined {
  return locations.find(({ pattern }) => pattern.test(location))?.kind;
}

const repository = z
  .string({
    error: ({ input }) =>
      input === undefined ? `is missing. Write ${forms}.` : `is no text. Write ${forms}.`,
  })
  .superRefine((location, context) => {
    const fail = (message: string) => context.addIssue({ code: "custom", message });
    if (/^\w+:\/\/[^/]*:[^/]*@|^rest:https?:\/\/[^/]*:[^/]*@/.test(location))
      return fail("holds a password. Leave it out and run: pulumi config set --secret backupRestPassword");
    const kind = kindOf(location);
    if (!kind) return fail(`${JSON.stringify(location)} is no repository. Write ${forms}.`);
    if (kind === "local" && /(^|\/)\.\.(\/|$)/.test(location))
      return fail(`${JSON.stringify(location)} leads out of itself. Write the folder without "..".`);
  });

const schedule = z
  .string({ error: "is no text. Write five cron fields in quotes." })
  .transform((text, context) => {
    const parsed = parseCron(text);
    if (!("problem" in parsed)) return parsed;
    context.addIssue({
      code: "custom",
      message: `"${text}" ${parsed.problem}. Write five cron fields in UTC, such as "17 3 * * *".`,
    });
    return z.NEVER;
  });

const count = z.int({ error: "is no whole number. Write how many to keep." }).min(0).max(1000, {
  error: "is more than 1000. Write how many to keep.",
});

const retention = z
  .strictObject(
    Object.fromEntries(retentionPeriods.map((period) => [period, count.optional()])) as Record<
      (typeof retentionPeriods)[number],
      z.ZodOptional<typeof count>
    >,
    { error: (issue) => (issue.code === "invalid_type" ? "is no object. Write {daily: 7}." : undefined) },
  )
  .refine((given) => Object.values(given).some((keep) => keep !== undefined && keep > 0), {
    error: "keeps nothing. Write at least one number, such as {daily: 7}.",
  });

const include = z
  .array(z.enum(backupParts, { error: `is not known. Write some of: ${backupParts.join(", ")}.` }), {
    error: `is no list. Write some of: ${backupParts.join(", ")}.`,
  })
  .min(1, { error: "is empty. Leave it out to have everything, or leave out backup to have none." });

const backupObject = z.strictObject({
  repository,
  schedule: schedule.prefault("17 3 * * *"),
  retention: retention.prefault({ last: 3, daily: 7, weekly: 5, monthly: 12 }),
  include: include.prefault([...backupParts]),
  knownHosts: z.string({ error: "is no text. Write lines of a known_hosts file." }).optional(),
});

/** The keys of `backup`. */
export const backupKeys: readonly string[] = Object.keys(backupObject.shape);

/** The value of `backup`; an empty object means that there is none. */
export const backupSchema = z.preprocess(
  (value) => (JSON.stringify(value) === "{}" ? undefined : value),
  backupObject.optional(),
);

const secretText = (minimum: number) =>
  z
    .string()
    .refine((text) => text.length >= minimum && text.length <= 1024 && /^[\x21-\x7e]*$/.test(text), {
      error: `must have ${minimum} to 1024 printable ASCII characters without spaces.`,
    })
    .optional();

export const backupSecretsSchema = {
  backupPassword: secretText(16),
  backupSshKey: z
    .string()
    .refine((text) => !/^\s*(ssh-|ecdsa-|sk-|PuTTY)/.test(text) && !/ENCRYPTED/.test(text), {
      error:
        "must be a private key in OpenSSH's form, without a passphrase. Run: pulumi config set --secret backupSshKey < key",
    })
    .optional(),
  backupS3AccessKeyId: secretText(3),
  backupS3SecretAccessKey: secretText(3),
  backupRestPassword: secretText(1),
} satisfies Record<BackupSecret, z.ZodType>;

type ParsedBackup = z.output<typeof backupSchema>;
type ParsedSecrets = { readonly [K in BackupSecret]?: string };

/** Secrets that each kind of repository needs; `rest` can do without. */
const needed: Readonly<Record<RepositoryKind, readonly BackupSecret[]>> = {
  local: [],
  sftp: ["backupSshKey"],
  s3: ["backupS3AccessKeyId", "backupS3SecretAccessKey"],
  rest: [],
};

/** What does not fit together: a repository without what opens it, a secret that opens nothing. */
export function backupProblems(backup: ParsedBackup, secrets: ParsedSecrets): Problem[] {
  const given = backupSecretKeys.filter((key) => secrets[key] !== undefined);
  if (!backup)
    return given.map((path) => ({
      path,
      message: "is set, but backup is not. Set backup.repository, or run: pulumi config rm " + path,
    }));
  const kind = kindOf(backup.repository)!;
  const wanted: readonly BackupSecret[] = ["backupPassword", ...needed[kind]];
  const possible = kind === "rest" ? [...wanted, "backupRestPassword"] : wanted;
  const problems: Problem[] = wanted
    .filter((key) => !given.includes(key))
    .map((path) => ({ path, message: missing[path] }));
  for (const path of given.filter((key) => !possible.includes(key)))
    problems.push({ path, message: `is for another kind of repository. Run: pulumi config rm ${path}` });
  if (kind === "sftp" && !backup.knownHosts?.trim())
    problems.push({
      path: "backup.knownHosts",
      message:
        "is missing: the server could not be told from an impostor. Write what ssh-keyscan prints, compared with what the server's owner publishes.",
    });
  if (kind === "rest" && given.includes("backupRestPassword")) {
    if (backup.repository.startsWith("rest:http://"))
      problems.push({
        path: "backup.repository",
        message: "would send backupRestPassword in the clear. Write rest:https://…",
      });
    if (!/^rest:https?:\/\/[^/]+@/.test(backup.repository))
      problems.push({
        path: "backup.repository",
        message: "names no user for backupRestPassword. Write rest:https://user@host/path.",
      });
  }
  return problems;
}

const missing: Readonly<Record<BackupSecret, string>> = {
  backupPassword:
    'is missing. It is not generated, because a password that only the state knows is lost with the state, and the backups with it. Keep a copy elsewhere: pulumi config set --secret backupPassword "$(openssl rand -hex 24 | tee /dev/tty)"',
  backupSshKey: "is missing. Run: pulumi config set --secret backupSshKey < key",
  backupS3AccessKeyId: "is missing. Run: pulumi config set --secret backupS3AccessKeyId <id>",
  backupS3SecretAccessKey: "is missing. Run: pulumi config set --secret backupS3SecretAccessKey <key>",
  backupRestPassword: "is missing.",
};

/** Settings of a backup whose configuration has no problem; undefined where there is to be none. */
export function completeBackup(backup: ParsedBackup, secrets: ParsedSecrets): BackupSettings | undefined {
  if (!backup) return undefined;
  const { repository, knownHosts, schedule, retention, include } = backup;
  const given = backupSecretKeys.flatMap((key) =>
    secrets[key] === undefined ? [] : [[key, pulumi.secret(secrets[key])]],
  );
  return {
    repository: { kind: kindOf(repository)!, location: repository, knownHosts },
    schedule,
    retention,
    include,
    secrets: Object.fromEntries(given) as BackupSettings["secrets"],
  };
}
