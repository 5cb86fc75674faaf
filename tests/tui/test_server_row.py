"""The line of a server while an apply is running."""

from __future__ import annotations

import pytest

from tui.widgets.server_row import ServerProgress, ServerRow


@pytest.mark.parametrize(("seconds", "shown"), [(90.5, " -1:30"), (0.0, "")])
def test_the_time_left_is_shown_only_while_there_is_some(seconds: float, shown: str) -> None:
    progress = ServerProgress("alpha", expected={"packages": seconds})
    progress.state = "running"
    text = str(ServerRow(progress, 10).render())
    assert shown in text
    assert "-0:00" not in text
