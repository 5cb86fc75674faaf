"""What a person wrote into an answers file stays where nothing changes."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from commented_answers import TEXT

from moorage.answers.amend import amend, lost_comments
from moorage.answers.load import loads
from moorage.answers.model import Answers, Credentials, User
from moorage.answers.save import dump
from moorage.answers.secrets import Generated


def _with(**sections: Any) -> Answers:
    return Answers.model_validate(loads(TEXT).model_dump(mode="python") | sections)


def test_only_changed_values_are_rewritten() -> None:
    answers = _with(credentials={"users": [{"name": "ci", "password": {"env": "CI_PW"}}]})

    text = amend(TEXT, answers)

    assert text == TEXT.replace("    - {name: ana, access: pull, password: {generate: true}}\n", "")
    assert loads(text) == answers
    assert not lost_comments(TEXT, text)
    between = TEXT.replace("    - {name: ana", "    # a person\n    - {name: ana")
    assert lost_comments(between, amend(between, answers))


NESTED = """\
version: 1
registry:
    # The name.
    domain: registry.example.test   # as in the DNS
    settings:
        # Quiet.
        log: {level: warn}
        # Not by us.
        http:
            # For the proxy.
            host: https://registry.example.test

    port: 8443    # behind the proxy
servers: [{host: one.example.test}]
# Who may log in.
credentials:
    users:
      - {name: ci, password: {env: CI_PW}}
"""


def test_comments_stay_at_any_depth() -> None:
    before = loads(NESTED)
    settings = {"log": {"level": "debug"}, "http": {"host": "https://other.example.test"},
                "health": {"storagedriver": {"enabled": False}}}  # fmt: skip
    registry = before.registry.model_copy(update={"port": 9443, "settings": settings})
    answers = before.model_copy(update={"registry": registry, "rollout": "all_at_once"})

    text = amend(NESTED, answers)

    assert loads(text) == answers
    assert not lost_comments(NESTED, text)
    for line in (
        "    domain: registry.example.test   # as in the DNS\n",
        "            # For the proxy.\n            host: https://other.example.test\n",
        "    port: 9443    # behind the proxy\n",
    ):
        assert line in text
    back = amend(text, before)
    assert loads(back) == before
    assert not lost_comments(NESTED, back)


ITEMS = """\
version: 1
registry:
  domain: registry.example.test
  runtime: docker
  image: docker.io/library/registry:2.8
  settings: {log: {level: info}}   # how much it logs
  listen: [192.0.2.1]
servers:
  # The first one.
  - host: one.example.test
    user: root  # by key
  # The second one.
  - {host: two.example.test, user: root}   # in the cellar
storage: {driver: s3, s3: {bucket: images, region: eu}}
credentials:
  users:
    - {name: ci, password: {env: CI_PW}}
"""


def test_items_of_lists_change_one_by_one_in_their_own_style() -> None:
    before = loads(ITEMS)
    image = "docker.io/library/registry:3.1.1"
    registry = before.registry.model_copy(
        update={"settings": {"log": {"level": "warn"}}, "listen": ("192.0.2.1", "192.0.2.2")}
    )
    servers = tuple(each.model_copy(update={"image": image}) for each in before.servers)
    answers = before.model_copy(update={"registry": registry, "servers": servers})

    text = amend(ITEMS, answers)

    expected = (
        ITEMS.replace("level: info", "level: warn")
        .replace("[192.0.2.1]", "[192.0.2.1, 192.0.2.2]")
        .replace("    user: root  # by key\n", f"    user: root  # by key\n    image: {image}\n")
        .replace("user: root}", f"user: root, image: '{image}'}}")
    )
    assert text == expected
    assert amend(text, before) == ITEMS
    short = ITEMS.replace("{host: two.example.test, user: root}", "{host: two.example.test}")
    one_key = loads(short).model_copy(update={"servers": (servers[0], servers[1].model_copy(
        update={"user": None})), "registry": registry})  # fmt: skip
    assert amend(short, one_key) == expected.replace("user: root, image", "image")
    only_first = before.model_copy(update={"servers": (servers[0], before.servers[1])})
    assert "# in the cellar" in amend(text, only_first)
    assert loads(amend(text, only_first)) == only_first


USERS = """\
version: 1
registry:
  domain: registry.example.test
servers:
  - host: one.example.test
credentials:
  users:
    # For the builds.
    - {name: ci, password: {generate: true}}
    # zed is from accounting, ask Ann
    - name: zed  # until June
      password: {env: ZED}
    - name: ana
      access: pull   # for now
      password: {env: ANA}
    # More to come.
rollout: all_at_once
"""


def _users(text: str, *names: str) -> Answers:
    before = loads(text)
    of_name = {each.name: each for each in before.credentials.users}
    new = [
        of_name.get(name) or User(name=name, password=Generated(generate=True)) for name in names
    ]
    return before.model_copy(update={"credentials": Credentials(users=tuple(new))})


def test_users_that_stay_are_not_touched() -> None:
    more = amend(USERS, _users(USERS, "ci", "zed", "bob", "ana", "dora"))

    assert more == USERS.replace(
        "    - name: ana\n",
        "    - name: bob\n      password: {generate: true}\n    - name: ana\n",
    ).replace("{env: ANA}\n", "{env: ANA}\n    - name: dora\n      password: {generate: true}\n")
    assert amend(more, _users(USERS, "ci", "zed", "ana")) == USERS
    without_zed = "    # zed is from accounting, ask Ann\n    - name: zed  # until June\n"
    without_zed += "      password: {env: ZED}\n"
    fewer = amend(USERS, _users(USERS, "ci", "ana"))
    assert fewer == USERS.replace(without_zed, "")
    braces = amend(fewer, _users(fewer, "ci"))
    assert amend(braces, _users(braces, "new", "ci")) == braces.replace(
        "    # For the builds.\n",
        "    - {name: new, password: {generate: true}}\n    # For the builds.\n",
    )


def test_any_change_of_the_users_is_written() -> None:
    for names in itertools.permutations(["ci", "zed", "ana", "new"], 3):
        answers = _users(USERS, *names)
        assert loads(amend(USERS, answers)) == answers


def test_a_new_section_goes_to_the_end() -> None:
    more = _with(ssl={"mode": "none"})

    text = amend(TEXT, more)

    assert text.startswith(TEXT)
    assert loads(text) == more
    assert not lost_comments(TEXT, text)
    assert amend(text, more) == text
    assert loads(amend(text, loads(TEXT))) == loads(TEXT)


@pytest.mark.parametrize(
    "text",
    [
        '{"registry": {"domain": "registry.example.test"}, '
        '"servers": [{"host": "one.example.test", "user": "root"}], '
        '"credentials": {"users": [{"name": "x", "password": {"generate": true}}]}}',
        "registry: [",
        "",
        TEXT.removesuffix("\n"),
        TEXT.replace("\n", "\r\n"),
    ],
)
def test_any_file_contains_the_answers_after_saving(text: str) -> None:
    answers = _with(rollout="all_at_once", ssl={"mode": "none"})

    assert loads(amend(text, answers)) == answers


def test_json_stays_json() -> None:
    users = [{"name": "ci", "password": {"env": "CI_PW"}}]
    text = json.dumps(
        {
            "version": 1,
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "203.0.113.10"}],
            "credentials": {"users": users},
        }
    )
    answers = loads(text)
    more = [*users, {"name": "ana", "password": {"generate": True}}]
    wanted = Answers.model_validate(
        {**answers.model_dump(mode="json"), "credentials": {"users": more}, "based_on": 3}
    )
    written = amend(text, wanted)
    assert [user["name"] for user in json.loads(written)["credentials"]["users"]] == ["ci", "ana"]
    assert loads(written) == loads(dump(wanted))
