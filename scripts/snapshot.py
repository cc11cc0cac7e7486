## Copies SQLite databases by SQLite's own backup while they are in use, keeps owner and mode, and checks each copy.
## It also serves the backup's metrics.
# Written by Pulumi. Change the stack's configuration instead: edits here are lost.
import contextlib
import http.server
import os
import signal
import sqlite3
import threading
import time
import urllib.parse

REQUEST = "/var/lib/torrust-backup/request"
ANSWER = "/var/lib/torrust-backup/answers/backup-snapshot"
FOLDER = "/var/lib/torrust-backup/databases"
METRICS = "/var/lib/torrust-backup/metrics/backup.prom"
DATABASES = {"tracker.db":"/data/tracker/database/sqlite3.db"}
##inline
## TCP port of the metrics.
PORT = 9109
##end
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
        file.write(text + "\n")
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
    server = http.server.ThreadingHTTPServer(("0.0.0.0", PORT), Metrics)
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
