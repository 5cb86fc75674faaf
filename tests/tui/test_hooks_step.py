"""Hooks in Advanced: added, edited, refused in words, and in the plan and the saved answers."""

from __future__ import annotations

from pathlib import Path

from fake_server import FakeServers
from opening import opened
from walk import ANSWERS
from wizard_driver import Wizard

from moorage.answers.load import load
from moorage.answers.save import save
from tui.widgets.field import Field


async def test_a_hook_is_added_and_edited_by_keys_alone(servers: FakeServers) -> None:
    Path("tell.sh").write_text("#!/bin/sh\necho told\n")
    async with opened(servers, prefill=ANSWERS) as wizard:
        await _to_the_button(wizard)
        await wizard.press("enter")
        await wizard.see("Add a hook", "The name shown in plans")
        await wizard.type("tell")
        await wizard.press("enter")
        await wizard.type("tell.sh")
        await wizard.press("enter", "ctrl+s")
        await wizard.see("tell  after  tell.sh")
        await wizard.press("e", "tab", "tab", "space", "tab", "space", "tab", "space", "ctrl+s")
        await wizard.see("tell  before, users  tell.sh")
        assert wizard.app.session is not None
        (hook,) = wizard.app.session.draft.answers().hooks
        assert hook.when == ("before_apply", "after_users")
        save(wizard.app.session.draft.answers(), Path("kept.yml"))
        await wizard.press("alt+7")
        await wizard.see("1 hook run")
        await wizard.press("alt+6")
        wizard.app.screen.query_one("EditableTable").focus()
        await wizard.press("d")
        assert wizard.app.session.draft.answers().hooks == ()
    assert load(Path("kept.yml")).hooks == (hook,)


async def test_a_hook_that_cannot_run_is_an_error_beside_its_field(servers: FakeServers) -> None:
    Path("plain.sh").write_text("echo told\n")
    async with opened(servers, prefill=ANSWERS) as wizard:
        await _to_the_button(wizard)
        await wizard.press("enter")
        await wizard.see("The name shown in plans")
        name, script, limit = wizard.app.screen.query(Field)
        await wizard.type("a name")
        await wizard.press("enter")
        await wizard.see("letters, digits and . _ -")
        name.input.value = "tell"
        await wizard.pilot.pause()
        await wizard.press("enter")
        for typed, said in (
            ("nowhere.sh", "cannot be read: no such file"),
            (".", "is a directory"),
            ("plain.sh", "has no interpreter in its first line"),
        ):
            script.input.value = typed
            await wizard.pilot.pause()
            await wizard.press("enter")
            assert said in script.error
        Path("plain.sh").write_text("#!/bin/sh\n")
        limit.input.value = "never"
        await wizard.pilot.pause()
        await wizard.press("ctrl+s")
        assert "whole number" in limit.error
        limit.input.value = ""
        await wizard.press("shift+tab", "shift+tab", "shift+tab", "space", "ctrl+s")
        await wizard.see("Choose at least one")
        await wizard.press("space", "ctrl+s")
        await wizard.see("tell  before  plain.sh")


async def _to_the_button(wizard: Wizard) -> None:
    await wizard.see("1 server:")
    await wizard.press("alt+6")
    wizard.app.screen.query_one("#add").focus()
