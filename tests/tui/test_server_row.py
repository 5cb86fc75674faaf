"""The line of a server while an apply is running."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from tui.theme import DARK
from tui.widgets.server_row import ServerProgress, ServerRow


@pytest.mark.parametrize(("seconds", "shown"), [(90.5, " 1:30 left "), (0.0, " waiting")])
def test_the_time_left_is_shown_only_while_there_is_some(seconds: float, shown: str) -> None:
    progress = ServerProgress("alpha", expected={"packages": seconds})
    progress.state = "running"
    text = str(ServerRow(progress, 10).render())
    assert shown in text
    assert ("left" in text) is (seconds > 0)


async def test_a_narrow_line_has_room_for_the_step() -> None:
    progress = ServerProgress("203.0.113.21", expected={"registry": 3.0})
    progress.begin_step("registry")

    class Rows(App[None]):
        def __init__(self) -> None:
            super().__init__()
            self.register_theme(DARK)
            self.theme = DARK.name

        def compose(self) -> ComposeResult:
            yield ServerRow(progress, 12)

    for width in (76, 120):
        async with Rows().run_test(size=(width, 5)) as pilot:
            await pilot.pause()
            row = pilot.app.query_one(ServerRow)
            shown = row.render_line(0).text
            assert "Starting the registry on the idle slot" in shown
            assert ("─" in shown) is (width == 120)
