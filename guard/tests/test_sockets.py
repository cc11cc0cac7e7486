import random
import socket
import struct
import unittest

from kernel import attribute, connection, identity, listed, listener, message, tcp_info

import sockets
from sockets import ESTABLISHED, LISTEN, Malformed, Sockets, parse

DONE = message(3, bytes(4))


class Parsing(unittest.TestCase):
    def test_reads_what_the_kernel_lists(self) -> None:
        given = [
            connection(443, 1, received=517, idle=30),
            connection(443, 2, accepted=False),
            connection(20001, 3, peer="2001:db8::7", received=2**40),
            listener(443, queue=5)._replace(received=0),
        ]
        reply = parse(b"".join(map(listed, given)) + DONE)
        self.assertEqual(reply.sockets, given)
        self.assertTrue(reply.done)
        self.assertEqual([one.accepted for one in reply.sockets], [True, False, True, True])

    def test_passes_over_other_ports(self) -> None:
        data = b"".join(listed(connection(port, 1)) for port in (443, 3443, 9000)) + DONE
        self.assertEqual([one.port for one in parse(data, {443, 9000}).sockets], [443, 9000])

    def test_knows_an_ipv4_client_of_a_listener_for_both_families(self) -> None:
        mapped = connection(443, 1, peer="::ffff:192.0.2.9")
        self.assertEqual(parse(listed(mapped)).sockets[0].peer, socket.inet_aton("192.0.2.9"))

    def test_tells_errors(self) -> None:
        for number in (0, 95):
            reply = parse(message(2, struct.pack("=i", -number) + bytes(16)))
            self.assertEqual((reply.done, reply.error), (True, number))

    def test_refuses_what_is_cut_short(self) -> None:
        whole = listed(connection(443, 1))
        for length in range(1, len(whole)):
            with self.subTest(length), self.assertRaises(Malformed):
                parse(whole[:length])
        fields = whole[16 : 16 + 72]
        for payload in (bytes(10), fields + struct.pack("=HH", 3, 2), fields + struct.pack("=HH", 99, 2), fields + attribute(2, bytes(8))):
            with self.subTest(payload), self.assertRaises(Malformed):
                parse(message(20, payload))
        with self.assertRaises(Malformed):
            parse(message(2, b""))

    def test_whatever_comes_is_parsed_or_refused(self) -> None:
        chance = random.Random(1)
        whole = listed(connection(443, 1)) + listed(connection(443, 2, peer="2001:db8::1")) + message(77, b"abc") + DONE
        for _ in range(20_000):
            data = bytearray(whole)
            for _ in range(chance.randrange(1, 6)):
                data[chance.randrange(len(data))] = chance.choice([0, 1, 3, 4, 16, 20, 127, 255, chance.randrange(256)])
            del data[chance.randrange(len(data)) + chance.randrange(2) * len(data) :]
            self.survives(bytes(data))
        for _ in range(20_000):
            self.survives(chance.randbytes(chance.randrange(200)))

    def survives(self, data: bytes) -> None:
        try:
            reply = parse(data, {443})
        except Malformed:
            return
        self.assertLessEqual(len(reply.sockets), len(data) // 16)


class Kernel(unittest.TestCase):
    """The real one, on the loopback interface."""

    def setUp(self) -> None:
        try:
            self.kernel = Sockets()
        except OSError as error:
            self.skipTest(f"no NETLINK_SOCK_DIAG here: {error}")

    def test_lists_listeners_and_connections_before_and_after_they_are_accepted(self) -> None:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with self.subTest(address):
                try:
                    server = socket.create_server((address, 0), family=family)
                except OSError as error:
                    self.skipTest(str(error))
                with server, socket.create_connection(server.getsockname()[:2]) as client:
                    port = server.getsockname()[1]
                    self.assertEqual([(one.state, one.queue) for one in self.kernel.listeners({port})], [(LISTEN, 1)])
                    (waiting,) = self.kernel.connections({port})
                    self.assertEqual((waiting.accepted, waiting.received, waiting.state), (False, 0, ESTABLISHED))
                    client.sendall(b"hello")
                    accepted, _ = server.accept()
                    with accepted:
                        (found,) = self.kernel.connections({port})
                        self.assertEqual((found.accepted, found.received), (True, 5))
                        self.assertEqual(found.peer, socket.inet_pton(family, address))
                        self.assertEqual(found.id, waiting.id)
                    self.assertEqual(self.kernel.listeners({port})[0].queue, 0)

    def test_ends_a_connection_or_says_why_not(self) -> None:
        error = self.kernel.can_destroy()
        if error:
            self.assertIn(error, sockets.CANNOT_DESTROY)
            self.skipTest("this process may not end connections")
        with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
            accepted, _ = server.accept()
            with accepted:
                (found,) = self.kernel.connections({server.getsockname()[1]})
                self.assertEqual(self.kernel.destroy(found), 0)
                self.assertEqual(self.kernel.destroy(found), sockets.GONE)
                with self.assertRaises(ConnectionAbortedError):
                    accepted.recv(1)
                with self.assertRaises(ConnectionResetError):
                    client.recv(1)


if __name__ == "__main__":
    unittest.main()
