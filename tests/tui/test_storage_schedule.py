"""The retention rules and the schedule of collections in the wizard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_server import FakeServers
from opening import opened

from tui.widgets.field import Field
from tui.wizard.frame import WizardFrame

RULE = {"repositories": ["team-a/*"], "keep": {"last": 3, "tags": ["v*"]}}


def _draft(**more: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "registry": {"domain": "registry.example.com"},
        "servers": [{"host": "alpha"}],
        "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
        "storage": {"driver": "filesystem"},
        "ask": ["storage"],
        **more,
    }


async def test_the_step_shows_the_rules_and_saving_keeps_them(
    servers: FakeServers, home: Path
) -> None:
    collect = {"when": "Sun 03:00", "young": "48h"}
    draft = _draft(retention=[RULE], collect=collect)
    async with opened(servers, size=(120, 50), prefill=draft) as wizard:
        await wizard.see("Retention rules, from the file: team-a/* keep", seconds=20)
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        field = next(each for each in frame.pane.fields if each.path == "collect.when")
        assert field.value == "Sun 03:00"
        field.focus()
        field.input.value = "daily"
        await wizard.press("tab", "ctrl+s")
        await wizard.see("Save the answers")
        await wizard.press("enter")
        await wizard.see("Saved in moorage.yml")
    saved = yaml.safe_load((home / "moorage.yml").read_text())
    assert saved["retention"] == [RULE]
    assert saved["collect"] == {"when": "daily", "young": "48h"}


@pytest.mark.parametrize(
    ("storage", "when", "says"),
    [
        ({"driver": "filesystem"}, "Sunday night", "'night' is not"),
        ({"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}}, "daily", "in S3"),
    ],
)
async def test_a_schedule_that_cannot_be_is_explained(
    servers: FakeServers, storage: dict[str, Any], when: str, says: str
) -> None:
    async with opened(servers, size=(100, 50), prefill=_draft(storage=storage)) as wizard:
        frame = wizard.app.screen
        assert isinstance(frame, WizardFrame)
        field = next(each for each in frame.pane.fields if each.path == "collect.when")
        assert isinstance(field, Field)
        field.focus()
        field.input.value = when
        await wizard.press("tab")
        await wizard.until(lambda: says in field.error, f"it says {says}")
