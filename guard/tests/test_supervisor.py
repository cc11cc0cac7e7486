import asyncio
import json
import tempfile
import types
import unittest
from pathlib import Path
from typing import Callable
from unittest import mock

from disk import full
from issuing import issue

import settings
import supervisor
from watchdog import Backoff

GUARD_JSON = json.dumps({
    "listeners": [{"name": "https", "ports": [443, 20001], "slow": 1}],
    "exempt": [],
    "metrics": {"addresses": [], "port": 9180},
    "acme_domains": ["a.test", "b.test"],
})


class Trials(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        patched = mock.patch.object(supervisor, "_CERTIFICATES", self.folder)
        patched.start()
        self.addCleanup(patched.stop)
        self.supervisor = supervisor.Supervisor(settings.parse(GUARD_JSON))

    def waits(self, with_acme: bool, times: int) -> list:
        self.supervisor._pingoo = types.SimpleNamespace(with_acme=with_acme)
        trials, orders = Backoff(first=10, most=900, calm=3600), Backoff(first=300, most=3600, calm=7200)
        return [self.supervisor._next_trial(trials, orders) for _ in range(times)]

    def test_come_soon_where_the_directory_is_away(self) -> None:
        self.assertEqual(self.waits(False, 3), [10, 20, 40])

    def test_come_as_often_as_authorities_allow_where_an_order_failed(self) -> None:
        issue(self.folder, "a.test")
        self.assertEqual(self.waits(True, 6), [300, 600, 1200, 2400, 3600, 3600])

    def test_come_where_a_certificate_was_damaged_since(self) -> None:
        for domain in ("a.test", "b.test"):
            issue(self.folder, domain)
        (self.folder / "b.test.key").write_bytes(b"")
        self.assertEqual(self.waits(True, 1), [300])

    def test_are_over_once_there_are_all_certificates(self) -> None:
        for domain in ("a.test", "b.test"):
            issue(self.folder, domain)
        self.assertEqual(self.waits(True, 1), [None])
        self.assertEqual(self.tried(), 0)

    def test_order_nothing_that_could_not_be_stored(self) -> None:
        for with_acme in (True, False):
            self.waits(with_acme, 1)
            with mock.patch.object(supervisor.certificates, "has_room", return_value=False):
                self.assertEqual(self.tried(), 0)
            self.assertEqual(self.tried(), 1)

    def test_go_on_with_acme_where_there_is_no_room_but_nothing_is_missing(self) -> None:
        for domain in ("a.test", "b.test"):
            issue(self.folder, domain)
        self.waits(False, 1)
        with mock.patch.object(supervisor.certificates, "has_room", return_value=False):
            self.assertEqual(self.tried(), 1)

    def test_leave_alone_what_the_one_that_runs_is_writing(self) -> None:
        issue(self.folder, "a.test")
        whole = (self.folder / "a.test.pem").read_bytes()
        (self.folder / "a.test.pem").write_bytes(b"")
        self.waits(True, 1)
        self.assertEqual(self.tried(meanwhile=lambda: (self.folder / "a.test.pem").write_bytes(whole)), 1)
        self.assertEqual(sorted(file.name for file in self.folder.iterdir()), ["a.test.key", "a.test.pem"])
        (self.folder / "a.test.pem").write_bytes(b"")
        self.assertEqual(self.tried(), 1)
        self.assertEqual(sorted(file.name for file in self.folder.iterdir()), ["a.test.key.damaged", "a.test.pem.damaged"])

    def tried(self, meanwhile: Callable[[], object] = lambda: None) -> int:
        """How many Pingoos are started where a trial is due."""

        async def trial() -> None:
            self.supervisor._pingoo.process = types.SimpleNamespace(wait=lambda: asyncio.sleep(60))
            asyncio.get_running_loop().call_later(0.05, meanwhile)
            await self.supervisor._try_acme(self.supervisor._pingoo)

        with (
            mock.patch.object(supervisor.Pingoo, "start", side_effect=supervisor.NotUp(1)) as start,
            mock.patch.object(supervisor, "_WRITING", 0.2),
        ):
            asyncio.run(trial())
        return start.call_count


class Configuration(unittest.TestCase):
    def test_is_written_only_where_it_differs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            rendering, config = Path(folder, "rendering.yml"), Path(folder, "pingoo.yml")
            rendering.write_text("listeners: {}")
            config.write_text("services: {}")
            with mock.patch.object(supervisor, "_CONFIG", config):
                supervisor.Pingoo._configure(rendering)
                self.assertEqual(config.read_text(), "listeners: {}")
                with full():
                    supervisor.Pingoo._configure(rendering)
                rendering.write_text("listeners: {a: {}}")
                with full(), self.assertRaises(supervisor.NotUp):
                    supervisor.Pingoo._configure(rendering)
                self.assertEqual(config.read_text(), "listeners: {}")
