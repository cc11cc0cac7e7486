import * as docker from "@pulumi/docker";
import * as pulumi from "@pulumi/pulumi";

import { backupPaths, renderBackupScript } from "../configs/backup";
import { renderDumpScript, renderMysqlOptions, renderSnapshotScript } from "../configs/backup-workers";
import { readScript } from "../scripts";
import { ports } from "../stack/names";
import type { BackupPart, BackupSettings } from "../settings";
import {
  dataVolume,
  serviceContainer,
  type ConfigFile,
  type DataMount,
  type ServiceArgs,
  type ServiceFile,
  type StackContext,
} from "./service";
import type { MysqlConnection } from "./tracker";

export interface BackupArgs {
  readonly images: { readonly restic: string; readonly python: string; readonly mysql: string };
  readonly stack: StackContext;
  readonly settings: BackupSettings;
  /** What certificates lie in, by the part that they are. */
  readonly certificates: { readonly tls: docker.Volume; readonly letsencrypt?: docker.Volume };
  /** Holds the tracker's SQLite database, unless there is MySQL. */
  readonly tracker: docker.Volume;
  readonly mysql?: MysqlConnection;
  readonly grafana?: docker.Volume;
  /** Generated files of all services. */
  readonly files: readonly ServiceFile[];
  /** Prometheus runs. */
  readonly metrics: boolean;
}

const mysqlOptions = `${backupPaths.secrets}/mysql.cnf`;

/**
 * Encrypted backups by restic, on schedule: a container with restic, one that copies SQLite databases and serves metrics,
 * and with MySQL one that dumps it. Data is mounted read-only; only restic's container has a way out.
 */
export class Backup extends pulumi.ComponentResource {
  /** State, cache, and for a while the databases' copies. */
  public readonly volume: docker.Volume;

  constructor(name: string, args: BackupArgs, opts?: pulumi.ComponentResourceOptions) {
    super("torrust:service:Backup", name, {}, opts);
    const { stack } = args;
    const child = { parent: this };
    this.volume = dataVolume(name, "backup", stack, child);
    const own: DataMount = { volume: this.volume, path: backupPaths.home };
    const dumped = args.settings.include.includes("tracker") ? args.mysql : undefined;

    serviceContainer(name, resticArgs(args, own, dumped !== undefined), stack, child);
    serviceContainer(`${name}-snapshot`, snapshotArgs(args, own), stack, child);
    if (dumped) serviceContainer(`${name}-dump`, dumpArgs(args.images.mysql, dumped, own), stack, child);
    this.registerOutputs({ volume: this.volume.name });
  }
}

/** The container that sends all of it to the repository, on schedule. */
function resticArgs(args: BackupArgs, own: DataMount, dumps: boolean): ServiceArgs {
  const { settings, stack, images } = args;
  const { tls, letsencrypt } = args.certificates;
  const includes = (part: BackupPart) => settings.include.includes(part);
  const mounted = [
    ...(includes("tls") ? [readOnly(tls, "tls")] : []),
    ...(includes("letsencrypt") && letsencrypt ? [readOnly(letsencrypt, "letsencrypt")] : []),
  ];
  const configs = includes("config") ? args.files.map(asBackedUp) : [];
  const isLocal = settings.repository.kind === "local";
  return {
    service: "backup",
    image: images.restic,
    networks: ["edge"],
    // restic removes a lock at once if its process ran on a host of this name and is gone: the name must be unique.
    uniqueHostname: true,
    user: "0:0",
    entrypoint: ["/bin/sh", backupPaths.script],
    files: [
      {
        path: backupPaths.script,
        content: renderBackupScript(readScript("backup.sh"), {
          stack: stack.names.prefix,
          schedule: settings.schedule,
          retention: settings.retention,
          folders: [
            ...mounted.map(({ path }) => path),
            ...(configs.length > 0 ? [`${backupPaths.data}/config`] : []),
          ],
          workers: ["backup-snapshot", ...(dumps ? ["backup-dump"] : [])],
        }),
      },
      ...secretFiles(settings),
      ...configs,
    ],
    data: [own, ...mounted],
    hostFolders: isLocal ? [{ host: settings.repository.location, path: backupPaths.repository }] : [],
    // Reads what belongs to others; writes there where the repository is a folder of somebody's.
    capabilities: ["CAP_DAC_READ_SEARCH", ...(isLocal ? ["CAP_DAC_OVERRIDE"] : [])].sort(),
    waitUntilHealthy: false,
    memory: 1024,
  };
}

/** The container that copies SQLite databases while they are in use, and tells Prometheus of the backups. */
function snapshotArgs(args: BackupArgs, own: DataMount): ServiceArgs {
  const includes = (part: BackupPart) => args.settings.include.includes(part);
  const sqlite = [
    ...(includes("tracker") && !args.mysql
      ? [{ copy: "tracker.db", file: "database/sqlite3.db", mount: readOnly(args.tracker, "tracker") }]
      : []),
    ...(includes("grafana") && args.grafana
      ? [{ copy: "grafana.db", file: "grafana.db", mount: readOnly(args.grafana, "grafana") }]
      : []),
  ];
  return {
    service: "backup-snapshot",
    image: args.images.python,
    networks: [args.metrics ? "metrics" : "edge"],
    user: "0:0",
    entrypoint: ["python3", "/opt/torrust/snapshot.py"],
    files: [
      {
        path: "/opt/torrust/snapshot.py",
        content: renderSnapshotScript(readScript("snapshot.py"), {
          worker: "backup-snapshot",
          databases: Object.fromEntries(
            sqlite.map(({ copy, file, mount }) => [copy, `${mount.path}/${file}`]),
          ),
          port: ports.backupMetrics,
        }),
      },
    ],
    data: [own, ...sqlite.map(({ mount }) => mount)],
    capabilities: ["CAP_CHOWN", "CAP_DAC_READ_SEARCH", "CAP_FOWNER"],
    waitUntilHealthy: false,
    memory: 256,
  };
}

/** The container that dumps MySQL. */
function dumpArgs(image: string, mysql: MysqlConnection, own: DataMount): ServiceArgs {
  return {
    service: "backup-dump",
    image,
    networks: ["database"],
    user: "0:0",
    entrypoint: ["/bin/sh", "/opt/torrust/dump.sh"],
    files: [
      {
        path: "/opt/torrust/dump.sh",
        content: renderDumpScript(readScript("dump.sh"), {
          worker: "backup-dump",
          optionsFile: mysqlOptions,
          database: mysql.database,
          file: "tracker.sql",
        }),
      },
      {
        path: mysqlOptions,
        content: pulumi.secret(
          mysql.password.apply((password) => renderMysqlOptions({ ...mysql, password })),
        ),
        private: true,
      },
    ],
    data: [own],
    waitUntilHealthy: false,
    memory: 256,
  };
}

function readOnly(volume: docker.Volume, part: string): DataMount {
  return { volume, path: `${backupPaths.data}/${part}`, readOnly: true };
}

/** A service's file as restic's container has it: none of them is for anybody but root there. */
function asBackedUp({ service, path, content }: ServiceFile): ConfigFile {
  return { path: `${backupPaths.data}/config/${service}${path}`, content, private: true };
}

/** Everything that opens the repository, in files: what is in the environment, anybody sees who may inspect containers. */
function secretFiles({ repository, secrets }: BackupSettings): ConfigFile[] {
  const { backupPassword, backupSshKey, backupS3AccessKeyId, backupS3SecretAccessKey, backupRestPassword } =
    secrets;
  const file = (name: string, content: pulumi.Input<string>): ConfigFile => ({
    path: `${backupPaths.secrets}/${name}`,
    content,
    private: true,
  });
  const location = repository.kind === "local" ? backupPaths.repository : repository.location;
  const files = [
    file(
      "repository",
      backupRestPassword
        ? pulumi.secret(
            backupRestPassword.apply((password) =>
              location.replace("@", `:${encodeURIComponent(password)}@`),
            ),
          )
        : location,
    ),
  ];
  if (backupPassword) files.push(file("password", backupPassword));
  if (backupSshKey)
    files.push(
      file(
        "ssh-key",
        backupSshKey.apply((key) => `${key.trim()}\n`),
      ),
    );
  if (repository.knownHosts) files.push(file("known_hosts", `${repository.knownHosts.trim()}\n`));
  if (backupS3AccessKeyId && backupS3SecretAccessKey)
    files.push(
      file(
        "s3",
        pulumi.secret(
          pulumi
            .all([backupS3AccessKeyId, backupS3SecretAccessKey])
            .apply(([id, key]) => `[default]\naws_access_key_id = ${id}\naws_secret_access_key = ${key}\n`),
        ),
      ),
    );
  return files;
}
