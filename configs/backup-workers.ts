import { backupPaths, databaseFolder, metricsFile } from "./backup";
import { renderScript } from "./script";
import { shellWord } from "./shell";

/** Runs in a container of its own for want of a program that has both: whoever asks writes an identifier into `request`. */
const request = `${backupPaths.home}/request`;
const answerOf = (worker: string) => `${backupPaths.home}/answers/${worker}`;

export interface SnapshotModel {
  /** The service's name, under which it answers. */
  readonly worker: string;
  /** Path of each SQLite database by the name of its copy. */
  readonly databases: Readonly<Record<string, string>>;
  /** TCP port of the metrics. */
  readonly port: number;
}

/** Renders `snapshot.py`, which copies SQLite databases when asked. */
export function renderSnapshotScript(source: string, { worker, databases, port }: SnapshotModel): string {
  return renderScript(source, {
    REQUEST: python(request),
    ANSWER: python(answerOf(worker)),
    FOLDER: python(databaseFolder),
    METRICS: python(metricsFile),
    DATABASES: python(databases),
    PORT: String(port),
  });
}

export interface DumpModel {
  readonly worker: string;
  /** File with host, user and password for MySQL's clients. */
  readonly optionsFile: string;
  readonly database: string;
  /** Name of the copy. */
  readonly file: string;
}

/** Renders `dump.sh`, which dumps the tracker's MySQL database when asked. */
export function renderDumpScript(source: string, { worker, optionsFile, database, file }: DumpModel): string {
  return renderScript(source, {
    dump: shellWord(`${databaseFolder}/${file}`),
    database: shellWord(database),
    request,
    answer: answerOf(worker),
    options_file: optionsFile,
  });
}

/** A Python literal: that of JSON serves for text and objects of text. */
function python(value: string | Readonly<Record<string, string>>): string {
  return JSON.stringify(value);
}

/** Renders an options file for MySQL's clients. */
export function renderMysqlOptions(connection: {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
}): string {
  const { host, port, user, password } = connection;
  return `[client]\nhost=${host}\nport=${port}\nuser=${user}\npassword="${password}"\n`;
}
