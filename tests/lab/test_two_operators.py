"""Two people and a CI job with one deployment.

What one did is told to the others, nobody is undone silently, no images are left behind unasked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml
from command_line import PASSWORD, CommandLine
from operator_at_work import Operator

from lab import LabServer

pytestmark = pytest.mark.ready

APPLY = ("apply", "--yes", "--json", "--no-verify")


@pytest.fixture
def call(operator: Operator) -> Iterator[CommandLine]:
    """The command line; the file in version control is moorage.yml, everybody's clone another."""
    operator.leaks.add(PASSWORD, label="the password of ci")
    line = CommandLine(operator, {"MOORAGE_BY": "ana@laptop"})
    yield line
    for process in line.going_on:
        process.kill()
        process.wait()


def answers(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(path.read_text())
    return read


def with_users(path: Path, *names: str, **more: Any) -> None:
    """Write a file with other users and the same base."""
    users = [{"name": name, "password": {"env": "CI_PW"}} for name in ("ci", *names)]
    path.write_text(json.dumps(answers(path) | {"credentials": {"users": users}} | more, indent=2))


def users_of(server: LabServer) -> set[str]:
    read = server.run("cut -d: -f1 /etc/nginx/moorage/htpasswd").stdout.split()
    return set(read)


def record_of(server: LabServer) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(server.run("cat /etc/moorage/deployment.json").stdout)
    return read


def test_changes_by_others_are_shown_and_undone_only_when_accepted(
    call: CommandLine, server: LabServer
) -> None:
    call.write_answers(server)
    call.add_known_hosts(server)
    shared, stale = call.home / "moorage.yml", call.home / "stale.yml"
    with_users(shared)
    assert call(*APPLY, "moorage.yml").code == 0
    assert answers(shared)["based_on"] == 1
    assert {name: record_of(server)[name] for name in ("revision", "by")} == {
        "revision": 1, "by": "ana@laptop",
    }  # fmt: skip
    stale.write_text(shared.read_text())

    # Ana adds two users by her file, Bob one on the servers, which his file follows.
    with_users(shared, "dora", "eve")
    assert call(*APPLY, "moorage.yml").code == 0
    call.environment["MOORAGE_BY"] = "bob@desk"
    add = ("users", "add", "moorage.yml", "flora", "--yes", "--json", "--passwords-to", "flora")
    added = call(*add)
    assert added.code == 0, added.stdout + added.stderr
    assert answers(shared)["based_on"] == 3
    assert record_of(server)["by"] == "bob@desk"
    assert users_of(server) == {"ci", "dora", "eve", "flora"}

    # A pipeline replays the file of before, with another change in it.
    call.environment["MOORAGE_BY"] = "pipeline"
    old = answers(stale)
    old["registry"]["redirect_http"] = False
    stale.write_text(json.dumps(old, indent=2))
    planned = call("plan", "stale.yml", "--json").json
    assert [(each["revision"], each["by"]) for each in planned["missed"]] == [
        (2, "ana@laptop"), (3, "bob@desk"),
    ]  # fmt: skip
    refused = call(*APPLY, "stale.yml")
    assert refused.code == 1
    assert refused.result["error"]["code"] == "removals_not_accepted"
    assert "dora, eve" in refused.result["error"]["message"]
    assert "--accept-removals" in refused.result["error"]["advice"]
    told = call("apply", "stale.yml", "--yes", "--no-verify")
    assert told.code == 1
    assert "2 users are removed: dora, eve." in told.stderr
    assert re.search(r"revision 2, by ana@laptop, .*: added dora, eve", told.stderr)
    assert users_of(server) == {"ci", "dora", "eve", "flora"}
    assert record_of(server)["revision"] == 3

    # A file without a base knows nobody, one that knows them may drop them.
    old.pop("based_on")
    stale.write_text(json.dumps(old, indent=2))
    assert call(*APPLY, "stale.yml").code == 1
    with_users(shared, "eve", "flora")
    knows = call(*APPLY, "moorage.yml")
    assert knows.code == 0, knows.stdout + knows.stderr
    assert users_of(server) == {"ci", "eve", "flora"}
    accepted = call(*APPLY, "--accept-removals", "stale.yml")
    assert accepted.code == 0, accepted.stdout + accepted.stderr
    assert users_of(server) == {"ci"}
    assert answers(stale)["based_on"] == 5

    # What was taken away since comes back only on purpose.
    stale.write_text(json.dumps(answers(stale) | {"based_on": 5}, indent=2))
    copy = stale.read_text()
    assert call("users", "access", "stale.yml", "ci", "pull", "--yes").code == 0
    stale.write_text(copy)
    refused = call(*APPLY, "stale.yml")
    assert refused.code == 1
    assert refused.result["error"]["code"] == "regained_not_accepted"
    assert "ci" in refused.result["error"]["message"]
    assert "--accept-regained" in refused.result["error"]["advice"]
    assert record_of(server)["revision"] == 6
    accepted = call(*APPLY, "--accept-regained", "stale.yml")
    assert accepted.code == 0, accepted.stdout + accepted.stderr

    # Images stay behind only on purpose. What a check leaves behind is none.
    assert call("verify", "stale.yml", "--skip-large-upload").code == 0
    elsewhere = {"storage": {"filesystem": {"path": "/srv/elsewhere"}}}
    with_users(stale, **elsewhere)
    planned = call("plan", "stale.yml", "--json").json
    assert [each["code"] for each in planned["consequences"]] == ["storage_changed"]
    root = "/var/lib/moorage/registry/docker/registry/v2/repositories/app/_manifests/revisions"
    server.run(f"mkdir -p {root}/sha256/aa && touch {root}/sha256/aa/link")
    left = call(*APPLY, "stale.yml")
    assert left.code == 1
    assert left.result["error"]["code"] == "storage_has_images"
    assert "--begin-empty" in left.result["error"]["advice"]
    assert server.run("test -e /srv/elsewhere", check=False).returncode != 0
    begun = call(*APPLY, "--begin-empty", "stale.yml")
    assert begun.code == 0, begun.stdout + begun.stderr
    assert server.run(f"test -e {root}/sha256/aa/link", check=False).returncode == 0


@pytest.mark.deployed
def test_two_plans_of_one_revision_are_not_both_applied(
    operator: Operator, server: LabServer
) -> None:
    first = operator.answers([server])
    second = first.model_copy(
        update={"registry": first.registry.model_copy(update={"redirect_http": False})}
    )
    with operator.open(second) as late:
        plan = late.plan()
        third = first.model_copy(
            update={"registry": first.registry.model_copy(update={"port": 8443})}
        )
        operator.install(third)
        report = late.apply(plan)
    assert report.servers[0].status == "failed"
    assert report.servers[0].code == "changed_meanwhile"
    assert "changed after it was read" in report.servers[0].message
    assert record_of(server)["revision"] == 2

    # Nor when both begin at the same moment.
    with operator.open(first) as one, operator.open(second) as two:
        plans = [(one, one.plan()), (two, two.plan())]
        with ThreadPoolExecutor() as pool:
            reports = list(pool.map(lambda each: each[0].apply(each[1]).servers[0], plans))
    [winner] = [each for each, found in zip((first, second), reports, strict=True) if found.is_good]
    [loser] = [each for each in reports if not each.is_good]
    assert loser.status in {"locked", "failed"}
    assert re.search("is going on|is in progress|changed after it was read", loser.message)
    assert record_of(server)["revision"] == 3
    assert operator.status(server) == 200
    assert not operator.plan(winner).has_changes
