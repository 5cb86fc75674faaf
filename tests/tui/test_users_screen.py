"""The users screen: reading, staging, showing what will change, and what happens when it fails."""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from fake_server import DONE, FakeServer, FakeServers, some_user
from opening import opened
from patience import slowness
from textual import events
from wizard_driver import SIZES, Wizard

from moorage.answers.save import save
from moorage.answers.secrets import Secret
from moorage.desired.users import RegistryUser
from moorage.errors import CannotConnect
from moorage.users.passwords import verify_password
from screens.dashboard.screen import DashboardScreen
from screens.start.screen import WelcomeScreen
from screens.users.screen import UsersScreen
from screens.users.table import UserTable
from tui.document import store
from tui.document.draft import Draft
from tui.widgets.field import Field

NAMES = ("alpha", "beta")
USERS = (some_user("ana", "pull", "team-a/*"), some_user("bob", disabled=True), some_user("ci"))


class Fleet:
    """Two servers with users, and an answers file that was applied to them."""

    def __init__(self, home: Path, servers: FakeServers, users: Sequence[RegistryUser]) -> None:
        self.by_host = servers
        self.path = home / "moorage.yml"
        self.servers = [FakeServer(name) for name in NAMES]
        for server in self.servers:
            server.put(users)
            servers[server.server] = server
        draft = Draft(
            {
                "version": 1,
                "registry": {"domain": "registry.example.com"},
                "servers": [{"host": name} for name in NAMES],
                "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "eu-central-1"}},
                "ssl": {"mode": "none"},
                "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
            }
        )
        save(draft.answers(), self.path)
        store.keep_applied(draft)
        store.remember(self.path, draft.domain, state="applied")

    @property
    def alpha(self) -> FakeServer:
        return self.servers[0]

    @property
    def beta(self) -> FakeServer:
        return self.servers[1]

    @asynccontextmanager
    async def open(self, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Wizard]:
        """Open the users from the start, by keys."""
        async with opened(self.by_host, size=size) as wizard:
            await wizard.see("registry.example.com")
            await wizard.press("u")
            yield wizard


@pytest.fixture
def fleet(home: Path, servers: FakeServers) -> Fleet:
    """Two servers with three users."""
    return Fleet(home, servers, USERS)


async def add(wizard: Wizard, name: str) -> None:
    """Stage a new user with a password made by Moorage."""
    await wizard.press("a")
    await wizard.see("Add a user")
    await wizard.type(name)
    await wizard.press("ctrl+s")
    await wizard.see("+ added")


async def apply(wizard: Wizard) -> None:
    """Show what is staged and apply it."""
    screen = wizard.app.screen
    assert isinstance(screen, UsersScreen)
    await wizard.until(lambda: not screen.is_reading and not screen._hashing, "it can apply")
    await wizard.press("enter")
    await wizard.see("What will change")
    await wizard.press("enter")


def copied(wizard: Wizard) -> str:
    """What was copied last."""
    return wizard.app.clipboard


@pytest.mark.parametrize("size", SIZES)
async def test_users_of_all_servers_are_shown(fleet: Fleet, size: tuple[int, int]) -> None:
    fleet.beta.put(USERS[1:])
    fleet.alpha.put(USERS, revision=2)
    fleet.alpha.activity.users["ana"] = [int(time.time()) - 3 * 3600, 0]
    async with fleet.open(size) as wizard:
        await wizard.see(
            "✓ alpha  up to date", "! beta   outdated", "3 users", "1 disabled", "3 h ago"
        )
        await wizard.see("ana", "pull", "team-a/*", "disabled", "bcrypt", "on alpha")


async def test_a_user_is_added_on_all_servers_and_the_password_shown_once(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("a")
        await wizard.see("Add a user", "Add", "⏎ Next field", "^s Add")
        await wizard.type("dora")
        await wizard.press("enter", "down", "enter")
        await wizard.type("team-d/*, base/alpine")
        await wizard.press("enter")
        await wizard.see("⏎ Add")
        await wizard.press("enter")
        await wizard.see(
            "1 user added, not applied yet",
            "+ dora  pull team-d/* base/alpine",
            "(generated password)",
        )
        assert "bcrypt" not in wizard.text
        assert "dora" not in fleet.alpha.users
        await wizard.press("enter")
        await wizard.see("What will change", "1 user added", "alpha, beta", "Apply to 2 servers")
        await wizard.press("v")
        await wizard.see("/etc/nginx/moorage/htpasswd", "dora:********")
        assert "$2y$" not in wizard.text
        await wizard.press("v")
        await wizard.see("/etc/nginx/moorage/access.map")
        await wizard.press("enter")
        await wizard.see("Password of dora", "shown only once")
        await wizard.press("escape")
        await wizard.see("Not copied yet")
        await wizard.press("enter")  # the careful button
        await wizard.see("Password of dora")
        await wizard.press("c")
        password = copied(wizard)
        assert password in wizard.text
        await wizard.press("escape")
        await wizard.see("4 users")
        assert password not in wizard.text
    for server in fleet.servers:
        dora = server.users["dora"]
        assert verify_password(Secret(password), dora.hash)
        assert dora.rules == "pull team-d/* base/alpine"


async def test_type_ahead_reaches_the_dialog_and_not_the_screen_behind(fleet: Fleet) -> None:
    def type_at_once(wizard: Wizard, *keys: str) -> None:
        for key in keys:
            wizard.app.post_message(events.Key(key, key if len(key) == 1 else None))

    async with fleet.open() as wizard:
        await wizard.see("3 users")
        type_at_once(wizard, "a", *"dora")
        await wizard.see("Add a user", "Name            ▌dora")
        await wizard.press("escape")
        type_at_once(wizard, "x", "enter", "d", "down", "x")
        await wizard.see("What will change", "1 user changed on alpha", "~ ana  disabled")
        assert "removed" not in wizard.text
        await wizard.press("enter")
        await wizard.see("Changed on 2 servers")
    assert fleet.beta.users["ana"].disabled


async def test_results_are_shown_in_a_line_and_cover_nothing(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x", "down", "d", "z")
        await wizard.see("Undone: remove bob", "~ ana  disabled")
        await apply(wizard)
        await wizard.see("✓ Changed on 2 servers.")
        assert not wizard.app.screen.query("Toast")


async def test_the_footer_shows_the_first_keys_when_narrow(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x")
        await wizard.see("1 staged", "⏎ Apply z Undo", "d Remove", "more keys ^p More")
        await wizard.press("a", "tab")
        await wizard.see("↑↓ Choose", "esc Back")


async def test_a_change_updates_the_answers(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await add(wizard, "dora")
        await apply(wizard)
        await wizard.see("Password of dora")
        await wizard.press("c", "escape")
        await wizard.see("Updated moorage.yml.")
        assert wizard.app.session is not None
        assert wizard.app.session.is_saved
    users = yaml.safe_load(fleet.path.read_text())["credentials"]["users"]
    assert [user["name"] for user in users] == ["ci", "dora"]


async def test_password_access_state_and_removal_are_one_change(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("p")
        await wizard.see("Password of ana", "the old password stops working")
        await wizard.type("hunter2")
        await wizard.see("weak")
        await wizard.type("-and-a-gravel-lantern")
        await wizard.see("strong")
        await wizard.press("enter")
        await wizard.see("~ ana  password")
        await wizard.press("e")
        await wizard.see("Now: pull team-a/*")
        await wizard.press("up", "enter", "enter")
        await wizard.see("password; pull team-a/* → push team-a/*")
        await wizard.press("down", "x")
        await wizard.see("~ bob  re-enabled")
        await wizard.press("d")
        await wizard.see("- bob", "- removed")
        await apply(wizard)
        await wizard.see("Changed on 2 servers", "2 users")
    for server in fleet.servers:
        assert set(server.users) == {"ana", "ci"}
        assert server.users["ana"].access == "push"
        typed = Secret("hunter2-and-a-gravel-lantern")
        assert verify_password(typed, server.users["ana"].hash)


async def test_a_disabled_user_can_do_nothing_until_enabled(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users", "x Disable", "ana  pull team-a")
        await wizard.press("down")
        await wizard.see("bob  disabled", "x Enable")
        assert "x Disable" not in wizard.text
        await add(wizard, "dora")
        await wizard.see("dora  push", "x Disable")


async def test_a_weak_password_needs_confirmation(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("p")
        await wizard.type("x")
        await wizard.see("•")
        await wizard.press("f2")
        await wizard.see("Password        ▌x")
        await wizard.press("enter")
        await wizard.see("✗ very weak: It can be guessed", "Leave it empty to generate one",
                         "Use it anyway")  # fmt: skip
        await wizard.press("enter")
        await wizard.see("Password of ana", "Use it anyway")
        await wizard.type("y")
        await wizard.see("Password of ana", "very weak")
        assert "Use it anyway" not in wizard.text
        await wizard.press("enter", "tab", "enter")
        await wizard.see("~ ana  password")
        await apply(wizard)
        await wizard.see("Changed on 2 servers")
    assert verify_password(Secret("xy"), fleet.beta.users["ana"].hash)


async def test_the_last_change_can_be_undone(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x", "d")
        await wizard.see("- ana", "2 staged")
        await wizard.press("z")
        await wizard.see("~ ana  disabled", "1 staged")
        await wizard.press("z")
        await wizard.see("3 users")
        assert "not applied yet" not in wizard.text


async def test_the_last_active_user_cannot_be_removed(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.put([some_user("ci")])
    async with fleet.open() as wizard:
        await wizard.see("1 user")
        for key in ("d", "x"):
            await wizard.press(key)
            await wizard.see("ci is the last user who can log in.")
            await wizard.press("escape")
        assert "staged" not in wizard.text


async def test_a_field_shows_its_error(fleet: Fleet) -> None:
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("3 users")
        await wizard.press("a", "enter")
        await wizard.see("expected a name")
        await wizard.type("ana")
        await wizard.press("tab")
        await wizard.see("A user ana already exists")
        await wizard.press("shift+tab", "shift+tab")  # past the button of the error
        await wizard.type(":x")
        await wizard.press("tab", "tab")
        await wizard.type("Team-A/*")
        await wizard.press("tab")
        await wizard.see("lower-case letters")
        await wizard.type("x" * 73)
        await wizard.press("enter")
        await wizard.see("too long for bcrypt: 73 bytes")
        assert "Add a user" in wizard.text


async def test_adding_an_existing_user_selects_it(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("a")
        await wizard.type("CI")
        await wizard.press("enter")
        await wizard.see("A user ci already exists.", "than case;", "Select ci")
        await wizard.press("backspace", "backspace")
        await wizard.type("ci")
        await wizard.press("enter")
        await wizard.see("A user ci already exists.", "Select ci")
        assert "than case;" not in wizard.text
        await wizard.press("tab", "enter", "p")
        await wizard.see("Password of ci")


async def test_a_change_in_progress_is_not_a_manual_edit(fleet: Fleet) -> None:
    fleet.beta.put([*USERS, some_user("dora")], revision=2)
    fleet.beta.extra_facts = "run\t20261125T101112-ab12\tyes\t3\tswitch\t\t\n"
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("… beta   run 20261125T101112-ab12 is in progress",
                         "! alpha  outdated")  # fmt: skip
        assert "by hand" not in wizard.text


async def test_servers_whose_logs_cannot_be_read_are_named(fleet: Fleet) -> None:
    fleet.beta.has_no_logs = True
    async with fleet.open() as wizard:
        await wizard.see("! Last seen is incomplete: cannot read the logs of beta")


async def test_a_users_servers_exclude_those_that_were_not_read(fleet: Fleet) -> None:
    fleet.beta.fault = CannotConnect("No answer.", server="beta")
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("beta   unreachable", "Hash", "on alpha")
        rows = [line for line in wizard.text.splitlines() if "bcrypt" in line and "team-a" in line]
        assert rows
        assert "alpha" in rows[0]
        assert " all " not in rows[0]


async def test_a_change_based_on_an_old_state_has_to_be_repeated(fleet: Fleet) -> None:
    fleet.beta.result = "@result\tfailed\tchanged_meanwhile\thtpasswd\n"
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x")
        await apply(wizard)
        await wizard.see("htpasswd was changed after it was read", "and try again")
        assert "lan again" not in wizard.text
        assert "apply them again" not in wizard.text


async def test_a_failure_rolls_the_others_back_and_keeps_staged_changes(fleet: Fleet) -> None:
    fleet.beta.result = "@result\tfailed\t[b]nginx -t\x1b[2J failed\n"
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await add(wizard, "dora")
        await apply(wizard)
        await wizard.see("✗ beta: [b]nginx -t\\x1b[2J failed", "Rolled back: alpha",
                         "Your changes are kept")  # fmt: skip
        await wizard.press("enter")
        await wizard.see("1 staged", "+ dora", "✓ alpha", "✓ beta")
        assert "dora" not in fleet.alpha.users
        fleet.beta.result = DONE
        await apply(wizard)
        await wizard.see("Password of dora")
    assert "dora" in fleet.beta.users


async def test_a_lost_server_fails_the_change(fleet: Fleet) -> None:
    fleet.alpha.run_fault = CannotConnect("The connection was lost.", server="alpha")
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x")
        await apply(wizard)
        await wizard.see("✗ alpha: The connection was lost.", "Rolled back: beta")


async def test_a_cancelled_change_is_rolled_back(fleet: Fleet) -> None:
    fleet.beta.slow_run = threading.Event()
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x")
        await apply(wizard)
        await wizard.see("Ready, waiting", "Stop and undo")
        await wizard.press("s")
        fleet.beta.slow_run.set()
        await wizard.see("Your changes are kept")
    assert not fleet.alpha.users["ana"].disabled


async def test_skipping_an_unreachable_server_needs_confirmation(fleet: Fleet) -> None:
    fleet.beta.fault = CannotConnect("No answer on port 22.", server="beta")
    async with fleet.open() as wizard:
        await wizard.see("✓ alpha  up to date", "✗ beta   unreachable: No answer on port 22.")
        await wizard.press("x", "enter")
        await wizard.see("beta cannot be reached", "brings it up to date", "access you revoke")
        await wizard.press("enter")  # the careful button
        await wizard.see("1 staged")
        assert not fleet.alpha.users["ana"].disabled
        await wizard.press("enter", "tab", "enter")
        await wizard.see("Apply to 1 server", "beta will not get this change now")
        await wizard.press("enter")
        await wizard.see("Changed on 1 server")
        assert fleet.alpha.users["ana"].disabled
        fleet.beta.fault = None
        await wizard.press("ctrl+r")
        await wizard.see("! beta   outdated")
        await apply(wizard)
        await wizard.see("✓ beta   up to date")
    assert fleet.beta.users["ana"].disabled


async def test_all_servers_are_unreachable(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.fault = CannotConnect("No answer.", server=server.server)
    async with fleet.open() as wizard:
        await wizard.see("✗ alpha", "✗ beta", "Ctrl+R: try again")
        for server in fleet.servers:
            server.fault = None
        await wizard.press("ctrl+r")
        await wizard.see("3 users")


async def test_a_server_that_does_not_respond_freezes_nothing(fleet: Fleet) -> None:
    fleet.beta.slow = threading.Event()
    async with fleet.open() as wizard:
        await wizard.see("… beta   connecting")
        began = time.monotonic()
        await wizard.press("escape")
        await wizard.see("New deployment")
        assert time.monotonic() - began < 5 * slowness()
        assert isinstance(wizard.app.screen, WelcomeScreen)


async def test_leaving_with_staged_changes_asks(fleet: Fleet) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x", "escape")
        await wizard.see("Not applied yet", "1 user changed, but not applied to any server")
        await wizard.press("enter")
        await wizard.see("1 staged")
        await wizard.press("ctrl+q")
        await wizard.see("Not applied yet")
        await wizard.press("escape", "escape", "tab", "enter")
        await wizard.see("New deployment")
        assert not fleet.alpha.users["ana"].disabled


@pytest.mark.parametrize("first", ["ctrl+c", "ctrl+q"])
async def test_ctrl_c_asks_about_staged_changes_once(fleet: Fleet, first: str) -> None:
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("x", "ctrl+c")
        await wizard.see("Not applied yet")
        await wizard.press("escape")
        await wizard.see("1 staged")
        await wizard.press(first)
        await wizard.see("Not applied yet", "Discard and leave")
        await wizard.press("ctrl+c")
        await wizard.until(lambda: wizard.app.return_value is not None, "Moorage ends")
    assert not fleet.alpha.users["ana"].disabled


async def test_users_are_imported_and_invalid_lines_listed(fleet: Fleet, home: Path) -> None:
    apr1 = "$apr1$abcdefgh$" + "b" * 22
    (home / "old.htpasswd").write_text(f"dora:{apr1}\nana:{apr1}\nbroken\neve:{{SHA}}abc\n")
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("3 users")
        await wizard.press("i")
        await wizard.type("nowhere.htpasswd")
        await wizard.press("enter")
        await wizard.see("nowhere.htpasswd cannot be read")
        await wizard.press(*["backspace"] * 16)
        await wizard.type("old.htpasswd")
        await wizard.press("ctrl+s")
        await wizard.see("+ 1 new: dora", "can pull all repositories",
                         "1 unchanged: ana",
                         "2 lines skipped", "line 3", "line 4, eve")  # fmt: skip
        await wizard.press("escape", "i")
        await wizard.type("old.htpasswd")
        await wizard.press("tab", "up", "tab")
        await wizard.type("Team")
        await wizard.press("enter")
        await wizard.see("lower-case letters")
        await wizard.press(*["backspace"] * 4)
        await wizard.type("team-a/*")
        await wizard.press("enter", "enter")
        await wizard.see("+ 1 new: dora", "can push team-a/*")
        await wizard.press("enter")
        await wizard.see("+ dora", "apr1")
        await apply(wizard)
        await wizard.see("Changed on 2 servers")
    assert fleet.beta.users["dora"].hash == apr1
    assert fleet.beta.users["dora"].rules == "push team-a/*"


async def test_the_file_of_the_older_product_is_offered_on_a_server(fleet: Fleet) -> None:
    fleet.beta.files["/etc/nginx/conf.d/cloud66.htpasswd"] = b"dora:$apr1$abcdefgh$" + b"b" * 22
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("3 users")
        await wizard.press("i", "shift+tab", "down")
        await wizard.see("/etc/nginx/conf.d/cloud66.htpasswd", "could push everywhere",
                         "(•) Push", "( ) Pull")  # fmt: skip
        await wizard.press("up")
        await wizard.see("( ) Push", "(•) Pull")
        await wizard.press("down", "ctrl+s")
        await wizard.see("No such file: /etc/nginx/conf.d/cloud66.htpasswd")
        await wizard.press("enter", "i", "shift+tab", "down", "down", "ctrl+s")
        await wizard.see("+ 1 new: dora", "can push all repositories", "cloud66.htpasswd on beta")


async def test_ten_thousand_users_are_found_while_typing(fleet: Fleet) -> None:
    many = [some_user("ci"), *(some_user(f"user-{n:05}", "pull", "a/*") for n in range(10_000))]
    for server in fleet.servers:
        server.put(many)
    async with fleet.open() as wizard:
        await wizard.see("10,001 users", "user-00003")
        began = time.monotonic()
        await wizard.press("slash")
        await wizard.type("09876")
        await wizard.see("1 with “09876”", "user-09876")
        await wizard.press("enter", "x")
        await wizard.see("~ user-09876  disabled")
        await wizard.press("escape", "end")
        await wizard.see("user-09999")
        assert time.monotonic() - began < 10 * slowness()
        assert wizard.app.screen.query_one(UserTable).row_count == 10_001


async def test_sorting_and_the_mouse(fleet: Fleet) -> None:
    january = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    fleet.alpha.activity.users["ana"] = [january, january]
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("Last push", "3 users")
        await wizard.see("ana", "ago" if datetime.now(UTC).year == 2025 else "")
        table = wizard.app.screen.query_one(UserTable)
        assert await wizard.pilot.click(UserTable, offset=(5, 3))
        await wizard.pilot.pause()
        assert table.row is not None
        assert table.row.user.name == "ci"
        await wizard.press("s")
        await wizard.see("by last seen (s: sort, /: find)")
        await wizard.until(
            lambda: [row.user.name for row in table.rows] == ["ana", "bob", "ci"], "it is sorted"
        )


async def test_who_pushed_last_is_found_on_a_narrow_screen(fleet: Fleet) -> None:
    now = int(time.time()) - 300
    seen, pushed, earlier = (now - hours * 3600 for hours in (1, 3, 90))
    fleet.alpha.activity.users = {"ana": [seen, earlier], "ci": [pushed, pushed]}
    async with fleet.open() as wizard:
        await wizard.see("3 users", "1 h ago")
        table = wizard.app.screen.query_one(UserTable)
        orders = []
        for order in ("by last seen", "by last push"):
            await wizard.press("s")
            await wizard.see(f"{order} (s: sort, /: find)")
            orders.append([row.user.name for row in table.rows])
        assert orders == [["ana", "ci", "bob"], ["ci", "ana", "bob"]]
        await wizard.press("home")
        exact = datetime.fromtimestamp(pushed).astimezone()
        await wizard.see("ci  push", "pushed 3 h", f"{exact:%Y-%m-%d %H:%M} · seen")


async def test_a_rule_without_a_slash_is_explained_while_it_is_typed(fleet: Fleet) -> None:
    note = "team-a is one repository; team-a/* is everything"  # the rest is on the next line
    async with fleet.open() as wizard:
        await wizard.see("3 users")
        await wizard.press("a")
        await wizard.see("Add a user")
        await wizard.type("dora")
        await wizard.press("enter", "enter")
        await wizard.see("For example team-a/app team-b/*")
        await wizard.type("team-a")
        await wizard.see(note)
        assert not wizard.app.screen.query_one("#repositories", Field).error
        await wizard.type("/*")
        await wizard.see("For example team-a/app team-b/*")
        await wizard.press("backspace", "backspace", "ctrl+s")
        await wizard.see("+ dora  push team-a (generated password)")
        await wizard.press("enter")
        await wizard.see("What will change", note)
        await wizard.press("escape")
        await wizard.see("1 staged")
        await wizard.press("e")
        await wizard.see("Access of dora", note)


async def test_hostile_names_are_shown_as_they_are(fleet: Fleet) -> None:
    for server in fleet.servers:
        server.put(USERS)
        server.files["/etc/nginx/moorage/htpasswd"] += b"[red]x\x1b[2J:$apr1$a$b\n"
    async with fleet.open((120, 40)) as wizard:
        await wizard.see("[red]x\\x1b[2J", "no access")


async def test_the_dashboard_and_the_palette_open_users(fleet: Fleet) -> None:
    async with opened(fleet.by_host, path=fleet.path) as wizard:
        await wizard.see("Dashboard")
        await wizard.press("u")
        await wizard.see("3 users")
        assert isinstance(wizard.app.screen, UsersScreen)
        titles = {each.title for each in wizard.app.get_system_commands(wizard.app.screen)}
        assert {"Add a user", "Change the password", "Change access", "Disable the user",
                "Remove the user", "Import users", "Find users", "Sort",
                "Read the servers again"} <= titles  # fmt: skip
        await wizard.press("escape")
        await wizard.see("Dashboard")
        assert isinstance(wizard.app.screen, DashboardScreen)


async def test_the_command_line_opens_users(fleet: Fleet) -> None:
    ways: list[dict[str, Any]] = [
        {}, {"path": fleet.path}, {"servers_read": (("alpha",), "")},
    ]  # fmt: skip
    for way in ways:
        async with opened(fleet.by_host, users=True, **way) as wizard:
            await wizard.see("3 users")
            await wizard.press("escape")
            await wizard.see("New deployment")


async def test_an_applied_but_unsaved_draft_is_a_deployment_too(fleet: Fleet) -> None:
    store.forget(fleet.path)
    draft = fleet.path.with_name("draft.yml")
    draft.write_text(fleet.path.read_text())
    store.remember(draft, "registry.example.com", state="applied", is_draft=True)
    async with opened(fleet.by_host, users=True) as wizard:
        await wizard.see("3 users")


async def test_with_several_deployments_one_is_chosen(fleet: Fleet) -> None:
    other = fleet.path.with_name("other.yml")
    other.write_text(fleet.path.read_text())
    store.remember(other, "other.example.com", state="applied")
    async with opened(fleet.by_host, users=True) as wizard:
        await wizard.see("Press U to open the users")


async def test_a_server_without_a_registry_says_so(fleet: Fleet) -> None:
    fleet.by_host["beta"] = FakeServer("beta")
    async with fleet.open() as wizard:
        await wizard.see("Moorage has not deployed a registry")
