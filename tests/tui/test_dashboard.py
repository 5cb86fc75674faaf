"""The dashboard's tabs: each is read when it is shown, keeps its place, and says what it lacks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers, no_answer, some_user
from opening import opened
from sample_images import sample_images
from walk import ANSWERS
from wizard_driver import SIZES, Wizard

from moorage.deploy.deployment import Deployment
from moorage.desired import layout
from moorage.errors import MoorageError
from moorage.images.activity import Index, Recorder
from screens.dashboard.screen import DashboardScreen
from tui.document import store
from tui.document.draft import Draft
from tui.widgets.row_table import RowTable

S3 = {"driver": "s3", "s3": {"bucket": "my-images", "region": "eu-central-1"}}


def deployed(server: FakeServer, users: Sequence[str] = ("ana", "ci")) -> FakeServer:
    """Return a server with users, on which a run has ended well."""
    server.put([some_user(name) for name in users])
    record = json.loads(server.files[layout.DEPLOYMENT])
    record |= {"domain": "registry.example.com", "registry_version": "2.8.2"}
    server.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    return server


def requests(*lines: tuple[int, str, str, str, str]) -> Index:
    """Return an index of requests: seconds ago, user, status, method and path."""
    index, now = Index(), int(time.time())
    recorder = Recorder(index)
    for ago, user, status, method, path in lines:
        at = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(now - ago))
        fields = (at, user, status, method, path, "203.0.113.9", "5000", "0.1", "docker", "unix:/r")
        recorder.add("\t".join(fields).encode())
    return index


@pytest.fixture
def alpha(tmp_path: Path) -> FakeServer:
    """A deployed server with images."""
    return deployed(FakeServer("alpha", images=sample_images(tmp_path / "storage").root))


@asynccontextmanager
async def dashboard(
    *servers: FakeServer, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[Wizard]:
    """Open the dashboard of servers."""
    answers = {**ANSWERS, "servers": [{"host": each.server} for each in servers]}
    if len(servers) > 1:
        answers["storage"] = S3
    store.keep_applied(Draft(answers))
    known = FakeServers()
    known.update({each.server: each for each in servers})
    async with opened(known, size=size, prefill=answers) as wizard:
        await wizard.see("Dashboard", "(as of ")
        yield wizard


@pytest.mark.parametrize("size", SIZES)
async def test_each_tab_has_a_number(alpha: FakeServer, size: tuple[int, int]) -> None:
    alpha.activity = requests((7200, "ci", "201", "PUT", "/v2/team-a/app/manifests/v1.1"))
    async with dashboard(alpha, size=size) as wizard:
        await wizard.see("▌1 Overview▐", "✗ The registry is not running", "(l: logs)", "shared")
        await wizard.press("2")
        await wizard.see("▌2 Images▐", "7 repositories, 25 tags in alpha:", "as of", "Pushed last")
        assert "moorage-verify" not in wizard.text
        await wizard.press("3")
        await wizard.see("▌3 Users▐", "2 users by last login", "▌ ci", "2 h ago")
        await wizard.press("left")
        await wizard.see("▌2 Images▐")
        await wizard.press("1")
        await wizard.see("▌1 Overview▐")
        await wizard.pilot.click("TabBar", offset=(16, 0))
        await wizard.see("▌2 Images▐")


async def test_the_palette_knows_the_way_back_on_every_tab(alpha: FakeServer) -> None:
    async with dashboard(alpha) as wizard:
        await wizard.search_palette("roll", "Runs")
        assert "the way back" in wizard.text


async def test_enter_opens_the_screen_of_a_tab_and_escape_returns(alpha: FakeServer) -> None:
    async with dashboard(alpha) as wizard:
        await wizard.press("2")
        await wizard.see("7 repositories", "⏎ Open")
        await wizard.press("enter")
        await wizard.see("7 repositories by own size")
        await wizard.press("escape", "escape")  # from the tags, then from the repositories
        await wizard.see("▌2 Images▐")
        await wizard.press("3")
        await wizard.see("2 users")
        await wizard.press("enter")
        await wizard.see("2 users · by name")
        await wizard.press("escape")
        await wizard.see("▌3 Users▐")
        await wizard.press("1", "enter")
        await wizard.see("Settings")
        assert not isinstance(wizard.app.screen, DashboardScreen)


async def test_what_cannot_be_read_says_why_on_its_tab(alpha: FakeServer) -> None:
    alpha.images_fault = no_answer("alpha")
    async with dashboard(alpha) as wizard:
        await wizard.press("2")
        await wizard.see("✗ alpha: No answer. Try later.", "Ctrl+R: read again")
        assert "Pushed last" not in wizard.text
        alpha.images_fault = None
        await wizard.press("ctrl+r")
        await wizard.see("7 repositories, 25 tags")
        alpha.images_fault = no_answer("alpha")
        await wizard.press("ctrl+r")
        await wizard.see("✗ alpha: No answer.", "7 repositories, 25 tags", "team-a/app")


async def test_reading_again_keeps_the_cursor(alpha: FakeServer) -> None:
    async with dashboard(alpha) as wizard:
        await wizard.press("3")
        await wizard.see("2 users", "▌ ana")
        await wizard.press("down")
        await wizard.see("▌ ci")
        deployed(alpha, ("aaron", "ana", "ci"))
        await wizard.press("ctrl+r")
        await wizard.see("3 users", "▌ ci")


async def test_reading_again_keeps_the_place_in_the_overview() -> None:
    servers = [deployed(FakeServer(name)) for name in ("alpha", "beta", "gamma")]
    async with dashboard(*servers) as wizard:
        await wizard.see("✗ The registry is not running", "pgdn Scroll")
        await wizard.press("pagedown")
        await wizard.until(lambda: "as of" not in wizard.text, "it scrolls")
        connected = servers[2].connections
        top = wizard.app.screen.query_one("#overview").scroll_y
        assert top > 0
        await wizard.press("ctrl+r")
        await wizard.until(lambda: servers[2].connections > connected, "it is read again")
        await wizard.pilot.pause(0.3)
        assert wizard.app.screen.query_one("#overview").scroll_y == top


async def test_a_tab_waits_for_the_servers(alpha: FakeServer) -> None:
    alpha.slow = threading.Event()
    store.keep_applied(Draft(ANSWERS))
    known = FakeServers()
    known["alpha"] = alpha
    async with opened(known, prefill=ANSWERS) as wizard:
        await wizard.see("Reading alpha")
        await wizard.press("3")
        await wizard.see("▌3 Users▐", "  Reading alpha")
        alpha.slow.set()
        await wizard.see("2 users by last login")


@pytest.mark.parametrize("size", SIZES)
async def test_servers_stand_beside_the_tabs_only_if_there_are_several(
    size: tuple[int, int],
) -> None:
    names = ("alpha", "beta", "gamma")
    servers = [deployed(FakeServer(name)) for name in names]
    servers[2].fault = no_answer("gamma")
    async with dashboard(*servers, size=size) as wizard:
        if size[0] < 100:
            await wizard.see("✗ gamma  ! alpha  ! beta")
        else:
            await wizard.see("✗ gamma", "unreachable", "! beta", "problems")
    async with dashboard(servers[0], size=size) as wizard:
        assert wizard.text.splitlines()[1].startswith(" ▌1 Overview▐")


async def test_a_bucket_is_listed_only_on_its_tab(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def read(deployment: Deployment) -> None:
        asked.append(deployment.answers.storage.driver)
        raise MoorageError("Access denied.")

    monkeypatch.setattr("screens.dashboard.images_tab.read_space", read)
    async with dashboard(*(deployed(FakeServer(name)) for name in ("alpha", "beta"))) as wizard:
        await wizard.see("! alpha", "The registry is not running")
        await wizard.pilot.pause(0.2)
        assert not asked
        await wizard.press("2")
        await wizard.see("✗ Access denied.")
        assert asked == ["s3"]


async def test_more_servers_than_fit_are_counted() -> None:
    servers = [deployed(FakeServer(f"registry-{number}.example.com")) for number in range(5)]
    async with dashboard(*servers) as wizard:
        await wizard.see("! registry-0.example.com  ! registry-1.example.com  +3 more")


@pytest.mark.parametrize("size", SIZES)
async def test_activity_shows_requests_and_opens_the_logs_of_a_row(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    push = "/v2/team-a/app/manifests/v1.1"
    alpha.activity = requests(
        (7200, "ci", "201", "PUT", push),
        (600, "ana", "200", "GET", push),
        (300, "ana", "404", "GET", "/v2/team-a/app/manifests/none"),
        (120, "ana", "404", "GET", "/v2/team-a/app/manifests/none"),
        (60, "ana", "502", "GET", push),
    )
    async with dashboard(alpha, size=size) as wizard:
        await wizard.press("4")
        await wizard.see(
            "4 requests in 60 min, max 1", "19.5 KiB sent in 60 min", "↓ pull", "↑ push"
        )
        await wizard.see("3 failed requests in 24 h", "404", "Not Found", "502")
        await wizard.press("enter")
        await wizard.see("Logs", "user ana", "team-a/app")
        await wizard.press("escape")
        await wizard.see("▌4 Activity▐")
        await wizard.press("tab", "enter")
        await wizard.see("Logs", "status 404")


async def test_activity_names_the_server_whose_log_cannot_be_read() -> None:
    alpha, beta = deployed(FakeServer("alpha")), deployed(FakeServer("beta", has_no_logs=True))
    async with dashboard(alpha, beta) as wizard:
        await wizard.press("4")
        await wizard.see("! beta: No answer.", "No pushes or pulls yet", "No failed requests")


RUNS = (
    "run\t20261128T110000000-bbbb\tno\t1795863700\t1795863600\tapply\tpackages\tfailed\tcannot_write"
    "\t/etc/[red]x\n"
    'record\t{"revision": 3, "by": "ana@laptop", "history": '
    '[{"revision": 3, "answers": ["ssl.mode"]}]}\n'
    "run\t20261128T100000000-aaaa\tno\t1795860042\t1795860000\tusers\tdrain\tdone\t\t\n"
    'record\t{"revision": 2, "by": "ci", "history": [{"revision": 2, "added": ["carl"]}]}\n'
    "end\n"
)


@pytest.mark.parametrize("size", SIZES)
async def test_runs_are_listed_and_enter_shows_a_log(
    alpha: FakeServer, size: tuple[int, int]
) -> None:
    alpha.history = RUNS.encode()
    alpha.run_log = b"@step\t1\tpackages\nE: no luck \x1b[2J\n@result\tfailed\tcannot_write\t/x\n"
    async with dashboard(alpha, size=size) as wizard:
        await wizard.press("5")
        await wizard.see("▌5 Runs▐", "ana@laptop", "1 min 40 s", "✗ failed", "42 s", "✓ done")
        await wizard.see("✗ failed while installing packages: /etc/[red]x could not")
        await wizard.press("enter")
        await wizard.see("Installing packages", r"E: no luck \x1b[2J", "/x could not be written")
        await wizard.press("slash")
        await wizard.type("luck")
        await wizard.press("enter")
        await wizard.until(lambda: "Installing packages" not in wizard.text, "lines are found")
        await wizard.press("escape")
        await wizard.see("▌5 Runs▐", "ana@laptop")
        await wizard.press("down")
        await wizard.see("revision 2", "  added carl", "✓ done")
        alpha.history = b"cut"
        await wizard.press("ctrl+r")
        await wizard.see("! alpha: its runs could not be read")


async def test_names_from_servers_are_shown_as_they_are(alpha: FakeServer) -> None:
    async with dashboard(alpha, size=(120, 40)) as wizard:
        await wizard.press("2")
        await wizard.see("7 repositories")
        table = wizard.app.screen.query_one("#largest", RowTable)
        table.show([replace(table.rows[0], name="[red]x\x1b]0;title\x07\n日本")])
        await wizard.see(r"[red]x\x1b]0;title\x07\n日本")
        assert "\x1b" not in wizard.text
