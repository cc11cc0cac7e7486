import json
import tempfile
import unittest
from pathlib import Path

from disk import full
from issuing import issue

import certificates

ACCOUNT = json.dumps({"version": 1, "data": {"accounts": {"https://acme.example/dir": {"id": "x", "key": "y"}}}})


class Certificates(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("a.test", "b.test"):
            issue(self.folder, name)
        (self.folder / "acme.json").write_text(ACCOUNT)
        self.whole = self.files()

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def set_aside_damaged(self) -> list:
        damaged = certificates.damaged(self.folder)
        certificates.set_aside(self.folder, damaged)
        return damaged

    def test_that_are_whole_stay(self) -> None:
        self.assertEqual(self.set_aside_damaged(), [])
        self.assertEqual(self.files(), self.whole)

    def test_that_are_damaged_are_set_aside_with_their_keys_and_the_others_stay(self) -> None:
        for what, damage in {
            "empty": lambda: (self.folder / "a.test.pem").write_bytes(b""),
            "cut off": lambda: (self.folder / "a.test.pem").write_bytes(self.whole["a.test.pem"][:200]),
            "no certificate": lambda: (self.folder / "a.test.pem").write_bytes(b"\xff" * 900),
            "an empty key": lambda: (self.folder / "a.test.key").write_bytes(b""),
            "another's key": lambda: (self.folder / "a.test.key").write_bytes(self.whole["b.test.key"]),
        }.items():
            with self.subTest(what):
                damage()
                damaged = self.files()
                self.assertEqual(certificates.missing(self.folder, ["a.test", "b.test"]), ["a.test"])
                self.assertEqual(self.set_aside_damaged(), ["a.test.pem", "a.test.key"])
                self.assertEqual((self.folder / "a.test.pem.damaged").read_bytes(), damaged["a.test.pem"])
                self.assertEqual(certificates.missing(self.folder, ["a.test", "b.test"]), ["a.test"])
                self.assertEqual(self.set_aside_damaged(), [])
                for name, content in self.whole.items():
                    (self.folder / name).write_bytes(content)

    def test_without_its_key_is_set_aside(self) -> None:
        (self.folder / "a.test.key").unlink()
        self.assertEqual(self.set_aside_damaged(), ["a.test.pem"])

    def test_a_damaged_account_is_set_aside(self) -> None:
        for content in (b"", ACCOUNT[:30].encode(), b"[]", b"{}", b'{"data": null}', b"\xff\xfe"):
            with self.subTest(content):
                (self.folder / "acme.json").write_bytes(content)
                self.assertEqual(self.set_aside_damaged(), ["acme.json"])
                self.assertEqual(self.files()["acme.json.damaged"], content)

    def test_of_a_folder_that_is_not_there_are_none(self) -> None:
        self.assertEqual(certificates.damaged(self.folder / "nothing"), [])

    def test_have_room_where_they_can_be_written(self) -> None:
        self.assertTrue(certificates.has_room(self.folder, 2))
        self.assertFalse(certificates.has_room(self.folder / "nothing", 2))
        for size in (0, 2 * 4096):
            with self.subTest(size), full(size):
                self.assertFalse(certificates.has_room(self.folder, 2))
        self.assertEqual(self.files(), self.whole)
