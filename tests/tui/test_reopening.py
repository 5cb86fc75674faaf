"""Opening again: the start's live state, the dashboard, a server alone, and logs."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers, some_user
from opening import opened
from textual.events import ScreenResume, ScreenSuspend
from walk import ANSWERS, LOGIN

from moorage.answers.record import without_secrets
from moorage.answers.save import save
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import CheckStatus
from moorage.deploy.plan.plan import Plan
from moorage.deploy.status.overview import Health, Overview, keep_overview, kept_overviews
from moorage.deploy.verify.verify import Check, Verification
from moorage.desired import layout
from moorage.errors import CannotConnect
from moorage.recents import UNFINISHED
from moorage.servers.sudo import password_missing
from moorage.unseen_passwords import forget_unseen, unseen_passwords
from screens.dashboard.screen import DashboardScreen
from screens.logs.screen import LogsScreen
from tui.document import store
from tui.document.draft import Draft
from tui.document.unapplied import not_applied
from tui.wizard.frame import WizardFrame


def applied(home: Path) -> Path:
    """An answers file whose deployment was applied before."""
    path = home / "moorage.yml"
    draft = Draft(ANSWERS)
    save(draft.answers(), path)
    store.keep_applied(draft)
    store.remember(path, draft.domain, state="applied")
    return path


async def test_the_start_shows_the_status_of_deployments_without_prompting(
    servers: FakeServers, home: Path
) -> None:
    applied(home)
    servers["alpha"] = FakeServer("alpha", fault=CannotConnect("Nobody.", server="alpha"))
    async with opened(servers) as wizard:
        await wizard.see("registry.example.com", "✗ unreachable, alpha")
    async with opened(servers) as wizard:
        await wizard.see("✗ unreachable, alpha", "checked ")  # remembered


async def test_the_dashboard_keeps_the_indent_of_long_lines(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    reason = "No route to " + "that host and " * 8
    servers["alpha"] = FakeServer("alpha", fault=CannotConnect(reason, server="alpha"))
    async with opened(servers, path=path) as wizard:
        await wizard.see("✗ alpha", "      No route to", "\n      that host and that host")


@pytest.mark.parametrize(
    "server",
    [
        FakeServer("alpha", sudo_password="secret"),
        FakeServer("alpha", fault=password_missing("admin", "alpha")),
    ],
)
async def test_a_server_that_needs_a_password_shows_as_unknown(
    servers: FakeServers, home: Path, server: FakeServer
) -> None:
    applied(home)
    servers["alpha"] = server
    async with opened(servers) as wizard:
        await wizard.see("? unknown, alpha: a secret is needed")
        assert "Sudo password" not in wizard.text


async def test_unread_users_do_not_show_as_zero(servers: FakeServers, home: Path) -> None:
    path = applied(home)
    servers["alpha"] = FakeServer("alpha", sudo_password="secret")
    async with opened(servers, path=path) as wizard:
        await wizard.see("Sudo password of admin")
        await wizard.press("escape")
        await wizard.see("sudo does not accept")
        await wizard.press("u")
        await wizard.see("Sudo password of admin")
        await wizard.press("escape")
        await wizard.see("Could not read the users", "Ctrl+R: try again")
        assert "0 users" not in wizard.text
        await wizard.press("ctrl+r")
        await wizard.see("Sudo password of admin")


async def test_a_dialog_that_closes_at_once_does_not_reload(
    servers: FakeServers, home: Path
) -> None:
    async with opened(servers, path=applied(home)) as wizard:
        await wizard.see("not deployed")
        connected = servers["alpha"].connections
        dashboard = wizard.app.screen
        # On a busy machine, the screen hears that it was covered when the dialog has closed again.
        dashboard.post_message(ScreenSuspend())
        dashboard.post_message(ScreenResume())
        await wizard.pilot.pause()
        await wizard.see("not deployed")
        assert servers["alpha"].connections == connected


async def test_the_start_selects_the_last_opened_deployment(
    servers: FakeServers, home: Path
) -> None:
    applied(home)
    async with opened(servers) as wizard:
        await wizard.see("registry.example.com", "u Users")
        await wizard.press("enter")
        await wizard.see("Dashboard")
    assert not list((home / "state" / "drafts").glob("*"))


async def test_deployments_with_the_same_name_are_distinguishable(
    servers: FakeServers, home: Path
) -> None:
    applied(home)
    draft = store.new_draft_file()
    store.keep_draft(draft, Draft(ANSWERS), of=None)
    store.remember(draft, "registry.example.com", is_draft=True)
    async with opened(servers, size=(120, 40)) as wizard:
        await wizard.see("registry.example.com  ○ not applied yet", "opened today",
                         "· not saved to a file", "applied today", "moorage.yml")  # fmt: skip


async def test_drafts_of_the_same_deployment_are_distinguishable(
    servers: FakeServers, home: Path
) -> None:
    for host in ("alpha", "beta"):
        servers[host] = FakeServer(host)
        servers[host].put([some_user("ana")])
    async with opened(servers) as wizard:
        for host in ("alpha", "beta"):
            await wizard.press("c")
            await wizard.type(host)
            await wizard.press("ctrl+s")
            await wizard.see("Dashboard", f"{host}  Debian")
            await wizard.press("escape")
        await wizard.see("registry.example.com on alpha", "registry.example.com on beta")
        await wizard.see("· opened today", "· not saved to a file")


async def test_the_start_keeps_a_deployment_whose_file_is_missing_and_says_what_to_do(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    path.rename(home / "moved.yml")
    async with opened(servers) as wizard:
        await wizard.see("▌ registry.example.com", "! file missing", "O opens it where it is now")
        await wizard.press("enter")
        await wizard.see("moorage.yml was moved or deleted.", "press O", "(alpha)")
        await wizard.press("escape", "d")
        await wizard.see("Remove registry.example.com from this list?", "The file is missing")
        await wizard.press("enter")
        await wizard.until(lambda: not store.recents(), "it is removed from the list")
        assert "file missing" not in wizard.text


async def test_the_start_finds_a_deployment(servers: FakeServers, home: Path) -> None:
    for name in ("one", "two"):
        file = home / f"{name}.yml"
        save(Draft(ANSWERS).answers(), file)
        store.remember(file, f"{name}.example.com")
    async with opened(servers) as wizard:
        await wizard.see("one.example.com", "two.example.com")
        await wizard.press("slash")
        await wizard.see("Find a deployment")
        await wizard.type("ONE.ex")
        await wizard.press("enter")
        await wizard.see("▌ one.example.com", "Deployments with “one.ex”. Escape shows all.")
        assert "two.example.com" not in wizard.text
        await wizard.press("escape")
        await wizard.see("one.example.com", "two.example.com")
        assert "Escape" not in wizard.text


async def test_a_draft_that_is_not_deployed_offers_no_users(
    servers: FakeServers, home: Path
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("escape")
        await wizard.see("not saved to a file", "Remove")
        assert "Users" not in wizard.text
        await wizard.press("u")
        await wizard.see("New deployment")


async def test_removing_a_deployment_from_the_list_needs_confirmation(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    async with opened(servers) as wizard:
        await wizard.see("registry.example.com")
        await wizard.press("d")
        await wizard.see("The file is kept")
        await wizard.press("escape")
        await wizard.see("registry.example.com", "New deployment")
        await wizard.press("d", "enter")
        await wizard.pilot.pause()
        assert "registry.example.com" not in wizard.text
    assert path.is_file()


async def test_an_applied_deployment_opens_on_its_dashboard(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "! alpha", "Debian GNU/Linux 12", "Nothing is deployed here")
        assert isinstance(wizard.app.screen, DashboardScreen)
        await wizard.press("s")
        await wizard.see(
            "Where should the registry run?",
            "✓ alpha: Debian GNU/Linux 12",
            "✓ Review",
            "^n Review",
        )
        assert "not tested" not in wizard.text
        await wizard.press("escape")
        await wizard.see("Dashboard")
        await wizard.press("v")
        await wizard.see("Settings · Review", "1 server:", "esc Close", "^n Apply")
        await wizard.press("ctrl+b")
        await wizard.see("Settings · Advanced")
        await wizard.press("escape")
        await wizard.see("Dashboard")
        await wizard.press("u")
        await wizard.see("Moorage has not deployed a registry")
        await wizard.press("escape")
        await wizard.see("Dashboard")
        await wizard.press("c")
        await wizard.see("Paste the lines on the client", "docker login registry.example.com")
        await wizard.press("escape")
        await wizard.see("Dashboard")


async def test_the_dashboard_lists_changes_not_applied(servers: FakeServers, home: Path) -> None:
    path = applied(home)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "Debian")
        assert "not applied" not in wizard.text
        await wizard.press("s", "alt+6", "tab")
        await wizard.type("8443")
        await wizard.see("not saved · Advanced", "Apply (1 change)")
        await wizard.press("enter")
        await wizard.type("127.0.0.1")
        await wizard.see("Listen on       ▌127.0.0.1", "Apply (2 changes)")
        await wizard.press(*["backspace"] * len("127.0.0.1"))
        await wizard.see("Apply (1 change)")
        await wizard.press("alt+1")
        await wizard.see("~ Advanced", "✓ Storage", "not saved · Servers")
        await wizard.press("escape")
        await wizard.see("1 setting changed but not applied. Press v to review.")
        await wizard.press("s")
        await wizard.see("○ Review", "Settings: Alt+1 to 7", "Apply (1 change)")
        await wizard.press("ctrl+n")
        await wizard.see("not saved · Review", "1 server:")
        await wizard.press("escape")
        await wizard.see("Dashboard")
        await wizard.press("v")
        await wizard.see("not saved · Review", "1 server:")


async def test_the_dashboard_shows_its_time_and_refreshes_by_itself(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(DashboardScreen, "REFRESH", 0.3)
    servers["alpha"] = FakeServer("alpha", sudo_password="right")
    async with opened(servers, path=applied(home)) as wizard:
        await wizard.see("Sudo password of admin")
        await wizard.type("right")
        await wizard.press("enter")
        await wizard.see("(as of ", "Nothing is deployed")
        servers["alpha"].put([some_user("ci")])
        await wizard.see("The registry is not running")
        servers["alpha"].sudo_password = "another"
        await wizard.see("a secret is needed")  # and no prompt
        assert isinstance(wizard.app.screen, DashboardScreen)


async def test_an_apply_whose_end_was_not_seen_shows_as_applied(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    draft = Draft({**ANSWERS, "ssl": {"mode": "none"}, "rollout": "all_at_once"})
    save(draft.answers(), path)
    alpha = servers["alpha"]
    alpha.put([some_user("ci")])
    async with opened(servers, path=path) as wizard:
        await wizard.see("2 settings changed but not applied")
        record = json.loads(alpha.files[layout.DEPLOYMENT])
        record["answers"] = without_secrets(draft.answers())
        alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
        await wizard.press("ctrl+r")
        await wizard.until(lambda: "not applied" not in wizard.text, "the record is read")


async def test_an_apply_that_was_cut_off_is_read_at_the_start(
    servers: FakeServers, home: Path
) -> None:
    servers["alpha"] = FakeServer("alpha", waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Installing packages")
        (left,) = store.recents()
        assert left.state == "apply not finished"
        await wizard.until(servers["alpha"].has_begun.is_set, "the run begins")
        servers["alpha"].aborted.set()
        await wizard.see("Apply failed")


async def test_a_generated_password_that_was_never_shown_is_named_until_it_is_replaced(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    alpha = servers["alpha"] = FakeServer("alpha")
    end = alpha.slow_run = threading.Event()
    async with opened(servers, path=path) as wizard:
        await wizard.see("Nothing is deployed here")
        await wizard.press("v")
        await wizard.see("1 server:")
        await wizard.press("ctrl+n")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.until(alpha.has_begun.is_set, "the run begins")
    end.set()  # the terminal was closed
    alpha.put([some_user("ci")])

    async with opened(servers, path=path) as wizard:
        await wizard.see("! Password of ci: generated by an apply whose end was not seen")
        await wizard.see("To set new ones, press u, select", "the user and press p.")
        forget_unseen("registry.example.com", ["ci"])
        await wizard.press("ctrl+r")
        await wizard.until(lambda: "Password of ci" not in wizard.text, "the servers are read")


async def test_a_generated_password_that_was_shown_or_never_set_is_not_named(
    servers: FakeServers, home: Path
) -> None:
    alpha = servers["alpha"] = FakeServer("alpha")
    alpha.result = "@result\tfailed\tregistry_not_starting\tno\n"
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Apply failed", "r Retry")
        assert unseen_passwords("registry.example.com") == ()
        alpha.result = "@result\tdone\t\t\n"
        await wizard.press("r")
        await wizard.until(lambda: alpha.runs == 2, "the second run begins")
        await wizard.see("Apply failed")  # nobody answers the checks
        assert unseen_passwords("registry.example.com") == ("ci",)
        await wizard.press("enter")
        await wizard.see("Password of ci")
        assert unseen_passwords("registry.example.com") == ()


async def test_answers_older_than_the_last_apply_say_so(servers: FakeServers, home: Path) -> None:
    path = applied(home)
    older = Draft({**ANSWERS, "based_on": 4})
    save(older.answers(), path)
    store.keep_applied(Draft({**ANSWERS, "based_on": 5, "ssl": {"mode": "none"}}))
    async with opened(servers, path=path) as wizard:
        await wizard.see("These answers are older than what was applied.", "would undo 1")


@pytest.mark.parametrize(
    ("change", "places"),
    [
        ({}, ()),
        ({"registry": {"domain": "registry.example.com", "port": 443}}, ()),  # the default
        ({"servers": [{"host": "alpha", "key": "~/.ssh/id", "user": "root"}]}, ()),  # only a login
        ({"ask": ["ssl"]}, ()),
        ({"registry": {"domain": "registry.example.com", "port": 8443}}, ("registry.port",)),
        ({"ssl": {"mode": "none"}, "rollout": "all_at_once"}, ("ssl", "rollout")),
        ({"credentials": {"users": [
            {"name": "ana", "access": "pull", "password": {"prompt": True}},
            {"name": "ci", "password": {"generate": True}}]}}, ("credentials.users.ana",)),
    ],
)  # fmt: skip
def test_only_changes_an_apply_would_make_count(
    home: Path, change: dict[str, object], places: tuple[str, ...]
) -> None:
    store.keep_applied(Draft(ANSWERS))
    assert not_applied(Draft(ANSWERS | change)) == places


async def test_the_dashboard_responds_while_a_server_does_not(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    servers["alpha"] = FakeServer("alpha", slow=threading.Event())
    async with opened(servers, path=path) as wizard:
        await wizard.see("Reading alpha", "(Escape: back)")
        await wizard.press("escape")
        await wizard.see("New deployment")
        servers["alpha"].slow.set()  # type: ignore[union-attr]


async def test_a_run_in_progress_is_followed_from_the_dashboard(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    servers["alpha"] = FakeServer(
        "alpha", extra_facts="run\t20260101-000000-abc\tyes\t1767225600\tpackages\t\t\n"
    )
    async with opened(servers, path=path) as wizard:
        await wizard.see("Last run", "running", "Follow the run")


async def test_a_server_without_moorage_says_so(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("c")
        await wizard.type("root@alpha")
        await wizard.press("enter", "enter")
        await wizard.see("Moorage has not deployed a registry here")
        await wizard.press("escape")
        await wizard.see("New deployment")


async def test_answers_matching_a_servers_record_show_as_applied_at_the_start(
    servers: FakeServers, home: Path
) -> None:
    alpha = FakeServer("alpha")
    alpha.put([some_user("ci")])
    record = json.loads(alpha.files[layout.DEPLOYMENT]) | {"deployed_at": "2026-01-02T03:04:05Z"}
    alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    servers["alpha"] = alpha
    async with opened(servers) as wizard:
        await wizard.press("c")
        await wizard.type("alpha")
        await wizard.press("enter", "enter")
        await wizard.see("Dashboard", "Debian")
        await wizard.press("escape")
        await wizard.see("New deployment", "applied 2026-01-02", "registry.example.com")
        assert "not applied yet" not in wizard.text


async def test_a_plan_without_changes_shows_that_a_draft_is_applied(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        assert store.last_applied("registry.example.com") is None
        monkeypatch.setattr(Plan, "has_changes", False)  # a run that was left has made them
        await wizard.press("ctrl+r")
        await wizard.see("registry.example.com", "1 server:")
        await wizard.press(*["escape"] * 7)
        await wizard.see("New deployment", "applied today")
        await wizard.press("enter")
        await wizard.see("Dashboard")


async def test_a_long_error_is_one_line_at_the_start_and_once_on_the_dashboard(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    why = "the mirror does not answer " * 60 + "finally"
    failed = f"run\t20260101-000000-abc\tno\t1767225600\tpackages\tfailed\t{why}\n"
    servers["alpha"] = FakeServer("alpha", extra_facts=failed)
    async with opened(servers) as wizard:
        await wizard.see("! needs attention", "…")
        lines = [line for line in wizard.text.splitlines() if "registry.example" in line]
        assert len(lines) == 1
        below = wizard.text.splitlines()[wizard.text.splitlines().index(lines[0]) + 1]
        assert "applied today" in below
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "needs attention", "Scroll")
        assert "finally" not in wizard.text
        for _ in range(12):
            await wizard.press("down")
        await wizard.press("pagedown")
        await wizard.see("finally")
        assert "! registry.example.com: needs attention\n" not in wizard.text  # scrolled away
        await wizard.press("pageup", "pageup")
        await wizard.see("! registry.example.com: needs attention ")


async def test_only_the_refused_secret_is_prompted_for_again(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", login=LOGIN, password="in", sudo_password="up")
    async with opened(servers) as wizard:
        for login, sudo in (("no", ""), ("in", "no"), ("", "up")):
            await wizard.press("c", "ctrl+u")
            await wizard.type("admin@alpha")
            await wizard.press("enter", "enter")
            if login:
                await wizard.see("Or a key file")
                await wizard.type(login)
                await wizard.press("enter")
            if sudo:
                await wizard.see("Sudo password of admin")
                await wizard.type(sudo)
                await wizard.press("enter")
            if "no" in (login, sudo):
                await wizard.see("Wrong password, try again")
                await wizard.press("escape")
            says = "Moorage has not deployed" if sudo == "up" else "was refused"
            await wizard.see("sudo does not accept" if sudo == "no" else says)
            await wizard.press("escape")


async def test_logs_are_followed_and_filtered(servers: FakeServers, home: Path) -> None:
    path = applied(home)
    log = b"Nov 25 registry: GET /v2/ 200\nNov 25 nginx: [error] [b]upstream\x1b[2J failed\n"
    servers["alpha"] = FakeServer("alpha", logs=log)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "alpha")
        await wizard.press("l")
        await wizard.see("GET /v2/ 200", "[b]upstream\\x1b[2J failed")
        assert isinstance(wizard.app.screen, LogsScreen)
        await wizard.press("l", "l")
        await wizard.see("warnings and errors", "upstream")
        assert "GET /v2/ 200" not in wizard.text
        await wizard.press("slash")
        await wizard.type("elsewhere")
        await wizard.press("enter")
        await wizard.see("No line here matches")
        await wizard.press("escape")
        await wizard.see("Dashboard")


async def test_logs_say_that_the_connection_was_lost_and_is_back(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    servers["alpha"] = FakeServer("alpha", logs=b"Nov 25 nginx: [warn] once\n", loses_logs=True)
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "alpha")
        await wizard.press("l")
        await wizard.see("! No answer. Reconnecting…", "! Reconnected after ")
        await wizard.press("l", "l")
        await wizard.see("warnings and errors", "! Reconnected after ")


async def test_a_request_in_the_logs_begins_with_the_important_fields(
    servers: FakeServers, home: Path
) -> None:
    path = applied(home)
    servers["alpha"] = FakeServer(
        "alpha",
        logs=_request("error", "team/app", "unknown", 500, STORE_IS_DOWN)
        + b"\n"
        + _request("error", "team/app")
        + b"\n"
        + REQUEST.encode()
        + b"\n",
    )
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "alpha")
        await wizard.press("l")
        await wizard.see(
            "Nov 25 15:37:41 500 HEAD   -          192.0.2.7       connection refused: te",
            "Nov 25 15:37:41 404 HEAD   -          192.0.2.7       blob unknown to regist",
            "Nov 25 15:37:41 201 PUT    ana        192.0.2.7       team/app/manifests/1",
        )
        await wizard.press("l", "l", "l")
        await wizard.see("500 HEAD")
        assert "404" not in wizard.text


async def test_requests_in_the_logs_are_filtered(servers: FakeServers, home: Path) -> None:
    path = applied(home)
    lines = (
        REQUEST,
        REQUEST.replace("\tana\t201\t", "\tbob\t403\t"),
        REQUEST.replace("team/app", "moorage-verify"),
    )
    servers["alpha"] = FakeServer("alpha", logs="".join(f"{each}\n" for each in lines).encode())
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard", "alpha")
        await wizard.press("l")
        await wizard.see("403 PUT    bob", "[check] …/manifests/1")
        await wizard.press("c")
        await wizard.see("without checks", "201 PUT    ana")
        assert "[check]" not in wizard.text
        await wizard.press("F")
        await wizard.see("Filter the requests", "Repository")
        await wizard.press("enter", "enter")
        await wizard.type("4")
        await wizard.press("enter")
        await wizard.see("Invalid status '4'")
        await wizard.type("xx")
        await wizard.press("enter")
        await wizard.see("status 4xx", "403 PUT    bob")
        assert "ana" not in wizard.text
        await wizard.press("F", "ctrl+u")
        await wizard.type("carol")
        await wizard.press("ctrl+s")
        await wizard.see("user carol", "No line here matches")


STORE_IS_DOWN = (
    "s3aws: RequestError: send request failed\\ncaused by: Get "
    '\\"http://192.0.2.9:9/images\\": dial tcp 192.0.2.9:9: connect: connection refused'
)
REQUEST = (
    "2026-11-25T15:37:41+00:00\tana\t201\tPUT\t/v2/team/app/manifests/1\t192.0.2.7\t250\t0.3\t"
    "docker/27\tunix:/run/moorage-registry/blue/registry.sock"
)


def _request(
    level: str,
    name: str = "moorage-verify",
    code: str = "blob unknown",
    status: int = 404,
    detail: str = "map[]",
) -> bytes:
    """A line of the registry's journal about a request."""
    return (
        f'2026-11-25T15:37:41+0000 docker-registry[6]: time="2026-11-25T15:37:41Z" level={level} '
        f'msg="response completed with error" err.code="{code}" '
        f'err.detail="{detail}" err.message="{code} to registry" go.version=go1.19.8 '
        "http.request.host=a.example.com http.request.remoteaddr=192.0.2.7 "
        f'http.request.method=HEAD http.request.uri="/v2/{name}/blobs/sha256:{"a" * 64}" '
        f"http.response.status={status} vars.name={name}"
    ).encode()


async def test_a_crash_loses_at_most_what_is_being_typed(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("alt+3", "tab")
        await wizard.type("/srv/images")
        drafts = home / "state" / "drafts"
        await wizard.until(
            lambda: any("/srv/images" in each.read_text() for each in drafts.glob("*.yml")),
            "typing has paused, and the draft is kept",
        )
        (draft,) = drafts.glob("*.yml")  # as a wizard that is killed now leaves it
        assert "alpha" in draft.read_text()


async def test_the_palette_reaches_every_action_of_a_screen(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.see("1 server:")
        screen = wizard.app.screen
        assert isinstance(screen, WizardFrame)
        titles = {command.title for command in wizard.app.get_system_commands(screen)}
        assert {"Difference, whole file, or commands", "Copy what is shown", "Apply",
                "Previous step", "Save the answers", "Help", "Users", "Logs", "Go to Storage",
                "Leave Moorage"} <= titles  # fmt: skip
        await wizard.press("ctrl+p")
        await wizard.see("Key Ctrl+N", "Key Ctrl+B")
        # In the order of use, not of the alphabet.
        assert wizard.text.index("Key Ctrl+N") < wizard.text.index("Key Ctrl+B")
        await wizard.press("escape")
        await wizard.search_palette("go to sto", "Go to Storage")
        await wizard.press("enter")
        await wizard.see("Where should images be stored?")
        await wizard.search_palette("passwords", "Users")
        await wizard.press("enter")
        await wizard.see("Who can log in?")


async def test_only_failed_servers_are_retried(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", result="@result\tfailed\tno luck\n")
    async with opened(servers, prefill=ANSWERS | {"ssl": {"mode": "none"}}) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Apply failed", "r Retry")
        connected = servers["alpha"].connections
        await wizard.press("r")
        await wizard.see("Apply failed", "no luck")
        assert servers["alpha"].connections > connected


async def test_a_server_that_does_not_respond_is_reported_and_skipped(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", log="@step\t0\tpackages\n", waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("On alpha")
        await wizard.press("enter")
        await wizard.see("Installing packages")
        screen = wizard.app.screen
        screen._servers["alpha"].heard = time.monotonic() - 45  # type: ignore[attr-defined]
        await wizard.see("silent for 45 s")
        await wizard.press("escape")
        await wizard.see("alpha: rolls back (installing packages)")
        await wizard.press("tab", "enter")
        await wizard.see("Review  7 of 7")
        await wizard.until(servers["alpha"].has_begun.is_set, "the run begins")
        servers["alpha"].aborted.set()


def test_dashboard_states_are_saved_without_secrets(home: Path) -> None:
    path = applied(home)
    keep_overview(path, Overview(Health.HEALTHY, "", 300))
    assert kept_overviews()[str(path)].text == "healthy, certificate 300 days"
    assert Overview(Health.ATTENTION, "Nothing runs").text == "needs attention: Nothing runs"
    assert json.loads((home / "state" / "seen.json").read_text())


async def test_an_apply_whose_end_was_not_seen_can_be_verified(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("alpha", "login", "log in", CheckStatus.GOOD, "200 as ci")
    monkeypatch.setattr(Deployment, "verify", lambda *_, **__: Verification((check,)))
    path = applied(home)
    draft = Draft(ANSWERS)
    alpha = servers["alpha"]
    alpha.put([some_user("ci")])
    record = json.loads(alpha.files[layout.DEPLOYMENT])
    record["answers"] = without_secrets(draft.answers())
    alpha.files[layout.DEPLOYMENT] = json.dumps(record).encode()
    async with opened(servers, path=path) as wizard:
        await wizard.see("(as of")
        assert "verified" not in wizard.text
    store.remember(path, draft.domain, state=UNFINISHED)
    async with opened(servers, path=path) as wizard:
        await wizard.see(
            "! The last apply has ended, but its end was not seen", "Press t to verify"
        )
        await wizard.press("t")
        await wizard.see("registry.example.com is up")
    assert store.state_of(path) == "applied"


async def test_following_a_run_from_the_dashboard_ends_with_the_checks(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Check("alpha", "login", "log in", CheckStatus.GOOD, "200 as ci")
    monkeypatch.setattr(Deployment, "verify", lambda *_, **__: Verification((check,)))
    path = applied(home)
    servers["alpha"].extra_facts = "run\t29990103\tyes\t3\tpackages\t\t\n"
    async with opened(servers, path=path) as wizard:
        await wizard.see("29990103 running")
        await wizard.press("f")
        await wizard.see("registry.example.com is up")
