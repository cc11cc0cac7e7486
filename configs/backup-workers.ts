import { backupPaths, databaseFolder, metricsFile } from "./backup";
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

/**
 * Renders the Python program that copies SQLite databases by SQLite's own backup while they are in use, keeps owner and
 * mode, and checks each copy. It also serves the backup's metrics.
 */
export function renderSnapshotScript({ worker, databases, port }: SnapshotModel): string {
  return `# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
import contextlib
import http.server
import os
import signal
import sqlite3
import threading
import time
import urllib.parse

REQUEST = ${python(request)}
ANSWER = ${python(answerOf(worker))}
FOLDER = ${python(databaseFolder)}
METRICS = ${python(metricsFile)}
DATABASES = ${python(databases)}
# Seconds that a database may be locked by others, or not exist yet.
PATIENCE = 20


def copy(source, target):
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(source) and time.monotonic() < deadline:
        time.sleep(0.5)
    owner = os.stat(source)
    part = target + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(part)
    uri = "file:" + urllib.parse.quote(source) + "?mode=ro"
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=PATIENCE)) as database:
        with contextlib.closing(sqlite3.connect(part)) as into:
            # All pages in one go: each write of others would make it begin again.
            database.backup(into)
            # A copy is one file, whatever the original's journal is.
            into.execute("PRAGMA journal_mode = DELETE")
            (found,) = into.execute("PRAGMA integrity_check(1)").fetchone()
    if found != "ok":
        raise RuntimeError(f"{source} is damaged: {found}")
    os.chmod(part, owner.st_mode & 0o777)
    os.chown(part, owner.st_uid, owner.st_gid)
    os.replace(part, target)


def answer(text):
    with open(ANSWER + ".new", "w") as file:
        file.write(text + "\\n")
    os.replace(ANSWER + ".new", ANSWER)


def copy_all(asked):
    answer(f"{asked} started")
    for name, source in DATABASES.items():
        try:
            copy(source, os.path.join(FOLDER, name))
        except (OSError, RuntimeError, sqlite3.Error) as error:
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(FOLDER, name + ".new"))
            reason = " ".join(str(error).split())
            print(f"{name}: {reason}", flush=True)
            return answer(f"{asked} failed the database {name} cannot be copied: {reason}")
    answer(f"{asked} done")


class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path.split("?")[0] != "/metrics":
            return self.send_error(404)
        try:
            with open(METRICS, "rb") as file:
                body = file.read()
        except FileNotFoundError:
            body = b""
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def read_request():
    try:
        with open(REQUEST) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def main():
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    os.umask(0o077)
    server = http.server.ThreadingHTTPServer(("0.0.0.0", ${port}), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    seen = read_request()
    while True:
        asked = read_request()
        if asked and asked != seen:
            seen = asked
            try:
                copy_all(asked)
            except OSError as error:
                print(f"no answer can be written: {error}", flush=True)
        time.sleep(0.25)


main()
`;
}

export interface DumpModel {
  readonly worker: string;
  /** File with host, user and password for MySQL's clients. */
  readonly optionsFile: string;
  readonly database: string;
  /** Name of the copy. */
  readonly file: string;
}

/** Renders the script that dumps the tracker's MySQL database when asked (POSIX sh). */
export function renderDumpScript({ worker, optionsFile, database, file }: DumpModel): string {
  return `#!/bin/sh
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
set -u
umask 077

dump=${shellWord(`${databaseFolder}/${file}`)}
database=${shellWord(database)}

answer() {
  echo "$*" >${answerOf(worker)}.new && mv ${answerOf(worker)}.new ${answerOf(worker)}
}

# The last line says that the dump is complete.
copy() {
  mysqldump --defaults-extra-file=${optionsFile} --single-transaction --no-tablespaces --hex-blob "$database" \\
    >"$dump.new" 2>/tmp/problem && tail -n 1 "$dump.new" | grep -q '^-- Dump completed' && mv "$dump.new" "$dump"
}

trap 'exit 0' TERM INT
seen=$(cat ${request} 2>/dev/null)
while :; do
  asked=$(cat ${request} 2>/dev/null)
  if [ -n "$asked" ] && [ "$asked" != "$seen" ]; then
    seen=$asked
    answer "$asked started"
    if copy; then
      answer "$asked done"
    else
      rm -f "$dump.new"
      problem=$(tail -n 1 /tmp/problem)
      echo "$database: \${problem:-the dump is not complete}"
      answer "$asked failed the database $database cannot be dumped: \${problem:-the dump is not complete}"
    fi
  fi
  sleep 1 &
  wait $!
done
`;
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
