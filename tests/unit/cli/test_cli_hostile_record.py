"""What a server recorded is shown and nothing more: no program, no file, no connection."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from bait import DEPLOYED, Bait, watched
from calls import Moorage, write_answers
from fake_server import FakeServers

from moorage.desired import layout
from moorage.desired.users import RegistryUser, user_files
from moorage.failover.service import ServiceStatus

HOST, OTHER = "one.example.test", "baited.example.test"
CI = RegistryUser("ci", "$2y$12$" + "a" * 53, "push")
HOOK = b"#!/bin/sh\n"


@pytest.fixture
def bait(home: Path) -> Iterator[Bait]:
    """Bait in the operator's home."""
    bait = Bait(home)
    yield bait
    bait.close()


def _put(servers: FakeServers, bait: Bait, *others: dict[str, object]) -> None:
    """Make HOST a server with that record."""
    files = {**user_files([CI]), layout.hook_path("told"): HOOK}
    digests = {path: hashlib.sha256(content).hexdigest() for path, content in files.items()}
    record = bait.record(HOST, *others, digests=digests)
    servers[HOST].files = {**files, **DEPLOYED, layout.DEPLOYMENT: record}


@pytest.mark.parametrize(
    "words",
    [
        ("users", "list"), ("users", "list", "--json"), ("users", "disable", "ci", "--yes"),
        ("users", "export", "--to", "out"), ("status",), ("status", "--json"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "others", [(), ({"host": OTHER},), ({"host": OTHER, "connection": "local"},)]
)
def test_a_hostile_record_runs_opens_and_connects_to_nothing(
    moorage: Moorage, servers: FakeServers, bait: Bait, words: tuple[str, ...],
    others: tuple[dict[str, object], ...],
) -> None:  # fmt: skip
    _put(servers, bait, *others)
    group, *rest = words

    with watched(bait.port) as seen:
        at = 1 if rest and not rest[0].startswith("-") else 0
        outcome = moorage(group, *rest[:at], "--server", f"root@{HOST}", *rest[at:])

    assert seen == []
    assert bait.is_untouched
    assert set(servers) == {HOST}
    for server in servers.opened:
        assert server.connection == "ssh"
        assert {server.key, server.passphrase, server.password, server.sudo_password,
                server.jump, server.address} == {None}  # fmt: skip
    assert not {"\x1b", "\x07", "\x9b"} & set(outcome.stdout + outcome.stderr)
    if not others and words[0] == "users" and "disable" not in words:
        assert outcome.code == 0, outcome.stderr


@pytest.mark.parametrize(
    "record",
    [
        b"[" * 100_000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b"x" * 9_000_000,
        b'{"users": {"revision": ' + b"9" * 4000 + b"}}", b'{"users": {"revision": 1e999}}',
        b'{"users": NaN}', b"\xff\xfe", b"null", b'{"answers": {"registry": 1}}',
        b'{"deployed_at": "0001-01-01T00:00:00", "users": [], "digests": 7, "domain": {}}',
        b'{"users": {"revision": true, "declared": [{}], "missed": "x"}}',
    ],
)  # fmt: skip
def test_an_invalid_record_is_reported(
    moorage: Moorage, servers: FakeServers, record: bytes
) -> None:
    servers[HOST].files = {**user_files([CI]), **DEPLOYED, layout.DEPLOYMENT: record}

    users = moorage("users", "list", "--server", f"root@{HOST}")
    status = moorage("status", "--server", f"root@{HOST}", "--json")

    assert users.code == 1
    assert "contains no usable answers" in users.stderr
    assert status.code == 1
    assert "unexpected" not in status.stdout
    if not record.startswith(b'{"'):
        assert "deployment.json cannot be read" in status.stdout


@pytest.mark.parametrize(
    "known",
    [
        {"servers": [1, {}, {"is_in": [], "server": "\x1b[2J"}], "record": [{}], "name": 7},
        {"servers": "x", "record": 1, "problem": {"a": "\x9b"}},
    ],
)
def test_any_answer_of_a_failover_machine_is_shown(
    moorage: Moorage, servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch,
    known: dict[str, object],
) -> None:  # fmt: skip
    file = write_answers(home / "two.yml", [HOST, "two.example.test"])
    told = ServiceStatus("active", known)
    monkeypatch.setattr("moorage.failover.service.status", lambda *_: told)

    shown = moorage("failover", "status", str(file), "--on", "root@watcher.example.test")
    value = moorage("failover", "status", str(file), "--on", "root@watcher.example.test", "--json")

    assert (shown.code, value.code) == (1, 1)
    assert "unexpected" not in value.stdout
    assert not {"\x1b", "\x9b"} & set(shown.stdout + shown.stderr + value.stdout)
