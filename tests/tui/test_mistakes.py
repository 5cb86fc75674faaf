"""Opening an answers file that has mistakes: they are listed, and lead to their fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from opening import opened
from pretend import Servers
from textual.widgets import Input

USERS = "credentials: {users: [{name: ci, password: {generate: true}}]}\n"
MANY = f"""\
version: 1
registry:
  domain: registry_example
  prot: 8443
  redirect_http: maybe
servers: [{{host: alpha, user: deploy}}]
storage: {{driver: s4}}
{USERS}"""


def wrote(home: Path, text: str) -> Path:
    path = home / "mine.yml"
    path.write_text(text)
    return path


async def test_every_mistake_is_listed_and_the_first_field_has_its_error(
    pretend: Servers, home: Path
) -> None:
    async with opened(pretend, path=wrote(home, MANY)) as wizard:
        await wizard.see(
            "mine.yml:3: registry.domain: wanted: a DNS name such as",
            "mine.yml:4: registry.prot: is not known here; did you mean port?",
            "mine.yml:5: registry.redirect_http: wanted: true or false",
            "mine.yml:7: storage.driver: wanted: filesystem or s3",
            "No field has registry.prot",
        )
        await wizard.press("escape")
        await wizard.see("1 of 7", "registry_example", "✗ wanted: a DNS name")
        assert isinstance(wizard.app.focused, Input)
        assert wizard.app.focused.value == "registry_example"
        await wizard.press("alt+3")
        await wizard.see("(•) s4", "✗ wanted: filesystem or s3")
        await wizard.press("up", "alt+6")
        await wizard.see("maybe is neither yes nor no")
        await wizard.press("tab", "tab", "space", "ctrl+n")
        await wizard.see("✗ registry.prot: is not known here", "6 of 7")
        await wizard.press("alt+3")
        assert "s4" not in wizard.text


async def test_keys_that_no_field_has_are_taken_out_when_that_is_said(
    pretend: Servers, home: Path
) -> None:
    text = f"version: 1\nregistry: {{domain: a.example.com, prot: 1}}\nservers: [alpha]\n{USERS}"
    async with opened(pretend, path=wrote(home, text)) as wizard:
        await wizard.see("mine.yml:2: registry.prot", "mine.yml:3: servers[0]")
        await wizard.press("shift+tab", "enter")
        await wizard.see("draft · Advanced")
        await wizard.press("alt+1")
        await wizard.see("alpha")  # what was meant is in its field
        assert wizard.app.session is not None
        assert wizard.app.session.draft.problems == ()
    assert "prot: 1" in (home / "mine.yml").read_text()


@pytest.mark.parametrize(
    ("section", "seen"),
    [
        ("servers: [{host: alpha}, {host: beta, port: ssh}]\nstorage: {driver: s3, s3: "
         "{bucket: abc, region: eu}}\n" + USERS,
         ("Edit the server", "beta", "ssh", "✗ wanted: a whole number")),
        ("servers: [{host: alpha}]\ncredentials: {users: [{name: a na, password: {generate: true}}"
         "]}\n", ("Edit the user", "a na", "✗ ")),
        ("servers: [{host: alpha}]\nstorage: {driver: s3, s3: {bucket: [a, b], region: eu}}\n"
         + USERS, ("3 of 7", "[a, b]", "✗ wanted: text, not a list")),
    ],
)  # fmt: skip
async def test_a_wrong_value_shows_as_it_is_in_its_field(
    pretend: Servers, home: Path, section: str, seen: tuple[str, ...]
) -> None:
    text = f"version: 1\nregistry: {{domain: registry.example.com}}\n{section}"
    async with opened(pretend, path=wrote(home, text)) as wizard:
        await wizard.see("1 mistake in the answers")
        await wizard.press("enter")
        await wizard.see(*seen, seconds=20)
