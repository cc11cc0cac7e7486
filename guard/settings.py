"""What Pulumi says about the listeners, read from guard.json."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Mapping

FOLDER = Path("/etc/guard")


@dataclass(frozen=True)
class Listener:
    """A published port and the ports of the equal listeners that share its connections."""

    name: str
    ports: tuple[int, ...]
    #: How many of them, the last ones, serve clients that stalled a while ago.
    slow: int


@dataclass(frozen=True)
class Timing:
    """Seconds."""

    #: How long a handshake may take, and how long a client may say nothing.
    patience: float = 2.0
    #: Between two looks at the sockets; the second where there are more than `many_connections`.
    poll: float = 0.25
    poll_many: float = 0.5
    #: How long a client that stalled is slow.
    penalty: float = 60.0
    #: After which a listener counts as blocked that has clients waiting and accepts none.
    blocked: float = 10.0
    #: After which a listener is probed that gave no sign of life.
    silence: float = 60.0


@dataclass(frozen=True)
class Settings:
    listeners: tuple[Listener, ...]
    #: Packed addresses that many clients share.
    exempt: frozenset[bytes]
    metrics_addresses: tuple[str, ...]
    metrics_port: int
    acme_domains: tuple[str, ...]
    timing: Timing = Timing()
    many_connections: int = 3000

    @property
    def ports(self) -> frozenset[int]:
        return frozenset(port for listener in self.listeners for port in listener.ports)

    def name_of(self, port: int) -> str:
        return next(listener.name for listener in self.listeners if port in listener.ports)


def parse(text: str) -> Settings:
    """Raises ValueError, KeyError or TypeError where the file is not what Pulumi renders."""
    raw: Mapping[str, Any] = json.loads(text)
    return Settings(
        listeners=tuple(
            Listener(str(one["name"]), tuple(int(port) for port in one["ports"]), int(one["slow"]))
            for one in raw["listeners"]
        ),
        exempt=frozenset(ip_address(address).packed for address in raw["exempt"]),
        metrics_addresses=tuple(raw["metrics"]["addresses"]),
        metrics_port=int(raw["metrics"]["port"]),
        acme_domains=tuple(raw["acme_domains"]),
    )


def read(folder: Path = FOLDER) -> Settings:
    return parse((folder / "guard.json").read_text("utf-8"))
