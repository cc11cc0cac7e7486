import { renderScript } from "./script";
import { shellWord } from "./shell";

/** Where things are in the backup's containers. */
export const backupPaths = {
  /** The backup's own volume. */
  home: "/var/lib/torrust-backup",
  /** Secrets, readable by root alone. */
  secrets: "/etc/torrust-backup",
  script: "/opt/torrust/backup.sh",
  /** What is backed up as it is, read-only. */
  data: "/data",
  /** The repository, where it is a folder of the host. */
  repository: "/repository",
} as const;

/** Consistent copies of the databases, by file name; they exist while a backup runs. */
export const databaseFolder = `${backupPaths.home}/databases`;
export const metricsFile = `${backupPaths.home}/metrics/backup.prom`;

/** Numbers that match, of UTC; see `Schedule` of the settings. */
export interface BackupSchedule {
  readonly minutes: readonly number[];
  readonly hours: readonly number[];
  readonly days: readonly number[];
  readonly months: readonly number[];
  readonly weekdays: readonly number[];
  readonly eitherDay: boolean;
}

export interface BackupModel {
  /** Whose backups these are; several stacks may share a repository. */
  readonly stack: string;
  readonly schedule: BackupSchedule;
  /** `daily`, `weekly` and so on, as restic has them, to how many stay. */
  readonly retention: Readonly<Record<string, number>>;
  /** Folders that are backed up besides the databases. */
  readonly folders: readonly string[];
  /** Services that copy databases when asked. */
  readonly workers: readonly string[];
}

/** Renders `backup.sh`, which runs in restic's container. */
export function renderBackupScript(source: string, model: BackupModel): string {
  const { schedule, retention } = model;
  const list = (numbers: readonly number[]) => shellWord(` ${numbers.join(" ")} `);
  const keep = Object.entries(retention)
    .filter(([, count]) => count > 0)
    .map(([period, count]) => `--keep-${period} ${count}`)
    .join(" ");
  return renderScript(source, {
    home: backupPaths.home,
    secrets: backupPaths.secrets,
    repository: backupPaths.repository,
    databases: databaseFolder,
    metrics_file: metricsFile,
    stack: shellWord(model.stack),
    workers: shellWord(model.workers.join(" ")),
    minutes: list(schedule.minutes),
    hours: list(schedule.hours),
    days: list(schedule.days),
    months: list(schedule.months),
    weekdays: list(schedule.weekdays),
    either_day: schedule.eitherDay ? "yes" : "no",
    folders: [...model.folders, databaseFolder].join(" "),
    keep,
  });
}
