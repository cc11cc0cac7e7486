import struct
import time
import unittest

from program import load

PROBE = load("udp-probe.py", "signal.signal")
TRANSACTION = 4711


class Connection:
    """Notes what is sent, and has the given replies for who receives."""

    def __init__(self, *replies: bytes) -> None:
        self.sent: "list[bytes]" = []
        self.replies = list(replies)

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)

    def settimeout(self, _: float) -> None:
        pass

    def recv(self, _: int) -> bytes:
        if not self.replies:
            raise TimeoutError("timed out")
        return self.replies.pop(0)


def reply(action: int, body: bytes = b"", transaction: int = TRANSACTION) -> bytes:
    return struct.pack(">II", action, transaction) + body


class Ask(unittest.TestCase):
    def setUp(self) -> None:
        secrets = type("Secrets", (), {"randbits": staticmethod(lambda _: TRANSACTION)})
        self.addCleanup(setattr, PROBE, "secrets", PROBE.secrets)
        PROBE.secrets = secrets

    def ask(self, *replies: bytes) -> "tuple[bytes, bytes]":
        """What is sent, and which reply counts."""
        connection = Connection(*replies)
        answer = PROBE.ask(connection, time.monotonic() + 60, PROBE.CONNECT, PROBE.PROTOCOL, b"", 16)
        (sent,) = connection.sent
        return sent, answer

    def test_connects_as_bep_15_has_it(self) -> None:
        sent, _ = self.ask(reply(0, bytes(8)))
        self.assertEqual(sent.hex(), "0000041727101980" + "00000000" + f"{TRANSACTION:08x}")

    def test_passes_over_what_answers_somebody_else(self) -> None:
        meant = reply(0, b"12345678")
        _, answer = self.ask(b"short", reply(0, bytes(8), TRANSACTION + 1), meant)
        self.assertEqual(answer, meant)

    def test_minds_an_error_of_the_tracker(self) -> None:
        with self.assertRaisesRegex(ValueError, "answered by action 3: b'overloaded'"):
            self.ask(reply(3, b"overloaded"))

    def test_minds_an_answer_that_is_cut_off(self) -> None:
        with self.assertRaisesRegex(ValueError, "12 bytes instead of 16"):
            self.ask(reply(0, bytes(4)))

    def test_minds_that_nobody_answers(self) -> None:
        with self.assertRaises(TimeoutError):
            self.ask()


if __name__ == "__main__":
    unittest.main()
