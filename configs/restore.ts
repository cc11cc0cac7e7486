import { backupPaths, databaseFolder } from "./backup";
import { renderScript } from "./script";

/** A part of a backup that is put back. */
export const restoredParts = ["tls", "letsencrypt", "tracker", "grafana"] as const;
export type RestoredPart = (typeof restoredParts)[number];

/** Where each part's volume is mounted, to be written. */
export const restoreTarget = (part: RestoredPart) => `/restore/${part}`;
/** What came out of the repository, and what was there before. */
export const fetchedFolder = `${backupPaths.home}/restore`;
export const replacedFolder = `${backupPaths.home}/replaced`;
/** Is there in the container that restores, once no backup runs any more. Touched as long as somebody restores. */
export const heldFile = "/tmp/held";
/** Time of the restore that is not done, where there is one. */
export const unfinishedFile = `${backupPaths.home}/state/restoring`;
export const restoreScript = "/opt/torrust/restore.sh";

/** Where a part is in a snapshot; a MySQL database is a dump. */
export const snapshotPaths: Readonly<Record<RestoredPart | "config" | "mysql", string>> = {
  tls: `${backupPaths.data}/tls`,
  letsencrypt: `${backupPaths.data}/letsencrypt`,
  config: `${backupPaths.data}/config`,
  tracker: `${databaseFolder}/tracker.db`,
  mysql: `${databaseFolder}/tracker.sql`,
  grafana: `${databaseFolder}/grafana.db`,
};

/** Renders `restore.sh`, which runs in the container that restores. */
export function renderRestoreScript(source: string): string {
  return renderScript(source, {
    home: backupPaths.home,
    secrets: backupPaths.secrets,
    data: backupPaths.data,
    databases: databaseFolder,
    fetched: fetchedFolder,
    replaced: replacedFolder,
    held: heldFile,
  });
}
