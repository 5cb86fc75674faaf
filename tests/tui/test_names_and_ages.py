"""Names that do not fit stay distinct, and ages say when something was read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers
from opening import opened
from rich.cells import cell_len
from stored_registry import StoredRegistry
from test_dashboard import deployed
from walk import ANSWERS

from screens.images.screen import ImagesScreen
from tui.age import as_of
from tui.cells import cut_middle
from tui.document import store
from tui.document.draft import Draft


@pytest.mark.parametrize(
    ("name", "width", "shown"),
    [
        ("team-a/app", 10, "team-a/app"),
        ("organisation/department/service-api", 20, "organis…/service-api"),
        ("organisation/service:v1.2.3", 20, "orga…/service:v1.2.3"),
        ("a-very-long-service-name-alpha", 12, "a-ver…-alpha"),
        ("日本語/日本語日本語", 10, "日本…本語"),
    ],
)
def test_a_long_name_is_cut_in_its_middle(name: str, width: int, shown: str) -> None:
    cut = cut_middle(name, width)
    assert cell_len(cut) <= width
    if name.isascii():
        assert cut == shown
    assert cut.endswith(shown[-2:])


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "as of now"), (12, "as of 10 s ago"), (59, "as of 50 s ago"), (125, "as of 2 min ago"),
     (-30, "as of now")],
)  # fmt: skip
def test_an_age_has_one_form(seconds: float, text: str) -> None:
    assert as_of(time.time() - seconds) == text


async def test_long_repositories_are_told_apart_and_open_from_the_tab(tmp_path: Path) -> None:
    registry = StoredRegistry(tmp_path / "storage")
    names = [f"organisation/department/some-service-{each}" for each in ("alpha", "beta")]
    for number, name in enumerate(names):
        layer = registry.blob(name, bytes(1000 * (2 - number)))
        registry.image(
            name,
            [layer],
            "feature-a-branch-with-a-long-name-1",
            "feature-a-branch-with-a-long-name-2",
        )
    store.keep_applied(Draft(ANSWERS))
    alpha = deployed(FakeServer("alpha", images=registry.root))
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Debian", "(as of now)", "\u00a0in use", "as\u00a0of\u00a0now")
        await wizard.press("2")
        await wizard.see(
            "2 repositories, 4 tags", "as of now", "some-service-alpha", "some-service-beta"
        )
        await wizard.press("down", "enter")
        await wizard.see("2 tags by last push", "-name-1", "-name-2")
        screen = wizard.app.screen
        assert isinstance(screen, ImagesScreen)
        assert screen.focused is screen.query_one("#tags")
        await wizard.see(f"{names[1]}:feature-a-branch")
