"""TCP sockets of this network namespace: listed and destroyed over NETLINK_SOCK_DIAG (sock_diag(7)).

Replies are parsed within their bounds: whatever the bytes are, the outcome is a list of sockets or `Malformed`.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Collection, Iterator, NamedTuple

ESTABLISHED, CLOSE_WAIT, LISTEN = 1, 8, 10

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY, _SOCK_DESTROY = 20, 21
_NLM_F_REQUEST, _NLM_F_ACK, _NLM_F_DUMP = 0x1, 0x4, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_INFO = 2
_ANY_COOKIE = b"\xff" * 8

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBBxI48s")  # struct inet_diag_req_v2
_MESSAGE = struct.Struct("=BBxx48sIIIII")  # struct inet_diag_msg
_PORTS = struct.Struct("!HH")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR = struct.Struct("=i")
# Of struct tcp_info: milliseconds since data came last, and how many bytes came in all.
_LAST_RECEIVED, _RECEIVED = struct.Struct("=52xI"), struct.Struct("=128xQ")


class Malformed(Exception):
    """The kernel's reply is not what sock_diag(7) describes."""


class Socket(NamedTuple):
    #: Kernel's identity of the socket: addresses, ports, cookie.
    id: bytes
    family: int
    state: int
    port: int
    #: Packed address of the other side, IPv4 ones with 4 bytes.
    peer: bytes
    #: Of a listener: connections that wait to be accepted.
    queue: int
    #: 0 until the program has accepted the connection.
    inode: int
    #: Bytes from the other side.
    received: int
    #: Milliseconds since the last of them, or since the connection was made.
    idle: int

    @property
    def accepted(self) -> bool:
        return self.inode != 0


class Reply(NamedTuple):
    sockets: list[Socket]
    #: No more to come.
    done: bool
    #: Of the kernel's answer; 0 is success.
    error: int


def parse(data: bytes, ports: Collection[int] | None = None) -> Reply:
    """One datagram of the kernel's. Sockets of other ports are passed over. Raises Malformed."""
    sockets: list[Socket] = []
    for kind, start, end in _messages(data):
        if kind == _NLMSG_DONE:
            return Reply(sockets, True, 0)
        if kind == _NLMSG_ERROR:
            if end - start < _ERROR.size:
                raise Malformed("error without a number")
            return Reply(sockets, True, -_ERROR.unpack_from(data, start)[0])
        if kind != _SOCK_DIAG_BY_FAMILY:
            continue
        if end - start < _MESSAGE.size:
            raise Malformed("socket without its fields")
        # The port first: most sockets are Pingoo's own connections to what it serves.
        port = _PORTS.unpack_from(data, start + 4)[0]
        if ports is None or port in ports:
            sockets.append(_socket(data, start, end, port))
    return Reply(sockets, False, 0)


def _messages(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Type, begin and end of each message's payload."""
    offset = 0
    while offset < len(data):
        if len(data) - offset < _HEADER.size:
            raise Malformed("message without a header")
        length, kind, _, _, _ = _HEADER.unpack_from(data, offset)
        if length < _HEADER.size or length > len(data) - offset:
            raise Malformed(f"message of {length} bytes")
        yield kind, offset + _HEADER.size, offset + length
        offset += length + 3 & ~3


def _socket(data: bytes, start: int, end: int, port: int) -> Socket:
    family, state, identity, _, queue, _, _, inode = _MESSAGE.unpack_from(data, start)
    received = idle = 0
    at = start + _MESSAGE.size
    while end - at >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if length < _ATTRIBUTE.size or length > end - at:
            raise Malformed(f"attribute of {length} bytes")
        if kind == _INET_DIAG_INFO:
            if length - _ATTRIBUTE.size < _RECEIVED.size:
                raise Malformed("tcp_info without a count of bytes")
            idle = _LAST_RECEIVED.unpack_from(data, at + _ATTRIBUTE.size)[0]
            received = _RECEIVED.unpack_from(data, at + _ATTRIBUTE.size)[0]
        at += length + 3 & ~3
    peer = identity[20:24] if family == socket.AF_INET else _unmapped(identity[20:36])
    return Socket(identity, family, state, port, peer, queue, inode, received, idle)


def _unmapped(address: bytes) -> bytes:
    """An IPv4 client of a listener for both families has an IPv6 address of the form ::ffff:192.0.2.1."""
    return address[12:] if address[:12] == bytes(10) + b"\xff\xff" else address


class Sockets:
    """A connection to the kernel. Needs CAP_NET_ADMIN to destroy, nothing to list."""

    def __init__(self) -> None:
        self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, _NETLINK_SOCK_DIAG)
        self._netlink.bind((0, 0))
        self._netlink.settimeout(5)
        self._netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self._sequence = 0

    def connections(self, ports: Collection[int]) -> list[Socket]:
        """Established connections to these ports, of both families. Raises OSError, Malformed."""
        return self._list((1 << ESTABLISHED) | (1 << CLOSE_WAIT), ports, 1 << (_INET_DIAG_INFO - 1))

    def listeners(self, ports: Collection[int]) -> list[Socket]:
        """Sockets that listen on these ports, of both families. Raises OSError, Malformed."""
        return self._list(1 << LISTEN, ports, 0)

    def destroy(self, target: Socket) -> int:
        """Ends a connection as if its program had closed it. Returns 0 or an error number."""
        return self._destroy(target.family, target.id)

    def can_destroy(self) -> int:
        """Tries it on a connection of its own. Returns 0 or an error number."""
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            (here, port), (there, other) = client.getsockname(), client.getpeername()
            identity = struct.pack(
                "!HH4s12x4s12x4x8s", port, other, socket.inet_aton(here), socket.inet_aton(there), _ANY_COOKIE
            )
            return self._destroy(socket.AF_INET, identity)

    def _list(self, states: int, ports: Collection[int], extensions: int) -> list[Socket]:
        found: list[Socket] = []
        for family in (socket.AF_INET, socket.AF_INET6):
            request = _REQUEST.pack(family, socket.IPPROTO_TCP, extensions, states, bytes(48))
            for reply in self._ask(_SOCK_DIAG_BY_FAMILY, _NLM_F_DUMP, request, ports):
                found += reply.sockets
                if reply.error:
                    raise OSError(reply.error, os.strerror(reply.error))
        return found

    def _destroy(self, family: int, identity: bytes) -> int:
        request = _REQUEST.pack(family, socket.IPPROTO_TCP, 0, 0, identity)
        return [*self._ask(_SOCK_DESTROY, _NLM_F_ACK, request, ())][-1].error

    def _ask(self, kind: int, flags: int, payload: bytes, ports: Collection[int]) -> Iterator[Reply]:
        self._sequence += 1
        length = _HEADER.size + len(payload)
        self._netlink.send(_HEADER.pack(length, kind, _NLM_F_REQUEST | flags, self._sequence, 0) + payload)
        while True:
            data = self._netlink.recv(1 << 17)
            if len(data) >= _HEADER.size and _HEADER.unpack_from(data)[3] != self._sequence:
                continue  # what was left of an answer that was given up
            reply = parse(data, ports)
            yield reply
            if reply.done:
                return


#: What the kernel says where CONFIG_INET_DIAG_DESTROY is not set, and where CAP_NET_ADMIN is missing.
CANNOT_DESTROY = frozenset({errno.EOPNOTSUPP, errno.EPERM, errno.EACCES})
#: What it says of a connection that has ended meanwhile.
GONE = errno.ENOENT
