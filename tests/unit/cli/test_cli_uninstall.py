"""Uninstalls: which registry goes, and what the operator is told about other servers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from calls import Moorage, write_answers
from fake_server import FakeServers, deploy

from moorage.desired import layout

ONE, TWO = "one.example.test", "two.example.test"
OTHER = "other.example.test"
BY_SERVER = ("uninstall", f"--server=root@{ONE}", f"--server=root@{TWO}")


@pytest.fixture
def other_file(home: Path) -> Path:
    """Answers for another registry on the same server, with a key."""
    path = write_answers(home / "other.yml", [ONE])
    (home / "id").touch()
    text = path.read_text().replace("registry.example.test", OTHER)
    path.write_text(text.replace("user: root", f"user: root, key: {home}/id"))
    return path


@pytest.mark.parametrize("command", ["uninstall", "upgrade", "rollback"])
def test_the_registry_of_other_answers_stays(
    command: str, moorage: Moorage, answers_file: Path, other_file: Path, servers: FakeServers
) -> None:
    deploy(servers[ONE], answers_file)
    before = dict(servers[ONE].files)

    refused = moorage(command, str(other_file), "--yes", "--json")

    assert refused.code == 1, refused
    error = refused.result["error"]
    assert error["code"] == "other_registry", error
    expected = f"it serves registry.example.test, but these answers are for {OTHER}"
    assert expected in error["message"]
    assert (servers[ONE].runs, servers[ONE].files) == (0, before)


def test_another_registry_is_removed_by_the_command_in_the_advice(
    moorage: Moorage, answers_file: Path, other_file: Path, servers: FakeServers
) -> None:
    deploy(servers[ONE], answers_file)
    refused = moorage("uninstall", str(other_file), "--yes", "--images", "--json")
    advice = refused.result["error"]["advice"]
    words = shlex.split(advice.split("'")[1])

    assert moorage(*words[1:], "--yes").code == 0
    assert words[1:] == ["uninstall", "--server", f"root@{ONE}", "--key", f"{other_file.parent}/id"]
    assert not servers[ONE].files


def test_registries_of_two_names_are_not_removed_together(
    moorage: Moorage, answers_file: Path, home: Path, servers: FakeServers
) -> None:
    deploy(servers[ONE], answers_file)
    second = write_answers(home / "second.yml", [TWO])
    deploy(servers[TWO], second)
    for path, content in servers[TWO].files.items():
        servers[TWO].files[path] = content.replace(b"registry.example.test", OTHER.encode())

    for words in (BY_SERVER, ("diff", *BY_SERVER[1:])):
        yes = () if words[0] == "diff" else ("--yes",)
        refused = moorage(*words, *yes, "--json")
        assert refused.code == 1, refused
        assert refused.result["error"]["code"] == "other_registry"
        assert f"it serves {OTHER}, but {ONE} serves registry" in refused.result["error"]["message"]
    assert servers[ONE].runs == servers[TWO].runs == 0

    servers[TWO].files = dict(servers[ONE].files)
    assert moorage(*BY_SERVER, "--yes").code == 0
    assert servers[ONE].runs == servers[TWO].runs == 1


def test_others_are_named_only_if_they_may_serve(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    both = write_answers(home / "both.yml", [ONE, TWO])
    for host in (ONE, TWO):
        deploy(servers[host], both)
    refused = moorage("uninstall", str(both), "--limit", TWO, "--images", "--yes", "--json")
    error = refused.result["error"]
    assert error["code"] == "images_in_bucket"
    assert f"Delete nothing there before these are uninstalled, too: {ONE}" in error["advice"]

    first = moorage("uninstall", *BY_SERVER[2:], "--yes")
    assert f"still served by {ONE}, its record has {TWO}." in first.stdout
    assert f"moorage apply FILE --gone {TWO}" in first.stdout
    refused = moorage("uninstall", str(both), "--images", "--yes", "--json")
    assert "Then delete the objects" in refused.result["error"]["advice"]
    rest = moorage("uninstall", str(both), "--yes", "--json")

    assert rest.code == 0, rest
    assert rest.result["remembered"] == []
    assert not servers[ONE].files


def test_a_server_that_left_uses_the_bucket(
    moorage: Moorage, home: Path, servers: FakeServers
) -> None:
    both = write_answers(home / "both.yml", [ONE, TWO])
    deploy(servers[ONE], both)
    deploy(servers[TWO], both)
    for host in (ONE, TWO):
        record = json.loads(servers[host].files[layout.DEPLOYMENT])
        record["left"] = [{"host": "three.example.test", "bucket": "images"}]
        servers[host].files[layout.DEPLOYMENT] = json.dumps(record).encode()

    refused = moorage("uninstall", str(both), "--images", "--yes", "--json")

    assert "uninstalled, too: three.example.test." in refused.stdout
    done = moorage("uninstall", str(both), "--yes", "--json")
    assert done.result["remembered"] == []
