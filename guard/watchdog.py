"""When Pingoo is restarted, and how often. Pure."""

from __future__ import annotations

from typing import Any, Mapping


class Backoff:
    """Waits that double, from `first` to `most` seconds, until there was calm for `calm` seconds."""

    def __init__(self, first: float, most: float, calm: float) -> None:
        self._first, self._most, self._calm = first, most, calm
        self._next = first
        self._last: float | None = None

    def wait(self, now: float) -> float:
        """How long to wait, now that it has happened again."""
        if self._last is not None and now - self._last >= self._calm:
            self._next = self._first
        wait, self._next = self._next, min(2 * self._next, self._most)
        self._last = now + wait
        return wait


class Watchdog:
    """Demands a restart where listeners stay blocked although the guard does what it can."""

    def __init__(self, patience: float = 120.0, first: float = 30.0, most: float = 600.0) -> None:
        self._patience = patience
        self._backoff = Backoff(first, most, calm=2 * most)
        self._not_before = float("-inf")

    def demands(self, now: float, report: Mapping[str, Any]) -> str | None:
        """What is wrong, if Pingoo should be restarted for it now. One answer counts as one restart."""
        wrong = next((said for name, one in report["listeners"].items() if (said := self._wrong(name, one))), None)
        if wrong is None or now < self._not_before:
            return None
        self._not_before = now + self._backoff.wait(now)
        return wrong

    def _wrong(self, name: str, one: Mapping[str, Any]) -> str | None:
        if 2 * one["blocked"] > one["open"] > 0:
            return f"{one['blocked']} of {one['open']} {name} listeners accept nobody"
        if one["blocked_for"] >= self._patience:
            return f"a {name} listener has accepted nobody for {one['blocked_for']:.0f} s"
        return None
