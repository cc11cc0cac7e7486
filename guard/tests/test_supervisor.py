import asyncio
import json
import tempfile
import types
import unittest
from pathlib import Path
from unittest import mock

import kernel  # noqa: F401, with the path to the modules under test

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
        (self.folder / "a.test.pem").touch()
        self.assertEqual(self.waits(True, 6), [300, 600, 1200, 2400, 3600, 3600])

    def test_are_over_once_there_are_all_certificates(self) -> None:
        for domain in ("a.test", "b.test"):
            (self.folder / f"{domain}.pem").touch()
        self.assertEqual(self.waits(True, 1), [None])
        with mock.patch.object(supervisor.Pingoo, "start", side_effect=AssertionError("nothing is to be ordered")):
            asyncio.run(self.supervisor._try_acme(self.supervisor._pingoo))


