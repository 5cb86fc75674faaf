"""Opening an answers file that has mistakes: they are listed, and lead to their fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fake_server import FakeServers
from opening import opened
from textual.widgets import Input
from walk import ANSWERS

from tui.widgets.choice import Choice

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
    servers: FakeServers, home: Path
) -> None:
    async with opened(servers, path=wrote(home, MANY)) as wizard:
        await wizard.see(
            "mine.yml:3: registry.domain: must be a DNS name such as",
            "mine.yml:4: registry.prot: unknown key; did you mean port?",
            "mine.yml:5: registry.redirect_http: must be true or false",
            "mine.yml:7: storage.driver: must be filesystem or s3",
            "No field for registry.prot",
        )
        await wizard.press("escape")
        await wizard.see("1 of 7", "registry_example", "✗ must be a DNS name")
        assert isinstance(wizard.app.focused, Input)
        assert wizard.app.focused.value == "registry_example"
        await wizard.press("alt+3")
        await wizard.see("(•) s4", "✗ must be filesystem or s3")
        await wizard.press("up", "alt+6")
        await wizard.see("maybe is not yes or no")
        await wizard.press("tab", "tab", "space", "ctrl+n")
        await wizard.see("✗ registry.prot: unknown key", "6 of 7")
        await wizard.press("alt+3")
        assert "s4" not in wizard.text


async def test_keys_without_a_field_are_removed_when_confirmed(
    servers: FakeServers, home: Path
) -> None:
    text = f"version: 1\nregistry: {{domain: a.example.com, prot: 1}}\nservers: [alpha]\n{USERS}"
    async with opened(servers, path=wrote(home, text)) as wizard:
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
         "{bucket: abc, region: eu-west-1}}\n" + USERS,
         ("Edit the server", "beta", "ssh", "✗ must be a whole number")),
        ("servers: [{host: alpha}]\ncredentials: {users: [{name: a na, password: {generate: true}}"
         "]}\n", ("Edit the user", "a na", "✗ ")),
        ("servers: [{host: alpha}]\nstorage: {driver: s3, s3: {bucket: [a, b], region: us-east-1}}"
         "\n" + USERS, ("3 of 7", "[a, b]", "✗ must be text, not a list")),
    ],
)  # fmt: skip
async def test_a_wrong_value_shows_as_it_is_in_its_field(
    servers: FakeServers, home: Path, section: str, seen: tuple[str, ...]
) -> None:
    text = f"version: 1\nregistry: {{domain: registry.example.com}}\n{section}"
    async with opened(servers, path=wrote(home, text)) as wizard:
        await wizard.see("1 mistake in the answers")
        await wizard.press("enter")
        await wizard.see(*seen)


async def test_an_invalid_step_shows_its_errors_when_reopened(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry_example")
        await wizard.press("alt+3", "down", "alt+2")
        assert not re.search("✗ (expected|must|wanted)", wizard.text)
        await wizard.press("alt+1")
        await wizard.see("✗ must be a DNS name", "✗ Servers: add at least one server")
        assert isinstance(wizard.app.focused, Input)
        assert wizard.app.focused.value == "registry_example"
        await wizard.press("alt+3")
        await wizard.see("Bucket", "✗ expected the name of the bucket")
        assert isinstance(wizard.app.focused, Choice)
        await wizard.press("up", "alt+2", "alt+3", "down")
        assert not re.search("✗ (expected|must|wanted)", wizard.text)


@pytest.mark.parametrize(
    ("section", "step", "seen"),
    [
        ("servers: [{host: alpha, port: ssh}]\n" + USERS, "alt+1",
         ("Edit the server", "✗ must be a whole number")),
        ("servers: [{host: alpha}]\ncredentials: {users: [{name: a, access: all, password: "
         "{hash: none}}]}\n", "alt+2",
         ("Edit the user", "✗ must be push or pull", "none", "✗ must be a bcrypt")),
        (f"servers: [{{host: alpha}}]\nhooks: [{{name: a b, script: /x, when: []}}]\n{USERS}",
         "alt+6", ("Edit the hook", "a b", "✗ Choose at least one")),
    ],
)  # fmt: skip
async def test_problems_of_an_entry_are_shown_in_its_dialog(
    servers: FakeServers, home: Path, section: str, step: str, seen: tuple[str, ...]
) -> None:
    text = f"version: 1\nregistry: {{domain: registry.example.com}}\n{section}"
    async with opened(servers, path=wrote(home, text), size=(120, 50)) as wizard:
        await wizard.see("in the answers")
        await wizard.press("escape")
        await wizard.see(*seen)
        await wizard.press("escape", "alt+7", step)
        wizard.app.screen.query("EditableTable").last().focus()
        await wizard.press("e")
        await wizard.see(*seen)


EIGHT = f"""\
version: 1
registry: {{domain: registry.example.com, prot: 1, imgae: 2, hots: 3, aeiou: 4, redirect: 5}}
servers: [{{host: alpha}}]
storage: {{driver: s3, s3: {{bucket: [a], region: [b], rootdirectory: [c]}}}}
{USERS}"""


async def test_more_mistakes_than_fit_scroll_by_keys(servers: FakeServers, home: Path) -> None:
    async with opened(servers, path=wrote(home, EIGHT)) as wizard:
        await wizard.see("8 mistakes in the answers", "↑↓ Scroll")
        assert "storage.s3.rootdirectory" not in wizard.text
        for key, back in (("end", "home"), ("pagedown", "pageup")):
            await wizard.press(key)
            await wizard.see("storage.s3.rootdirectory", "No field for")
            await wizard.press(back)
            await wizard.see("mine.yml:2: registry.prot")
        await wizard.press("down", "down")
        await wizard.see("storage.s3.bucket")
        assert "The file stays" not in wizard.text


async def test_closing_the_list_shows_the_first_mistake(servers: FakeServers, home: Path) -> None:
    storage = "storage: {driver: s3, s3: {bucket: abc, region: eu-west-1, rootdirectory: [c]}}\n"
    text = f"version: 1\nregistry: {{domain: a.example.com}}\nservers: [{{host: a}}]\n{storage}"
    async with opened(servers, path=wrote(home, text + USERS)) as wizard:
        await wizard.see("1 mistake in the answers")
        await wizard.press("enter")
        await wizard.see("Prefix", "[c]", "✗ must be text, not a list")


async def test_placeholders_are_cut_only_at_the_edge(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.press("alt+6", "down")
        await wizard.see("default: docker.io/library/registr…")
