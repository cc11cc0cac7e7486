import json
import subprocess
import tempfile
import unittest
from pathlib import Path

import kernel  # noqa: F401, with the path to the modules under test

import certificates

ACCOUNT = json.dumps({"version": 1, "data": {"accounts": {"https://acme.example/dir": {"id": "x", "key": "y"}}}})


class Certificates(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for name in ("a.test", "b.test"):
            self.issue(name)
        (self.folder / "acme.json").write_text(ACCOUNT)
        self.whole = self.files()

    def issue(self, name: str) -> None:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
             "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem"],
            check=True, capture_output=True,
        )

    def files(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.folder.iterdir()}

    def test_that_are_whole_stay(self) -> None:
        self.assertEqual(certificates.set_aside_damaged(self.folder), [])
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
                self.assertEqual(certificates.set_aside_damaged(self.folder), ["a.test.pem", "a.test.key"])
                self.assertEqual((self.folder / "a.test.pem.damaged").read_bytes(), damaged["a.test.pem"])
                self.assertEqual(certificates.missing(self.folder, ["a.test", "b.test"]), ["a.test"])
                self.assertEqual(certificates.set_aside_damaged(self.folder), [])
                for name, content in self.whole.items():
                    (self.folder / name).write_bytes(content)

    def test_without_its_key_is_set_aside(self) -> None:
        (self.folder / "a.test.key").unlink()
        self.assertEqual(certificates.set_aside_damaged(self.folder), ["a.test.pem"])

    def test_a_damaged_account_is_set_aside(self) -> None:
        for content in (b"", ACCOUNT[:30].encode(), b"[]", b"{}", b'{"data": null}', b"\xff\xfe"):
            with self.subTest(content):
                (self.folder / "acme.json").write_bytes(content)
                self.assertEqual(certificates.set_aside_damaged(self.folder), ["acme.json"])
                self.assertEqual(self.files()["acme.json.damaged"], content)

    def test_of_a_folder_that_is_not_there_are_none(self) -> None:
        self.assertEqual(certificates.set_aside_damaged(self.folder / "nothing"), [])
