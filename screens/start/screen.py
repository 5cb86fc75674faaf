"""Start: recent deployments with their status, and how to open others.

Dialogs are imported when they open, because the first screen must appear quickly.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from moorage.deploy.status.overview import Overview, kept_overviews, look_in_background
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.state import short_path
from moorage.units import age_text
from screens.start.marked_list import MarkedList
from tui.actions import bindings
from tui.document import store
from tui.messages import ConnectRequested, FileRequested, NewRequested
from tui.signs import HEALTH_SIGNS
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.deploy.operations import OpenTransport

_FRESH_SECONDS = 30
"""How long a status counts as current and is not read again."""
_REFRESH_SECONDS = 60
"""How often the status is read again while the list is in view."""
_MARGIN = 3
"""Columns of a line that its text cannot use."""
_AGAIN = "Press Escape again to leave. Ctrl+Q leaves at once."
_WORDMARK = """\
█▀▄▀█ █▀█ █▀█ █▀█ ▄▀█ █▀▀ █▀▀
█ ▀ █ █▄█ █▄█ █▀▄ █▀█ █▄█ ██▄"""
_INTRODUCTION = "A private Docker registry on your own servers, with TLS and user accounts."


class WelcomeScreen(StyledOnce[None]):
    """Lists recent deployments and opens them, or another one.

    Args:
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "A new deployment needs a registry name and a server. Nothing changes on a server until "
        "you apply. The list shows your recent deployments and their status, which Moorage reads "
        "in the background without prompting."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("start")
    DEFAULT_CSS = """
    WelcomeScreen #welcome { padding: 1 3; height: 1fr; max-width: 110; }
    WelcomeScreen #wordmark { height: 2; margin-bottom: 1; color: $accent; display: none; }
    WelcomeScreen.-high #welcome { padding: 2 4; }
    WelcomeScreen.-high #wordmark { display: block; }
    WelcomeScreen #introduction { height: auto; margin-bottom: 1; color: $text-muted; }
    WelcomeScreen OptionList { height: auto; max-height: 1fr; }
    WelcomeScreen #doing { height: auto; margin-top: 1; color: $text-muted; }
    """

    def __init__(self, open_transport: OpenTransport | None = None) -> None:
        super().__init__()
        self._open_transport = open_transport
        self._being_read: set[str] = set()
        self._overviews: dict[str, Overview] = {}
        self._recents: list[store.Recent] = []
        self._leaves_on_escape = False
        self._text = ""

    def compose(self) -> ComposeResult:
        yield HeaderBar("private Docker registries, from a terminal")
        with Vertical(id="welcome"):
            yield Static(_WORDMARK, id="wordmark", markup=False)
            yield Static(_INTRODUCTION, id="introduction")
            yield MarkedList()
            yield Static("", id="doing", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the recents."""
        self._overviews = kept_overviews()
        self._list()
        self.query_one(OptionList).focus()
        self.set_interval(_REFRESH_SECONDS, self._refresh)

    def on_screen_resume(self) -> None:
        """Read the status of every deployment again, unless it is current."""
        self._forget_escape()
        self._read_all()
        self._list()

    def _refresh(self) -> None:
        """Read the status of every deployment again while the list is in view."""
        if self.app.screen is self:
            self._read_all()

    def _read_all(self) -> None:
        for each in store.recents():
            last = self._overviews.get(each.path)
            is_fresh = last is not None and time.time() - last.at < _FRESH_SECONDS
            is_asked = each.path in self._being_read
            if each.state and not (each.is_missing or is_asked or is_fresh):
                self._being_read.add(each.path)
                self._read_status(each.path)

    def on_resize(self) -> None:
        """Fit the lines into the new width."""
        self._list()

    @property
    def _room(self) -> int:
        """The width of a line's text, in columns."""
        laid_out = self.query_one(OptionList).scrollable_content_region.width
        return max(20, (laid_out or min(self.app.size.width, 110) - 8) - _MARGIN)

    @work
    async def _read_status(self, path: str) -> None:
        file = Path(path)
        look = partial(look_in_background, file, partial(_answers_in, file), self._open_transport)
        with suppress(MoorageError):
            self._overviews[path] = await in_thread(look)
        self._being_read.discard(path)
        self._list()

    def say(self, text: str) -> None:
        """Show a message below the list; an empty text removes it."""
        self.query_one("#doing", Static).update(Content(printable(text)))

    def _list(self) -> None:
        options = self.query_one(OptionList)
        before, chosen = self._recents[:1], self._chosen_id()
        options.clear_options()
        recents = self._recents = store.recents()
        for title, detail, name in (
            ("New deployment", "answer a few questions", "new"),
            ("Open an answers file", "a .yml you saved earlier", "file"),
            ("Connect to a server", "one that already runs Moorage", "connect"),
        ):
            line = Content.styled(f"{title:<22}", "bold") + Content.styled(detail, "$text-muted")
            options.add_option(Option(line, id=name))
        if recents:
            options.add_option(None)
        for each in recents:
            if self._text in " ".join([each.domain, *each.servers, each.path]).lower():
                options.add_option(Option(self._line(each), id=f"recent:{each.path}"))
        ids = [option.id for option in options.options]
        # Most people come back for the deployment they had open last.
        first = next((each for each in ids if each and each.startswith("recent:")), "new")
        is_another = [each.path for each in before] != [each.path for each in recents[:1]]
        options.highlighted = ids.index(first if is_another or chosen not in ids else chosen)

    def _line(self, recent: store.Recent) -> Content:
        title = Content.styled(printable(recent.domain or "unnamed"), "bold")
        if recent.servers:
            title += Content(printable(f" on {', '.join(recent.servers)}"))
        if recent.is_missing:
            state = Content.styled("! file missing", "$text-warning")
            advice = "O opens it where it is now, C connects to its server"
            return self._two_lines(title, state, [short_path(Path(recent.path)), advice])
        is_being_read = recent.path in self._being_read
        checked = []
        if recent.state and (last := self._overviews.get(recent.path)) is not None:
            sign, colour = HEALTH_SIGNS[last.health]
            checked = [
                "checking…" if is_being_read else f"checked {age_text(last.at, time.time())}"
            ]
            state = Content.styled(f"{sign} {printable(' '.join(last.text.split()))}", colour)
        else:
            words = recent.state or "not applied yet"
            state = Content.styled(f"○ {words}{', checking…' * is_being_read}", "$text-muted")
        if recent.is_draft:
            parts = [*recent.times, "not saved to a file", *checked]
        else:
            parts = [*recent.times, *checked, short_path(Path(recent.path))]
        return self._two_lines(title, state, parts)

    def _two_lines(self, title: Content, state: Content, parts: list[str]) -> Content:
        # One line, however much a server has to say; the dashboard has all of it.
        first = (title + Content("  ") + state).truncate(self._room, ellipsis=True)
        return first + Content.styled(f"\n  {printable(' · '.join(parts))}", "$text-muted")

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        chosen = event.option.id or ""
        actions = {
            "new": self.action_new, "file": self.action_file, "connect": self.action_connect,
        }  # fmt: skip
        if chosen in actions:
            actions[chosen]()
        elif (missing := self._chosen_recent()) is not None and missing.is_missing:
            from tui.widgets.dialog import NoteDialog

            self.app.push_screen(NoteDialog("File missing", _about_missing(missing)))
        else:
            self.post_message(FileRequested(chosen.removeprefix("recent:")))

    def action_new(self) -> None:
        """Start a new deployment."""
        self.post_message(NewRequested())

    @work
    async def action_file(self) -> None:
        """Ask for a file and open it."""
        from screens.start.open_dialog import OpenFileDialog

        if path := await self.app.push_screen_wait(OpenFileDialog()):
            self.post_message(FileRequested(path))

    @work
    async def action_connect(self) -> None:
        """Ask for a server and read what is deployed there."""
        from screens.start.connect_dialog import ConnectDialog

        if server := await self.app.push_screen_wait(ConnectDialog()):
            address, key = server
            self.post_message(ConnectRequested((address,), key))

    def action_users(self) -> None:
        """Manage the users of the highlighted deployment."""
        if path := self._chosen():
            self.post_message(FileRequested(path, users=True))

    @work
    async def action_find(self) -> None:
        """Show only the deployments with a text in their name, servers or file."""
        from tui.widgets.dialog import FindDialog

        help_text = "Part of a name, a server or a file; empty shows all"
        text = await self.app.push_screen_wait(
            FindDialog("Find a deployment", self._text, help_text)
        )
        if text is not None:
            self._show_only(text)

    def _show_only(self, text: str) -> None:
        """Show only the deployments with a text; all of them for an empty one."""
        self._text = text.strip().lower()
        self._list()
        self.say(f"Deployments with “{self._text}”. Escape shows all." if self._text else "")

    async def action_leave(self) -> None:
        """Leave on the second Escape: the first may be one too many on the way back here."""
        if self._text:
            self._show_only("")
        elif self._leaves_on_escape:
            await self.run_action("app.leave")
        else:
            self._leaves_on_escape = True
            self.say(_AGAIN)

    def _forget_escape(self) -> None:
        """Ask for Escape twice again, because another key came in between."""
        if self._leaves_on_escape:
            self._leaves_on_escape = False
            self.say("")

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self._forget_escape()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer Forget for a deployment only, and Users for one that can have users."""
        if action == "find":
            return bool(self._recents)
        if action not in {"users", "forget"} or not self.is_mounted:
            return True
        chosen = self._chosen()
        if action == "forget" or not chosen:
            return bool(chosen)
        return any(each.path == chosen and each.may_have_users for each in self._recents)

    def _chosen_id(self) -> str:
        """The id of the highlighted line, or empty."""
        options = self.query_one(OptionList)
        if options.highlighted is None:
            return ""
        return options.get_option_at_index(options.highlighted).id or ""

    def _chosen(self) -> str:
        """The path of the highlighted deployment, or empty."""
        chosen = self._chosen_id()
        return chosen.removeprefix("recent:") if chosen.startswith("recent:") else ""

    def _chosen_recent(self) -> store.Recent | None:
        """The highlighted deployment, or None."""
        path = self._chosen()
        return next((each for each in self._recents if each.path == path), None)

    @work
    async def action_forget(self) -> None:
        """Remove the highlighted deployment from the list after a question; its file stays."""
        chosen = self._chosen_recent()
        if chosen is None:
            return

        path = chosen.path
        name = printable(chosen.domain or "unnamed")
        text = f"The file is {'missing' if chosen.is_missing else 'kept'}: {short_path(Path(path))}"
        if chosen.is_draft:
            text = "Its answers are deleted."
        from tui.widgets.dialog import ConfirmDialog

        dialog = ConfirmDialog(f"Remove {name} from this list?", text, "Remove")
        if await self.app.push_screen_wait(dialog):
            store.forget(Path(path))
            if chosen.is_draft:
                Path(path).unlink(missing_ok=True)
            self._list()


def _about_missing(recent: store.Recent) -> str:
    """Return what to do about a deployment whose answers file was moved or deleted."""
    applied = store.last_applied(recent.domain)
    hosts = [str(each.get("host", "")) for each in applied.items("servers")] if applied else []
    server = f"one of its servers ({', '.join(hosts)})" if hosts else "one of its servers"
    return (
        f"{short_path(Path(recent.path))} was moved or deleted.\n\n"
        "If you moved it, press O and open it where it is now. Otherwise press C to read the "
        f"deployment from {server}. D removes it from this list."
    )


def _answers_in(path: Path) -> Answers:
    from tui.document.reading import open_path

    return open_path(path).draft.answers_to_look()
