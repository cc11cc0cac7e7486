"""The container's first process: loads the rules, then runs Pingoo and the guard, and restarts whichever ends or hangs.

Pingoo asks its ACME directory before it opens a listener: without an answer it ends, or waits for ever. It is started
without ACME then, and one with ACME is tried beside it from time to time, which takes over once its listeners are open.
The same is done where an order failed, which Pingoo itself repeats after six hours only. Files that it cannot read are
set aside before each start. What never comes up at all ends the container, which Docker starts again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Coroutine

import certificates
import metrics
import slow
from settings import FOLDER, Settings, read
from sockets import Sockets
from watchdog import Backoff, Watchdog

#: What Pingoo reads when it starts. Put there with ACME; kept aside, as it may be replaced by the rendering without.
_CONFIG = Path("/etc/pingoo/pingoo.yml")
_WITH_ACME, _WITHOUT_ACME = FOLDER / "pingoo-with-acme.yml", FOLDER / "pingoo-without-acme.yml"
_CERTIFICATES = Path("/etc/pingoo/tls")

#: Seconds in which listeners have to open: with something to fall back on, and without, where a new account may take long.
_PATIENCE_WITH_CERTIFICATES, _PATIENCE = 10.0, 60.0
#: Seconds that Pingoo has to end: when the container stops, and when its successor is there. It would itself wait 20 for
#: requests to end, and let nobody in meanwhile; Docker waits 10 before it kills all of the container.
_GRACE, _GRACE_OF_PREDECESSOR = 5.0, 2.0
#: Seconds after which files that a running Pingoo is about to write are whole.
_WRITING = 2.0
#: Seconds without a word from the guard after which it hangs.
_GUARD_PATIENCE = 10.0


def say(text: str) -> None:
    print(f"guard: {text}", file=sys.stderr, flush=True)


def _replace(file: Path, content: bytes) -> None:
    """Writes all of it or, where that fails, nothing. Raises OSError."""
    unfinished = file.with_suffix(".new")
    unfinished.write_bytes(content)
    unfinished.replace(file)


def _with_only(capability: str, *command: str) -> list[str]:
    """A command that keeps one capability."""
    return ["setpriv", f"--bounding-set=-all,+{capability}", "--inh-caps=-all", "--no-new-privs", *command]


class NotUp(Exception):
    """Pingoo has not opened its listeners."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        #: What the container ends with.
        self.code = code


class Pingoo:
    """A running Pingoo."""

    def __init__(self, process: asyncio.subprocess.Process, with_acme: bool) -> None:
        self.process = process
        self.with_acme = with_acme

    @classmethod
    async def start(cls, kernel: Sockets, ports: frozenset[int], with_acme: bool, patience: float, beside: int = 0) -> Pingoo:
        """Returns once all listeners are open, besides those of so many that run already. Raises NotUp."""
        cls._configure(_WITH_ACME if with_acme else _WITHOUT_ACME)
        pingoo = cls(await asyncio.create_subprocess_exec(*_with_only("net_bind_service", "/bin/pingoo")), with_acme)
        deadline = time.monotonic() + patience
        try:
            while pingoo.process.returncode is None and time.monotonic() < deadline:
                if pingoo._is_open(kernel, ports, beside + 1):
                    return pingoo
                await asyncio.sleep(0.02)
        except BaseException:
            await pingoo.kill()
            raise
        code = pingoo.process.returncode
        say(f"Pingoo ended with {code}." if code is not None else f"Pingoo has opened no listener in {patience:g} s.")
        await pingoo.kill()
        raise NotUp(code or 1)

    @staticmethod
    def _configure(rendering: Path) -> None:
        """Raises NotUp. What is there already is not written again, for which a full disk might have no room."""
        content = rendering.read_bytes()
        try:
            if _CONFIG.read_bytes() != content:
                _replace(_CONFIG, content)
        except OSError as error:
            say(f"Pingoo's configuration cannot be written: {error}")
            raise NotUp(1) from None

    @staticmethod
    def _is_open(kernel: Sockets, ports: frozenset[int], times: int) -> bool:
        counts = Counter(one.port for one in kernel.listeners(ports))
        return all(counts[port] >= times for port in ports)

    async def end(self, grace: float) -> int:
        """Asks it to end, and makes it end when it does not. Returns its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            return await asyncio.wait_for(self.process.wait(), grace)
        except asyncio.TimeoutError:
            return await self.kill()

    async def kill(self) -> int:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        return await self.process.wait()


class Supervisor:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._kernel = Sockets()
        self._pingoo: Pingoo | None = None
        self._hung = asyncio.Event()
        self._watchdog = Watchdog()
        self._restarts: Counter[str] = Counter()
        self._rules_loaded = False
        self._report: dict[str, Any] | None = None
        self._heard = float("-inf")
        self._guard_restarts = 0
        #: Of guards that ended, and of the one that runs.
        self._cuts_before: Counter[tuple[str, str, str]] = Counter()
        self._cuts: Counter[tuple[str, str, str]] = Counter()

    async def run(self) -> int:
        """Until it is asked to stop, or nothing more can be done. Returns the exit code."""
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        if not _WITH_ACME.exists():
            _replace(_WITH_ACME, _CONFIG.read_bytes())
        self._load_rules()
        servers = [await self._serve(address) for address in self._settings.metrics_addresses]
        guard = asyncio.create_task(self._keep_guard())
        pingoo = asyncio.create_task(self._keep_pingoo())
        try:
            stopping = asyncio.create_task(stop.wait())
            await asyncio.wait({pingoo, guard, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if guard.done():
                # It never ends by itself. Better none than an unguarded Pingoo: Docker starts both again.
                guard.result()
            if pingoo.done():
                return pingoo.result()
            pingoo.cancel()
            await asyncio.gather(pingoo, return_exceptions=True)
            # The guard goes on meanwhile: Pingoo ends no sooner than the handshakes that stall.
            if self._pingoo and await self._pingoo.end(_GRACE) < 0:
                say(f"Pingoo was still there {_GRACE:g} s after it was asked to end, and was killed.")
            return 0
        finally:
            for task in (guard, pingoo):
                task.cancel()
            await asyncio.gather(guard, pingoo, return_exceptions=True)
            for server in servers:
                if server:
                    server.close()

    # ---- Pingoo

    async def _keep_pingoo(self) -> int:
        crashes = Backoff(first=0.1, most=30, calm=60)
        trials = Backoff(first=10, most=900, calm=3600)
        # Let's Encrypt forgives five failed orders for a name in an hour.
        orders = Backoff(first=300, most=3600, calm=7200)
        try:
            self._pingoo = await self._start()
            while True:
                waiting = self._next_trial(trials, orders)
                self._hung.clear()
                ended = asyncio.create_task(self._pingoo.process.wait())
                try:
                    await asyncio.wait_for(_either(ended, self._hung.wait()), waiting)
                except asyncio.TimeoutError:
                    await self._try_acme(self._pingoo)
                    continue
                finally:
                    ended.cancel()
                reason = "hung" if self._hung.is_set() else "crashed"
                if reason == "crashed":
                    say(f"Pingoo ended with {self._pingoo.process.returncode} and is started again.")
                self._restarts[reason] += 1
                await self._pingoo.kill()
                self._pingoo = None
                await asyncio.sleep(crashes.wait(time.monotonic()))
                self._pingoo = await self._start()
        except NotUp as failed:
            return failed.code

    def _next_trial(self, trials: Backoff, orders: Backoff) -> float | None:
        """Seconds until one with ACME is to be tried, because the one that runs has none or could not order."""
        if not self._pingoo.with_acme:
            return trials.wait(time.monotonic())
        return orders.wait(time.monotonic()) if self._missing() else None

    async def _start(self) -> Pingoo:
        """With ACME where it is wanted and its directory answers. Raises NotUp."""
        self._set_aside(certificates.damaged(_CERTIFICATES))
        domains, ports = self._settings.acme_domains, self._settings.ports
        patience = _PATIENCE_WITH_CERTIFICATES if len(self._missing()) < len(domains) else _PATIENCE
        try:
            return await Pingoo.start(self._kernel, ports, True, patience)
        except NotUp:
            if not domains:
                raise
            say("Pingoo serves the certificates that it has, without ACME, until it can be had again.")
            return await Pingoo.start(self._kernel, ports, False, _PATIENCE)

    def _missing(self) -> list[str]:
        return certificates.missing(_CERTIFICATES, self._settings.acme_domains)

    def _set_aside(self, names: list[str]) -> None:
        certificates.set_aside(_CERTIFICATES, names)
        for name in names:
            say(f"{name} cannot be read and is now {name}.damaged; Pingoo makes or orders what it lacks.")

    async def _try_acme(self, predecessor: Pingoo) -> None:
        """Starts one with ACME beside the one that runs: the kernel lets both listen, and nothing is lost if it fails."""
        missing = self._missing()
        if predecessor.with_acme and not missing:
            return
        # Authorities count orders, and the one that runs may have in memory what it could not store.
        if missing and not certificates.has_room(_CERTIFICATES, len(missing)):
            say(f"{_CERTIFICATES} has no room for what Pingoo would order: {', '.join(missing)}.")
            return
        seen = certificates.damaged(_CERTIFICATES)
        await asyncio.sleep(_WRITING)
        self._set_aside([name for name in certificates.damaged(_CERTIFICATES) if name in seen])
        trial = asyncio.create_task(
            Pingoo.start(self._kernel, self._settings.ports, True, 3 * _PATIENCE_WITH_CERTIFICATES, beside=1)
        )
        try:
            await _either(trial, predecessor.process.wait())
        finally:
            if not trial.done():
                trial.cancel()
                await asyncio.gather(trial, return_exceptions=True)
        if trial.cancelled() or trial.exception():
            return
        successor = trial.result()
        say(
            f"Pingoo orders again what it lacks: {', '.join(self._missing())}."
            if predecessor.with_acme
            else "The ACME directory answers again: Pingoo goes on with ACME."
        )
        self._restarts["acme"] += 1
        self._pingoo = successor
        await predecessor.end(_GRACE_OF_PREDECESSOR)

    # ---- the guard

    def _load_rules(self) -> None:
        problem = slow.load((FOLDER / "rules.nft").read_text("utf-8"))
        if problem and (self._rules_loaded or self._guard_restarts == 0):
            say(f"new connections cannot be shared among the listeners, one of them takes all: {problem}")
        self._rules_loaded = not problem

    async def _keep_guard(self) -> None:
        backoff = Backoff(first=0.1, most=30, calm=60)
        # Its own folder, as this process was started with it.
        command = _with_only("net_admin", sys.executable, "-I", "-B", os.path.dirname(__file__), "guard")
        while True:
            process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            try:
                await self._listen_to(process)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            self._guard_restarts += 1
            self._cuts_before += self._cuts
            self._cuts.clear()
            await asyncio.sleep(backoff.wait(time.monotonic()))
            # Whatever became of the rules: the sets are the new guard's to fill.
            self._load_rules()

    async def _listen_to(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout
        try:
            while line := await asyncio.wait_for(process.stdout.readline(), _GUARD_PATIENCE):
                self._hear(json.loads(line))
            say("the guard ended and is started again.")
        except ValueError:
            # It was ended in the middle of a report.
            say("the guard said something unheard of, and is started again.")
        except asyncio.TimeoutError:
            say(f"nothing was heard of the guard for {_GUARD_PATIENCE:g} s: it is started again.")

    def _hear(self, report: dict[str, Any]) -> None:
        now = self._heard = time.monotonic()
        self._report = report
        self._cuts = Counter({(listener, reason, family): count for listener, reason, family, count in report["cuts"]})
        if self._pingoo and (wrong := self._watchdog.demands(now, report)):
            say(f"{wrong}: Pingoo is started again.")
            self._hung.set()

    # ---- what others see

    async def _serve(self, address: str) -> asyncio.Server | None:
        try:
            return await asyncio.start_server(self._answer, address, self._settings.metrics_port, limit=8192)
        except OSError as error:
            say(f"metrics cannot be served at {address}: {error}")
            return None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            status, body = self._page(head.split(b" ", 2)[1] if head.count(b" ") >= 2 else b"")
            content = body.encode()
            writer.write(
                f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
                f"Content-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content
            )
            await asyncio.wait_for(writer.drain(), 5)
        writer.close()

    def _page(self, path: bytes) -> tuple[str, str]:
        if path == b"/metrics":
            return "200 OK", metrics.render([one.name for one in self._settings.listeners], self._state())
        if path == b"/health":
            guarded = time.monotonic() - self._heard < _GUARD_PATIENCE
            return ("200 OK", "well\n") if self._is_up() and guarded else ("503 Service Unavailable", "not well\n")
        return "404 Not Found", "There are /metrics and /health.\n"

    def _is_up(self) -> bool:
        return self._pingoo is not None and self._pingoo.process.returncode is None

    def _state(self) -> metrics.State:
        return metrics.State(
            report=self._report,
            cuts=self._cuts_before + self._cuts,
            restarts=self._restarts,
            guard_restarts=self._guard_restarts,
            rules_loaded=self._rules_loaded,
            up=self._is_up(),
            without_acme=self._pingoo is not None and not self._pingoo.with_acme,
        )


async def _either(task: asyncio.Task, other: Coroutine) -> None:
    """Waits for the first of them."""
    waiting = asyncio.create_task(other)
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def run() -> int:
    return asyncio.run(_run())


async def _run() -> int:
    code = await Supervisor(read()).run()
    return code if code >= 0 else 128 - code

