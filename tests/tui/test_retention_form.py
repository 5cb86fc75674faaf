"""The retention rules and the schedule of collections in the wizard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_server import FakeServer, FakeServers, some_user
from opening import opened
from sample_images import sample_images
from walk import ANSWERS
from wizard_driver import SIZES, Wizard

from tui.document import store
from tui.document.draft import Draft
from tui.widgets.field import Field

RULE = {"repositories": ["team-a/*"], "keep": {"last": 3, "tags": ["v*"]}}
COLLECT = {"when": "Sun 03:00", "young": "48h"}


def _draft(**more: Any) -> dict[str, Any]:
    return {**ANSWERS, "storage": {"driver": "filesystem"}, "ask": ["storage"], **more}


async def _saved(wizard: Wizard, home: Path) -> Any:
    await wizard.press("ctrl+s")
    await wizard.see("Save the answers")
    await wizard.press("enter")
    await wizard.see("Saved in moorage.yml")
    return yaml.safe_load((home / "moorage.yml").read_text())


@pytest.mark.parametrize("size", SIZES)
async def test_rules_and_a_schedule_are_added_and_moved_by_keys_and_saved(
    servers: FakeServers, home: Path, size: tuple[int, int]
) -> None:
    draft = _draft(retention=[RULE], collect=COLLECT)
    async with opened(servers, size=size, prefill=draft) as wizard:
        await wizard.see("Where should images be stored?")
        assert wizard.app.screen.query_one("#rules").row_count == 1  # type: ignore[attr-defined]
        wizard.app.screen.query_one("#rules").focus()
        await wizard.see("team-a/*", "last 3, v*")
        await wizard.press("a")
        await wizard.see("Add a retention rule", "The repositories it is for")
        await wizard.type("team-b/app, sandbox/*")
        await wizard.press("enter", "enter", "enter")
        await wizard.type("14d")
        await wizard.press("ctrl+s")
        await wizard.see("team-b/app, sandbox/*", "pushed within 14d")
        await wizard.press("down", "shift+up")
        assert wizard.app.session is not None
        names = [each.repositories[0] for each in wizard.app.session.draft.answers().retention]
        assert names == ["team-b/app", "team-a/*"]
        await wizard.press("e", "enter", "5", "ctrl+s")
        await wizard.see("last 5, pushed within 14d")
        await wizard.press("shift+up", "d")  # the first rule stays the first
        saved = await _saved(wizard, home)
        assert saved["retention"] == [RULE]
        assert saved["collect"] == COLLECT
        await wizard.press("d")
        schedule = next(
            each for each in wizard.app.screen.query(Field) if each.path == "collect.when"
        )
        schedule.focus()
        for field in [each for each in wizard.app.screen.query(Field) if "collect." in each.path]:
            field.input.value = ""
        await wizard.see("Without a rule, every tag stays")
        await wizard.press("ctrl+s")
        file = home / "moorage.yml"
        await wizard.until(lambda: "retention" not in file.read_text(), "the answers are saved")
        assert "collect" not in file.read_text()


async def test_mistakes_in_a_rule_are_named_at_their_fields(servers: FakeServers) -> None:
    async with opened(servers, prefill=_draft()) as wizard:
        wizard.app.screen.query_one("#add").focus()
        await wizard.press("enter")
        await wizard.see("Add a retention rule")
        repositories, last, tags, pushed, pulled = wizard.app.screen.query(Field)
        await wizard.press("ctrl+s")
        assert "expected" in repositories.error
        await wizard.type("Team A")
        await wizard.press("enter")
        assert "team-a/* for all below team-a" in repositories.error
        repositories.input.value = "*"
        await wizard.press("ctrl+s")
        await wizard.see("must keep something")
        for field, typed, said in (
            (last, "many", "whole number"), (tags, "v 1", "such as v*"),
            (pushed, "a month", "30d"), (pulled, "1 year", "30d"),
        ):  # fmt: skip
            field.focus()
            field.input.value = typed
            await wizard.press("tab")
            assert said in field.error, field.label
            field.input.value = ""
        last.input.value = "10"
        await wizard.press("ctrl+s")
        await wizard.see("last 10")
        schedule = next(
            each for each in wizard.app.screen.query(Field) if each.path == "collect.when"
        )
        schedule.focus()
        schedule.input.value = "sometimes"
        await wizard.press("tab")
        assert "Sun 03:00" in schedule.error


async def test_a_mistake_of_the_file_opens_the_rule(servers: FakeServers, home: Path) -> None:
    wrong = _draft(retention=[RULE, {"repositories": ["x/*"], "keep": {}}])
    (home / "wrong.yml").write_text(yaml.safe_dump(wrong))
    async with opened(servers, path=home / "wrong.yml") as wizard:
        await wizard.see("retention[1].keep")
        await wizard.press("escape")
        await wizard.see("Edit the retention rule", "must keep something")
        await wizard.press("2", "ctrl+s")
        await wizard.see("last 2")


async def test_images_lead_to_the_rules_and_what_they_would_remove(
    servers: FakeServers, tmp_path: Path
) -> None:
    store.keep_applied(Draft(ANSWERS))
    alpha = FakeServer("alpha", images=sample_images(tmp_path / "storage").root)
    alpha.put([some_user("ci")])
    servers["alpha"] = alpha
    async with opened(servers, size=(120, 40), prefill=ANSWERS) as wizard:
        await wizard.see("Dashboard", "Debian")
        await wizard.press("i")
        await wizard.see("7 repositories")
        await wizard.search_palette("gc schedule", "Retention")
        await wizard.press("escape", "e")
        await wizard.see("Add a rule", "Without a rule, every tag stays")
        await wizard.press("enter")
        await wizard.see("Add a retention rule")
        await wizard.type("team-a/*")
        await wizard.press("enter", "2", "ctrl+s")
        await wizard.see("last 2")
        wizard.app.screen.query_one("#removes").focus()
        await wizard.press("enter")
        await wizard.see("Rule 1", "team-a/app", "tags go")
        await wizard.press("escape")
        await wizard.see("7 repositories")
