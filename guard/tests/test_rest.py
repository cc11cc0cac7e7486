import contextlib
import errno
import io
import json
import socket
import unittest
from unittest import mock

from kernel import connection, listener

import loop
import metrics
import settings
import slow
from sockets import Socket
from watchdog import Backoff, Watchdog

GUARD_JSON = json.dumps({
    "listeners": [{"name": "https", "ports": [443, 20001, 20002, 20003], "slow": 1}],
    "exempt": ["10.0.0.1"],
    "metrics": {"addresses": ["127.0.0.1"], "port": 9180},
    "acme_domains": ["api.torrust.org"],
})


def packed(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Settings(unittest.TestCase):
    def test_are_read(self) -> None:
        read = settings.parse(GUARD_JSON)
        self.assertEqual(read.ports, {443, 20001, 20002, 20003})
        self.assertEqual(read.name_of(20002), "https")
        self.assertEqual(read.exempt, {packed("10.0.0.1")})

    def test_are_refused_where_something_is_missing(self) -> None:
        with self.assertRaises(KeyError):
            settings.parse("{}")


class Slow(unittest.TestCase):
    def test_lasts_as_long_as_a_client_stalls_and_a_minute_more(self) -> None:
        clients = slow.Slow(60, [])
        one = packed("192.0.2.1")
        self.assertEqual(clients.update(0, [one, one]), ([one], []))
        self.assertEqual(clients.update(30, [one]), ([], []))
        self.assertEqual(clients.update(89, []), ([], []))
        self.assertEqual(clients.update(90, []), ([], [one]))
        self.assertEqual(clients.update(91, [one]), ([one], []))

    def test_is_nobody_whose_address_many_share(self) -> None:
        self.assertEqual(slow.Slow(60, [packed("10.0.0.1")]).update(0, [packed("10.0.0.1")]), ([], []))

    def test_is_a_whole_network_over_ipv6(self) -> None:
        clients = slow.Slow(60, [])
        change = clients.update(0, [packed("2001:db8:1:2::7"), packed("2001:db8:1:2::8"), packed("192.0.2.1")])
        self.assertEqual(change.added, [packed("2001:db8:1:2::"), packed("192.0.2.1")])
        self.assertEqual(clients.count(), {"ipv4": 1, "ipv6": 1})
        self.assertEqual(
            slow.commands(change),
            "add element inet guard slow4 { 192.0.2.1 }\nadd element inet guard slow6 { 2001:db8:1:2:: }\n",
        )

    def test_are_no_more_than_the_kernel_was_told(self) -> None:
        clients = slow.Slow(60, [], limit=2)
        peers = [packed(f"192.0.2.{number}") for number in range(5)]
        self.assertEqual(clients.update(0, peers).added, peers[:2])
        self.assertEqual(clients.update(61, []).removed, peers[:2])

    def test_changes_nothing_without_a_command(self) -> None:
        self.assertEqual(slow.commands(slow.Change([], [])), "")


class Waits(unittest.TestCase):
    def test_double_until_there_was_calm(self) -> None:
        backoff = Backoff(1, 10, 60)
        now, waits = 0.0, []
        for _ in range(6):
            waits.append(backoff.wait(now))
            now += waits[-1] + 5
        self.assertEqual(waits, [1, 2, 4, 8, 10, 10])
        self.assertEqual(backoff.wait(now + 60), 1)


class Restarts(unittest.TestCase):
    def report(self, blocked: int, seconds: float, of: int = 128) -> dict:
        return {"listeners": {"https": {"open": of, "blocked": blocked, "blocked_for": seconds}}}

    def test_are_demanded_where_most_listeners_are_blocked_or_one_for_long(self) -> None:
        for blocked, seconds, said in ((64, 20, None), (65, 20, "65 of 128"), (1, 119, None), (1, 120, "for 120 s")):
            with self.subTest(blocked=blocked, seconds=seconds):
                demanded = Watchdog().demands(1000, self.report(blocked, seconds))
                self.assertEqual(demanded is not None and said is not None and said in demanded, said is not None)

    def test_are_not_demanded_of_a_pingoo_that_has_no_listener_yet(self) -> None:
        self.assertIsNone(Watchdog().demands(0, self.report(0, 0, of=0)))

    def test_become_rarer(self) -> None:
        watchdog = Watchdog()
        times = [now for now in range(0, 4000) if watchdog.demands(now, self.report(128, 20))]
        self.assertEqual(times, [0, 30, 90, 210, 450, 930, 1530, 2130, 2730, 3330, 3930])


class Metrics(unittest.TestCase):
    def state(self, report: dict | None) -> metrics.State:
        return metrics.State(report, {("https", "silent", "ipv4"): 3}, {"hung": 2}, 1, True, True, False)

    def test_are_there_before_the_guard_has_said_anything(self) -> None:
        text = metrics.render(["https"], self.state(None))
        self.assertIn("pingoo_up 1\n", text)
        self.assertIn('pingoo_restarts_total{reason="hung"} 2\n', text)
        self.assertIn('pingoo_guard_cuts_total{listener="https",reason="silent",family="ipv4"} 3\n', text)
        self.assertIn('pingoo_guard_cuts_total{listener="https",reason="crowd",family="ipv6"} 0\n', text)

    def test_tell_what_the_guard_reports(self) -> None:
        guard = loop.Guard(settings.parse(GUARD_JSON), FakeKernel())
        guard.look(0)
        report = {**guard.look(0.25), "seconds": 0.001}
        lines = metrics.render(["https"], self.state(report)).splitlines()
        self.assertIn('pingoo_guard_connections{listener="https"} 2', lines)
        self.assertIn('pingoo_guard_listeners{listener="https"} 4', lines)
        self.assertIn("pingoo_guard_can_destroy 1", lines)
        names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
        self.assertEqual(len(names), len(set(names)))
        for line in lines:
            self.assertRegex(line, r'^(# (HELP|TYPE) .+|\w+({\w+="[\w-]+"(,\w+="[\w-]+")*})? [0-9.e+-]+)$')


class FakeKernel:
    """A kernel with two connections of which one is silent, that may refuse to end any."""

    def __init__(self, error: int = 0, at_start: int = 0) -> None:
        self.error, self.at_start = error, at_start
        self.destroyed: list[Socket] = []

    def can_destroy(self) -> int:
        return self.at_start

    def connections(self, ports: frozenset[int]) -> list[Socket]:
        return [connection(443, 1, peer="192.0.2.1", idle=5000), connection(443, 2, peer="192.0.2.2", received=9)]

    def listeners(self, ports: frozenset[int]) -> list[Socket]:
        return [listener(port) for port in sorted(ports)]

    def destroy(self, target: Socket) -> int:
        self.destroyed.append(target)
        return self.error


class Loop(unittest.TestCase):
    def run_with(self, kernel: FakeKernel, looks: int = 5) -> tuple[dict, str, list[str]]:
        """The last report, what was said, and what was fed to nft."""
        said, fed = io.StringIO(), []
        with contextlib.redirect_stderr(said), mock.patch.object(slow, "load", lambda text: fed.append(text) or ""):
            guard = loop.Guard(settings.parse(GUARD_JSON), kernel)
            for number in range(looks):
                report = guard.look(number / 4)
        return report, said.getvalue(), fed

    def test_ends_who_stalls_and_sets_the_client_aside(self) -> None:
        kernel = FakeKernel()
        report, said, fed = self.run_with(kernel, 1)
        self.assertEqual([one.peer for one in kernel.destroyed], [packed("192.0.2.1")])
        self.assertEqual(report["cuts"], [["https", "silent", "ipv4", 1]])
        self.assertEqual(fed, ["add element inet guard slow4 { 192.0.2.1 }\n"])
        self.assertEqual(said, "")

    def test_says_once_where_nothing_can_be_ended_and_goes_on(self) -> None:
        for kernel in (FakeKernel(at_start=errno.EOPNOTSUPP), FakeKernel(error=errno.EPERM)):
            with self.subTest(kernel.at_start):
                report, said, fed = self.run_with(kernel)
                self.assertEqual(said.count("stalled handshakes cannot be cut off"), 1)
                self.assertFalse(report["can_destroy"])
                self.assertEqual(report["cuts"], [])
                # Who stalls is set aside all the same, and tried to be ended no more.
                self.assertEqual(fed, ["add element inet guard slow4 { 192.0.2.1 }\n"])
                self.assertLessEqual(len(kernel.destroyed), 1)

    def test_does_not_mind_who_has_gone_meanwhile(self) -> None:
        report, said, _ = self.run_with(FakeKernel(error=errno.ENOENT), 1)
        self.assertEqual((report["cuts"], said), ([], ""))
        self.assertTrue(report["can_destroy"])


if __name__ == "__main__":
    unittest.main()
