"""The Images screen: reading, finding, sorting, and what cannot be read."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers, no_answer, some_user
from opening import opened
from sample_images import sample_images
from walk import ANSWERS
from wizard_driver import SIZES, Wizard

from bench.images_screen import images_read
from moorage.deploy.images.activity import Activity
from moorage.images.usage import measure
from screens.dashboard.screen import DashboardScreen
from screens.images.rows import Search, sorted_repositories, tag_rows
from screens.images.screen import ImagesScreen
from screens.images.source import prepare
from tui.document import store
from tui.document.draft import Draft


@asynccontextmanager
async def images_of(alpha: FakeServer, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Wizard]:
    """Open the images of a deployed server."""
    store.keep_applied(Draft(ANSWERS))
    alpha.put([some_user("ci")])
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        await wizard.see("Dashboard", "Debian")
        await wizard.press("i")
        yield wizard


@pytest.fixture
def alpha(tmp_path: Path) -> FakeServer:
    """A server with images."""
    return FakeServer("alpha", images=sample_images(tmp_path / "storage").root)


def test_v10_comes_after_v2_and_tags_of_one_digest_are_together(tmp_path: Path) -> None:
    usage = measure(sample_images(tmp_path).read())
    [row] = Search(usage).find("team-a", with_checks=False)
    rows = tag_rows(row.tags, "name")
    assert [f"{each.bracket} {each.tag.name}" for each in rows[:4]] == [
        "┌ latest", "│ stable", "└ v1.11", "  v1.0",
    ]  # fmt: skip
    assert [each.tag.name for each in rows[-2:]] == ["v1.9", "v1.10"]
    by_size = tag_rows(row.tags, "own size")
    assert [each.tag.name for each in by_size[:4]] == ["latest", "stable", "v1.11", "v1.10"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {"broken/one": 1, "multi/arch": 1, "odd/names": 5, "team-a/app": 14,
              "team-b/service-0": 1, "team-b/service-1": 1, "team-b/service-2": 2}),
        ("TEAM-A", {"team-a/app": 14}),
        ("v2", {f"team-b/service-{number}": 1 for number in range(3)}),
        ("service-1:v", {"team-b/service-1": 1}),
        ("v1.1", {"team-a/app": 3}),
        ("team-?/*[01]", {"team-b/service-0": 1, "team-b/service-1": 1}),
        ("v1.*", {"team-a/app": 12}),
        ("v1.?", {"team-a/app": 10}),
        ("*:v1.1", {"team-a/app": 1}),
        ("*:v1.1*", {"team-a/app": 3}),
        ("[bold", {"odd/names": 1}),
        ("nothing", {}),
    ],
)  # fmt: skip
def test_finding_by_a_part_or_a_pattern(tmp_path: Path, text: str, found: dict[str, int]) -> None:
    rows = Search(measure(sample_images(tmp_path).read())).find(text, with_checks=False)
    assert {row.usage.name: len(row.tags) for row in rows} == found


def test_repositories_are_sorted_by_each_order(tmp_path: Path) -> None:
    rows = Search(measure(sample_images(tmp_path).read())).find("", with_checks=True)
    first = {order: sorted_repositories(rows, order)[0].usage.name
             for order in ("own size", "tags", "name")}  # fmt: skip
    assert first == {"own size": "team-a/app", "tags": "team-a/app", "name": "broken/one"}


@pytest.mark.parametrize("size", SIZES)
async def test_images_are_shown_and_tags_described(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    async with images_of(alpha, size) as wizard:
        await wizard.see("7 repositories by own size", "14 tags by last push", "in use", "shared")
        assert "moorage-verify" not in wizard.text
        await wizard.see("▌ team-a/app", "┌ latest", "│ stable", "└ v1.11", "as of ", "free")
        await wizard.press("enter", "down")
        await wizard.see("▌ │ stable", "team-a/app:stable  sha256:")
        await wizard.press("s")
        await wizard.see("14 tags by last pull", "Last pull")
        await wizard.press("s")
        await wizard.see("14 tags by own size")
        await wizard.press("left", "s")
        await wizard.see("7 repositories by last push")
        await wizard.press("s", "s", "s", "home")
        await wizard.see("7 repositories by name", "▌ broken/one", "✗ bad")
        await wizard.press("right")
        await wizard.see("incomplete: 1 blob is missing. Pulls fail; push the tag again.")
        await wizard.press("escape", "c")
        await wizard.see("8 repositories by name", "moorage-verify")
        await wizard.press("c")
        await wizard.see("7 repositories by name")


async def test_names_are_shown_as_they_are(alpha: FakeServer) -> None:
    async with images_of(alpha, (120, 40)) as wizard:
        await wizard.see("7 repositories")
        await wizard.press("slash")
        await wizard.type("odd")
        await wizard.see("1 repository, 5 tags found")
        await wizard.press("enter", "right", "end")
        await wizard.see(
            "[bold red]markup", r"esc\x1b]0;title\x07", "日本語のタグ", r"two\nlines", r"\udcff"
        )
        assert "\x1b" not in wizard.text


async def test_finding_by_keys_and_back(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await wizard.see("7 repositories")
        await wizard.press("slash")
        await wizard.type("*:v1.1*")
        await wizard.see("1 repository, 3 tags found", "3 of 14 by last push")
        await wizard.press("enter", "enter")
        await wizard.see("▌")
        await wizard.press("slash")
        await wizard.type("nothing")
        await wizard.see("0 repositories, 0 tags found")
        await wizard.press("escape")
        await wizard.see("7 repositories by own size")
        await wizard.press("right", "escape")
        assert isinstance(wizard.app.screen, ImagesScreen)
        await wizard.press("escape")
        assert isinstance(wizard.app.screen, DashboardScreen)


async def _open(wizard: Wizard, text: str) -> None:
    """Open the first tag that matches a text."""
    await wizard.see("7 repositories")
    await wizard.press("slash")
    await wizard.type(text)
    await wizard.press("enter", "enter", "enter")


@pytest.mark.parametrize("size", SIZES)
async def test_an_image_has_layers_history_and_labels(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    async with images_of(alpha, size) as wizard:
        await _open(wizard, "service-2:v3")
        await wizard.see("team-b/service-2:v3", "sha256:", "Layers", "█████", "in 17 images",
                         "ADD rootfs.tar.xz", r"ENV GREETING=\x1b[31mhello")  # fmt: skip
        await wizard.press("end")
        await wizard.see("org.opencontainers.image.source", "https://example.com/[bold]",
                         "/bin/serve", "8080/tcp")  # fmt: skip
        await wizard.press("y")
        await wizard.see("✓ Copied", "registry.example.com/team-b/service-2@sha256:")
        await wizard.press("escape")
        await wizard.see("1 of 2 by last push")


async def test_platforms_are_selected_and_referrers_listed(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await _open(wizard, "multi/arch:1.0")
        await wizard.see("▸linux/amd64◂", "linux/arm64", "Refers to this image",
                         "application/vnd.example.signature")  # fmt: skip
        await wizard.press("right")
        await wizard.see("▸linux/arm64◂")
        await wizard.press("right", "left", "left")
        await wizard.see("▸linux/amd64◂")


async def test_an_image_is_shown_without_its_configuration_if_that_cannot_be_read(
    alpha: FakeServer,
) -> None:
    async with images_of(alpha) as wizard:
        await wizard.see("7 repositories")
        alpha.images_fault = no_answer("alpha")
        await _open(wizard, "service-2:v3")
        await wizard.see("✗ alpha: No answer. Try later.", "Press r to try again.", "Layers")
        assert "rootfs" not in wizard.text
        alpha.images_fault = None
        await wizard.press("r")
        await wizard.see("rootfs.tar.xz")
        assert "No answer" not in wizard.text


async def test_a_broken_image_says_so(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await _open(wizard, "broken")
        await wizard.see("✗ 1 blob is missing. Pulls fail; push the tag again.", "✗ missing")
        await wizard.press("escape", "escape")
        await _open(wizard, "two")
        await wizard.see(r"odd/names:two\nlines", "! Its link cannot be read.")


async def test_a_new_registry_says_how_to_push() -> None:
    async with images_of(FakeServer("alpha")) as wizard:
        await wizard.see("No images yet.", "docker push registry.example.com/IMAGE")
        await wizard.press("slash", "s", "enter", "right")
        await wizard.see("No images yet.")


async def test_an_error_says_what_to_do_and_keeps_what_was_read(alpha: FakeServer) -> None:
    alpha.images_fault = no_answer("alpha")
    async with images_of(alpha) as wizard:
        await wizard.see("✗ alpha: No answer. Try later.", "Press r to try again.")
        assert "read before" not in wizard.text
        alpha.images_fault = None
        await wizard.press("r")
        await wizard.see("7 repositories")
        assert "No answer" not in wizard.text
        alpha.images_fault = no_answer("alpha")
        await wizard.press("f5")
        await wizard.see("✗ alpha: No answer.", "The images below were read before.", "team-a/app")


async def test_reading_can_be_cancelled(alpha: FakeServer) -> None:
    alpha.slow_images = threading.Event()
    async with images_of(alpha) as wizard:
        await wizard.see("… Reading the images on alpha: reading", "(Escape: cancel)")
        await wizard.press("escape")
        await wizard.see("Cancelled. Press r to read the images.")
        alpha.slow_images.set()
        alpha.slow_images = None
        await wizard.press("r")
        await wizard.see("7 repositories")
        await wizard.press("escape")
        assert isinstance(wizard.app.screen, DashboardScreen)


async def test_keys_do_not_depend_on_the_number_of_tags() -> None:
    """Only visible rows are drawn; bench/images_screen.py has the figures."""
    images = prepare(images_read(), Activity())
    async with images_of(FakeServer("alpha"), (120, 40)) as wizard:
        await wizard.see("No images yet.")
        screen = wizard.app.screen
        assert isinstance(screen, ImagesScreen)
        screen.show_images(images)
        await wizard.see("1,000 repositories by own size", "20 tags by last push")
        await wizard.press("end", "right", "end")
        await wizard.see("▌   v19")
        await wizard.press("slash")
        await wizard.type("*:v1?")
        await wizard.see("1,000 repositories, 10,000 tags found")


@pytest.mark.parametrize("words", ["gc", "garbage", "prune", "tags", "space", "clean"])
async def test_the_palette_finds_it_under_the_usual_words(alpha: FakeServer, words: str) -> None:
    store.keep_applied(Draft(ANSWERS))
    alpha.put([some_user("ci")])
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Dashboard", "Debian")
        await wizard.search_palette(words, "Images")
        await wizard.press("enter")
        await wizard.see("7 repositories")
