"""Build the archive for the failover service: its code, settings and secrets.

Nothing is installed from a package index: the archive has the required modules of Moorage and the
pure Python packages they import, copied from this machine.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path

import moorage
from moorage.dns.records import Provider
from moorage.errors import MoorageError
from moorage.failover.agent import provider_as_json, task_as_json
from moorage.failover.watch import Task

_PARTS = (
    "__init__.py",
    "errors.py",
    "network.py",
    "rows.py",
    "dns/__init__.py",
    "dns/local_resolver.py",
    "dns/lookup.py",
    "dns/records.py",
    "dns/rfc2136.py",
    "dns/lexicon.py",
    "failover/__init__.py",
    "failover/agent.py",
    "failover/health.py",
    "failover/verdict.py",
    "failover/watch.py",
)
"""The modules of the service."""
_START = "import sys\n\nfrom moorage.failover.agent import main\n\nsys.exit(main(sys.argv[1]))\n"
_LEFT_OUT = {"cryptography", "cffi", "pycparser"}
"""Compiled packages that few of Lexicon's providers need."""


def bundle(task: Task, provider: Provider, unit: bytes) -> bytes:
    """Return a tar archive with the whole service.

    Args:
        task: The task.
        provider: The DNS provider.
        unit: The systemd unit.

    Raises:
        MoorageError: A required package is not installed on this machine.
    """
    secrets = provider_as_json(provider)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        source = Path(moorage.__file__).parent
        for part in _PARTS:
            _add(tar, f"code/moorage/{part}", (source / part).read_bytes())
        _add(tar, "code/__main__.py", _START.encode())
        packages = ["dnspython"] + (["dns-lexicon"] if "lexicon" in secrets else [])
        for package in _with_requirements(packages):
            for name, content in _files(package):
                _add(tar, f"code/{name}", content)
        _add(tar, "task.json", json.dumps(task_as_json(task), indent=1).encode())
        _add(tar, "secrets.json", json.dumps(secrets).encode(), mode=0o600)
        _add(tar, "unit", unit)
    return buffer.getvalue()


def _with_requirements(packages: list[str]) -> Iterator[str]:
    """Yield packages and their requirements, without extras."""
    listed: set[str] = set()
    waiting = list(packages)
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in listed or name in _LEFT_OUT:
            continue
        listed.add(name)
        yield name
        for line in _distribution(name).requires or ():
            requirement, _, marker = line.partition(";")
            if "extra" not in marker and "python_version" not in marker:
                waiting.append(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])


def _distribution(name: str) -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        raise MoorageError(
            f"the service needs the package {name}, which is not installed on this machine.",
            advice="Install Moorage with its dependencies: pipx install moorage.",
            code="package_missing",
        ) from error


def _files(package: str) -> Iterator[tuple[str, bytes]]:
    """Yield a package's files, except for compiled modules."""
    for entry in _distribution(package).files or ():
        name = entry.as_posix()
        is_ours = not name.startswith(("..", "/")) and ".dist-info/" not in name
        if is_ours and "__pycache__" not in name and entry.suffix not in {".so", ".pyc", ".pyd"}:
            path = Path(str(entry.locate()))
            if path.is_file():
                yield name, path.read_bytes()


def _add(tar: tarfile.TarFile, name: str, content: bytes, *, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), mode
    tar.addfile(member, io.BytesIO(content))
