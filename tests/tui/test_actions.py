"""One table of actions: the docs, the palette and the help say what it says."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_server import FakeServers
from opening import opened
from textual import events
from textual.binding import Binding
from textual.command import CommandPalette
from textual.keys import _character_to_key
from textual.widgets import OptionList

from tui.actions import (
    AREAS,
    BROWSER_KEYS,
    SAME_KEYS,
    Action,
    action_of,
    bindings,
    key_in_words,
    updated,
)
from tui.palette import actions_of_screen

DOCS = Path(__file__).parents[2] / "docs" / "wizard.md"
ACTIONS = [(area, each) for area in AREAS for each in AREAS[area].actions]


def test_the_documented_keys_are_those_of_the_wizard() -> None:
    text = DOCS.read_text(encoding="utf-8")
    assert "| R | Apply again on the servers that failed |" in text
    assert text == updated(text), "run: python -m tui.actions docs/wizard.md"


@pytest.mark.parametrize("area", AREAS)
def test_each_key_binding_belongs_to_an_action(area: str) -> None:
    made = [each for each in bindings(area) if isinstance(each, Binding)]
    found = [action_of(each) for each in made]
    assert found == [each for each in AREAS[area].actions if each.keys and each.method]
    assert action_of(Binding("x", "cut")) is None


@pytest.mark.parametrize(("area", "action"), ACTIONS)
def test_every_key_in_the_footer_is_in_the_help(area: str, action: Action) -> None:
    assert action.does or not (action.label or action.title), area
    assert not action.does.endswith("."), area


def test_keys_are_written_as_people_write_them() -> None:
    keys = ("ctrl+b", "N", "slash", "f1", "shift+tab", "delete")
    assert [key_in_words(each) for each in keys] == [
        "Ctrl+B", "Shift+N", "/", "F1", "Shift+Tab", "Delete",
    ]  # fmt: skip


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_help_lists_the_keys_that_work_there(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, size=size) as wizard:
        await wizard.press("f1")
        await wizard.see("Start a new deployment", "Read a deployment from one of its servers")
        assert "Save the answers" not in wizard.text


async def test_keys_for_suggestions_are_listed_only_where_there_are_some(
    servers: FakeServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "web.yml").touch()
    suggest = AREAS["field"].actions[0]
    async with opened(servers) as wizard:
        await wizard.press("o")
        assert suggest in actions_of_screen(wizard.app.screen)
        await wizard.press("escape", "n")
        await wizard.see("Registry name")
        assert suggest not in actions_of_screen(wizard.app.screen)


def test_every_action_has_a_key_that_browsers_leave_alone() -> None:
    kept = [
        each.method for _, each in ACTIONS if each.keys and {*each.keys.split(",")} <= BROWSER_KEYS
    ]
    assert not kept


def test_keys_with_the_meaning_of_another_are_listed_and_have_no_other() -> None:
    assert [each.keys for each in AREAS["same_keys"].actions] == [*SAME_KEYS]
    bound = {key for _, each in ACTIONS if each.method for key in each.keys.split(",")}
    assert not bound & SAME_KEYS.keys()
    assert set(SAME_KEYS.values()) <= bound


async def test_keys_from_less_and_vi_work_outside_text_fields(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        options = wizard.app.screen.query_one(OptionList)
        before = options.highlighted or 0
        await wizard.press("j", "j", "k")
        assert options.highlighted == before + 1
        await wizard.press("?")
        await wizard.see("Start a new deployment", "Help, as F1")
        await wizard.press("q")
        assert wizard.app.screen.query(OptionList)
        await wizard.press(":")
        await wizard.see("New deployment", "Connect to a server")
        assert isinstance(wizard.app.screen, CommandPalette)
        await wizard.press("escape", "q")
        await wizard.see("Press Escape again to leave")
        await wizard.press("q")
        assert wizard.app.return_value == 0


@pytest.mark.parametrize("text", ["jkq.example.com", "?:q"])
async def test_they_are_text_in_text_fields_even_typed_ahead(
    servers: FakeServers, text: str
) -> None:
    async with opened(servers) as wizard:
        for key in ("n", *text):
            wizard.app.post_message(events.Key(_character_to_key(key), key))
        await wizard.see("Registry name", f"▌{text}")
        await wizard.press("escape", "c")
        for key in text:
            wizard.app.post_message(events.Key(_character_to_key(key), key))
        await wizard.see("Connect to a server", f"▌{text}")


async def test_the_palette_begins_with_the_actions_of_the_screen(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        titles = [each.title for each in wizard.app.get_system_commands(wizard.app.screen)]
        assert titles[:5] == ["Add", "Edit", "Remove", "Test the servers", "Next step"]
        assert titles.index("Go to Review") < titles.index("Leave Moorage")
