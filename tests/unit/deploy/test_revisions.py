"""What others changed is taken over into answers; nothing a server says is more than a value."""

from __future__ import annotations

import json
from typing import Any

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.answers.secrets import Generated, Secret
from moorage.deploy.plan.plan import Plan, ServerPlan
from moorage.deploy.record.merge import CaughtUp, catch_up
from moorage.deploy.record.revisions import latest
from moorage.desired import layout
from moorage.desired.state import Materials
from moorage.desired.users import RegistryUser, user_files
from moorage.servers.facts import Facts, ManagedFile

HASH = "$2y$12$" + "a" * 53


def answers(**parts: Any) -> Answers:
    return Answers.model_validate(
        {
            "registry": {"domain": "registry.example.com"},
            "servers": [{"host": "one"}],
            "credentials": {"users": [{"name": "ci", "password": {"hash": HASH}}]},
            "based_on": 1,
            **parts,
        }
    )


def caught(mine: Answers, theirs: Answers, users: list[RegistryUser], **change: Any) -> CaughtUp:
    """Catch up with one change that was made since revision 1."""
    record = {
        "server": "one",
        "revision": 2,
        "history": [{"revision": 2, "by": "bob", "at": "2026-03-02T09:12:40Z", **change}],
        "answers": without_secrets(theirs),
        "users": {"revision": 1, "declared": [user.name for user in users]},
    }
    contents = {**user_files(users), layout.DEPLOYMENT: json.dumps(record).encode()}
    facts = Facts(
        "one",
        files={path: ManagedFile(path, each, 0o640, "root", "root")
               for path, each in contents.items()},
    )  # fmt: skip
    server = ServerPlan("one", facts, None, ())  # type: ignore[arg-type]
    materials = Materials(Secret("h"), Secret("a"))
    return catch_up(mine, Plan((server,), materials, (), latest([facts]), mine.based_on))


def test_users_are_merged_as_they_are_now() -> None:
    mine = answers(
        credentials={
            "users": [
                {"name": "ci", "password": {"hash": HASH}},
                {"name": "gone", "password": {"generate": True}},
                {"name": "mine", "password": {"generate": True}},
            ]
        }
    )
    there = [RegistryUser("ci", "another", "pull"), RegistryUser("dora", "h", "push", ("a/*",))]
    result = caught(mine, mine, there, added=["dora"], removed=["gone"], changed=["ci"])
    users = {user.name: user for user in result.answers.credentials.users}
    assert list(users) == ["ci", "mine", "dora"]
    assert users["ci"].access == "pull"
    assert users["ci"].password == Generated(generate=True)
    assert users["dora"].repositories == ("a/*",)
    assert result.users == ("ci", "gone", "dora")
    assert result.answers.based_on == 2


def test_settings_are_merged_and_operator_only_fields_stay() -> None:
    theirs = answers(
        registry={
            "domain": "registry.example.com",
            "redirect_http": False,
            "environment": {"REGISTRY_LOG_FIELDS_A": {"command": ["reboot"]}},
        },
        servers=[{"host": "elsewhere", "password": {"file": "/etc/shadow"}}],
        hooks=[{"name": "x", "script": "/etc/shadow", "when": ["after_apply"]}],
    )
    places = ["registry.redirect_http", "registry.environment", "servers", "hooks",
              "registry.model_copy", "registry.__class__"]  # fmt: skip
    result = caught(answers(), theirs, [RegistryUser("ci", HASH)], answers=places)
    assert result.places == ("registry.redirect_http",)
    assert result.answers.registry.redirect_http is False
    kept = result.answers.model_copy(update={"based_on": 1})
    assert kept.registry.model_copy(update={"redirect_http": True}) == answers().registry
    assert (kept.servers, kept.hooks) == (answers().servers, ())


def test_names_invalid_in_answers_stay_on_the_servers() -> None:
    there = [RegistryUser("ci", HASH), RegistryUser("robot ci", "h")]
    result = caught(answers(), answers(), there, added=["robot ci", "\x1b[2J"])
    assert not result.has_changes
