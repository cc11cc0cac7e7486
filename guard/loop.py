"""The guard's own process: looks at the sockets again and again, and tells the supervisor what it saw.

It needs CAP_NET_ADMIN and nothing else: no files, no network, no sight of what the connections carry.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys
import time
from collections import Counter

import settings as configuration
import slow
from judge import Judge, Lane, count_by_port, family_of
from settings import Settings
from sockets import CANNOT_DESTROY, GONE, Malformed, Sockets

#: No TLS client begins like this, and Pingoo drops it at once.
_NO_TLS = bytes(5)
#: So many are cut off between two looks at most.
_CUTS_AT_ONCE = 1000


class Guard:
    def __init__(self, settings: Settings, kernel: Sockets) -> None:
        self._settings = settings
        self._kernel = kernel
        self._judge = Judge(settings)
        self._slow = slow.Slow(settings.timing.penalty, settings.exempt)
        self._cuts: Counter[tuple[str, str, str]] = Counter()
        self._said: set[str] = set()
        self._struck: set[bytes] = set()
        error = kernel.can_destroy()
        self._can_destroy = error == 0
        if error:
            self._cannot_destroy(error)

    def look(self, now: float) -> dict:
        """One round: lists, judges, cuts off, probes. Returns the report for the supervisor. Raises OSError, Malformed."""
        connections = self._kernel.connections(self._settings.ports)
        listeners = self._kernel.listeners(self._settings.ports)
        verdict = self._judge.look(now, connections, listeners, self._slow)
        # Where connections cannot be ended, each one counts against its client once.
        cuts = [cut for cut in verdict.cuts if cut.socket.id not in self._struck][:_CUTS_AT_ONCE]
        for cut in cuts:
            self._cut(cut.socket, cut.reason)
        self._struck &= {one.id for one in connections}
        self._punish(now, [cut.socket.peer for cut in cuts])
        for lane in verdict.probes:
            _probe(lane)
        return self._report(now, count_by_port(connections), listeners)

    def pause(self, connections: int) -> float:
        timing = self._settings.timing
        return timing.poll_many if connections > self._settings.many_connections else timing.poll

    def _cut(self, target, reason: str) -> None:
        error = self._kernel.destroy(target) if self._can_destroy else 0
        if error in CANNOT_DESTROY:
            self._cannot_destroy(error)
        if not self._can_destroy:
            self._struck.add(target.id)
        elif error == 0:
            self._cuts[self._settings.name_of(target.port), reason, family_of(target.peer)] += 1
        elif error != GONE:
            self._say(f"a stalled connection could not be ended: {os.strerror(error)}")

    def _cannot_destroy(self, error: int) -> None:
        self._can_destroy = False
        self._say(
            f"stalled handshakes cannot be cut off here ({os.strerror(error)}): the kernel needs CONFIG_INET_DIAG_DESTROY,"
            " the container CAP_NET_ADMIN. New connections are shared among the listeners all the same."
        )

    def _punish(self, now: float, peers: list[bytes]) -> None:
        commands = slow.commands(self._slow.update(now, peers))
        if commands:
            problem = slow.load(commands)
            if problem:
                self._say(f"clients that stalled cannot be set aside: {problem}")

    def _report(self, now: float, connections: Counter[int], listeners: list) -> dict:
        ports = {}
        for listener in self._settings.listeners:
            blocked = self._judge.blocked(listener.ports, now)
            mine = [one for one in listeners if one.port in listener.ports]
            ports[listener.name] = {
                "open": len({one.port for one in mine}),
                "connections": sum(connections[port] for port in listener.ports),
                "queue": sum(one.queue for one in mine),
                "blocked": blocked.listeners,
                "blocked_for": blocked.longest,
            }
        return {
            "listeners": ports,
            "cuts": [[*labels, count] for labels, count in sorted(self._cuts.items())],
            "slow": self._slow.count(),
            "can_destroy": self._can_destroy,
        }

    def _say(self, text: str) -> None:
        if text not in self._said:
            self._said.add(text)
            print(f"guard: {text}", file=sys.stderr, flush=True)


def _probe(lane: Lane) -> None:
    """Connects, says something that is no TLS, and goes. Whoever listens is seen to accept that, or not to."""
    address = "127.0.0.1" if lane.family == socket.AF_INET else "::1"
    with contextlib.suppress(OSError), socket.create_connection((address, lane.port), timeout=0.1) as connection:
        connection.send(_NO_TLS)


def run() -> None:
    """Until the supervisor ends it, or goes."""
    guard = Guard(configuration.read(), Sockets())
    # Where the machine is so busy that the guard is late, Pingoo is as well: such time does not count against its clients.
    clock, last, pause = 0.0, time.monotonic(), 0.0
    while True:
        began = time.monotonic()
        clock += min(began - last, 2 * pause)
        last = began
        try:
            report = guard.look(clock)
        except (Malformed, TimeoutError) as error:
            # The next look asks anew. The supervisor ends a guard from which it hears nothing for long.
            print(f"guard: {error}", file=sys.stderr, flush=True)
            pause = 1.0
            time.sleep(pause)
            continue
        took = time.monotonic() - began
        print(json.dumps({**report, "seconds": took}), flush=True)
        connections = sum(port["connections"] for port in report["listeners"].values())
        pause = guard.pause(connections)
        time.sleep(max(0.0, pause - took))
