"""The buttons of a question stay in sight, however long its text is."""

from __future__ import annotations

import pytest
from fake_server import FakeServers
from opening import opened
from wizard_driver import SIZES

from tui.widgets.dialog import ConfirmDialog


@pytest.mark.parametrize("lines", [3, 14, 15, 16, 60])
@pytest.mark.parametrize("size", SIZES)
async def test_buttons_stay_in_sight_below_a_long_text(
    servers: FakeServers, size: tuple[int, int], lines: int
) -> None:
    text = "\n".join(f"line {number}" for number in range(lines))
    async with opened(servers, size=size) as wizard:
        wizard.app.push_screen(ConfirmDialog("Apply", text, "Accept it"))
        await wizard.see("line 0", "Back", "Accept it")
