"""Who stalls: decides from what the kernel shows of the sockets, without a look at what they carry. Pure.

Pingoo accepts a connection, finishes its handshake and only then accepts the next. So on each listener only what was
accepted last can be in a handshake, and whatever is accepted after it proves that it was done.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Collection, Container, Iterable, Literal, NamedTuple

from settings import Settings
from sockets import ESTABLISHED, Socket

#: silent: sent nothing. handshake: holds up those who wait. crowd: one of many half-done ones of a client, or waits where a
#: client that stalled a while ago has no business any more.
Reason = Literal["silent", "handshake", "crowd"]


class Lane(NamedTuple):
    """A listener: two may share a port number, one for each family."""

    family: int
    port: int


class Cut(NamedTuple):
    socket: Socket
    reason: Reason


@dataclass
class Verdict:
    cuts: list[Cut] = field(default_factory=list)
    #: Listeners to connect to with something that is no TLS: who is free drops that at once.
    probes: list[Lane] = field(default_factory=list)


class Blocked(NamedTuple):
    listeners: int
    #: Seconds, of the one that is blocked longest.
    longest: float


@dataclass
class _State:
    """A listener as it was at the last look."""

    #: Accepted connections, by identity.
    accepted: set[bytes]
    #: Waiting connections, by identity, and since when they do.
    queued: dict[bytes, float]
    #: Length of the queue, connections that ended while they waited included.
    queue: int
    #: Connections of which one may be in its handshake, and since when they are known as accepted.
    candidates: dict[bytes, float]
    #: When it was last seen to accept something, or to have nothing to do.
    alive: float
    #: Since when somebody has waited and nobody been accepted.
    stuck: float | None = None
    #: Looks at which that was so, since somebody was last cut off for it.
    looks: int = 0
    #: It was probed, and has not answered so far.
    probed: bool = False


class Judge:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ports = settings.ports
        self._states: dict[Lane, _State] = {}
        self._slow_ports = {port for listener in settings.listeners for port in listener.ports[-listener.slow :]}
        self._crowd = {port: max(2, listener.slow) for listener in settings.listeners for port in listener.ports}

    def look(
        self, now: float, connections: Iterable[Socket], listeners: Iterable[Socket], slow: Container[bytes] = ()
    ) -> Verdict:
        """Judges what is there.

        `listeners` must have been listed after `connections`; `now` in seconds, never falling; `slow` are the clients that
        stalled a while ago.
        """
        queues: dict[Lane, list[int]] = {}
        for one in listeners:
            if one.port in self._ports:
                queues.setdefault(Lane(one.family, one.port), []).append(one.queue)
        by_lane: dict[Lane, list[Socket]] = {lane: [] for lane in queues}
        for one in connections:
            if one.port in self._ports:
                by_lane.setdefault(Lane(one.family, one.port), []).append(one)

        # Where one is blocked for long, the others are asked at once whether they are.
        worried = self.blocked(self._ports, now).listeners > 0
        silence = self._settings.timing.blocked / 3 if worried else self._settings.timing.silence
        verdict = Verdict()
        patience = self._patience(now)
        half_done: list[Socket] = []
        for lane, sockets in by_lane.items():
            silent = [one for one in sockets if one.state == ESTABLISHED and one.received == 0]
            verdict.cuts += [Cut(one, "silent") for one in silent if one.idle >= patience * 1000]
            half_done += [one for one in silent if one.idle >= self._settings.timing.patience * 500]
            if lane in queues:
                half_done += self._look_at(lane, now, sockets, queues[lane], patience, silence, verdict)
                self._send_away(lane, now, sockets, slow, verdict)
        for closed in self._states.keys() - queues.keys():
            del self._states[closed]
        self._part_crowds(half_done, verdict)
        # The first reason stands.
        verdict.cuts = [*{cut.socket.id: cut for cut in reversed(verdict.cuts)}.values()][::-1]
        return verdict

    def _patience(self, now: float) -> float:
        """Half of the usual where a quarter of the listeners are held up: then there is no time for the very slow."""
        stuck = sum(state.stuck is not None and now - state.stuck >= 0.5 for state in self._states.values())
        return self._settings.timing.patience / (2 if 4 * stuck >= len(self._ports) else 1)

    def blocked(self, ports: Collection[int], now: float) -> Blocked:
        """How many of these listeners have held somebody up for long, whoever was cut off for it."""
        spans = [
            now - state.stuck
            for lane, state in self._states.items()
            if lane.port in ports and state.stuck is not None and now - state.stuck >= self._settings.timing.blocked
        ]
        return Blocked(len(spans), max(spans, default=0.0))

    def _look_at(
        self,
        lane: Lane,
        now: float,
        sockets: list[Socket],
        queues: list[int],
        patience: float,
        silence: float,
        verdict: Verdict,
    ) -> list[Socket]:
        """Returns what holds up others, but not for long enough yet."""
        accepted = {one.id: one for one in sockets if one.accepted}
        queue = sum(queues)
        state = self._states.get(lane)
        before = state.queued if state else {}
        queued = {one.id: before.get(one.id, now) for one in sockets if not one.accepted}
        if state is None:
            # Whoever is there from before may be in a handshake.
            self._states[lane] = _State(set(accepted), queued, queue, dict.fromkeys(accepted, now), now)
            return []

        fresh = accepted.keys() - state.accepted
        # The queue shrinks by nothing but an accept: it cannot be shorter than before, nor shorter than those known to
        # have waited or to have come since. Where it is, somebody was accepted and has gone again.
        came = len(queued.keys() - state.queued.keys())
        moved = bool(fresh) or queue < max(state.queue, len(state.queued) + came) or (state.probed and queue == 0)
        state.accepted, state.queued, state.queue = set(accepted), queued, queue
        if moved:
            state.candidates, state.probed, state.alive = dict.fromkeys(fresh, now), False, now
        else:
            state.candidates = {key: since for key, since in state.candidates.items() if key in accepted}
        # While one Pingoo hands over to the next, two share the port, and the queue of one says nothing of the other.
        if moved or queue == 0 or len(queues) > 1:
            state.stuck, state.looks = None, 0
        else:
            state.stuck = now if state.stuck is None else state.stuck
            state.looks += 1

        # If one of them has said nothing, it is the one in its handshake, and is cut off for its silence.
        silent = any(accepted[key].received == 0 for key in state.candidates)
        talking = {} if silent else state.candidates
        old = [accepted[key] for key, since in talking.items() if now - since >= patience]
        if state.looks >= 2 and old:
            worst = max(old, key=_suspicion)
            verdict.cuts.append(Cut(worst, "handshake"))
            del state.candidates[worst.id]
            state.looks = 0
        elif queue == 0 and not state.probed and len(queues) == 1 and (old or now - state.alive >= silence):
            state.probed = True
            verdict.probes.append(lane)
        if state.looks < 2 or len(talking) != 1:
            return []
        return [accepted[key] for key, since in talking.items() if now - since >= patience / 2]

    def _send_away(
        self, lane: Lane, now: float, sockets: list[Socket], slow: Container[bytes], verdict: Verdict
    ) -> None:
        """What slow clients had begun before they were slow waits no longer among the others: it may come again."""
        state = self._states[lane]
        if lane.port in self._slow_ports or state.stuck is None:
            return
        for one in sockets:
            since = state.queued.get(one.id)
            if since is not None and now - since >= self._settings.timing.patience / 2 and client_of(one.peer) in slow:
                verdict.cuts.append(Cut(one, "crowd"))

    def _part_crowds(self, half_done: list[Socket], verdict: Verdict) -> None:
        """Of one client, so many half-done connections at once are not for want of speed."""
        by_peer: dict[bytes, list[Socket]] = {}
        for one in half_done:
            if one.peer not in self._settings.exempt:
                by_peer.setdefault(client_of(one.peer), []).append(one)
        for crowd in by_peer.values():
            if len(crowd) > self._crowd[crowd[0].port]:
                verdict.cuts += [Cut(one, "crowd") for one in crowd]


def _suspicion(one: Socket) -> tuple[bool, int, int]:
    """Of several that were accepted between two looks, which is most likely in its handshake.

    Whoever sent next to nothing, then whoever sent least lately, then whose inode is newest.
    """
    return one.received < 2048, one.inode, one.idle


def client_of(peer: bytes) -> bytes:
    """A client's address, or of an IPv6 one the /64 that it has to itself."""
    return peer if len(peer) == 4 else peer[:8] + bytes(8)


def family_of(peer: bytes) -> Literal["ipv4", "ipv6"]:
    return "ipv4" if len(peer) == 4 else "ipv6"


def count_by_port(connections: Iterable[Socket]) -> Counter[int]:
    return Counter(one.port for one in connections if one.accepted)
