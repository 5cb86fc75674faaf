"""Images in a bucket are only moved with all servers that use it."""

from __future__ import annotations

import json
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import cast

import pytest

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.deploy.images.bucket_run import check_all_servers
from moorage.deploy.images.read import ImagesRead
from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.servers.facts import Facts, ManagedFile


def deployed(label: str, *hosts: str, reached_by: str = "") -> Facts:
    """The facts of a server that was applied together with others."""
    answers = Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": host} for host in hosts],
            "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}},
            "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            "ssl": {"mode": "none"},
        }
    )
    record = json.dumps({"server": label, "answers": without_secrets(answers)}).encode()
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
