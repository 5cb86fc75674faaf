"""Every field of every step, given nothing, something wrong, something hostile and 10 kB."""

from __future__ import annotations

import pytest
from fake_server import FakeServers
from opening import opened
from textual.widgets import TextArea
from wizard_driver import Wizard

from tui.document.steps import STEPS
from tui.widgets.field import Field
from tui.wizard.frame import WizardFrame

VALUES = {
    "nothing": "",
    "wrong": "no such thing !",
    "markup and shell": "[/red][bold]x[$(reboot); `id` '\"|&",
    "control": "a\x1b[2J\u202eb\x00c",
    "10 kB": "x" * 10_240,
}
DRAFT = {
    "version": 1,
    "registry": {"domain": "registry.example.com", "runtime": "docker"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
    "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "us-east-1"}},
    "ssl": {"mode": "files", "files": {"certificate": "a.pem", "key": "b.pem"}},
    "ask": ["servers"],
}


async def give(wizard: Wizard, field: Field, value: str) -> None:
    """Put a value in and leave the field."""
    field.focus()
    field.input.value = value
    await wizard.press("tab")


@pytest.mark.parametrize("kind", VALUES)
async def test_every_field_of_every_step_accepts_or_explains_odd_input(
    servers: FakeServers, kind: str
) -> None:
    value = VALUES[kind]
    async with opened(servers, prefill=DRAFT) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        tried = 0
        for step in STEPS[:-1]:
            await frame.action_jump(step.value)
            await wizard.pilot.pause()
            for field in frame.pane.fields:
                before = field.value
                await give(wizard, field, value)
                assert wizard.app.is_running
                if field.error:
                    # What would be right, not only that it is wrong.
                    assert len(field.error.split()) > 2, (field.label, field.error)
                    assert field.error.lower() != "invalid"
                elif value and kind != "10 kB":
                    draft = wizard.app.session.draft  # type: ignore[union-attr]
                    assert draft.text(field.path) == value.strip(), field.label
                field.input.value = before
                tried += 1
            await wizard.pilot.pause()
            for area in frame.pane.query(TextArea):
                area.text = value
                await wizard.pilot.pause()
                area.text = ""
        assert tried >= 10
        await wizard.press("alt+7")
        await wizard.pilot.pause()
        assert wizard.app.is_running


@pytest.mark.parametrize(
    ("step", "title", "question"),
    [
        ("servers", "Add a server", "Where should the registry run?"),
        ("credentials", "Add a user", "Who can log in?"),
        ("advanced", "Add a hook", "Any special requirements?"),
    ],
)
async def test_every_field_of_a_dialog_accepts_or_explains_odd_input(
    servers: FakeServers, step: str, title: str, question: str
) -> None:
    async with opened(servers, prefill=DRAFT) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        await frame.action_jump(step)
        frame.pane.query_one("#add").focus()
        await wizard.press("enter")
        await wizard.see(title)
        for value in VALUES.values():
            for field in wizard.app.screen.query(Field):
                if not field.region.area:
                    continue  # for another choice
                await give(wizard, field, value)
                assert not field.error or len(field.error.split()) > 2
        await wizard.press("escape")
        await wizard.see(question)


async def test_the_connect_dialog_accepts_or_explains_odd_input(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("c")
        field = wizard.app.screen.query_one("#address", Field)
        for value in VALUES.values():
            field.show_error("")
            field.input.value = value
            await wizard.press("ctrl+s")
            await wizard.until(lambda: field.error.endswith("in brackets."), "it is explained")
