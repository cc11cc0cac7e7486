"""Clients that stalled a while ago: their new connections share a few listeners. Pure but for `load`."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address
from typing import Iterable, NamedTuple

from judge import client_of, family_of


class Change(NamedTuple):
    added: list[bytes]
    removed: list[bytes]


class Slow:
    """Who is slow, and until when.

    The kernel's set has no time-outs of its own, so that a client that stalls again stays in it.
    """

    def __init__(self, penalty: float, exempt: Iterable[bytes], limit: int = 65536) -> None:
        self._penalty = penalty
        self._exempt = frozenset(exempt)
        self._limit = limit
        self._until: dict[bytes, float] = {}

    def update(self, now: float, peers: Iterable[bytes]) -> Change:
        """Adds who stalled just now, and removes whose time is over."""
        added = []
        for peer in peers:
            client = client_of(peer)
            if peer in self._exempt:
                continue
            if client not in self._until:
                if len(self._until) >= self._limit:
                    continue
                added.append(client)
            self._until[client] = now + self._penalty
        removed = [client for client, until in self._until.items() if until <= now]
        for client in removed:
            del self._until[client]
        return Change(added, removed)

    def __contains__(self, client: object) -> bool:
        return client in self._until

    def count(self) -> dict[str, int]:
        families = [family_of(client) for client in self._until]
        return {family: families.count(family) for family in ("ipv4", "ipv6")}


def commands(change: Change) -> str:
    """What to feed to `nft -f -`; empty when nothing changes."""
    lines = []
    for verb, clients in (("delete", change.removed), ("add", change.added)):
        for name, length in (("slow4", 4), ("slow6", 16)):
            addresses = [str(ip_address(client)) for client in clients if len(client) == length]
            if addresses:
                lines.append(f"{verb} element inet guard {name} {{ {', '.join(addresses)} }}\n")
    return "".join(lines)


def load(text: str) -> str:
    """Feeds commands to nft, all or none. Returns what went wrong, empty when nothing did."""
    try:
        done = subprocess.run(["nft", "-f", "-"], input=text, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"nft ended with {done.returncode}"
