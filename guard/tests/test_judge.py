import random
import socket
import unittest
from collections import deque

from kernel import connection, listener

from judge import Judge, Lane, client_of
from settings import Listener, Settings
from sockets import CLOSE_WAIT, Socket

PORTS = tuple(range(443, 443 + 16))
SETTINGS = Settings(
    listeners=(Listener("https", PORTS, 2),),
    exempt=frozenset({socket.inet_aton("10.0.0.1")}),
    metrics_addresses=(), metrics_port=0, acme_domains=(),
)
FINISHED = 4000  # bytes of a client that has sent a request


class Scene:
    """Looks every quarter of a second at what a test says is there."""

    def __init__(self) -> None:
        self.judge = Judge(SETTINGS)
        self.now = 100.0

    def look(self, connections: list[Socket], queue: int = 0, port: int = 443, listeners: list[Socket] | None = None):
        self.now += 0.25
        return self.judge.look(self.now, connections, listeners or [listener(port, queue)])

    def looks(self, times: int, connections: list[Socket], queue: int = 0) -> list[tuple[Socket, str]]:
        return [cut for _ in range(times) for cut in self.look(connections, queue).cuts]


class Silence(unittest.TestCase):
    def test_is_cut_off_after_two_seconds_accepted_or_not(self) -> None:
        for accepted in (True, False):
            scene = Scene()
            before = connection(443, 1, accepted=accepted, idle=1900)
            after = before._replace(idle=2000)
            self.assertEqual(scene.look([before], queue=int(not accepted)).cuts, [])
            self.assertEqual(scene.look([after], queue=int(not accepted)).cuts, [(after, "silent")])

    def test_is_not_what_a_client_does_that_has_said_something(self) -> None:
        scene = Scene()
        self.assertEqual(scene.looks(100, [connection(443, 1, received=FINISHED, idle=3_600_000)]), [])

    def test_of_a_client_that_has_gone_is_left_to_pingoo(self) -> None:
        gone = connection(443, 1, idle=9000)._replace(state=CLOSE_WAIT)
        self.assertEqual(Scene().look([gone]).cuts, [])


class Handshakes(unittest.TestCase):
    def test_that_hold_up_others_are_cut_off(self) -> None:
        for received in (100, 1800):
            scene = Scene()
            stalled = connection(443, 1, received=received)
            waiting = connection(443, 2, received=300, accepted=False)
            scene.look([])
            scene.look([stalled])
            self.assertEqual(scene.looks(7, [stalled, waiting], queue=1), [])
            self.assertEqual(scene.looks(1, [stalled, waiting], queue=1), [(stalled, "handshake")])

    def test_that_trickle_are_as_well(self) -> None:
        scene = Scene()
        scene.look([])
        cuts = [
            cut
            for second in range(12)
            for cut in scene.look([connection(443, 1, received=10 + second), connection(443, 2, received=9, accepted=False)], 1).cuts
        ]
        self.assertEqual([(one.inode, reason) for one, reason in cuts], [(1001, "handshake")])

    def test_are_only_what_was_accepted_last(self) -> None:
        scene = Scene()
        idle = [connection(443, number, received=FINISHED) for number in range(1, 6)]
        for number in range(1, 6):
            scene.look(idle[:number])
        stalled, waiting = connection(443, 6, received=700), connection(443, 7, received=5, accepted=False)
        self.assertEqual(scene.looks(9, [*idle, stalled, waiting], queue=1), [(stalled, "handshake")])

    def test_of_several_accepted_at_once_the_likeliest_goes_first(self) -> None:
        scene = Scene()
        scene.look([])
        done, stalled = connection(443, 1, received=FINISHED), connection(443, 2, received=700)
        waiting = connection(443, 3, received=5, accepted=False)
        self.assertEqual(scene.looks(9, [stalled, done, waiting], queue=1), [(stalled, "handshake")])
        # It was the one: the next is accepted, and proves that nothing else stalls.
        after = connection(443, 3, received=900)
        self.assertEqual(scene.looks(40, [done, after]), [])

    def test_are_done_when_the_queue_shrinks(self) -> None:
        scene = Scene()
        scene.look([])
        first = connection(443, 1, received=700)
        waiting = [connection(443, number, received=5, accepted=False) for number in (2, 3)]
        for _ in range(20):
            # Short connections: each look sees others, accepted ones never.
            self.assertEqual(scene.look([first, *waiting], 2).cuts, [])
            self.assertEqual(scene.look([first, waiting[0]], 1).cuts, [])
            waiting = [one._replace(id=one.id[:-1] + bytes([one.id[-1] + 1])) for one in waiting]

    def test_are_done_when_others_came_and_the_queue_has_not_grown(self) -> None:
        scene = Scene()
        scene.look([])
        idle = connection(443, 1, received=700)
        scene.look([idle])
        for number in range(2, 60):
            # Always exactly one waits, but each time another: those before were served between two looks.
            self.assertEqual(scene.look([idle, connection(443, number, received=9, accepted=False)], 1).cuts, [])

    def test_still_stall_when_those_who_wait_give_up(self) -> None:
        scene = Scene()
        scene.look([])
        stalled = connection(443, 1, received=700)
        scene.look([stalled])
        cuts = []
        for number in range(2, 14):
            # Each gives up after a look, but stays in the queue as what it was: an entry.
            cuts += scene.look([stalled, connection(443, number, received=9, accepted=False)], number - 1).cuts
        self.assertEqual(cuts, [(stalled, "handshake")])

    def test_are_not_judged_while_two_pingoos_share_the_port(self) -> None:
        scene = Scene()
        one, waiting = connection(443, 1, received=700), connection(443, 2, received=9, accepted=False)
        both = [listener(443, 1), listener(443, 0)]
        cuts = [cut for _ in range(16) for cut in scene.look([one, waiting], listeners=both).cuts]
        self.assertEqual(cuts, [])

    def test_are_told_apart_by_family(self) -> None:
        scene = Scene()
        both = [listener(443), listener(443, 1, socket.AF_INET6)]
        four = connection(443, 1, received=700)
        six, waiting = connection(443, 2, peer="2001:db8::1", received=700), connection(443, 3, peer="2001:db8::2", accepted=False, received=3)
        scene.look([], listeners=[listener(443), listener(443, 0, socket.AF_INET6)])
        cuts = [cut for _ in range(9) for cut in scene.look([four, six, waiting], listeners=both).cuts]
        self.assertEqual(cuts, [(six, "handshake")])


class Probes(unittest.TestCase):
    def test_prove_idle_connections_innocent(self) -> None:
        scene = Scene()
        scene.look([])
        idle = connection(443, 1, received=700)
        verdicts = [scene.look([idle]) for _ in range(20)]
        self.assertEqual([verdict.probes for verdict in verdicts if verdict.probes], [[Lane(socket.AF_INET, 443)]])
        # From now on the queue proves nothing against it.
        waiting = connection(443, 2, received=3, accepted=False)
        self.assertEqual(scene.looks(40, [idle, waiting], queue=1), [])

    def test_find_who_stalls_while_nobody_waits(self) -> None:
        scene = Scene()
        scene.look([])
        stalled = connection(443, 1, received=700)
        probed = False
        cuts = []
        for _ in range(20):
            verdict = scene.look([stalled] if not cuts else [], queue=int(probed))
            probed = probed or bool(verdict.probes)
            cuts += verdict.cuts
        self.assertEqual(cuts, [(stalled, "handshake")])

    def test_are_sent_to_who_gave_no_sign_of_life_for_long(self) -> None:
        scene = Scene()
        times = [scene.now for _ in range(1000) if scene.look([]).probes]
        self.assertEqual(len(times), 4)
        for before, after in zip(times, times[1:]):
            self.assertGreaterEqual(after - before, 60)


class Blocked(unittest.TestCase):
    def test_tells_of_listeners_that_cutting_off_does_not_help(self) -> None:
        scene = Scene()
        scene.look([])
        waiting = connection(443, 2, received=3, accepted=False)
        scene.looks(40, [waiting], queue=1)
        self.assertEqual(scene.judge.blocked(PORTS, scene.now).listeners, 0)
        scene.looks(10, [waiting], queue=1)
        blocked = scene.judge.blocked(PORTS, scene.now)
        self.assertEqual(blocked.listeners, 1)
        self.assertGreaterEqual(blocked.longest, 10)
        self.assertEqual(scene.judge.blocked([444], scene.now).listeners, 0)
        scene.look([], queue=0)
        self.assertEqual(scene.judge.blocked(PORTS, scene.now).listeners, 0)


    def test_is_asked_of_the_others_where_one_is(self) -> None:
        scene = Scene()
        both = [listener(443, 1), listener(444)]
        probes = [probe for _ in range(60) for probe in scene.look([connection(443, 1, received=3, accepted=False)], listeners=both).probes]
        self.assertEqual(set(probes), {Lane(socket.AF_INET, 444)})


class Crowds(unittest.TestCase):
    def crowd(self, peer: str, size: int) -> list[Socket]:
        return [connection(443 + number, number, peer=peer, accepted=False, idle=1100) for number in range(size)]

    def test_of_one_client_are_cut_off_sooner(self) -> None:
        listeners = [listener(port, 1) for port in PORTS]
        honest = connection(443, 99, peer="192.0.2.99", accepted=False, idle=1100)
        verdict = Scene().look([*self.crowd("192.0.2.1", 3), honest], listeners=listeners)
        self.assertEqual([(cut.socket.peer, cut.reason) for cut in verdict.cuts], [(socket.inet_aton("192.0.2.1"), "crowd")] * 3)

    def test_may_come_through_an_address_that_many_share(self) -> None:
        self.assertEqual(Scene().look(self.crowd("10.0.0.1", 10)).cuts, [])

    def test_may_be_as_large_as_the_slow_listeners_are_many(self) -> None:
        self.assertEqual(Scene().look(self.crowd("192.0.2.1", 2)).cuts, [])

    def test_of_one_network_count_as_one_client_over_ipv6(self) -> None:
        crowd = [connection(443, number, peer=f"2001:db8::{number}", accepted=False, idle=1100) for number in range(1, 5)]
        self.assertEqual(len(Scene().look(crowd, queue=4).cuts), 4)
        self.assertEqual({client_of(one.peer) for one in crowd}, {socket.inet_pton(socket.AF_INET6, "2001:db8::")})


class Pressure(unittest.TestCase):
    def scene(self, stuck: int) -> tuple[Scene, list[Socket], list[Socket]]:
        """So many of the sixteen listeners are held up, each by a client of its own, and somebody waits behind."""
        scene = Scene()
        scene.look([], listeners=[listener(port) for port in PORTS])
        stalled = [connection(port, port, peer=f"192.0.2.{port - 400}", received=700) for port in PORTS[:stuck]]
        waiting = [connection(port, 1000 + port, peer="192.0.2.7", received=9, accepted=False) for port in PORTS[:stuck]]
        return scene, stalled, waiting

    def cuts_after(self, stuck: int, slow: frozenset[bytes] = frozenset()) -> list[int]:
        """How many were cut off at each look of the first two seconds and a half."""
        scene, stalled, waiting = self.scene(stuck)
        listeners = [listener(port, int(port < PORTS[0] + stuck)) for port in PORTS]
        cuts = []
        for _ in range(10):
            scene.now += 0.25
            cuts.append(len(scene.judge.look(scene.now, [*stalled, *waiting], listeners, slow).cuts))
        return cuts

    def test_halves_the_patience_where_a_quarter_of_the_listeners_are_held_up(self) -> None:
        self.assertEqual([look for look, count in enumerate(self.cuts_after(3)) if count], [8])
        self.assertEqual([look for look, count in enumerate(self.cuts_after(4)) if count][0], 4)

    def test_sends_away_what_a_slow_client_had_begun_elsewhere(self) -> None:
        cuts = self.cuts_after(1, slow=frozenset({socket.inet_aton("192.0.2.7")}))
        self.assertEqual([look for look, count in enumerate(cuts) if count][0], 4)

    def test_leaves_slow_clients_where_they_belong(self) -> None:
        scene = Scene()
        port = PORTS[-1]
        scene.look([], port=port)
        stalled, waiting = connection(port, 1, received=700), connection(port, 2, peer="192.0.2.7", received=9, accepted=False)
        cuts = []
        for _ in range(8):
            scene.now += 0.25
            slow = {socket.inet_aton("192.0.2.7")}
            cuts += scene.judge.look(scene.now, [stalled, waiting], [listener(port, 1)], slow).cuts
        self.assertEqual(cuts, [])


class SerialListener:
    """A listener as Pingoo has them, and the clients' connections to it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.queue: deque[int] = deque()
        #: Connection to: bytes sent, accepted, finished, closes at, stalls.
        self.all: dict[int, dict] = {}
        self.current: int | None = None
        self.number = 0

    def arrive(self, stalls: str, now: float) -> None:
        self.number += 1
        sent = 0 if stalls == "silent" else 700
        self.all[self.number] = {"sent": sent, "accepted": False, "done": None, "stalls": stalls, "came": now, "shaken": False}
        self.queue.append(self.number)

    def run(self, now: float) -> None:
        while True:
            if self.current is not None:
                one = self.all.get(self.current)
                if one and not one["shaken"]:
                    if one["stalls"] or now < one["done"]:
                        return
                    one["shaken"], one["sent"] = True, 900
                self.current = None
            if not self.queue:
                return
            self.current = self.queue.popleft()
            one = self.all.get(self.current)
            if one is None:
                self.current = None
                continue
            one["accepted"], one["done"] = True, now + self.chance.choice([0.01, 0.05, 0.2])
            one["closes"] = now + self.chance.choice([0.05, 0.3, 0.3, 30])

    def sockets(self, now: float) -> list[Socket]:
        for number, one in list(self.all.items()):
            if one["shaken"] and one["closes"] < now:
                del self.all[number]
        return [
            connection(443, number, accepted=one["accepted"], received=one["sent"], idle=int((now - one["came"]) * 1000))
            for number, one in self.all.items()
        ]


class Simulation(unittest.TestCase):
    """Whatever comes in whatever order: who stalls is cut off, and nobody else."""

    def test_cuts_off_those_who_stall_and_nobody_else(self) -> None:
        for seed in range(16):
            with self.subTest(seed):
                self.simulate(random.Random(seed))

    def simulate(self, chance: random.Random) -> None:
        judge, lane = Judge(SETTINGS), SerialListener(chance)
        rate = chance.choice([0.02, 0.2, 1])
        stalling = chance.choice([0.0, 0.02, 0.2])
        now, probing, cut_innocent, last_progress = 0.0, False, [], 0.0
        for step in range(2000):
            now += 0.05
            if chance.random() < rate:
                lane.arrive(chance.choice(["silent", "hello"]) if chance.random() < stalling else "", now)
            before = lane.current
            lane.run(now)
            if probing and lane.current is None and not lane.queue:
                probing = False
            if lane.current != before or lane.current is None:
                last_progress = now
            self.assertLess(now - last_progress, 4.5, "a stalled listener was not freed")
            if step % 5:
                continue
            queue = len(lane.queue) + int(probing)
            connections = lane.sockets(now)
            verdict = judge.look(now, connections, [listener(443, queue)])
            probing = probing or bool(verdict.probes)
            for cut in verdict.cuts:
                number = cut.socket.inode - 1000 if cut.socket.inode else next(
                    number for number, one in lane.all.items() if connection(443, number, accepted=False).id == cut.socket.id
                )
                # One that waited for long behind others said nothing meanwhile, or was in its handshake.
                if not lane.all[number]["stalls"] and lane.all[number]["shaken"]:
                    cut_innocent.append(number)
                del lane.all[number]
        self.assertEqual(cut_innocent, [])


if __name__ == "__main__":
    unittest.main()
