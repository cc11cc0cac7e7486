"""Replies as the kernel writes them, and a path to the modules under test."""

from __future__ import annotations

import socket
import struct
import sys
from functools import lru_cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from sockets import ESTABLISHED, LISTEN, Socket  # noqa: E402


def identity(port: int, peer: str = "192.0.2.1", peer_port: int = 40000, cookie: int = 0) -> bytes:
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    here = socket.inet_pton(family, "::1" if family == socket.AF_INET6 else "127.0.0.1").ljust(16, b"\0")
    there = socket.inet_pton(family, peer).ljust(16, b"\0")
    return struct.pack("!HH16s16s", port, peer_port, here, there) + struct.pack("=IQ", 0, cookie)


def message(kind: int, payload: bytes, sequence: int = 1) -> bytes:
    length = 16 + len(payload)
    return struct.pack("=IHHII", length, kind, 2, sequence, 0) + payload + bytes(-length % 4)


def attribute(kind: int, payload: bytes) -> bytes:
    length = 4 + len(payload)
    return struct.pack("=HH", length, kind) + payload + bytes(-length % 4)


def tcp_info(received: int, idle: int) -> bytes:
    info = bytearray(232)
    struct.pack_into("=I", info, 52, idle)
    struct.pack_into("=Q", info, 128, received)
    return bytes(info)


def listed(one: Socket) -> bytes:
    """The message that lists a socket."""
    fields = struct.pack("=BBxx48sIIIII", one.family, one.state, one.id, 0, one.queue, 128, 0, one.inode)
    return message(20, fields + attribute(2, tcp_info(one.received, one.idle)))


@lru_cache(maxsize=None)
def _identity(port: int, peer: str, number: int) -> bytes:
    return identity(port, peer, 1024 + number % 60000, number)


def connection(port: int, number: int, *, peer: str = "192.0.2.1", accepted: bool = True, received: int = 0, idle: int = 0) -> Socket:
    """A connection of its own for each number; the higher, the later."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    packed = socket.inet_pton(family, peer)
    return Socket(
        _identity(port, peer, number), family, ESTABLISHED, port,
        packed, 0, 1000 + number if accepted else 0, received, idle,
    )


def listener(port: int, queue: int = 0, family: int = socket.AF_INET) -> Socket:
    return Socket(identity(port, peer_port=0), family, LISTEN, port, socket.inet_aton("192.0.2.1"), queue, 7, 0, 0)
