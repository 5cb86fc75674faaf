"""Upgrades of some of the servers: the others are neither asked nor changed."""

from __future__ import annotations

import json
from pathlib import Path

from calls import Moorage, write_answers
from fake_server import FakeServers

ONE, TWO = "one.example.test", "two.example.test"
UPGRADE = ("--yes", "--json", "--no-verify")


def test_only_the_chosen_server_is_upgraded(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    file = write_answers(home / "moorage.yml", [ONE, TWO])
    file.write_text(file.read_text() + "ssl: {mode: none}\n")
    applied = moorage("apply", str(file), "--yes", "--no-verify")
    assert applied.code == 0, applied.stderr
    servers[ONE].newest = b"version\t2.8.3-1\nchosen\t2.8.3-1\n"
    before = file.read_text()

    done = moorage("upgrade", str(file), "--limit", ONE, *UPGRADE)

    assert done.code == 0, done.stdout + done.stderr
    assert (servers[ONE].runs, servers[TWO].runs) == (2, 1)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    plan = next(each for each in events if each["event"] == "plan")
    assert [row["text"] for row in plan["expectations"] if row["key"] == "others"] == [TWO]
    assert [each["server"] for each in events[-1]["upgrades"]] == [ONE]
    assert file.read_text() == before.replace("based_on: 1", "based_on: 2")
    unknown = moorage("upgrade", str(file), "--limit", "three", *UPGRADE)
    assert "unknown_server" in unknown.stdout
