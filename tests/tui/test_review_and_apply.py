import asyncio
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_server import LONG, FakeServer, FakeServers
from opening import opened
from patience import slowness
from textual.widgets import Static
from textual.widgets._toast import Toast
from walk import LOGIN
from wizard_driver import SIZES, Wizard

from moorage.answers.secrets import Secret
from moorage.deploy.events import CheckStatus
from moorage.deploy.operations import Outcome
from moorage.deploy.verify.verify import Check, Verification
from moorage.errors import CannotConnect
from screens.apply.checklist import checklist
from screens.apply.screen import ApplyScreen
from screens.done.screen import DoneScreen
from screens.review.step import ReviewPane
from tui.widgets.diff_view import DiffView
from tui.widgets.log_view import LogView
from tui.widgets.server_row import ServerProgress


def make_key(path: Path) -> None:
    """Make a private key file."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)


ANSWERS = {
    "version": 1,
    "registry": {"domain": "registry.example.com"},
    "servers": [{"host": "alpha"}],
    "credentials": {"users": [{"name": "ci", "password": {"generate": True}}]},
}
RUNNING = "run\t20260101-000000-abc\tyes\t1767225600\tpackages\t\t\n"
INTERRUPTED = "run\t20260101-000000-abc\tno\t1767225600\tpackages\tinterrupted\tpower lost\n"


async def to_apply(wizard: Wizard) -> None:
    await wizard.see("1 server:")
    await wizard.press("enter")
    await wizard.see("On alpha")
    await wizard.press("enter")


async def test_an_unknown_host_key_is_shown_and_rejected(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", unknown_key="SHA256:abc[b]def")
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("SHA256:abc[b]def", "ssh-ed25519")
        await wizard.press("enter")  # the careful button has the focus
        await wizard.see("✗ alpha: The host key is not known: SHA256:abc[b]def.")
        await wizard.press("ctrl+r")
        await wizard.see("SHA256:abc[b]def")
        await wizard.press("t")
        await wizard.see("1 server:")


async def test_a_wrong_sudo_password_prompts_again(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", sudo_password="right")
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Sudo password of admin", "alpha", "Password        ▌")
        for guess in ("wrong", "wring", "wrung"):
            await wizard.type(guess)
            await wizard.press("enter")
            if guess != "wrung":
                await wizard.see("Sudo password of admin", "✗ Wrong password, try again")
        await wizard.see("✗ alpha: sudo does not accept the password of admin.")
        await wizard.press("ctrl+r")
        await wizard.see("Sudo password of admin")
        await wizard.type("right")
        await wizard.press("enter")
        await wizard.see("1 server:")
        await wizard.press("ctrl+r")  # and is remembered
        await asyncio.sleep(0.2)
        await wizard.see("1 server:")
        assert "right" not in wizard.text


async def test_a_login_without_a_usable_key_explains_why_and_accepts_a_password(
    servers: FakeServers,
) -> None:
    servers["alpha"] = FakeServer("alpha", login=LOGIN)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("2 keys from the ssh agent", "~/.ssh/id_[rsa]", "publickey, password")
        await wizard.press("enter", "enter")
        await wizard.see("✗ Enter a password or a key")
        await wizard.type("hush")
        await wizard.press("enter")
        await wizard.see("1 server:")
        assert servers["alpha"].logged_in == Secret("hush")


async def test_a_key_chosen_at_login_is_saved_with_the_server(
    servers: FakeServers, home: Path
) -> None:
    servers["alpha"] = FakeServer("alpha", login=LOGIN)
    make_key(home / "key")
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Or a key file")
        await wizard.press("tab")
        await wizard.type("~/no")
        await wizard.press("enter")
        await wizard.see("✗ The key ~/no cannot be read: no such file")
        await wizard.press("ctrl+u")
        await wizard.type("~/key")
        await wizard.press("enter")
        await wizard.see("1 server:")
        assert servers["alpha"].logged_in == Path("~/key")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.text("servers[0].key") == "~/key"


async def test_a_key_chosen_during_a_test_shows_in_the_server_dialog(
    servers: FakeServers, home: Path
) -> None:
    servers["alpha"] = FakeServer("alpha", login=LOGIN)
    make_key(home / "key")
    async with opened(servers) as wizard:
        await wizard.press("enter")
        await wizard.type("registry.example.com")
        await wizard.press("enter")
        await wizard.type("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("Or a key file")
        await wizard.press("tab")
        await wizard.type("~/key")
        await wizard.press("enter")
        await wizard.see("Add a server", "✓ Debian", "~/key")
        await wizard.press("ctrl+s")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.text("servers[0].key") == "~/key"


async def test_a_server_without_public_key_authentication_prompts_for_a_password_only(
    servers: FakeServers,
) -> None:
    servers["alpha"] = FakeServer("alpha", login=replace(LOGIN, methods=("password",)))
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("The server accepts: password.")
        assert "key file" not in wizard.text


async def test_questions_of_several_servers_are_asked_in_turn(servers: FakeServers) -> None:
    hosts = ["alpha", "beta", "gamma"]
    for host in hosts:
        servers[host] = FakeServer(host, unknown_key="SHA256:abc[b]def")
    answers = ANSWERS | {
        "servers": [{"host": host} for host in hosts],
        "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "us-east-1"}},
    }
    async with opened(servers, prefill=answers) as wizard:
        for _ in hosts:
            await wizard.see("Unknown server")
            await wizard.press("t")
        await wizard.see("3 servers:")


async def test_the_interface_responds_while_a_server_is_slow(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", slow=threading.Event())
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("Reading the servers", "alpha: connecting")
        await wizard.until(lambda: bool(servers["alpha"].connections), "it connects")
        await wizard.press("escape")
        # The server has still not answered.
        await wizard.see("6 of 7")
        await wizard.until(lambda: bool(servers["alpha"].closed), "the connection is closed")


async def test_all_unreachable_servers_are_listed(servers: FakeServers) -> None:
    for host in ("alpha", "beta"):
        servers[host] = FakeServer(
            host, fault=CannotConnect("Nobody is there.", advice="Switch it on.", server=host)
        )
    answers = ANSWERS | {
        "servers": [{"host": "alpha"}, {"host": "beta"}],
        "storage": {"driver": "s3", "s3": {"bucket": "images", "region": "us-east-1"}},
    }
    async with opened(servers, prefill=answers) as wizard:
        await wizard.see("✗ alpha: Nobody is there.", "✗ beta:", "Switch it on.")
        await wizard.press("enter")
        await wizard.see("Review  7 of 7")


async def test_the_pane_shows_the_diff_of_the_selected_file(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.see("1 server:")
        for _ in range(60):
            await wizard.press("down")
            if "/etc/nginx/moorage/htpasswd" in wizard.text:
                break
        await wizard.see("+ htpasswd  +1", "1 + ci:******** (after apply)")
        await wizard.press("v")
        await wizard.see("● Whole file", "ci:******** (after apply)")


async def test_the_first_file_shown_is_not_a_secret_one(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await wizard.see("1 server:", "+ registry.env  +2", "/etc/moorage/registry/blue/config.yml")


@pytest.mark.parametrize("size", SIZES)
async def test_review_finds_a_change_by_what_is_in_it(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await wizard.see("1 server:", "/etc/moorage/registry/blue/config.yml")
        await wizard.press("slash")
        await wizard.type("client_max_BODY")
        await wizard.press("enter")
        await wizard.see("client_max_body_size")  # it is scrolled to
        assert wizard.app.screen.query_one(DiffView).scroll_y > 0
        await wizard.press("tab", "home", "shift+tab")
        await wizard.see("/etc/nginx/conf.d/moorage.conf", "“client_max_body”: on ")
        await wizard.press("slash", "ctrl+u")
        await wizard.type("no such text")
        await wizard.press("enter")
        await wizard.see("“no such text” is not in the plan", "“no such text”: not here")
        await wizard.press("slash", "ctrl+u", "enter", "tab")
        assert isinstance(wizard.app.focused, DiffView)
        await wizard.press("slash")
        await wizard.see("Find here")
        await wizard.type("server")
        await wizard.press("enter")
        view = wizard.app.screen.query_one(DiffView)
        first = view.scroll_y
        await wizard.press("n")
        await wizard.until(lambda: view.scroll_y > first, "the next place is shown")
        await wizard.press("home")
        await wizard.see("“server”: on ")


async def test_the_question_says_what_to_expect(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        await wizard.press("enter")
        await wizard.see("Takes        usually 1 to 3 minutes", "Interrupts   nothing")
        await wizard.see("If it fails  the server is rolled back; installed packages stay")


@pytest.mark.parametrize("size", SIZES)
async def test_the_diff_gets_at_least_half_of_the_height(
    servers: FakeServers, size: tuple[int, int]
) -> None:
    facts = INTERRUPTED + "clock\t1\n"
    servers["alpha"] = FakeServer("alpha", extra_facts=facts)
    async with opened(servers, prefill=ANSWERS, size=size) as wizard:
        await wizard.see("1 + # Written by Moorage", "/etc/moorage/registry/blue/config.yml")
        pane, detail = (wizard.app.screen.query_one(each).region for each in ("#review", "#detail"))
        wide, high = detail.width * 2 >= pane.width, detail.height * 2 >= pane.height
        assert wide, (pane, detail)
        assert high, (pane, detail)


async def test_missing_answers_are_listed_and_enter_jumps_to_them(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("enter", "alt+7")
        await wizard.see("Some answers are missing or wrong", "Servers: Registry name: expected")
        assert "registry.domain" not in wizard.text
        await wizard.press("enter")
        await wizard.see("1 of 7")


async def test_a_plan_with_problems_cannot_be_applied(servers: FakeServers) -> None:
    taken = 'listener\tLISTEN 0 511 0.0.0.0:443 0.0.0.0:* users:(("[apache]",pid=1,fd=3))\n'
    servers["alpha"] = FakeServer("alpha", extra_facts=taken)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("✗ alpha: port 443 is taken by [apache]")
        await wizard.press("enter")
        await wizard.see("Fix the items marked", "port 443 is taken")
        assert not wizard.app.screen.query(Toast)
        assert isinstance(wizard.app.screen.query_one("#review"), ReviewPane)
        assert not isinstance(wizard.app.screen, ApplyScreen)


async def test_a_failed_run_names_the_step_and_opens_the_report(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer(
        "alpha",
        log="@step\t0\tpackages\nE: [red]Unable[/] \x1b[31mto locate\n",
        result="@result\tfailed\tapt-get ended with 100\n",
    )
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        await wizard.see("Apply failed", "apt-get ended with 100")
        await wizard.see("E: [red]Unable[/] \\x1b[31mto locate")
        await wizard.press("enter")
        await wizard.see("The apply did not complete.", "failed while installing packages")
        servers["alpha"].extra_facts = INTERRUPTED
        await wizard.press("r")
        await wizard.see("Review  7 of 7", "1 server:", "power lost")  # read anew


async def test_cancelling_explains_its_effect_and_rolls_back(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", log="@step\t0\tpackages\n", waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        await wizard.see("Installing packages")
        await wizard.press("escape")
        await wizard.see("rolls back", "Stop and roll back", "Continue")
        await wizard.press("right", "right", "enter")
        await wizard.see("Stopped", "── stopped and rolled back", "Nothing is deployed.")
        assert "cancelled" not in wizard.text
        assert servers["alpha"].aborted.is_set()
        await wizard.press("escape")
        await wizard.see("The apply to registry.example.com was stopped and rolled back.",
                         "Packages that were installed are kept.")  # fmt: skip
        assert "did not complete" not in wizard.text
        assert "cancelled" not in wizard.text


async def test_the_cancel_dialog_says_when_the_run_has_ended(servers: FakeServers) -> None:
    alpha = FakeServer("alpha", log="@step\t0\tpackages\n", waits_for_abort=True)
    servers["alpha"] = alpha
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        await wizard.see("Installing packages")
        await wizard.press("escape")
        await wizard.see("rolls back (installing packages)")
        words = " ".join(wizard.app.screen.query_one(".dialog--text", Static).content.split())
        assert "Moorage then cannot show the password of ci; set a new one in Users." in words
        screen = next(each for each in wizard.app.screen_stack if isinstance(each, ApplyScreen))
        screen._servers["alpha"].begin_step("record")
        await wizard.see("has switched, and keeps the change")  # it follows the run
        await wizard.until(lambda: "Stop" not in wizard.text, "stopping is not offered")
        assert "Leave" in wizard.text
        alpha.aborted.set()
        await wizard.see("The apply has ended", "Report")
        assert "rolls back" not in wizard.text
        assert "Cancel" not in wizard.text
        await wizard.press("enter")
        await wizard.see("Apply failed", "Report")


async def test_the_report_names_what_was_not_checked(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    skipped = [
        Check("web1", key, name, CheckStatus.SKIPPED, "no password is known")
        for key, name in (("login", "log in"), ("push", "push"))
    ]
    async with opened(servers, prefill=ANSWERS) as wizard:
        assert wizard.app.session is not None
        engine = wizard.app.session.operations

        def applied(**_: bool) -> Outcome:
            engine.outcome = Outcome(verification=Verification(tuple(skipped)))
            return engine.outcome

        monkeypatch.setattr(engine, "apply", applied)
        await to_apply(wizard)
        await wizard.see("registry.example.com is up. Not checked: log in, push (no password is")
        assert "✓ registry" not in wizard.text


def hold_apply(wizard: Wizard, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Make an apply wait for the event, and then succeed."""
    assert wizard.app.session is not None
    engine = wizard.app.session.operations
    over = threading.Event()

    def applied(**_: bool) -> Outcome:
        over.wait(LONG)
        engine.outcome = Outcome()
        return engine.outcome

    monkeypatch.setattr(engine, "apply", applied)
    return over


@pytest.mark.parametrize("key", ["enter", "escape"])
async def test_a_key_meant_for_the_cancel_dialog_does_not_leave_the_report(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        over = hold_apply(wizard, monkeypatch)
        await to_apply(wizard)
        await wizard.see("Applying the plan")
        await wizard.press("escape")
        await wizard.see("Cancel", "Stop and roll back")
        over.set()
        await wizard.see("The apply has ended")
        await wizard.press(key)  # to continue
        await wizard.see("registry.example.com is up.")
        await asyncio.sleep(0.3)
        assert isinstance(wizard.app.screen, DoneScreen)


async def test_done_opens_once_a_dialog_is_closed(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers["alpha"] = FakeServer("alpha", log="@step\t0\tpackages\n", waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        over = hold_apply(wizard, monkeypatch)
        await to_apply(wizard)
        await wizard.see("Applying the plan")
        await wizard.press("slash")
        await wizard.see("Find in the log")
        over.set()
        await asyncio.sleep(0.4)
        await wizard.see("Find in the log")  # is not torn away
        await wizard.press("escape")
        await wizard.see("registry.example.com is up.")


async def test_failed_checks_after_a_successful_run_are_shown(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS | {"ssl": {"mode": "none"}}) as wizard:
        assert wizard.app.session is not None
        wizard.app.session.draft.set("registry.port", 1)
        await wizard.press("ctrl+r")
        await to_apply(wizard)
        await wizard.see("Apply failed", "✗ alpha")
        await wizard.see("100%", "check failed: reach port 1")
        await wizard.press("v")
        await wizard.see("✗ reach port 1  ", "- refused without a password  ")


async def test_a_run_in_progress_is_followed(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer(
        "alpha",
        extra_facts=RUNNING,
        log="@step\t0\tnginx-files\nhalf way\n",
        result="@result\tfailed\tno luck\n",
    )
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("a run is in progress (installing packages)")
        await wizard.press("enter")
        await wizard.see("half way", "no luck")


async def test_an_interrupted_run_is_reported(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", extra_facts=INTERRUPTED)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("last run interrupted while installing", "power lost")


async def test_a_hundred_thousand_lines_do_not_slow_the_keys(servers: FakeServers) -> None:
    lines = "".join(f"line {number} of the log\n" for number in range(100_000))
    servers["alpha"] = FakeServer("alpha", log="@step\t0\tpackages\n" + lines, waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        slowest = 0.0
        end = time.monotonic() + 120
        while wizard.app.screen.query_one(LogView).line_count < 100_000 and time.monotonic() < end:
            started = time.monotonic()
            await asyncio.sleep(0)
            slowest = max(slowest, time.monotonic() - started)
            await asyncio.sleep(0.01)
        assert wizard.app.screen.query_one(LogView).line_count >= 100_000
        # Far more than it takes, far less than a log that is drawn line by line.
        assert slowest < 5 * slowness()
        await wizard.press("slash")
        await wizard.type("line 4242 ")
        await wizard.press("enter")
        await wizard.see("line 4242 of the log")
        assert "line 99999" not in wizard.text
        servers["alpha"].aborted.set()


async def test_the_log_of_a_server_is_saved(servers: FakeServers, home: Path) -> None:
    servers["alpha"] = FakeServer(
        "alpha",
        log="@step\t0\tpackages\nGet:1 nginx\nsomething\n",
        result="@result\tfailed\tno\n",
    )
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        await wizard.see("Apply failed")
        await wizard.press("s")
        await wizard.see("✓ Saved in")
        await wizard.press("y")
        await wizard.see("✓ Copied: ")
        assert not wizard.app.screen.query(Toast)
        (saved,) = (home / "state" / "logs").glob("*alpha.log")
        assert "Get:1 nginx\nsomething\n" in saved.read_text()


async def test_the_steps_are_a_checklist_and_apt_is_folded(servers: FakeServers) -> None:
    log = "@step\t0\tback-up\n@step\t1\tpackages\nGet:1 nginx\nW: a warning\n"
    servers["alpha"] = FakeServer("alpha", log=log, waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS, size=(120, 40)) as wizard:
        await to_apply(wizard)
        await wizard.see("✓ Backing up what will change", "● Installing packages", "W: a warning")
        await wizard.see("○ Switching nginx over")
        assert "Get:1 nginx" not in wizard.text
        await wizard.press("l")
        await wizard.see("Get:1 nginx", "all lines")
        servers["alpha"].aborted.set()
        await wizard.see("Apply failed", "✗ Installing packages")


def test_a_step_that_a_run_passes_over_was_not_needed() -> None:
    progress = ServerProgress("alpha", steps=("back-up", "account", "registry", "drain"))
    progress.begin_step("back-up")
    assert [each.plain for each in checklist(progress)] == [
        "● Backing up what will change", "○ Creating the account",
        "○ Starting the registry on the idle slot", "○ Letting open transfers finish",
    ]  # fmt: skip
    progress.begin_step("registry")
    assert [each.plain for each in checklist(progress)][1:3] == [
        "- Creating the account: not needed", "● Starting the registry on the idle slot",
    ]  # fmt: skip
    progress.end("done", "done")
    assert checklist(progress)[3].plain == "- Letting open transfers finish: not needed"


async def test_a_narrow_terminal_shows_the_steps_first_and_the_log_on_a_key(
    servers: FakeServers,
) -> None:
    log = "@step\t0\tback-up\n@step\t1\tpackages\nW: a warning\n"
    servers["alpha"] = FakeServer("alpha", log=log, waits_for_abort=True)
    async with opened(servers, prefill=ANSWERS) as wizard:
        await to_apply(wizard)
        await wizard.see("Steps on alpha", "✓ Backing up what will change", "v Log")
        assert "W: a warning" not in wizard.text
        await wizard.press("v")
        await wizard.see("Log of alpha", "W: a warning", "v Steps")
        assert "✓ Backing up" not in wizard.text
        await wizard.press("v")
        await wizard.see("✓ Backing up what will change")
        await wizard.press("l")  # is about the log
        await wizard.see("Log of alpha", "W: a warning", "all lines")
        await wizard.press("v")
        servers["alpha"].aborted.set()
        await wizard.see("Apply failed", "Log of alpha", "W: a warning")
        await wizard.press("v")
        await wizard.see("✗ Installing packages")
