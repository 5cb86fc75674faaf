"""The retention rules and the schedule of collections in the wizard."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from fake_server import FakeServers
from opening import opened

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
        await wizard.see("Retention: team-a/* keep the last 3", "Sun 03:00", seconds=20)
        await wizard.press("ctrl+s")
        await wizard.see("Save the answers")
        await wizard.press("enter")
        await wizard.see("Saved in moorage.yml")
    saved = yaml.safe_load((home / "moorage.yml").read_text())
    assert saved["retention"] == [RULE]
    assert saved["collect"] == {"when": "Sun 03:00", "young": "48h"}
