"""The start: recent deployments and how they are, a new one, a file, a server.

Its first picture waits for no more than it needs: dialogs are imported when they open.
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
from textual.screen import Screen
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from moorage.deploy.overview import Overview, kept_overviews, look_in_background
from moorage.errors import MoorageError
from moorage.escape import printable
from screens.start.marked_list import MarkedList
from tui.actions import bindings
from tui.document import store
from tui.messages import ConnectWanted, OpenFile, OpenNew
from tui.signs import HEALTH_SIGNS
from tui.tasks import in_thread
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.deploy.operations import OpenTransport

_FRESH = 30
"""Seconds for which what was seen is not looked at again."""
_BESIDE = 3
"""Columns of a line that are beside its text."""
_ONCE_MORE = "Escape once more leaves; Ctrl+Q leaves at once"
_WORDMARK = """\
█▀▄▀█ █▀█ █▀█ █▀█ ▄▀█ █▀▀ █▀▀
█ ▀ █ █▄█ █▄█ █▀▄ █▀█ █▄█ ██▄"""
_INTRODUCTION = "A private Docker registry on servers you own, behind TLS, with users of its own."


class WelcomeScreen(Screen[None]):
    """Lists what can be opened.

    Args:
        open_transport: Opens a connection; None goes over SSH.
    """

    help_text = (
        "A new deployment takes a name and a server; nothing is changed on a server before you say "
        "apply. Deployments you had open are listed with how they are now: they are read in the "
        "background, without asking for anything."
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
        self._looking: set[str] = set()
        self._seen: dict[str, Overview] = {}
        self._recents: list[store.Recent] = []
        self._leaves_next = False

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
        self._seen = kept_overviews()
        self._list()
        self.query_one(OptionList).focus()

    def on_screen_resume(self) -> None:
        """Something may have been opened since; look at everything once more."""
        self._stay()
        for each in store.recents():
            seen = self._seen.get(each.path)
            is_fresh = seen is not None and time.time() - seen.at < _FRESH
            if each.state and each.path not in self._looking and not is_fresh:
                self._looking.add(each.path)
                self._look_at(each.path)
        self._list()

    def on_resize(self) -> None:
        """There may be more room for each."""
        self._list()

    @property
    def _room(self) -> int:
        """How wide a line of the list may be."""
        laid_out = self.query_one(OptionList).scrollable_content_region.width
        return max(20, (laid_out or min(self.app.size.width, 110) - 8) - _BESIDE)

    @work
    async def _look_at(self, path: str) -> None:
        file = Path(path)
        look = partial(look_in_background, file, partial(_answers_in, file), self._open_transport)
        with suppress(MoorageError):
            self._seen[path] = await in_thread(look)
        self._looking.discard(path)
        self._list()

    def say(self, text: str) -> None:
        """Say what is being done, below the list; nothing with an empty text."""
        self.query_one("#doing", Static).update(Content(printable(text)))

    def _list(self) -> None:
        options = self.query_one(OptionList)
        before, chosen = self._recents[:1], self._chosen_id()
        options.clear_options()
        recents = self._recents = store.recents()
        for title, detail, name in (
            ("New deployment", "answer a few questions", "new"),
            ("Open an answers file", "a .yml saved before", "file"),
            ("Connect to a server", "one that runs Moorage already", "connect"),
        ):
            line = Content.styled(f"{title:<22}", "bold") + Content.styled(detail, "$text-muted")
            options.add_option(Option(line, id=name))
        if recents:
            options.add_option(None)
        for each in recents:
            options.add_option(Option(self._line(each), id=f"recent:{each.path}"))
        ids = [option.id for option in options.options]
        # What somebody comes back for is mostly what they had open last.
        first = f"recent:{recents[0].path}" if recents else "new"
        is_another = [each.path for each in before] != [each.path for each in recents[:1]]
        options.highlighted = ids.index(first if is_another or chosen not in ids else chosen)

    def _line(self, recent: store.Recent) -> Content:
        title = Content.styled(printable(recent.domain or "unnamed"), "bold")
        if recent.state and (last := self._seen.get(recent.path)) is not None:
            sign, colour = HEALTH_SIGNS[last.health]
            seen = " · looking…" if recent.path in self._looking else f" · seen {last.when}"
            state = Content.styled(f"{sign} {printable(' '.join(last.text.split()))}", colour)
        else:
            words = recent.state or "not applied yet"
            if recent.path in self._looking:
                words += ", looking…"
            seen = ""
            state = Content.styled(f"○ {words}", "$text-muted")
        # One line, however much a server has to say; the dashboard has all of it.
        first = (title + Content("  ") + state).truncate(self._room, ellipsis=True)
        where = " · not saved to a file" if recent.is_draft else f" · {recent.path}"
        opened = Content.styled(f"\n  {recent.when}{seen}{printable(where)}", "$text-muted")
        return first + opened

    @on(OptionList.OptionSelected)
    def _selected(self, event: OptionList.OptionSelected) -> None:
        chosen = event.option.id or ""
        actions = {
            "new": self.action_new, "file": self.action_file, "connect": self.action_connect,
        }  # fmt: skip
        if chosen in actions:
            actions[chosen]()
        else:
            self.post_message(OpenFile(chosen.removeprefix("recent:")))

    def action_new(self) -> None:
        """Start a new deployment."""
        self.post_message(OpenNew())

    def action_file(self) -> None:
        """Ask for a file and open it."""

        def opened(path: str | None) -> None:
            if path:
                self.post_message(OpenFile(path))

        from screens.start.open_dialog import OpenFileDialog

        self.app.push_screen(OpenFileDialog(), opened)

    def action_connect(self) -> None:
        """Ask for a server and read what is deployed there."""

        def chosen(server: tuple[str, str] | None) -> None:
            if server:
                address, key = server
                self.post_message(ConnectWanted((address,), key))

        from screens.start.connect_dialog import ConnectDialog

        self.app.push_screen(ConnectDialog(), chosen)

    def action_users(self) -> None:
        """Manage who may log in to the highlighted deployment."""
        if path := self._chosen():
            self.post_message(OpenFile(path, users=True))

    async def action_leave(self) -> None:
        """Leave, but not by one Escape too many on the way back here."""
        if self._leaves_next:
            await self.run_action("app.leave")
        else:
            self._leaves_next = True
            self.say(_ONCE_MORE)

    def _stay(self) -> None:
        """Something else was done: leaving begins anew."""
        if self._leaves_next:
            self._leaves_next = False
            self.say("")

    @on(OptionList.OptionHighlighted)
    def _moved(self) -> None:
        self._stay()
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What is for a deployment takes one under the cursor; users, one that may have some."""
        if action not in {"users", "forget"} or not self.is_mounted:
            return True
        chosen = self._chosen()
        if action == "forget" or not chosen:
            return bool(chosen)
        return any(each.path == chosen and each.may_have_users for each in self._recents)

    def _chosen_id(self) -> str:
        """The id of the line under the cursor, or empty."""
        options = self.query_one(OptionList)
        if options.highlighted is None:
            return ""
        return options.get_option_at_index(options.highlighted).id or ""

    def _chosen(self) -> str:
        """The path of the deployment under the cursor, or empty."""
        chosen = self._chosen_id()
        return chosen.removeprefix("recent:") if chosen.startswith("recent:") else ""

    def action_forget(self) -> None:
        """Take the highlighted deployment off the list, once that was meant; its file stays."""
        path = self._chosen()
        chosen = next((each for each in self._recents if each.path == path), None)
        if chosen is None:
            return

        def confirmed(go: bool | None) -> None:
            if go:
                store.forget(Path(path))
                if chosen.is_draft:
                    Path(path).unlink(missing_ok=True)
                self._list()

        name = printable(chosen.domain or "unnamed")
        stays = "What was typed is lost." if chosen.is_draft else f"Its file stays: {path}"
        from tui.widgets.dialog import ConfirmDialog

        dialog = ConfirmDialog(f"Take {name} off the list", stays, "Take it off")
        self.app.push_screen(dialog, confirmed)


def _answers_in(path: Path) -> Answers:
    from tui.document.reading import open_path

    return open_path(path).draft.answers_to_look()
