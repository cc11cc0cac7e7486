"""The guard's metrics in Prometheus' text format. Pure."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, NamedTuple

REASONS = ("silent", "handshake", "crowd")
FAMILIES = ("ipv4", "ipv6")
RESTARTS = ("crashed", "hung", "acme")


class State(NamedTuple):
    """What is to be told."""

    #: The guard's last report; nothing before the first.
    report: Mapping[str, Any] | None
    #: Cut off so far, by (listener, reason, family).
    cuts: Mapping[tuple[str, str, str], int]
    #: Restarts of Pingoo so far, by reason.
    restarts: Mapping[str, int]
    guard_restarts: int
    rules_loaded: bool
    up: bool
    without_acme: bool


def render(listeners: Iterable[str], state: State) -> str:
    names = list(listeners)
    families: list[str] = []

    def family(name: str, kind: str, help: str, samples: Iterable[tuple[Mapping[str, str], float]]) -> None:
        lines = [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
        for labels, value in samples:
            text = ",".join(f'{key}="{text}"' for key, text in labels.items())
            lines.append(f"{name}{{{text}}} {value:g}" if text else f"{name} {value:g}")
        families.append("\n".join(lines))

    def gauge(name: str, help: str, value: float) -> None:
        family(name, "gauge", help, [({}, value)])

    gauge("pingoo_up", "1 while Pingoo runs and all its listeners were open.", state.up)
    gauge("pingoo_without_acme", "1 while Pingoo runs without ACME, because its directory does not answer.", state.without_acme)
    family(
        "pingoo_restarts_total", "counter", "Restarts of Pingoo inside its container.",
        [({"reason": reason}, state.restarts.get(reason, 0)) for reason in RESTARTS],
    )
    family("pingoo_guard_restarts_total", "counter", "Restarts of the guard.", [({}, state.guard_restarts)])
    gauge("pingoo_guard_rules_loaded", "1 where new connections are shared among the listeners.", state.rules_loaded)
    family(
        "pingoo_guard_cuts_total", "counter", "Stalled connections that were ended.",
        [
            ({"listener": name, "reason": reason, "family": of}, state.cuts.get((name, reason, of), 0))
            for name in names for reason in REASONS for of in FAMILIES
        ],
    )
    report = state.report
    if report is not None:
        gauge("pingoo_guard_can_destroy", "1 where the kernel lets the guard end connections.", report["can_destroy"])
        gauge("pingoo_guard_look_seconds", "Duration of the last look at all sockets.", report["seconds"])
        family(
            "pingoo_guard_slow_clients", "gauge", "Clients that share the slow listeners, because they stalled.",
            [({"family": of}, report["slow"][of]) for of in FAMILIES],
        )
        for key, name, help in (
            ("open", "pingoo_guard_listeners", "Listeners that share a published port."),
            ("blocked", "pingoo_guard_listeners_blocked", "Of these, those that have accepted nobody for long."),
            ("connections", "pingoo_guard_connections", "Accepted connections."),
            ("queue", "pingoo_guard_queue", "Connections that wait to be accepted."),
        ):
            family(name, "gauge", help, [({"listener": one}, report["listeners"][one][key]) for one in names])
    return "\n".join(families) + "\n"
