"""Toasts hide nothing that matters, and go."""

from __future__ import annotations

import pytest
from fake_server import FakeServers
from opening import opened
from textual.widgets import Button
from textual.widgets._toast import Toast
from walk import ANSWERS

from tui.toasts import BriefNotice
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter

LONG = (
    "Saved in registry.example.com.yml; 3 still missing or wrong; comments in the sections that "
    "changed are gone"
)


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_toast_hides_neither_the_title_nor_a_button(
    size: tuple[int, int], servers: FakeServers
) -> None:
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        for step in range(1, 8):
            await wizard.press(f"alt+{step}")
            await wizard.see(f"{step} of 7")
            wizard.app.notify(LONG, markup=False)
            await wizard.see("Saved in")
            (toast,) = wizard.app.screen.query(Toast)
            shown = [
                *wizard.app.screen.query(HeaderBar),
                *wizard.app.screen.query(KeyFooter),
                *wizard.app.screen.query("#navigation Button").results(Button),
            ]
            hidden = [each for each in shown if each.display and each.region.overlaps(toast.region)]
            assert not hidden, wizard.text
            wizard.app.clear_notifications()
            await wizard.until(lambda: not wizard.app.screen.query(Toast), "the toast is gone")


@pytest.mark.parametrize("left", [1e-9, 0.0, -0.01])
async def test_a_toast_that_expires_while_a_screen_opens_disappears(
    left: float, servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BriefNotice, "_left", lambda _self: left)
    monkeypatch.setattr(BriefNotice, "has_expired", False)
    async with opened(servers) as wizard:
        wizard.app.notify("Saved", markup=False)
        await wizard.see("Saved")
        await wizard.until(lambda: not wizard.app.screen.query(Toast), "the toast is gone")
