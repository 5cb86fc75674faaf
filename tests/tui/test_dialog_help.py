"""F1 in dialogs: what their fields mean, and their keys."""

from __future__ import annotations

from typing import Any

import pytest
from fake_server import FakeServers
from opening import opened
from textual.widgets import Static

from moorage.desired.users import RegistryUser
from screens.users.user_dialogs import AccessDialog, NewUserDialog
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.help_dialog import HelpDialog


def shown(wizard: Any) -> str:
    return "\n".join(str(each.content) for each in wizard.app.screen.query(Static))


async def test_f1_explains_the_fields_of_a_server(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("a")
        await wizard.see("Add a server")
        await wizard.press("f1")
        await wizard.until(lambda: isinstance(wizard.app.screen, HelpDialog), "the help")
        text = shown(wizard)
        assert "Jump host: A jump host, USER@HOST:PORT as in ssh's ProxyJump." in text
        assert "No two servers can have the same." in text
        assert "This machine: the one Moorage runs on." in text
        assert "Next field" in text
        await wizard.press("f1")
        await wizard.see("Add a server")


@pytest.mark.parametrize("dialog", [NewUserDialog, AccessDialog])
async def test_f1_says_what_patterns_of_repositories_mean(
    servers: FakeServers, dialog: Any
) -> None:
    user = RegistryUser("ana", "")
    async with opened(servers) as wizard:
        wizard.app.push_screen(dialog((user,)) if dialog is NewUserDialog else dialog(user))
        await wizard.see("Repositories")
        await wizard.press("f1")
        await wizard.until(lambda: isinstance(wizard.app.screen, HelpDialog), "the help")
        assert "every repository below team-b, at any depth" in shown(wizard)
        assert "Push: can push, pull and delete." in shown(wizard)


async def test_only_fields_that_are_displayed_are_explained(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("alt+2", "a")
        await wizard.see("Add a user")
        await wizard.press("f1")
        await wizard.until(lambda: isinstance(wizard.app.screen, HelpDialog), "the help")
        assert "The user name for docker login." in shown(wizard)
        assert "htpasswd line" not in shown(wizard)


async def test_a_question_mark_lists_the_keys_of_a_question(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        wizard.app.push_screen(ConfirmDialog("Remove", "Really?", "Remove"))
        await wizard.see("Really?")
        await wizard.press("?")
        await wizard.until(lambda: isinstance(wizard.app.screen, HelpDialog), "the help")
        assert "Close without changing anything" in shown(wizard)
