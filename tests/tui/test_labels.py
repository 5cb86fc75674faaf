"""The wizard speaks of its fields, not of places in an answers file."""

from __future__ import annotations

import pytest
from fake_server import FakeServer, FakeServers
from opening import opened
from test_every_field import DRAFT
from textual.widgets import TextArea

from moorage.answers.describe import summary
from moorage.errors import AnswersError, MoorageError, Note, Problem, ServersFailed
from moorage.servers.sudo import password_wrong
from tui.document.draft import Draft
from tui.document.steps import STEPS, Step
from tui.fields import FIELDS, help_of, placeholder_of, plain
from tui.labels import (
    describe_error,
    describe_problem,
    explain,
    field_name,
    label_of,
)
from tui.widgets.field import Field
from tui.wizard.frame import WizardFrame
from tui.wizard.step_list import summary_of


@pytest.mark.parametrize("path", FIELDS)
def test_every_field_exists_in_the_answers(path: str) -> None:
    shown = help_of(path)
    assert summary(path), f"the answers have no {path}, or do not describe it"
    assert not shown or summary(path).endswith("."), shown
    assert len(shown) <= 84, "it takes more than three lines on a small terminal"


def test_a_field_shows_the_default_of_the_answers() -> None:
    assert placeholder_of("registry.port") == "default: 443"
    assert placeholder_of("servers[3].port") == "default: as in ~/.ssh/config, or 22"
    assert placeholder_of("storage.s3.region") == "e.g. eu-central-1"
    assert help_of("servers[0].user") == "The login user: root, or a user with sudo"
    assert "Default: ~/.ssh/config" in help_of("servers[0].key")  # the empty field has an example


async def test_every_path_has_the_label_of_its_field(servers: FakeServers) -> None:
    async with opened(servers, prefill=DRAFT) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        seen = 0
        for step in STEPS[:-1]:
            await frame.action_jump(step.value)
            await wizard.pilot.pause()
            for field in frame.pane.query(Field):
                place = field.path or getattr(field, "place", "")
                if place and not place.startswith("ssl.acme.dns.credentials"):
                    assert FIELDS[plain(place)].label == field.label, place
                    seen += 1
        await wizard.press("alt+1", "a")
        await wizard.see("Add a server")
        for field in wizard.app.screen.query(Field):
            assert FIELDS[plain(field.path)].label == field.label
            seen += 1
        assert seen > 30


@pytest.mark.parametrize(
    ("field", "name"),
    [
        ("servers[].address", "“Public address” (Servers)"),
        ("dns.nameservers", "“Name servers” (DNS)"),
        ("registry.port", "“Port” (Advanced)"),
        ("ssl.acme.challenge", "the step SSL"),
        ("dns.lexicon.options.auth_token", "“auth token” (DNS)"),
        ("servers[1].key", "“Server 2, Key file” (Servers)"),
        ("servers[1].sudo_password", ""),
    ],
)
def test_fields_have_the_wizards_names(field: str, name: str) -> None:
    assert field_name(field) == name


def test_errors_point_to_fields_under_the_wizards_names() -> None:
    fields = ("registry.port", "ssl.mode", "servers[].sudo_password")
    error = MoorageError("it is taken.", advice="Stop it.", fields=fields, server="web1")
    told = "it is taken. Stop it. See “Port” (Advanced) and the step SSL."
    assert explain(error) == told
    assert describe_error(error) == f"web1: {told}"
    both = ServersFailed([error, MoorageError("no.", server="web2")])
    assert describe_error(both) == f"web1: {told}\nweb2: no."
    assert explain(Note("transfers_in_the_way", "It waits.")) == (
        "It waits. Press E in Review to cut them off instead."
    )


def test_a_problem_names_its_field_by_label() -> None:
    assert label_of(("servers", 1, "key")) == "Server 2, Key file"
    problem = Problem(("dns", "nameservers", 0), "wanted: an address")
    assert describe_problem(problem) == "Name servers: wanted: an address"
    access = Problem(("credentials", "users", 0, "access"), "wanted: push or pull")
    assert describe_problem(access) == "User 1, Access: wanted: push or pull"
    host = Problem(("servers", 0, "host"), "wanted: a host", fields=("servers[].user",))
    assert describe_problem(host) == "Server 1, Server: wanted: a host; see “User” (Servers)"
    assert describe_error(AnswersError([problem, access])).count("\n") == 1
    assert describe_problem(Problem(("servers",), "wanted: one")) == "Servers: wanted: one"


def test_the_list_of_steps_names_no_library() -> None:
    assert summary_of(Step.DNS, Draft({"dns": {"provider": "lexicon"}})) == "provider"


async def test_connecting_names_no_key_of_a_file(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", fault=password_wrong("admin", "alpha"))
    async with opened(servers, servers_read=(("alpha",), "")) as wizard:
        await wizard.see("sudo does not accept", "sudo asks for the password admin has on")
        assert "sudo_password" not in wizard.text


def test_a_step_points_to_its_own_fields_below() -> None:
    error = MoorageError("No reply.", fields=("dns.nameservers", "registry.port"))
    told = "No reply. See “Name servers” below and “Port” (Advanced)."
    assert describe_error(error, Step.DNS) == told


async def test_the_line_below_advanced_follows_the_text(servers: FakeServers) -> None:
    async with opened(servers, prefill=DRAFT) as wizard:
        await wizard.press("alt+6")
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        area, below = frame.pane.query_one("#settings", TextArea), frame.pane.query_one(".fault")
        area.text = "hello: [\n"
        await wizard.pilot.pause()
        await wizard.press("ctrl+n")
        await wizard.until(lambda: below.has_class("-shown"), "the problem is below")
        area.text = "log: {level: info}\n"
        await wizard.until(lambda: not below.has_class("-shown"), "it is gone")
