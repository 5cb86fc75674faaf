"""What an upgrade is to: the answers, what servers offer, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from moorage.answers.amend import amend
from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.deploy.lifecycle.upgrade import (
    Offer,
    Wish,
    answers_for_packages,
    answers_of_upgrade,
    read_offer,
    targets_of,
)
from moorage.deploy.plan.programs import Target, read_program
from moorage.errors import MoorageError, ServersFailed
from moorage.registry_keys import check_registry
from moorage.registry_keys.version import registry_versions
from moorage.servers.facts import Facts

OLD, NEW = "docker.io/library/registry:2.8", "docker.io/library/registry:3.1.1"


def _answers(runtime: str = "docker", **registry: Any) -> Answers:
    return Answers.model_validate({
        "version": 1,
        "registry": {"domain": "r.example.com", "runtime": runtime, "image": OLD, **registry},
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
    })  # fmt: skip


@pytest.mark.parametrize(
    ("wish", "registry", "image", "version"),
    [
        (Wish(image=NEW), {}, NEW, None),
        (Wish(version="3.1.1"), {}, NEW, None),
        (Wish(), {}, OLD, None),
        (Wish(image=NEW), {"version": "2.8"}, NEW, "3.1"),
        # The tag does not say which version it is.
        (Wish(image="mirror.example.com/registry:stable"), {"version": "2.8"},
         "mirror.example.com/registry:stable", "2.8"),
        (Wish(version="3.0.0"), {"image": "host:5000/app:2"}, "host:5000/app:3.0.0", None),
    ],
)  # fmt: skip
def test_the_answers_of_an_upgrade(
    wish: Wish, registry: dict[str, Any], image: str, version: str | None
) -> None:
    found = answers_of_upgrade(_answers(**registry), wish).registry
    assert (found.image, found.version) == (image, version)


def test_some_servers_get_another_image_until_all_have_it() -> None:
    values = _answers(image_archive="/srv/old.tar", version="2.8").model_dump(mode="json")
    servers = [{"host": "one"}, {"host": "two"}, {"host": "three", "runtime": "package"}]
    s3 = {"bucket": "images", "region": "eu"}
    answers = Answers.model_validate(
        values | {"servers": servers, "storage": {"driver": "s3", "s3": s3}}
    )

    first = answers_of_upgrade(answers, Wish(version="3.1.1"), ["one"])
    assert first.registry == answers.registry
    assert [each.image for each in first.servers] == [NEW, None, None]
    assert registry_versions(first) == ("2.8", "3.1")
    one, two = (first.for_server(each).registry for each in ("one", "two"))
    assert (one.image, one.image_archive, one.version) == (NEW, None, None)
    assert two == answers.registry

    both = answers_of_upgrade(first, Wish(image=NEW), ["two"])
    assert (both.registry.image, both.registry.image_archive) == (NEW, None)
    assert both.registry.version == "3.1"
    assert [each.image for each in both.servers] == [None, None, None]
    assert answers_of_upgrade(first, Wish(image=NEW)).servers == answers.servers
    assert answers_of_upgrade(first, Wish(image=OLD), ["one"]) == answers
    for wish, limit, code in (
        (Wish(archive="/srv/new.tar"), ["one"], "archive_for_all"),
        (Wish(image=NEW), ["three"], "runs_package"),
    ):
        with pytest.raises(MoorageError) as refused:
            answers_of_upgrade(answers, wish, limit)
        assert refused.value.code == code


@pytest.mark.parametrize(
    ("wish", "runtime", "registry", "code"),
    [
        (Wish(image=NEW), "package", {}, "runs_package"),
        (Wish(archive="/srv/x.tar"), "package", {}, "runs_package"),
        (Wish(version="3"), "docker", {"image": "registry"}, "image_without_tag"),
        (Wish(version="3"), "docker", {"image": "host:5000/registry"}, "image_without_tag"),
        (Wish(version="3"), "docker", {"image": f"app@sha256:{'a' * 64}"}, "image_without_tag"),
        (Wish(version="3;reboot"), "docker", {}, "image_without_tag"),
        (Wish(image="a b$(reboot)"), "docker", {}, "image_not_valid"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(
    wish: Wish, runtime: str, registry: dict[str, Any], code: str
) -> None:
    with pytest.raises(MoorageError) as refused:
        answers_of_upgrade(_answers(runtime, **registry), wish)
    assert refused.value.code == code


def test_settings_that_the_new_version_does_not_have_are_named() -> None:
    answers = _answers(settings={"reporting": {"newrelic": {"verbose": True}}})
    assert not check_registry(answers)
    problems = check_registry(answers_of_upgrade(answers, Wish(image=NEW)))
    assert [problem.path for problem in problems] == [("registry", "settings", "reporting")]


def test_what_a_server_offers_is_not_trusted() -> None:
    text = (
        "version\t2.8.3-1\nversion\t2.8.3-1\nversion\t$(reboot)\nversion\t-x\nchosen\t;reboot\n"
        "image\tsha256:\x1b[31mabc\nchanges\tlibc6\nnonsense\nunfetched\t\n"
    )
    found = read_offer(text)
    assert found == Offer(("2.8.3-1",), "", ("libc6",), "sha256:[31mabc", "", "")
    assert read_offer("\0\n\t\n") == Offer()


@pytest.mark.parametrize(
    ("offer", "wish", "code", "says"),
    [
        # The server is not asked for what cannot be a version, and answers with its newest.
        (Offer(("2.8.3-1",), "2.8.3-1"), Wish(version="a b"), "version_not_available",
         "Available: 2.8.3-1."),
        (Offer(("2.8.3-1", "2.8.2-1")), Wish(version="9"), "version_not_available",
         "Available: 2.8.3-1, 2.8.2-1."),
        (Offer(), Wish(), "upgrade_not_possible", ""),
        (Offer(("2.8.3-1",), "2.8.3-1", ("libc6",)), Wish(), "upgrade_needs_more", "apt"),
        (Offer(("2.8.3-1",), "2.8.3-1", failed="held"), Wish(), "upgrade_not_possible", ""),
        (Offer(failed="unauthorized"), Wish(), "upgrade_not_possible", ""),
    ],
)  # fmt: skip
def test_why_a_server_cannot_be_upgraded(offer: Offer, wish: Wish, code: str, says: str) -> None:
    with pytest.raises(ServersFailed) as refused:
        targets_of([Facts("one")], {"one": offer}, wish)
    [error] = refused.value.errors
    assert (error.server, error.code) == ("one", code)
    assert says in (error.advice or "")


def test_a_package_on_hold_is_named_unless_it_is_installed_already() -> None:
    offers = {"one": Offer(("2.8.3-1",), "2.8.3-1")}
    held = Facts("one", held=("docker-registry",), packages={"docker-registry": "2.8.2-1"})
    with pytest.raises(ServersFailed) as refused:
        targets_of([held], offers, Wish())
    [error] = refused.value.errors
    assert (error.code, "is kept at 2.8.2-1" in error.message) == ("on_hold", True)
    there = replace(held, packages={"docker-registry": "2.8.3-1"})
    assert targets_of([there], offers, Wish())["one"].version == "2.8.3-1"


def test_program_env_is_not_trusted() -> None:
    assert read_program(b"") is None
    assert read_program(b"\xff\xfe=\n==\nMOORAGE_PROGRAM\n") is None
    found = read_program(b'MOORAGE_PROGRAM="/a\x1b[31m"\nMOORAGE_PACKAGE_VERSION=1\nX="\n')
    assert found is not None
    assert (found.file, found.package_version, found.runtime) == ("/a[31m", "1", "")


FILE = """\
# Ours
version: 1
registry:
  domain: registry.example.com
  runtime: docker
  # Ana chose it
  image: {image}{note}
{version}servers:
  - host: one   # the first
credentials:
  users:
    - name: ci
      password: {{generate: true}}
"""


@pytest.mark.parametrize(
    ("image", "note", "version"),
    [
        (OLD, "", ""),
        (f'"{OLD}"', "   # official", "  version: '2.8'  # as the tag\n"),
        (f"'{OLD}'", " # x", '  version: "2.8"\n'),
    ],
)
def test_comments_stay_where_values_change(image: str, note: str, version: str) -> None:
    text = FILE.format(image=image, note=note, version=version)
    before = loads(text)
    after = answers_of_upgrade(before, Wish(image=NEW))

    written = amend(text, after)

    assert loads(written) == after
    assert [line.partition("#")[2] for line in written.splitlines()] == [
        line.partition("#")[2] for line in text.splitlines()
    ]


def test_a_value_that_is_not_on_a_line_of_its_own_is_written_anew() -> None:
    text = FILE.replace("  image: {image}{note}\n{version}", "  image: >-\n    {image}\n")
    text = text.format(image=OLD)
    after = answers_of_upgrade(loads(text), Wish(image=NEW))
    assert loads(amend(text, after)) == after
    one_line = json.dumps({
        "version": 1,
        "registry": {"domain": "r.example.com", "runtime": "docker", "image": OLD},
        "servers": [{"host": "one"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
    })  # fmt: skip
    after = answers_of_upgrade(loads(one_line), Wish(image=NEW))
    assert loads(amend(one_line, after)) == after


def _packaged(*hosts: str, **registry: Any) -> Answers:
    values = _answers("package", **registry).model_dump(mode="json")
    s3 = {"bucket": "images", "region": "eu", "regionendpoint": "https://s3.example.com"}
    several = {"servers": [{"host": each} for each in hosts]}
    return Answers.model_validate(values | several | {"storage": {"driver": "s3", "s3": s3}})


@pytest.mark.parametrize(
    ("before", "target", "after"),
    [
        (None, "3.0.0-1", "3.0"),
        (None, "1:3.1.1+ds1-2", "3.1"),
        (None, "3.12.0-1", "3.1"),
        (None, "2.8.3+ds1-1", None),
        ("3", "3.2.0-1", "3"),
        ("3.0", "2.8.3-1", "2.8"),
        # The run finds out.
        (None, "0~git2026-1", None),
    ],
)
def test_a_package_of_another_version_gets_its_configuration(
    before: str | None, target: str, after: str | None
) -> None:
    answers = _packaged("one", "two", version=before)
    targets = {each: Target(target) for each in ("one", "two")}
    assert answers_for_packages(answers, targets).registry.version == after


@pytest.mark.parametrize(
    ("targets", "code", "server"),
    [
        ({"one": "4.0.0-1"}, "version_not_supported", "one"),
        ({"one": "2.7.1+ds2-7"}, "version_not_supported", "one"),
        ({"one": "3.0.0-1"}, "version_for_all", "two"),
        ({"one": "3.0.0-1", "two": "3.1.0-1"}, "version_for_all", "one"),
    ],
)
def test_a_version_that_does_not_fit_is_refused(
    targets: dict[str, str], code: str, server: str
) -> None:
    with pytest.raises(ServersFailed) as refused:
        answers_for_packages(
            _packaged("one", "two"), {name: Target(each) for name, each in targets.items()}
        )
    assert [(each.code, each.server) for each in refused.value.errors] == [(code, server)]
