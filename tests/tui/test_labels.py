"""The wizard speaks of its fields, not of places in an answers file."""

from __future__ import annotations

import re

import pytest
from opening import opened
from pretend import PretendServer, Servers
from test_every_field import DRAFT

from moorage.errors import Problem
from moorage.servers.sudo import password_wrong
from tui.document.draft import Draft
from tui.document.steps import STEPS, Step
from tui.labels import LABELS, in_words, label_of, problem_in_words
from tui.widgets.field import Field
from tui.wizard.frame import WizardFrame
from tui.wizard.step_list import summary_of


def _plain(path: str) -> str:
    return re.sub(r"\[\d+\]", "[]", path)


async def test_every_place_is_called_as_its_field_is(pretend: Servers) -> None:
    async with opened(pretend, prefill=DRAFT) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        seen = 0
        for step in STEPS[:-1]:
            await frame.action_jump(step.value)
            await wizard.pilot.pause()
            for field in frame.pane.query(Field):
                place = field.path or getattr(field, "place", "")
                if place and not place.startswith("ssl.acme.dns.credentials"):
                    assert LABELS.get(_plain(place)) == field.label, place
                    seen += 1
        await wizard.press("alt+1", "a")
        await wizard.see("Add a server")
        for field in wizard.app.screen.query(Field):
            assert LABELS.get(_plain(field.path)) == field.label
            seen += 1
        assert seen > 30


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Set servers[].address to an address that clients can reach.",
         "Set “Public address” (Servers) to an address that clients can reach."),
        ("Register the domain, or set dns.nameservers to its name servers.",
         "Register the domain, or set “Name servers” (DNS) to its name servers."),
        ("Stop nginx, or choose another port in registry.port.",
         "Stop nginx, or choose another port in “Port” (Advanced)."),
        ("With ssl.acme.challenge: dns-01 port 80 is left alone.",
         "With “By DNS” (SSL) port 80 is left alone."),
        ("dns.lexicon.options.auth_token: it is empty", "“auth token” (DNS): it is empty"),
        ("servers[1].sudo_password", "“Server 2, sudo password” (Servers)"),
        ("registry.example.com is up; see ssl.com and dns.google.",
         "registry.example.com is up; see ssl.com and dns.google."),
    ],
)  # fmt: skip
def test_places_in_the_engines_words_become_the_wizards(text: str, words: str) -> None:
    assert in_words(text) == words


def test_a_problem_is_said_with_the_label_of_its_field() -> None:
    assert label_of(("servers", 1, "key")) == "Server 2, Key file"
    problem = Problem(("dns", "nameservers", 0), "wanted: an address")
    assert problem_in_words(problem) == "Name servers: wanted: an address"
    access = Problem(("credentials", "users", 0, "access"), "wanted: push or pull")
    assert problem_in_words(access) == "User 1, Access: wanted: push or pull"
    assert problem_in_words(Problem(("servers",), "wanted: one")) == "Servers: wanted: one"


def test_the_list_of_steps_names_no_library() -> None:
    assert summary_of(Step.DNS, Draft({"dns": {"provider": "lexicon"}})) == "provider"


async def test_connecting_names_no_key_of_a_file(pretend: Servers) -> None:
    pretend["alpha"] = PretendServer("alpha", fault=password_wrong("admin", "alpha"))
    async with opened(pretend, servers_read=(("alpha",), "")) as wizard:
        await wizard.see("sudo does not accept", "Wanted: the", "password admin has on")
        assert "sudo_password" not in wizard.text
