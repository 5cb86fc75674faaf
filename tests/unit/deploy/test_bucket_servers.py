"""Images in a bucket are only moved with all servers that use it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.images.bucket_run import check_all_servers
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.record.left_servers import find_left, left_record, why_record
from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.servers.facts import Facts, ManagedFile


def answers_of(*hosts: str) -> Answers:
    return Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": host} for host in hosts],
            "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}},
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": {"mode": "none"},
        }
    )


def deployed(label: str, *hosts: str, reached_by: str = "", left: Sequence[object] = ()) -> Facts:
    """The facts of a server that was applied together with others."""
    answers = answers_of(*hosts)
    values = {"server": label, "answers": without_secrets(answers), "left": left}
    record = json.dumps(values).encode()
    file = ManagedFile(str(PurePosixPath(layout.DEPLOYMENT)), record, 0o600, "root", "root")
    return Facts(reached_by or label, files={layout.DEPLOYMENT: file})


def read_from(*servers: Facts) -> ImagesRead:
    return cast(ImagesRead, SimpleNamespace(unreached=(), servers=servers))


def test_a_server_that_is_not_named_keeps_images_from_being_moved() -> None:
    with pytest.raises(MoorageError, match="two is missing") as refused:
        check_all_servers(read_from(deployed("one", "one", "two")))
    assert refused.value.code == "images_server_missing"


def test_another_server_does_not_stand_in_for_a_missing_one() -> None:
    both = read_from(deployed("one", "one", "two"), deployed("three", "three"))
    with pytest.raises(MoorageError, match="two is missing"):
        check_all_servers(both)


def test_all_servers_by_other_names_are_all_servers() -> None:
    one = deployed("one", "one", "two", reached_by="192.0.2.1")
    two = deployed("two", "one", "two", reached_by="192.0.2.2")
    check_all_servers(read_from(one, two))


TWO_LEFT = {"host": "two", "user": "root", "port": 2222, "bucket": "images", "at": "2026-03-02"}


def test_a_server_that_left_keeps_images_from_being_moved() -> None:
    one, two = deployed("one", "one", left=[TWO_LEFT]), deployed("two", "one", "two")
    with pytest.raises(MoorageError, match="two left this deployment on 2026-03-02") as refused:
        check_all_servers(read_from(one))
    assert refused.value.code == "images_server_left"
    assert "moorage uninstall --server root@two:2222" in refused.value.advice
    check_all_servers(read_from(one, two))  # It takes part.


@pytest.mark.parametrize(
    "entry",
    [
        {**TWO_LEFT, "bucket": "other"},
        {**TWO_LEFT, "prefix": "other"},
        {**TWO_LEFT, "host": "two; reboot"},
        {**TWO_LEFT, "host": ["two"]},
        "two",
    ],
)
def test_another_bucket_or_a_strange_entry_keeps_nothing(entry: object) -> None:
    check_all_servers(read_from(deployed("one", "one", left=[entry])))


def test_a_server_stays_remembered_until_it_is_said_to_be_gone() -> None:
    both, alone = answers_of("one", "two"), answers_of("one")
    facts = deployed("one", "one", "two")
    [left] = find_left(alone, [facts])
    assert (left.label, left.bucket, left.at) == ("two", "images", "")
    assert why_record(alone, facts, [left]) == "two left"
    assert not find_left(both, [facts])

    noted = left_record([left], "2026-03-02T10:00:00Z", "ana@desk")
    facts = deployed("one", "one", left=noted)
    [remembered] = find_left(alone, [facts])
    assert remembered.when == " on 2026-03-02 10:00:00 UTC, by ana@desk"
    assert left_record([remembered], "2027-01-01T00:00:00Z", "bob@desk") == noted
    assert not why_record(alone, facts, [remembered])
    assert not find_left(alone, [facts], ["two"])
    assert why_record(alone, facts, []) == "two gone"
    assert why_record(both, facts, find_left(both, [facts])) == "two joined"
    with pytest.raises(MoorageError, match="three has not left"):
        find_left(alone, [facts], ["three"])


def test_a_renamed_server_has_not_left() -> None:
    facts = deployed("two", "one", "two", reached_by="deux")
    assert not find_left(answers_of("one", "deux"), [deployed("one", "one", "two"), facts])
