"""Loads a program of the folder above without running it."""

from __future__ import annotations

import types
from pathlib import Path

FOLDER = Path(__file__).parent.parent


def load(name: str, start: str) -> types.ModuleType:
    """Its definitions: what stands before the line that begins with `start`."""
    source, found, _ = (FOLDER / name).read_text().partition(f"\n{start}")
    if not found:
        raise LookupError(f"{name} has no line that begins with {start}")
    program = types.ModuleType(name)
    exec(compile(f"{source}\n", name, "exec"), program.__dict__)
    return program
