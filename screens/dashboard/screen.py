"""Dashboard: the status of a deployment, and the screens to work on it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.screen import ModalScreen
from textual.timer import Timer
from textual.widgets import ContentSwitcher

from moorage.deploy.clients import Access, client_setups
from moorage.deploy.images.space import disk_parts
from moorage.deploy.lifecycle.history import HistoryRow
from moorage.deploy.lifecycle.uninstall import NOTHING
from moorage.deploy.operations import OpenTransport, Operations
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.status.overview import Health, look, overview_of
from moorage.deploy.status.rows import summary_rows
from moorage.deploy.status.status import Status
from moorage.errors import ExitCode, MoorageError
from moorage.escape import printable
from moorage.recents import UNFINISHED
from moorage.servers.transport import Cancel
from moorage.unseen_passwords import unseen_passwords
from screens.dashboard.activity_tab import ActivityTab
from screens.dashboard.images_tab import ImagesTab
from screens.dashboard.overview_tab import OverviewTab
from screens.dashboard.run_changes import RollbackScreen, RunDiffScreen
from screens.dashboard.run_log import RunLogScreen
from screens.dashboard.runs_tab import RunsTab
from screens.dashboard.server_list import ServerList
from screens.dashboard.tab import Reader, Tab
from screens.dashboard.tab_bar import TabBar
from screens.dashboard.uninstall import (
    TITLE,
    PlanDialog,
    UninstallDialog,
    Uninstaller,
    WishDialog,
)
from screens.dashboard.upgrade import UpgradeDialog, plan_upgrade, problems_of, question
from screens.dashboard.users_tab import UsersTab
from tui.actions import bindings
from tui.age import TICK, as_of
from tui.document import store
from tui.document.unapplied import is_older, not_applied
from tui.labels import describe_error, explain
from tui.messages import (
    ApplyRequested,
    AttachRequested,
    BackRequested,
    ImagesRequested,
    LogsRequested,
    SettingsRequested,
    Uninstalled,
    UsersRequested,
)
from tui.questions.asker import WizardAsker
from tui.signs import HEALTH_SIGNS
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.copy_block import CopyDialog, setup_block
from tui.widgets.dialog import NoteDialog
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.wizard_session import WizardSession

TABS = ("overview", "images", "users", "activity", "runs")
"""The tabs by ID, in order."""


class DashboardScreen(StyledOnce[None]):
    """Reads the servers when it is opened, once a minute, and on demand.

    Args:
        session: The deployment that is open.
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "The status of every server: the registry and its version, nginx, the certificate, the "
        "disk, and whether files that Moorage wrote were edited; the images and the space they "
        "take up; who can log in; pushes, pulls and failed requests; past runs. It is read again "
        "once a minute, the images every 15 minutes. Reading changes nothing.\n\n"
        "Settings opens the wizard with these answers; Review shows what an apply would change."
    )
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 # as Textual declares it
        (0, "-narrow"),
        (100, "-wide"),
    ]
    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = bindings("dashboard")
    DEFAULT_CSS = """
    DashboardScreen #body { height: 1fr; layout: vertical; }
    DashboardScreen.-wide #body { layout: horizontal; }
    DashboardScreen #right { height: 1fr; width: 1fr; }
    DashboardScreen #tabs { height: 1fr; }
    DashboardScreen.-wide ServerList {
        width: 32; height: 1fr; padding: 1 2; background: $surface;
    }
    """

    REFRESH: ClassVar[float] = 60.0
    """Seconds after which the servers are read again."""

    def __init__(self, session: WizardSession, open_transport: OpenTransport | None = None) -> None:
        super().__init__()
        self._session = session
        self._open_transport = open_transport
        self._status: Status | None = None
        self._cancel = Cancel()
        self._seconds = 0
        self._timer: Timer | None = None
        self._is_covered = False
        self._has_space = False
        self._verdict: tuple[str, str, str, float] | None = None
        self._last_runs: frozenset[tuple[str, str, bool]] = frozenset()
        self._reader = Reader(session, open_transport)

    def compose(self) -> ComposeResult:
        reader = self._reader
        yield HeaderBar(self._session.draft.registry_name, "Dashboard")
        with Container(id="body"):
            yield ServerList()
            with Vertical(id="right"):
                yield TabBar([name.capitalize() for name in TABS])
                with ContentSwitcher(initial="overview", id="tabs"):
                    yield OverviewTab()
                    yield ImagesTab(reader, id="images")
                    yield UsersTab(reader, id="users")
                    yield ActivityTab(reader, id="activity")
                    yield RunsTab(reader, id="runs")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the servers again from time to time."""
        self._overview = self.query_one(OverviewTab)
        self.watch(self._overview, "show_vertical_scrollbar", self.refresh_bindings, init=False)
        self.set_interval(self.REFRESH, self._refresh)
        self.set_interval(TICK, self._show_verdict)

    def on_screen_resume(self) -> None:
        """Read the servers again, unless only a dialog was closed."""
        if not self._is_covered:
            self._show_pending()
            self._read_servers()
        self._is_covered = False

    def _show_pending(self) -> None:
        """Show how many settings differ from what was applied, and which side is older."""
        draft, read = self._session.draft, self._session.read
        count = len(not_applied(draft, read))
        if self._status is not None and self._status.has_answers:
            count = 0  # an apply whose end this wizard did not see
        settings = f"{count} setting{'s' if count != 1 else ''}"
        sign, text = "○ ", f"{settings} changed but not applied. Press v to review."
        if is_older(draft, read):
            sign = "! "
            text = (
                "These answers are older than what was applied. Applying them would undo "
                f"{settings}. Press v to review."
            )
        self._overview.note("pending", sign, text if count else "")

    def _show_unseen(self, status: Status) -> None:
        """Show whose generated password was never shown, and how to set another one."""
        names = unseen_passwords(self._session.draft.domain)
        is_deployed = any(server.is_deployed for server in status.servers)
        whose = f"Password{'s' if len(names) > 1 else ''} of {', '.join(names)}"
        text = (
            f"{whose}: generated by an apply whose end was not seen, and Moorage cannot show "
            "generated passwords again. To set new ones, press u, select the user and press p."
        )
        self._overview.note("unseen", "! ", text if names and is_deployed else "")

    @property
    def _is_unverified(self) -> bool:
        """Whether the servers have these answers, but nobody saw the checks after the apply."""
        if self._status is None or not self._status.has_answers or self._has_run:
            return False
        return store.state_of(self._session.path or self._session.draft_file) == UNFINISHED

    def _show_unverified(self) -> None:
        text = (
            "The last apply has ended, but its end was not seen: the registry has not been "
            "verified. Press t to verify it."
        )
        self._overview.note("unverified", "! ", text if self._is_unverified else "")

    def on_screen_suspend(self) -> None:
        """Stop reading when another screen is opened."""
        # A dialog can have closed before this message is processed.
        self._is_covered = self.app.screen is self or isinstance(self.app.screen, ModalScreen)
        if not self._is_covered:
            self._stop_reading()
            for tab in self.query(Tab):
                tab.stop()

    def on_unmount(self) -> None:
        """Stop reading."""
        self._stop_reading()
        for tab in self.query(Tab):
            tab.stop()

    def _stop_reading(self) -> None:
        self.workers.cancel_group(self, "look")
        self._cancel.set()
        self._stop_clock()

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.stop()

    @property
    def _is_reading(self) -> bool:
        return any(each.group == "look" and not each.is_finished for each in self.workers)

    def _refresh(self) -> None:
        """Read the servers again in the background, unless they are being read."""
        if self.app.screen is not self or self._status is None or self._is_reading:
            return
        with suppress(MoorageError):
            answers = self._session.draft.answers_to_look()
            self._cancel = cancel = Cancel()
            asker, opener = self._session.operations.asker, self._open_transport
            quiet = asker.quiet() if isinstance(asker, WizardAsker) else None
            self._look(lambda: look(answers, quiet, opener, cancel))

    def action_look(self) -> None:
        """Read the servers, and what is shown of them."""
        (self.tab or self.query_one(ImagesTab)).expire()
        self._read_servers()

    def _read_servers(self) -> None:
        self._stop_reading()
        try:
            answers = self._session.draft.answers_to_look()
        except MoorageError as error:
            text = printable(f"The answers are incomplete: {describe_error(error)}")
            self._say("✗ ", text, "$text-error")
            return
        self._cancel = cancel = Cancel()
        asker, opener = self._session.operations.asker, self._open_transport
        self._seconds = 0
        self._timer = self.set_interval(1, self._tick)
        self._say("", f"Reading {self._names()}")
        self._look(lambda: look(answers, asker, opener, cancel))

    @work(group="look")
    async def _look(self, read: Callable[[], Status]) -> None:
        asker = self._session.operations.asker
        try:
            self._status = status = await in_thread(read)
        except MoorageError as error:
            self._stop_clock()
            asker.forget_refused(error)
            self._say("✗ ", printable(describe_error(error)), "$text-error")
            return
        self._stop_clock()
        asker.forget_refused(*status.unreached)
        await self._show(status)

    def _names(self) -> str:
        rows = self._session.draft.items("servers")
        return ", ".join(printable(str(row.get("host", ""))) for row in rows)

    def _tick(self) -> None:
        self._seconds += 1
        self._say("", f"Reading {self._names()}, {self._seconds} s (Escape: back)")

    def _say(self, sign: str, text: str, colour: str = "") -> None:
        self._verdict = None
        self._overview.say(sign, text, colour)

    def _show_verdict(self) -> None:
        """Show the state of the deployment, and the age of what is known."""
        if self._verdict is not None:
            sign, text, colour, at = self._verdict
            self._overview.say(sign, f"{text} ({as_of(at)})", colour)

    async def _show(self, status: Status) -> None:
        self._note_tests(status)
        overview = overview_of(status)
        if overview.health is Health.ATTENTION:  # the problems are listed below, by server
            overview = replace(overview, detail="")
        sign, colour = HEALTH_SIGNS[overview.health]
        name = self._session.draft.registry_name
        self._verdict = (f"{sign} ", f"{name}: {printable(overview.text)}", colour, time.time())
        self._show_verdict()
        self._show_pending()
        self._show_unverified()
        self._show_unseen(status)
        self._overview.note("versions", "○ ", status.versions_text)
        self.query_one(ServerList).show(summary_rows(status))
        if not self._has_space:
            self._overview.show_space(disk_parts(status))
        self._expire_images(status)
        await self._overview.show_servers(status)
        self.refresh_bindings()
        self._read_tabs()

    def _expire_images(self, status: Status) -> None:
        """Have the images read again once a run has begun or ended, which may have changed them."""
        runs = ((each.server, each.run) for each in status.servers)
        now = frozenset((name, run.run_id, run.running) for name, run in runs if run is not None)
        if self._last_runs and now != self._last_runs:
            self.query_one(ImagesTab).expire()
        self._last_runs = now

    # --- tabs -----------------------------------------------------------------------------

    @property
    def tab(self) -> Tab[Any] | None:
        """The tab that is shown; None for the overview."""
        shown = self.query_one("#tabs", ContentSwitcher).visible_content
        return shown if isinstance(shown, Tab) else None

    def _read_tabs(self) -> None:
        """Read what is shown, once the servers have answered; the overview shows the space."""
        status = self._status
        if status is None and self._is_reading:
            if self.tab is not None:
                self.tab.show_waiting(f"Reading {self._names()}")
        elif self.tab is not None:
            self.tab.refresh_if_old()
        elif status is not None and self._is_on_disk:
            self.query_one(ImagesTab).refresh_if_old()

    @property
    def _is_on_disk(self) -> bool:
        """Whether images are on a disk; listing a bucket costs money and is left to its tab."""
        servers = self._status.servers if self._status is not None else ()
        is_deployed = any(each.is_deployed for each in servers)
        return is_deployed and self._session.draft.get("storage.driver") != "s3"

    @on(ImagesTab.Read)
    def _images_read(self, event: ImagesTab.Read) -> None:
        self._has_space = True
        space = event.space
        self._overview.show_space(space.parts, space.text, space.read.at)

    @on(RunsTab.LogRequested)
    def _show_log(self, event: RunsTab.LogRequested) -> None:
        name = self._session.draft.registry_name
        self.app.push_screen(RunLogScreen(self._reader, event.row, name))

    @property
    def _deployed(self) -> HistoryRow | None:
        """The selected run that deployed something; None for others and on other tabs."""
        return self.tab.deployed if isinstance(self.tab, RunsTab) else None

    def action_run_diff(self) -> None:
        """Show what the selected run changed."""
        if (row := self._deployed) is not None:
            name = self._session.draft.registry_name
            self.app.push_screen(RunDiffScreen(self._reader, row, name))

    def action_rollback(self) -> None:
        """Plan to go back to what the selected run deployed."""
        if (row := self._deployed) is not None:
            self.query_one(RunsTab).expire()
            self.app.push_screen(RollbackScreen(self._session, row))

    @on(Tab.Changed)
    def _tab_changed(self) -> None:
        if self.tab is not None and self.focused is None:
            self.set_focus(self.tab.first_focus)
        self.refresh_bindings()

    @on(TabBar.Selected)
    def _tab_selected(self, event: TabBar.Selected) -> None:
        self.action_show_tab(TABS[event.place])

    def action_show_tab(self, name: str) -> None:
        """Show a tab."""
        self.query_one("#tabs", ContentSwitcher).current = name
        self.query_one(TabBar).current = TABS.index(name)
        self.set_focus(self.tab.first_focus if self.tab is not None else None)
        self._read_tabs()
        self.refresh_bindings()

    def action_next_tab(self, step: int) -> None:
        """Show the next or the previous tab."""
        here = self.query_one(TabBar).current
        self.action_show_tab(TABS[(here + step) % len(TABS)])

    def action_open(self) -> None:
        """Open what is selected on the tab."""
        if self.tab is not None:
            self.tab.open_selected()

    def action_scroll(self, where: str) -> None:
        """Scroll the report."""
        report = self._overview
        {
            "page_down": report.scroll_page_down,
            "page_up": report.scroll_page_up,
            "down": report.scroll_down,
            "up": report.scroll_up,
        }[where](animate=False)

    def _note_tests(self, status: Status) -> None:
        """Record the servers as tested, so that Settings need not test them again."""
        tested = self._session.tested
        for server in status.servers:
            if not tested.get(server.server, (False, ""))[0]:
                tested[server.server] = (True, f"{server.os_name}, checked on the dashboard")
        for error in status.unreached:
            if error.server is not None:
                tested[error.server] = (False, explain(error))

    @property
    def _has_run(self) -> bool:
        """Whether a run is in progress on any server."""
        servers = self._status.servers if self._status else ()
        return any(each.run is not None and each.run.running for each in servers)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what applies: to follow a run, to scroll, to open what is selected."""
        if not self.is_mounted:
            return True
        offered = {
            "scroll": self.tab is None and self._overview.show_vertical_scrollbar,
            "open": self.tab is not None and self.tab.can_open,
            "settings": True,
            "run_diff": self._deployed is not None,
            "rollback": self._deployed is not None,
            "verify": self._is_unverified,
            "follow": self._has_run,
        }
        return offered.get(action, True)

    def action_settings(self) -> None:
        """Open the wizard on these answers."""
        self.post_message(SettingsRequested())

    def action_review(self) -> None:
        """Show what an apply would change."""
        self.post_message(SettingsRequested(reviews=True))

    def action_users(self) -> None:
        """Manage the users."""
        self.query_one(UsersTab).expire()
        self.post_message(UsersRequested())

    def action_images(self) -> None:
        """Show the images and the space they take up."""
        self.query_one(ImagesTab).expire()
        self.post_message(ImagesRequested())

    def action_logs(self) -> None:
        """Follow the logs."""
        self.post_message(LogsRequested())

    @work(exclusive=True, group="clients")
    async def action_clients(self) -> None:
        """Show what to paste on clients."""
        draft, asker = self._session.draft, self._session.operations.asker
        operations = Operations(asker, lambda event: None, self._open_transport)

        def read() -> Access:
            operations.open(draft.answers_to_look())
            try:
                return operations.client_access()
            finally:
                operations.deployment.close()

        try:
            access = await in_thread(read)
        except MoorageError as error:
            self.app.push_screen(NoteDialog("Clients", describe_error(error)))
            return
        blocks = [setup_block(each) for each in client_setups(access)]
        self.app.push_screen(CopyDialog("Clients", _ABOUT_CLIENTS, blocks))

    @work(exclusive=True, group="upgrade")
    async def action_upgrade(self) -> None:
        """Upgrade the registry: ask for the version, plan, and apply after a question."""
        session = self._session
        try:
            dialog = UpgradeDialog(session.answers())
            wanted = await self.app.push_screen_wait(dialog)
            if wanted is None:
                return
            self.action_show_tab("overview")
            self._say("", f"Asking {', '.join(wanted.limit) or self._names()} for new versions")
            plan, upgrades = await in_thread(lambda: plan_upgrade(session, wanted))
        except MoorageError as error:
            self.app.push_screen(NoteDialog("Upgrade the registry", describe_error(error)))
            return
        if self._status is not None:
            await self._show(self._status)
        if problems := problems_of(plan):
            self.app.push_screen(NoteDialog("Upgrade the registry", printable(problems)))
        elif not upgrades:
            self.notify("Nothing to upgrade", markup=False)
        elif await self.app.push_screen_wait(question(plan, upgrades)):
            session.operations.accepted = accepting(plan.consequences)
            self.post_message(ApplyRequested())

    @work(exclusive=True, group="uninstall")
    async def action_uninstall(self) -> None:
        """Uninstall the registry: ask what goes, plan, and run it once its name was typed."""
        wish = await self.app.push_screen_wait(WishDialog())
        if wish is None:
            return
        session, uninstaller = self._session, None
        self.action_show_tab("overview")
        try:
            answers = session.draft.answers_to_look()
            uninstaller = Uninstaller(answers, session.operations.asker, self._open_transport)
            reading = uninstaller.plan
            self._say("", f"Reading {self._names()}")
            plan = await in_thread(lambda: reading(wish))
            problems = [describe_error(each) for each in plan.problems]
            if problems or not plan.has_changes:
                text = printable("\n".join(problems)) or NOTHING
                self.app.push_screen(NoteDialog(TITLE, text))
            elif await self.app.push_screen_wait(PlanDialog(plan, plan.domain or uninstaller.name)):
                report = await self.app.push_screen_wait(UninstallDialog(uninstaller, plan))
                if report is not None and report.exit_code == ExitCode.DONE:
                    self.post_message(Uninstalled())
        except MoorageError as error:
            session.operations.asker.forget_refused(error)
            self.app.push_screen(NoteDialog(TITLE, describe_error(error)))
        finally:
            if uninstaller is not None:
                uninstaller.close()
        self._has_space = False
        self.action_look()

    def action_follow(self) -> None:
        """Follow the run in progress."""
        self.post_message(AttachRequested())

    def action_verify(self) -> None:
        """Check the registry, as after an apply."""
        self.post_message(AttachRequested())

    def action_back(self) -> None:
        """Go to the start."""
        self.post_message(BackRequested())


_ABOUT_CLIENTS = (
    "Paste the lines on the client, as root or as a user with sudo. They contain no secret: the "
    "login asks for the password."
)
