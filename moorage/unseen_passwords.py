"""Users whose generated password was never shown, for example because the terminal was closed.

Holds names only. The passwords are on the servers, as hashes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from moorage.state import private_folder, write_private


def _file() -> Path:
    return private_folder() / "unseen-passwords.json"


def _read() -> dict[str, list[str]]:
    try:
        domains = json.loads(_file().read_text(encoding="utf-8"))
        return {str(domain): [str(name) for name in domains[domain]] for domain in domains}
    except (OSError, ValueError, TypeError):
        return {}


def unseen_passwords(domain: str) -> tuple[str, ...]:
    """Return the users of a registry whose generated password was never shown.

    Args:
        domain: The registry's domain.
    """
    return tuple(_read().get(domain, ()))


def keep_unseen(domain: str, names: Iterable[str]) -> None:
    """Note that passwords are generated, until they are shown.

    Args:
        domain: The registry's domain.
        names: The users.
    """
    if new := tuple(names):
        known = _read()
        _write(known | {domain: list(dict.fromkeys((*known.get(domain, ()), *new)))})


def forget_unseen(domain: str, names: Iterable[str]) -> None:
    """Note that passwords were shown, replaced, or never set.

    Args:
        domain: The registry's domain.
        names: The users.
    """
    known, gone = _read(), set(names)
    if gone & set(known.get(domain, ())):
        _write(known | {domain: [name for name in known[domain] if name not in gone]})


def _write(domains: dict[str, list[str]]) -> None:
    kept = {domain: names for domain, names in domains.items() if names}
    write_private(_file(), json.dumps(kept, indent=1).encode())
