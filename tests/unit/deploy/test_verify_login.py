from __future__ import annotations

from moorage.answers.load import loads
from moorage.answers.secrets import Secret, SecretReference
from moorage.deploy.verify.login import login_for_verify

ANSWERS = """\
version: 1
registry: {domain: registry.example.com}
servers: [{host: 203.0.113.10}]
credentials:
  users:
    - {name: reader, access: pull, password: {env: READER}}
    - {name: team, repositories: [team-a/*], password: {env: TEAM}}
    - {name: away, disabled: true, password: {env: AWAY}}
    - {name: asked, password: {prompt: true}}
    - {name: made, password: {generate: true}}
    - {name: ci, password: {env: CI}}
"""


def resolve(reference: SecretReference, where: str) -> Secret:
    return Secret(f"{reference.env}, {where}")  # type: ignore[union-attr]


def test_the_verifying_user_can_push_everything_and_needs_no_prompt() -> None:
    found = login_for_verify(loads(ANSWERS, "moorage.yml"), {}, resolve)

    assert found is not None
    assert (found[0], found[1].reveal()) == ("ci", "CI, credentials.users[5].password")


def test_a_newly_generated_password_can_verify() -> None:
    made = Secret("just made")

    assert login_for_verify(loads(ANSWERS, "moorage.yml"), {"made": made}, resolve) == (
        "made",
        made,
    )


def test_without_full_push_access_no_user_verifies() -> None:
    kept, _, _ = ANSWERS.partition("    - {name: made")

    assert login_for_verify(loads(kept, "moorage.yml"), {}, resolve) is None
