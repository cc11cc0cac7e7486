"""Self-signed certificates as Pingoo has them in its folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import kernel  # noqa: F401, with the path to the modules under test


def issue(folder: Path, name: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
         "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"],
        check=True, capture_output=True,
    )
