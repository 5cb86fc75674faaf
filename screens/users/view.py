"""The users of all servers: read them and show them, servers in lines, users in a table."""

from __future__ import annotations

from collections.abc import Mapping

from textual import on, work
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from moorage.deploy.users.change import UsersRead
from moorage.deploy.users.last_seen import Seen, SeenRead
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.users.describe import count_text, rights
from screens.users import change_dialogs
from screens.users.rows import Reading, rows_of, server_lines, table_title
from screens.users.servers import UsersOnServers
from screens.users.staging import Staging
from screens.users.table import UserTable
from tui.staging_screen import StagingScreen
from tui.tasks import in_thread
from tui.widgets.field import Field
from tui.widgets.find_field import FindField
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter


class UsersView(StagingScreen):
    """Reads the users when it is opened, and again on demand.

    Attributes:
        users_on_servers: Reads and changes the users.
        domain: The registry's name.
        staging: The current users and the staged changes.
        users_read: The users as last read; None before.
    """

    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 # as Textual declares it
        (0, "-narrow"),
        (100, "-wide"),
    ]
    DEFAULT_CSS = """
    UsersView #servers { height: auto; max-height: 6; padding: 0 2; background: $surface; }
    UsersView #server-lines { height: auto; }
    UsersView #title { height: 1; padding: 0 2; color: $text-muted; }
    UsersView.-high #servers { margin-top: 1; background: $background; }
    UsersView.-high #title { margin-bottom: 1; }
    UsersView #message { height: auto; max-height: 4; padding: 0 2; display: none; }
    UsersView #message.-shown { display: block; }
    UsersView #detail { height: auto; max-height: 3; padding: 0 2; background: $surface; }
    UsersView #staged {
        height: auto; max-height: 30%; padding: 0 2; display: none; background: $panel;
    }
    UsersView #staged.-shown { display: block; }
    UsersView #staged-changes { height: auto; }
    """

    def __init__(self, users_on_servers: UsersOnServers, domain: str) -> None:
        super().__init__()
        self.users_on_servers = users_on_servers
        self.domain = domain
        self.staging = Staging()
        self.users_read: UsersRead | None = None
        self._reading = Reading(users_on_servers.servers)
        self._has_started = False
        self._seen: Mapping[str, Seen] | None = None
        self._unseen: tuple[str, ...] = ()
        self._filter = ""
        self._sort = 0
        self._timer: Timer | None = None
        self._message = Content("")

    def compose(self) -> ComposeResult:
        yield HeaderBar(self.domain, "Users")
        with VerticalScroll(id="servers", can_focus=False):
            yield Static("", id="server-lines")
        yield Static("", id="title")
        yield FindField("e.g. ana, team-a, disabled, changed")
        yield UserTable()
        yield Static("", id="message")
        yield Static("", id="detail")
        with VerticalScroll(id="staged", can_focus=False):
            yield Static("", id="staged-changes")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start reading."""
        self.set_focus(self.table)
        self.action_read()

    def on_unmount(self) -> None:
        """Close the connections."""
        self.users_on_servers.stop()

    @property
    def table(self) -> UserTable:
        return self.query_one(UserTable)

    @property
    def is_reading(self) -> bool:
        """Whether the servers are being read."""
        return self._reading.is_running

    @property
    def has_staged(self) -> bool:
        """Whether there are staged changes."""
        return self.staging.count > 0

    # --- reading -------------------------------------------------------------------------

    def action_read(self) -> None:
        """Read the users of all servers again; staged changes stay staged."""
        if self._reading.is_running and self._has_started:
            self.users_on_servers.stop()  # end the attempt that still waits for a silent server
        self.say("")
        self._has_started = True
        self._reading = Reading(self.users_on_servers.servers)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_interval(0.2, self._tick)
        self._show_servers()
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        try:
            self._was_read(await in_thread(self.users_on_servers.read), None)
        except MoorageError as error:
            self._was_read(None, error)
            return
        # Reading the logs takes longer, so show the users first.
        try:
            seen = await in_thread(self.users_on_servers.read_seen)
        except MoorageError:
            seen = SeenRead({}, self.users_on_servers.servers)
        self._seen, self._unseen = seen.times, seen.left_out
        self._show_servers()
        self.show_users()

    def _tick(self) -> None:
        for event in self.users_on_servers.events():
            self._reading.take(event)
        self._show_servers()

    def _show_servers(self) -> None:
        is_reading = self._reading.is_running
        lines = self._reading.lines() if is_reading else server_lines(self.users_read, self._unseen)
        if not is_reading and self._reading.error is not None:
            lines = self._reading.error_lines()
        self.query_one("#server-lines", Static).update(lines)

    def _was_read(self, read: UsersRead | None, error: MoorageError | None) -> None:
        if self._timer is not None:
            self._timer.stop()
        self._reading.end(error)
        if read is not None:
            self.users_read = read
            self._unseen = ()
            for dropped in self.staging.begin(read.users):
                self.say(f"No longer possible: {dropped}", warns=True, more=True)
        self._show_servers()
        self.show_users()

    # --- showing -------------------------------------------------------------------------

    def say(self, text: str, *, warns: bool = False, more: bool = False) -> None:
        """Show the result of an action in the line below the table.

        Args:
            text: A sentence, after a ✓ for success; empty removes the message.
            warns: Whether it is a warning.
            more: Whether to keep the previous message, too.
        """
        colour = "$text-warning" if warns else "$text-success" if text[:1] == "✓" else ""
        new = Content.styled(f"{'! ' if warns else ''}{printable(text)}", colour)
        before = self._message if more else Content("")
        # A warning starts a new line; other messages continue on the same one.
        between = Content("" if not before else "\n" if warns else " ")
        self._message = before + between + new if text else before
        line = self.query_one("#message", Static)
        line.update(self._message)
        line.set_class(bool(self._message), "-shown")

    def show_users(self, name: str = "") -> None:
        staging = self.staging
        rows = rows_of(staging, self.users_read, self._seen, self._filter, self._sort)
        self.table.show(rows, name)
        title = table_title(staging, len(rows), self._filter, self._sort)
        if self.users_read is None:
            # The lines above give the reason, and how to try again.
            title = "Reading users" if self._reading.is_running else "Could not read the users"
        self.query_one("#title", Static).update(Content(title))
        different = staging.differences
        place = self.query_one("#staged")
        place.set_class(bool(different), "-shown")
        # It stays visible behind a dialog after the last change is undone, so empty it, too.
        words = Content("")
        if different:
            head = f"{count_text(different)}, not applied yet (Enter: review and apply)\n"
            words = Content.styled(head, "bold") + change_dialogs.describe(different, 100)
        self.query_one("#staged-changes", Static).update(words)
        self.call_after_refresh(place.scroll_end, animate=False)
        self.refresh_bindings()

    def show_all(self, name: str = "") -> None:
        """Show all users again, with the cursor on one of them."""
        self.query_one(FindField).close()
        self._filter = ""
        self.set_focus(self.table)
        self.show_users(name)

    @on(UserTable.Moved)
    def _show_detail(self) -> None:
        row = self.table.row
        text = Content("")
        if row is not None:
            user, there = row.user, row.row.servers
            is_generated = user.name in self.staging.generated_passwords
            password = "generated password" if is_generated else f"{row.row.hash} hash"
            parts = ["disabled" if user.disabled else rights(user), password]
            reached = len(self.users_read.user_lists) if self.users_read else 0
            where = f"all {reached} servers" if len(there) == reached > 1 else ", ".join(there)
            parts += [f"on {where}"] if there else []
            parts += [row.times] if row.times else []
            text = Content.styled(printable(user.name), "bold") + Content.styled(
                f"  {printable(' · '.join(parts))}", "$text-muted"
            )
        self.query_one("#detail", Static).update(text)
        self.refresh_bindings()

    def action_sort(self) -> None:
        """Sort by the next criterion."""
        self._sort += 1
        self.show_users()

    def action_find(self) -> None:
        """Show only the users that match a text."""
        self.query_one(FindField).open()

    @on(Field.Changed, "#find")
    def _finding(self, event: Field.Changed) -> None:
        self._filter = event.value.strip().lower()
        self.show_users()

    @property
    def is_finding(self) -> bool:
        """Whether the text to find is being typed."""
        return self.is_mounted and self.query_one(FindField).is_typed_in

    async def action_found(self) -> None:
        """Move to the table, once everything that was typed is in the field."""
        self._filter = (await self.query_one(FindField).text()).strip().lower()
        self.show_users()
        self.set_focus(self.table)
