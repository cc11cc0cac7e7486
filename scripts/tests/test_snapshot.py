import contextlib
import http.server
import io
import os
import sqlite3
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from program import load


class Folder(unittest.TestCase):
    """A backup's volume of its own, with a database that has one row."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = lambda *names: os.path.join(folder.name, *names)
        self.snapshot = load("snapshot.py", "main()")
        self.snapshot.PATIENCE = 0
        for name in ("REQUEST", "ANSWER", "METRICS", "FOLDER"):
            setattr(self.snapshot, name, self.path(name.lower()))
        os.mkdir(self.snapshot.FOLDER)
        with contextlib.closing(sqlite3.connect(self.path("source.db"))) as database:
            database.execute("CREATE TABLE t (a)")
            database.execute("INSERT INTO t VALUES (1)")
            database.commit()

    def write(self, path: str, text: str) -> None:
        with open(path, "w") as file:
            file.write(text)


class CopyAll(Folder):
    def copy_all(self, databases: "dict[str, str]") -> "tuple[list[str], str]":
        """The answers in their order, and what is printed."""
        answers: "list[str]" = []
        self.snapshot.DATABASES = {name: self.path(source) for name, source in databases.items()}
        answer = self.snapshot.answer

        def note(text: str) -> None:
            answer(text)
            with open(self.snapshot.ANSWER) as file:
                answers.append(file.read())

        self.snapshot.answer = note
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            self.snapshot.copy_all("4711")
        return answers, printed.getvalue()

    def copied(self) -> "list[str]":
        return sorted(os.listdir(self.snapshot.FOLDER))

    def test_says_when_it_begins_and_that_it_is_done(self) -> None:
        answers, printed = self.copy_all({"one.db": "source.db", "two.db": "source.db"})
        self.assertEqual(answers, ["4711 started\n", "4711 done\n"])
        self.assertEqual((self.copied(), printed), (["one.db", "two.db"], ""))

    def test_says_on_one_line_what_cannot_be_copied_and_ends_there(self) -> None:
        answers, printed = self.copy_all({"one.db": "nowhere.db", "two.db": "source.db"})
        self.assertEqual(answers[0], "4711 started\n")
        self.assertRegex(answers[1], r"^4711 failed the database one.db cannot be copied: .*No such file[^\n]*\n$")
        self.assertRegex(printed, r"^one.db: .*No such file[^\n]*\n$")
        self.assertEqual(self.copied(), [])

    def test_leaves_the_earlier_copy_where_the_database_is_damaged(self) -> None:
        self.write(self.path("damaged.db"), "x" * 4096)
        earlier = os.path.join(self.snapshot.FOLDER, "one.db")
        self.write(earlier, "earlier")
        answers, _ = self.copy_all({"one.db": "damaged.db"})
        self.assertRegex(answers[-1], "^4711 failed the database one.db cannot be copied: ")
        self.assertEqual(self.copied(), ["one.db"])
        with open(earlier) as file:
            self.assertEqual(file.read(), "earlier")


class Request(Folder):
    def test_is_nothing_before_anybody_asked(self) -> None:
        self.assertEqual(self.snapshot.read_request(), "")

    def test_is_what_is_asked(self) -> None:
        self.write(self.snapshot.REQUEST, "4711\n")
        self.assertEqual(self.snapshot.read_request(), "4711")


class Metrics(Folder):
    def setUp(self) -> None:
        super().setUp()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.snapshot.Metrics)
        self.addCleanup(server.server_close)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_port}"

    def get(self, path: str) -> str:
        with urllib.request.urlopen(self.url + path) as response:
            self.assertIn("version=0.0.4", response.headers["Content-Type"])
            return response.read().decode()

    def test_are_none_before_the_first_run(self) -> None:
        self.assertEqual(self.get("/metrics"), "")

    def test_are_what_the_backup_has_written(self) -> None:
        self.write(self.snapshot.METRICS, "torrust_backup_failures 0\n")
        self.assertEqual(self.get("/metrics?x"), "torrust_backup_failures 0\n")

    def test_are_nowhere_else(self) -> None:
        with self.assertRaises(urllib.error.HTTPError) as refused:
            self.get("/")
        refused.exception.close()
        self.assertEqual(refused.exception.code, 404)


if __name__ == "__main__":
    unittest.main()
