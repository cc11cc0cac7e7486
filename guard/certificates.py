"""Pingoo's folder of certificates. A single file that it cannot read keeps all of it from starting."""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Iterable, Iterator


def missing(folder: Path, domains: Iterable[str]) -> list[str]:
    """The domains without a certificate."""
    return [domain for domain in domains if not (folder / f"{domain}.pem").exists()]


def set_aside_damaged(folder: Path) -> list[str]:
    """Renames what Pingoo cannot read to `<name>.damaged`, so that it makes or orders it anew. Returns the names."""
    damaged = [file for file in _damaged(folder) if file.exists()]
    for file in damaged:
        file.replace(file.with_name(f"{file.name}.damaged"))
    return [file.name for file in damaged]


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
