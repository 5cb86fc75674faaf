"""The Images screen: marking, deleting, collecting, the trash, and runs that are in progress."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from fake_server import FakeServer, FakeServers, no_answer, some_user
from opening import opened
from sample_images import sample_images
from walk import ANSWERS
from wizard_driver import SIZES, Wizard

from moorage.deploy.events import RunEnded
from moorage.deploy.images.run import ImagesChange
from moorage.desired import layout
from moorage.images.task import Task
from moorage.servers.run_results import RunStatus
from screens.dashboard.screen import DashboardScreen
from screens.images.marks import Marks
from screens.images.run_texts import change_text
from screens.images.screen import ImagesScreen
from screens.images.trash_screen import TrashScreen
from tui.actions import AREAS, Area
from tui.document import store
from tui.document.draft import Draft
from tui.widgets.key_footer import KeyFooter

DELETED = "@number\ttags\t2\n@number\theld_ms\t412\n@result\tdone\t\n"


@pytest.fixture
def alpha(tmp_path: Path) -> FakeServer:
    """A server with images that can be changed."""
    server = FakeServer("alpha", images=sample_images(tmp_path / "storage").root)
    server.put([some_user("ci")])
    server.files[layout.NGINX_SITE] = b"if ($moorage_is_held) {}\n"
    server.files[layout.config_path("blue")] = b"storage:\n  filesystem:\n"
    server.log = "@step\t1\timages-mark\n@step\t1\timages-move\nmoved 3 files\n"
    server.result = DELETED
    return server


@asynccontextmanager
async def images_of(alpha: FakeServer, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Wizard]:
    """Open the images of a deployed server."""
    store.keep_applied(Draft(ANSWERS))
    servers = FakeServers()
    servers["alpha"] = alpha
    async with opened(servers, size=size, prefill=ANSWERS) as wizard:
        await wizard.see("Dashboard", "Debian")
        await wizard.press("i")
        await wizard.see("7 repositories by own size")
        yield wizard


def trash(at: float) -> bytes:
    """Return the trash with a deleted tag, a deleted repository and collected blobs."""
    entries = [
        ("repositories/team-a/old/_manifests/tags/v7", "", 71),
        ("repositories/team-b/gone/_manifests", "", 0),
    ]
    blob = "blobs/sha256/ab/" + "ab" * 32
    runs = [("run-1", entries), ("run-2", [(blob, f"sha256:{'ab' * 32}", 5_000_000)])]
    lines = []
    for number, (name, listed) in enumerate(runs):
        lines.append(f"{name}\tchecked\t{at + number:.0f}")
        lines.append(" ".join(str(each) for each in range(len(listed))))
        lines += [json.dumps(each) for each in listed]
        lines.append("")
    return "\n".join(lines).encode()


def test_staging_takes_marks_and_undo_brings_them_back() -> None:
    marks = Marks()
    marks.toggle("a:1")
    marks.toggle("b")
    assert (marks.sign_of("a", "1"), marks.sign_of("a"), marks.sign_of("b")) == ("●", "·", "●")
    marks.stage(marks.marked)
    assert marks.staged == {"a:1", "b"}
    assert not marks.marked
    assert marks.sign_of("b", "any tag") == "-"
    marks.undo()
    assert marks.marked == {"a:1", "b"}
    assert not marks.staged


def test_a_repository_covers_its_tags() -> None:
    marks = Marks()
    marks.stage(["a:1", "a", "b:2"])
    assert marks.to_delete == ("a", "b:2")
    marks.stage(["a"])
    assert marks.to_delete == ("a:1", "b:2")


@pytest.mark.parametrize("size", SIZES)
async def test_marked_tags_are_staged_and_deleted(alpha: FakeServer, size: tuple[int, int]) -> None:
    async with images_of(alpha, size) as wizard:
        await wizard.press("right", "space", "space")
        await wizard.see("● 2 tags marked (d: delete)", " ●┌ latest", " ·team-a/app")
        await wizard.press("d")
        await wizard.see("- 2 tags to delete (p: plan, z: undo)", " -┌ latest")
        await wizard.press("p")
        await wizard.see("What will be deleted", "- team-a/app:latest", "- team-a/app:stable",
                         "Other tags name the same images", "restores what is deleted",
                         "Delete 2 tags")  # fmt: skip
        await wizard.press("enter")
        await wizard.see("- 2 tags to delete")
        assert not alpha.runs, "Enter alone must not delete"
        await wizard.press("p")
        await wizard.see("Delete 2 tags")
        await wizard.press("tab", "enter")
        await wizard.see("✓ Deleted 2 tags", "0.4 s at most", "14 tags")
        assert alpha.runs == 1
        assert "to delete" not in wizard.text


async def test_marks_survive_sorting_finding_and_reading(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await wizard.press("right", "space", "s", "left", "s", "s")
        await wizard.see("● 1 tag marked")
        await wizard.press("slash")
        await wizard.type("multi")
        await wizard.press("enter", "space")
        await wizard.see("● 1 tag and 1 repository marked")
        await wizard.press("escape", "r")
        await wizard.see("7 repositories", "● 1 tag and 1 repository marked")
        await wizard.press("d")
        await wizard.see("- 1 tag and 1 repository to delete")
        await wizard.press("z")
        await wizard.see("● 1 tag and 1 repository marked")


async def test_d_without_marks_stages_the_selected_one_and_takes_it_back(
    alpha: FakeServer,
) -> None:
    async with images_of(alpha) as wizard:
        await wizard.press("d")
        await wizard.see("- 1 repository to delete", "▌-team-a/app")
        await wizard.press("p")
        await wizard.see("- team-a/app  the whole repository, 14 tags", "Delete 1 repository")
        await wizard.see("manifests can no longer be pulled", "bytes)")
        await wizard.press("escape", "d")
        await wizard.see("▌ team-a/app")
        assert "to delete" not in wizard.text


async def test_leaving_asks_about_staged_deletions(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await wizard.press("d", "escape")
        await wizard.see("Not deleted yet", "1 repository staged for deletion")
        await wizard.press("enter")
        assert isinstance(wizard.app.screen, ImagesScreen)
        await wizard.press("ctrl+q")
        await wizard.see("Not deleted yet")
        await wizard.press("escape", "escape")
        await wizard.see("Not deleted yet")
        await wizard.press("tab", "enter")
        assert isinstance(wizard.app.screen, DashboardScreen)


async def test_a_plan_that_fails_keeps_what_is_staged(alpha: FakeServer) -> None:
    del alpha.files[layout.NGINX_SITE]
    async with images_of(alpha) as wizard:
        await wizard.press("d", "p")
        await wizard.see("an earlier version deployed this registry", "moorage apply FILE")
        await wizard.press("escape")
        await wizard.see("- 1 repository to delete")
        alpha.images_fault = no_answer("alpha")
        await wizard.press("p")
        await wizard.see("No answer. Try later.")


async def test_a_run_that_fails_says_why_and_keeps_what_is_staged(alpha: FakeServer) -> None:
    alpha.result = "@result\tlocked\trun_locked\t20261129T010203-abcd\n"
    async with images_of(alpha, (120, 40)) as wizard:
        await wizard.press("d", "p")
        await wizard.see("Delete 1 repository")
        await wizard.press("tab", "enter")
        await wizard.see("✗ Locked", "run 20261129T010203-abcd is in progress", "Close")
        await wizard.press("enter")
        await wizard.see("✗ Locked", "- 1 repository to delete", "7 repositories")


@pytest.mark.parametrize("size", SIZES)
async def test_collecting_shows_options_plan_and_the_grace_period(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    alpha.waits_for_abort = True
    alpha.log = f"@step\t1\timages-mark\n@step\t1\tgrace\n@until\t{int(time.time()) + 3000}\n"
    async with images_of(alpha, size) as wizard:
        await wizard.press("f")
        await wizard.see("Free space", "Grace period", "1h", "Keep younger", "24h",
                         "Show the plan", "[ ] Also remove images without a tag",
                         "[ ] Empty the trash at once")  # fmt: skip
        await wizard.press("home", "delete", "delete")
        await wizard.type("soon")
        await wizard.press("enter")
        await wizard.see("Invalid time")
        await wizard.press("backspace", "backspace", "backspace", "backspace")
        await wizard.type("50m")
        await wizard.press("enter", "home", "delete", "delete", "delete")
        await wizard.type("0s")
        await wizard.press("enter", "space", "enter", "space", "enter")
        await wizard.see("that nothing needs", "bytes", "This cannot be undone",
                         "Collect and empty the trash", "Moves it after 50 minutes")  # fmt: skip
        await wizard.press("tab", "enter")
        await wizard.see("✓ Reading the images", "● Waiting until pushes in progress have ended",
                         "left", "Moorage can be closed")  # fmt: skip
        await wizard.press("escape")
        await wizard.see("Keep watching", "Leave it running", "Cancel the run")
        await wizard.press("enter", "escape")
        await wizard.see("Cancel the run")
        await wizard.press("tab", "tab", "enter")
        await wizard.see("✗ Cancelled", "Close")
        await wizard.press("enter")
        await wizard.see("7 repositories")
        assert alpha.aborted.is_set()


async def test_a_run_is_left_and_watched_again(alpha: FakeServer) -> None:
    alpha.waits_for_abort = True
    alpha.log = f"@step\t1\tgrace\n@until\t{int(time.time()) + 3000}\n"
    async with images_of(alpha) as wizard:
        await wizard.press("d", "p")
        await wizard.see("Delete 1 repository")
        await wizard.press("tab", "enter")
        await wizard.see("left")
        alpha.extra_facts = "run\t20261129-010203-abc\tyes\t1767225600\tgrace\t\t\n"
        await wizard.press("escape", "tab", "enter")
        await wizard.see("The run was left", "● A run is in progress on alpha", "Press w to watch")
        await wizard.press("w")
        await wizard.see("Run 20261129-010203-abc", "Waiting until pushes", "left")
        assert not alpha.aborted.is_set()
        alpha.aborted.set()
        await wizard.see("Close")


@pytest.mark.parametrize("size", SIZES)
async def test_the_trash_is_listed_and_restored(alpha: FakeServer, size: tuple[int, int]) -> None:
    alpha.trash = trash(time.time() - 7200)
    alpha.result = "@number\trestored\t4\n@number\tkept_tags\t1\n@result\tdone\t\n"
    async with images_of(alpha, size) as wizard:
        await wizard.see("4.8 MiB", "in trash")
        await wizard.press("t")
        await wizard.see("4.8 MiB (5,000,071 bytes) in the trash", "Kept until", "1 blob",
                         "4.8 MiB", "deleted 1 repository, 1 tag", "team-a/old:v7",
                         "team-b/gone (whole)")  # fmt: skip
        assert isinstance(wizard.app.screen, TrashScreen)
        await wizard.press("enter")
        assert isinstance(wizard.app.screen, TrashScreen)
        await wizard.press("down", "down", "space", "space")
        await wizard.see("1 tag and 1 repository marked")
        await wizard.press("r")
        await wizard.see("Restore from the trash", "+ team-a/old:v7", "+ team-b/gone",
                         "Restore 1 tag and 1 repository")  # fmt: skip
        await wizard.press("tab", "enter")
        await wizard.see("✓ Restored 1 tag of 1 repository and 1 whole", "! 1 tag not restored")


async def test_an_empty_trash_says_so(alpha: FakeServer) -> None:
    async with images_of(alpha) as wizard:
        await wizard.press("t")
        await wizard.see("The trash is empty.")
        await wizard.press("a", "r", "space", "escape")
        assert isinstance(wizard.app.screen, ImagesScreen)


@pytest.mark.parametrize(
    ("word", "title"),
    [
        *((each, "Free space") for each in ("gc", "garbage", "clean", "prune", "space")),
        *((each, "Trash") for each in ("trash", "restore", "undelete")),
        ("tags", "Find images"),
    ],
)
async def test_the_palette_finds_them_under_the_usual_words(
    alpha: FakeServer, word: str, title: str
) -> None:
    async with images_of(alpha) as wizard:
        await wizard.search_palette(word, title)


@pytest.mark.parametrize("size", SIZES)
async def test_the_footer_has_whole_keys(alpha: FakeServer, size: tuple[int, int]) -> None:
    async with images_of(alpha, size) as wizard:
        await wizard.press("d")
        shown = [each.label for each in wizard.app.screen.query_one(KeyFooter).shown]
        assert shown[:4] == ["Open", "Mark", "Delete", "Plan"]
        assert {"Free space", "Trash"} <= set(shown)


def keys_of(area: Area) -> list[tuple[str, str]]:
    """Return the keys of an area with their actions."""
    return [(key, each.method) for each in area.actions for key in each.keys.split(",")]


@pytest.mark.parametrize("area", ["images", "trash"])
def test_keys_of_the_screen_are_not_those_of_its_table(area: str) -> None:
    table = {key for key, _ in keys_of(AREAS["row_table"])}
    own = {key for key, _ in keys_of(AREAS[area])}
    assert not own & table


def test_a_collection_names_the_repository_of_the_checks() -> None:
    ended = RunEnded("alpha", "1", RunStatus.DONE)
    change = ImagesChange(ended, {"repositories": 1, "blobs": 2, "bytes": 10})
    text = change_text(change, Task("collect", "/x")).plain
    assert "Deleted moorage-verify, which Moorage's own checks had left." in text
    assert "Deleted 1 repository" in change_text(change, Task("delete", "/x")).plain


async def test_ages_on_the_screens_follow_the_clock(
    alpha: FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.widgets.row_table.TICK", 0.1)
    alpha.trash = trash(time.time() - 7200)
    async with images_of(alpha) as wizard:
        await wizard.see("4.8 MiB", "in trash")
        await wizard.press("t")
        await wizard.see("2 h ago: deleted")
        now = time.time
        later = SimpleNamespace(time=lambda: now() + 3600, monotonic=time.monotonic)
        monkeypatch.setattr("screens.images.run_texts.time", later)
        await wizard.see("3 h ago: deleted")
