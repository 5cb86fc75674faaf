import asyncio
import threading
from pathlib import Path

import pytest
from fake_server import FakeServer, FakeServers
from opening import opened
from textual import events
from textual.widgets import Button, Input, Static
from textual.worker import WorkerState
from walk import ANSWERS
from wizard_driver import Wizard

from moorage import crash_log
from moorage.answers.load import load
from moorage.answers.save import save
from moorage.answers.secrets import Secret, Typed
from moorage.deploy.certificates import ca
from moorage.deploy.handover import handover
from moorage.deploy.name import NameOutcome
from moorage.deploy.operations import Outcome
from moorage.deploy.run.report import ApplyReport, ServerReport
from moorage.deploy.verify.verify import Check, CheckStatus, Verification
from moorage.errors import SecretName
from moorage.servers.run_results import RunStatus
from moorage.servers.transport import Asker
from screens.done.screen import DoneScreen
from tui.app import WizardApp
from tui.document import store
from tui.document.draft import Draft
from tui.tasks import in_thread
from tui.theme import DARK, LIGHT, SIXTEEN, usual_theme
from tui.widgets.copy_block import CopyBlock
from tui.widgets.dialog import Dialog

SECRET = "hunter2hunter2"


def drafts(home: Path) -> list[Path]:
    return list((home / "state" / "drafts").glob("*.yml"))


async def kept(wizard: Wizard, home: Path, text: str) -> None:
    """Wait until the one draft has a text, which is a moment after it was typed."""
    await wizard.until(
        lambda: any(text in each.read_text() for each in drafts(home)), f"the draft has {text}"
    )


async def test_the_draft_is_saved_while_typing_without_secrets(
    servers: FakeServers, home: Path
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        assert wizard.app.session is not None
        wizard.app.session.draft.set("credentials.users[0].password", Typed(Secret(SECRET)))
        await wizard.press("alt+1", "tab", "e", "tab")
        await wizard.type("root")
        await wizard.press("ctrl+s")
        await asyncio.sleep(0.6)  # typing pauses, and the draft is kept once more
        await kept(wizard, home, "registry.example.com")
        (draft,) = drafts(home)
        assert "registry.example.com" in draft.read_text()
        assert SECRET not in draft.read_text()
        assert draft.stat().st_mode & 0o077 == 0


async def test_typing_replaces_the_name_that_is_filled_in(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+s")
        await wizard.type("other.yml")  # ahead of the dialog
        await wizard.press("enter")
        await wizard.see("Saved in other.yml")
    assert (home / "other.yml").is_file()


async def test_saved_answers_can_be_opened(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+s")
        await wizard.see("Save the answers", "moorage.yml")
        await wizard.press("enter")
        await wizard.see("Saved in moorage.yml")
        assert "Servers  1 of 7" in wizard.text.splitlines()[0]
        await asyncio.sleep(0.6)  # as long as a draft that is still to be kept takes
        await wizard.until(lambda: drafts(home) == [], "no draft is kept")
    assert load(home / "moorage.yml").servers[0].host == "alpha"
    async with opened(servers, path=home / "moorage.yml") as wizard:
        await wizard.see("Review  7 of 7", "1 server:")
        await wizard.press(*["escape"] * 7)
        await wizard.see("New deployment", "registry.example.com")


async def test_a_draft_opens_where_it_was_left_and_connects_to_nothing(
    servers: FakeServers,
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("alt+3", "ctrl+q")
    async with opened(servers) as wizard:
        await wizard.see("registry.example.com")
        await wizard.press("enter")
        await wizard.see("Storage  3 of 7", "✓ Servers", "○ DNS")
        assert not servers
        await wizard.press("alt+7")
        await wizard.see("1 server:")


async def test_saving_over_another_file_asks(servers: FakeServers, home: Path) -> None:
    (home / "taken.yml").write_text("mine")
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        await wizard.press("ctrl+s", "ctrl+u")
        await wizard.type("taken.yml")
        await wizard.press("enter")
        await wizard.see("already exists")
        await wizard.press("enter")
        assert (home / "taken.yml").read_text() == "mine"


async def test_unsaved_changes_of_a_file_are_offered(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+s", "enter")
        await wizard.see("Saved in")
        await wizard.press("e", "tab")
        await wizard.type("deploy")
        await wizard.press("ctrl+s")
        await kept(wizard, home, "deploy")
    async with opened(servers, path=home / "moorage.yml") as wizard:
        await wizard.see("has changes that you made in the wizard")
        await wizard.press("escape")  # opens nothing, and loses nothing
        await wizard.see("New deployment", "registry.example.com  ○")
        assert wizard.app.session is None
        await wizard.press("enter")
        await wizard.see("has changes that you made in the wizard")
        await wizard.press("enter")
        await wizard.until(lambda: wizard.app.session is not None, "the draft is open")
        assert wizard.app.session is not None
        assert wizard.app.session.draft.get("servers[0].user") == "deploy"
        assert not wizard.app.session.is_saved


@pytest.mark.parametrize(
    "content", ["", "version: [", "- a list", "\x00", "registry: [red]", "x" * 10_000]
)
async def test_a_file_that_is_not_an_answers_file_is_rejected(
    servers: FakeServers, home: Path, content: str
) -> None:
    (home / "odd.yml").write_text(content)
    async with opened(servers, path=home / "odd.yml") as wizard:
        await asyncio.sleep(0.1)
        await wizard.press("escape")
        assert wizard.app.is_running


async def test_leaving_asks_only_when_typed_secrets_would_be_lost(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server()
        assert wizard.app.session is not None
        wizard.app.session.draft.set("credentials.users[0].password", Typed(Secret(SECRET)))
        await wizard.press("ctrl+q")
        await wizard.see("but not the passwords and keys you")
        await wizard.press("escape")
        await wizard.see("1 of 7")
        wizard.app.session.draft.set("credentials.users[0].password", {"generate": True})
        await wizard.press("ctrl+q")
        await wizard.until(lambda: wizard.app.return_value == 0, "the wizard is left")


async def test_leaving_ends_waiting_threads(servers: FakeServers) -> None:
    servers["alpha"] = FakeServer("alpha", unknown_key="SHA256:abc[b]def")
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("Unknown server")
    assert wizard.app.opening.asker.accept_host_key.__self__ is wizard.app.opening.asker
    assert wizard.app.opening.asker.secret(SecretName("password"), None) is None


def test_unexpected_errors_go_to_a_log_file(home: Path) -> None:
    try:
        raise RuntimeError("boom")
    except RuntimeError as error:
        told = crash_log.record(error)
    (log,) = (home / "state" / "logs").iterdir()
    assert str(log) in str(told)
    assert "boom" not in str(told)
    assert "Traceback" in log.read_text()
    assert log.stat().st_mode & 0o077 == 0


async def test_unexpected_errors_in_a_worker_are_logged_with_their_traceback(
    servers: FakeServers, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails() -> None:
        raise ZeroDivisionError("boom")

    async with opened(servers) as wizard:
        app = wizard.app
        monkeypatch.setattr(type(app), "is_headless", False)
        app.run_worker(fails())
        await wizard.until(lambda: app.crash is not None, "the application notes it")
    assert "ZeroDivisionError" in str(app.crash)
    (log,) = (home / "state" / "logs").iterdir()
    assert "in fails" in log.read_text()


async def test_events_after_the_end_are_not_shown(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, came = threading.Event(), []

    async def shows() -> None:
        came.append(await in_thread(ends.wait))

    async with opened(servers) as wizard:
        worker = wizard.app.screen.run_worker(shows())
        await wizard.pilot.pause()
        with monkeypatch.context() as closing:
            closing.setattr(type(wizard.app), "is_running", False)
            ends.set()
            while not worker.is_finished:
                await asyncio.sleep(0.01)
    assert worker.state is WorkerState.CANCELLED
    assert came == []


async def test_an_unexpected_error_in_the_engine_is_shown_without_a_traceback(
    servers: FakeServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: FakeServer, asker: Asker) -> None:
        raise ZeroDivisionError("secret detail")

    monkeypatch.setattr(FakeServer, "connect", broken)
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press("ctrl+t")
        await wizard.see("unexpected error", "Details")
        assert "secret detail" not in wizard.text


async def test_the_palette_switches_between_both_themes(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        assert wizard.app.theme == DARK.name
        titles = [each.title for each in wizard.app.get_system_commands(wizard.app.screen)]
        assert "Use the light theme" in titles
        await wizard.press("enter")
        await wizard.see("1 of 7")
        await wizard.search_palette("light", "Use the light theme")
        await wizard.press("enter")
        await wizard.until(lambda: wizard.app.theme == LIGHT.name, "the theme is light")


async def test_the_chosen_theme_is_kept(servers: FakeServers, home: Path) -> None:
    async with opened(servers) as wizard:
        await wizard.search_palette("light", "Use the light theme")
        await wizard.press("enter")
        await wizard.until(lambda: wizard.app.theme == LIGHT.name, "the theme is light")
    async with opened(servers) as wizard:
        assert wizard.app.theme == LIGHT.name
    assert usual_theme("standard") == SIXTEEN.name
    (home / "state" / "theme").write_bytes(b"\xff no theme")
    async with opened(servers) as wizard:
        assert wizard.app.theme == DARK.name


async def test_no_color_is_respected(servers: FakeServers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = WizardApp(open_transport=servers.open)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("enter")
        await pilot.pause()
        colours = {
            segment.style.color.triplet
            for strip in app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.color and segment.style.color.triplet
        }
        assert app.no_color
        assert colours


@pytest.mark.parametrize(("opens", "step"), [("a", "1"), ("a", "2"), ("f1", "1"), ("ctrl+s", "1")])
async def test_keys_typed_while_a_dialog_opens_reach_it(
    servers: FakeServers, opens: str, step: str
) -> None:
    async with opened(servers) as wizard:
        await wizard.new_with_server("alpha")
        await wizard.press(f"alt+{step}")
        before = wizard.app.session.draft.without_secrets()  # type: ignore[union-attr]
        for key in (opens, "b", "e", "d", "a"):  # as a terminal sends what was typed ahead
            wizard.app.post_message(events.Key(key, key if len(key) == 1 else None))
        typed = "beda" if opens == "a" else ""
        await wizard.until(lambda: isinstance(wizard.app.screen, Dialog), "the dialog is open")
        await wizard.until(
            lambda: typed in getattr(wizard.app.focused, "value", ""), "its field has the text"
        )
        assert isinstance(wizard.app.focused, Input) or not typed
        assert wizard.app.session.draft.without_secrets() == before  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["o", "c"])
async def test_a_key_pressed_twice_opens_one_dialog(servers: FakeServers, key: str) -> None:
    async with opened(servers) as wizard:
        for _ in range(2):
            wizard.app.post_message(events.Key(key, key))
        await wizard.see("▌" + key)  # the second one is text in the dialog
        await wizard.press("escape")
        await wizard.see("New deployment")
        assert not isinstance(wizard.app.screen, Dialog)


def show_done(wizard: Wizard, *checks: Check, from_dashboard: bool = False) -> None:
    """Show how an apply ended that made a password, for a name that leads nowhere yet."""
    session = wizard.app.session
    assert session is not None
    answers = session.draft.answers()
    authority = ca.create("Moorage private CA", answers.registry.domain).certificate_pem
    made = ApplyReport((ServerReport("alpha", RunStatus.DONE),), {"ci": Secret(SECRET)}, authority)
    name = NameOutcome(handover(answers, {"alpha": "203.0.113.10"}, ()))
    outcome = Outcome(made, Verification(checks), name=name)
    done = DoneScreen(session, answers, outcome, from_dashboard=from_dashboard)
    wizard.app.push_screen(done)


async def test_s_on_done_saves_the_lines_of_the_first_client(
    servers: FakeServers, home: Path
) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        show_done(wizard)
        await wizard.see("registry.example.com is up", "s Save lines", "^s Save")
        await wizard.press("s")
        await wizard.see("✓ Saved in ~/state/clients/")
        (saved,) = (home / "state" / "clients").glob("*.txt")
        assert "docker login registry.example.com -u ci" in saved.read_text()


async def test_done_lists_its_lines_in_order_and_names_the_next_step(servers: FakeServers) -> None:
    answers = {**ANSWERS, "registry": {"domain": "registry.example.com", "port": 5443}}
    async with opened(servers, prefill=answers) as wizard:
        await wizard.see("1 server:")
        check = Check(
            "alpha", "login", "a login", CheckStatus.GOOD, "of somebody " + "and somebody " * 6
        )
        show_done(wizard, check, from_dashboard=True)
        await wizard.see("registry.example.com:5443 is up", "esc To the dashboard")
        wizard.app.screen.query_one(CopyBlock).query_one(Button).press()
        await wizard.see("  Copied  ")
        wizard.app.screen.query("Indented").last().scroll_visible(animate=False)
        await wizard.see("    ✓ a login  of somebody", f"\n{'':15}somebody")
        notes = [str(each.content) for each in wizard.app.screen.query(".note").results(Static)]
        note = next(each for each in notes if "private CA" in each)
        shown = note.removeprefix("The private CA's certificate is ").partition(";")[0]
        assert shown.startswith("~/")
        file = Path(shown).expanduser()
        pasted = [each.text for each in wizard.app.screen.query(CopyBlock)]
        assert file.read_text().strip() in pasted[1]
        assert "docker login registry.example.com:5443 -u ci" in pasted[1]
        assert any("podman login registry.example.com:5443 -u ci" in each for each in pasted)


async def test_one_extra_escape_does_not_quit(servers: FakeServers) -> None:
    async with opened(servers) as wizard:
        await wizard.press("escape")
        await wizard.see("Press Escape again to leave")
        await wizard.press("down")
        assert "Press Escape again" not in wizard.text
        await wizard.press("escape")
        assert wizard.app.is_running
        await wizard.press("escape")
    assert wizard.app.return_value == 0


async def test_a_missing_file_is_an_error_beside_its_field(
    servers: FakeServers, home: Path
) -> None:
    (home / "mine.yml").write_text("version: 1\nregistry: {domain: mine.example.com}\n")
    async with opened(servers) as wizard:
        await wizard.press("o")
        await wizard.see("Open an answers file", "mine.yml")
        await wizard.type("mine.yaml")
        await wizard.press("enter")
        await wizard.see("mine.yaml cannot be read: no")
        await wizard.press("ctrl+u")
        await wizard.type("./")
        await wizard.press("enter")
        await wizard.see("./ is a directory; use a file")
        await wizard.press("ctrl+u", "down", "enter")
        await wizard.see("in the answers", "mine.yml:")


async def test_done_begins_with_what_is_left_to_do(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        show_done(wizard)
        await wizard.see(
            "is up", "does not resolve from here yet", "not saved to a file: press Ctrl+S", SECRET
        )
        await wizard.press("ctrl+s", "enter")
        await wizard.see("✓ Saved in moorage.yml")
        assert "not saved to a file" not in wizard.text


async def test_arrow_keys_move_along_a_row_of_buttons(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        show_done(wizard)
        await wizard.see("is up")
        for keys, button in (((), "refuse"), (("right",), "accept"), (("right", "left"), "refuse"),
                             (("left",), "refuse")):  # fmt: skip
            await wizard.press("r")
            await wizard.see("Have you saved them elsewhere?")
            await wizard.press(*keys)
            assert wizard.app.focused is wizard.app.screen.query_one(f"#{button}")
            await wizard.press("escape")
        await wizard.press("r", "enter")  # begins on what loses nothing
        await wizard.see("is up", SECRET)


@pytest.mark.parametrize("key", ["escape", "ctrl+q"])
async def test_leaving_done_asks_whether_to_save(
    servers: FakeServers, home: Path, key: str
) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        show_done(wizard)
        await wizard.see("is up")
        await wizard.press(key)
        await wizard.see("shown only here, and you have not copied", "not saved to a file",
                         "Stay", "Leave without saving")  # fmt: skip
        await wizard.press("escape")
        await wizard.see("is up")
        wizard.app.screen.query_one(CopyBlock).query_one(Button).press()
        await wizard.press(key)
        await wizard.see("They are not lost")
        assert "not copied all" not in wizard.text
        await wizard.press("enter")
        await wizard.see("Save the answers")
        await wizard.press("escape")  # thought better of it, and saves without leaving later
        await wizard.see("is up")
        await wizard.press(key, "enter", "enter")
        await wizard.until(
            lambda: (
                not (wizard.app.is_running and isinstance(wizard.app.screen, DoneScreen | Dialog))
            ),
            "the report is left",
        )
    assert load(home / "moorage.yml").servers[0].host == "alpha"
    assert wizard.app.return_value == (0 if key == "ctrl+q" else None)


async def test_leaving_done_asks_when_the_file_lacks_what_was_applied(servers: FakeServers) -> None:
    path = Path("moorage.yml")
    save(Draft(ANSWERS).answers(), path)
    async with opened(servers, path=path) as wizard:
        assert wizard.app.session is not None
        wizard.app.session.draft.set("rollout", "all_at_once")
        wizard.app.saving.draft_changed()
        show_done(wizard)
        await wizard.see("moorage.yml is out of date")
        wizard.app.screen.query_one(CopyBlock).query_one(Button).press()
        await wizard.press("enter")
        await wizard.see("does not have what was applied", "Leave without saving")
        await wizard.press("enter")
        await wizard.until(lambda: not isinstance(wizard.app.screen, DoneScreen), "it is left")
    assert load(path).rollout == "all_at_once"


async def test_changes_left_unsaved_on_purpose_are_not_offered_again(servers: FakeServers) -> None:
    path = Path("moorage.yml")
    save(Draft(ANSWERS).answers(), path)
    async with opened(servers, path=path) as wizard:
        session = wizard.app.session
        assert session is not None
        session.draft.set("rollout", "all_at_once")
        wizard.app.saving.draft_changed()
        wizard.app.saving.keep_draft()
        store.keep_applied(session.draft)
        assert session.draft_file.exists()
        show_done(wizard)
        await wizard.see("moorage.yml is out of date")
        wizard.app.screen.query_one(CopyBlock).query_one(Button).press()
        await wizard.press("enter")
        await wizard.see("servers keep them.", "Leave without saving")
        await wizard.press("left", "enter")
        await wizard.until(lambda: not isinstance(wizard.app.screen, DoneScreen), "it is left")
        assert not session.draft_file.exists()
    async with opened(servers, path=path) as wizard:
        await wizard.see("Dashboard")
    assert load(path).rollout != "all_at_once"


async def test_a_file_that_lacks_what_was_applied_says_so_when_opened(servers: FakeServers) -> None:
    path, applied = Path("moorage.yml"), Draft({**ANSWERS, "ssl": {"mode": "none"}})
    save(Draft(ANSWERS).answers(), path)
    store.keep_draft(store.draft_file_for(path), applied, of=path)
    store.keep_applied(applied)
    async with opened(servers, path=path) as wizard:
        await wizard.see("does not have what was applied last", "Open the saved file")
        await wizard.press("enter")
        await wizard.see("Dashboard")


async def test_unsaved_drafts_are_listed_at_the_start(servers: FakeServers) -> None:
    async with opened(servers, prefill=ANSWERS) as wizard:
        await wizard.see("1 server:")
        show_done(wizard)
        await wizard.see("is up")
        await wizard.press("escape", "shift+tab", "enter")
        await wizard.see("New deployment", "registry.example.com")


async def test_saving_keeps_comments_and_asks_when_the_file_has_changed(
    servers: FakeServers, home: Path
) -> None:
    path = home / "moorage.yml"
    save(Draft(ANSWERS).answers(), path)
    path.write_text("# Ask ana first.\n" + path.read_text())
    async with opened(servers, path=path) as wizard:
        await wizard.press("alt+1", "shift+tab", "end")
        await wizard.type("x")
        await wizard.press("ctrl+s")
        await wizard.see("Saved in")
        assert path.read_text().startswith("# Ask ana first.\n")
        assert load(path).registry.domain.endswith("x")
        path.write_text(path.read_text() + "# Somebody was here.\n")
        await wizard.type("y")
        await wizard.press("ctrl+s")
        await wizard.see("has changed on disk", "Replace it")
        await wizard.press("escape")
        assert "Somebody was here" in path.read_text()
        await wizard.press("ctrl+s")
        await wizard.see("has changed on disk")
        await wizard.press("tab", "enter")
        await wizard.until(lambda: load(path).registry.domain.endswith("xy"), "it is saved")
