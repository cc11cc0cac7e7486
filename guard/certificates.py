"""Pingoo's folder of certificates. A single file that it cannot read keeps all of it from starting."""

from __future__ import annotations

import json
import ssl
import tempfile
from pathlib import Path
from typing import Iterable, Iterator

#: Bytes that a certificate with its chain and its key take at the most, roughly.
_PAIR = 16 * 1024


def missing(folder: Path, domains: Iterable[str]) -> list[str]:
    """The domains of which no certificate is stored that can be read."""
    return [domain for domain in domains if not _is_pair(folder / f"{domain}.pem", folder / f"{domain}.key")]


def has_room(folder: Path, certificates: int) -> bool:
    """Whether so many certificates could be stored, and an account."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            size = _PAIR * (certificates + 1)
            return file.write(bytes(size)) == size
    except OSError:
        return False


def damaged(folder: Path) -> list[str]:
    """Names of the files that Pingoo cannot read."""
    return [file.name for file in _damaged(folder) if file.exists()]


def set_aside(folder: Path, names: Iterable[str]) -> None:
    """Renames files to `<name>.damaged`, so that Pingoo makes or orders anew what was in them."""
    for name in names:
        (folder / name).replace(folder / f"{name}.damaged")


def _damaged(folder: Path) -> Iterator[Path]:
    for certificate in sorted(folder.glob("*.pem")):
        key = certificate.with_suffix(".key")
        if not _is_pair(certificate, key):
            yield from (certificate, key)
    account = folder / "acme.json"
    if account.exists() and not _is_account(account):
        yield account


def _is_pair(certificate: Path, key: Path) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Whether it is strong enough is for those to judge who issue and who connect.
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        # Pingoo knows no password; without one, OpenSSL would ask the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        return False
    return True


def _is_account(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes())["data"]["accounts"], dict)
    except (OSError, ValueError, LookupError, TypeError):
        return False
