"""Names in this machine's /etc/hosts, which tests in several processes change concurrently."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HOSTS = Path("/etc/hosts")


@contextmanager
def name_in_hosts(name: str) -> Iterator[Callable[[str], None]]:
    """Yield a function that sets a name's address; the name is removed at the end.

    Args:
        name: A name that no other test uses.
    """
    try:
        yield lambda address: _set(name, f"{address} {name}\n")
    finally:
        _set(name, "")


def _set(name: str, line: str) -> None:
    with HOSTS.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        others = [each for each in file.readlines() if name not in each.split()]
        if others and not others[-1].endswith("\n"):
            others[-1] += "\n"
        file.seek(0)
        file.write("".join([*others, line]))
        file.truncate()
