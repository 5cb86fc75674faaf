"""The base of the dashboard's tabs: each reads the servers when it is shown, in a thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from textual import events, work
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from moorage.answers.model import Answers
from moorage.deploy.deployment import Deployment
from moorage.deploy.operations import OpenTransport
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.servers.transport import Cancel
from tui.age import TICK, as_of
from tui.labels import describe_error
from tui.questions.asker import WizardAsker
from tui.tasks import beside_keys, in_thread
from tui.wizard_session import WizardSession

Found = TypeVar("Found")
_ROOMY = 100
"""Columns from which a tab has room for two tables beside each other."""


class Reader:
    """Reads the servers over connections of its own, and never prompts.

    Args:
        session: The deployment that is open.
        open_transport: Opens a connection; None goes over SSH.
    """

    def __init__(self, session: WizardSession, open_transport: OpenTransport | None) -> None:
        self._session = session
        self._open_transport = open_transport

    def answers(self) -> Answers:
        """Return the answers, which name the servers.

        Raises:
            MoorageError: They are incomplete.
        """
        return self._session.draft.answers_to_look()

    def read(self, answers: Answers, work: Callable[[Deployment], Found], cancel: Cancel) -> Found:
        """Connect, read and close the connections. Blocks.

        Args:
            answers: The answers, which name the servers.
            work: Reads.
            cancel: Stops it early when set.

        Raises:
            MoorageError: They could not be read.
        """
        asker = self._session.operations.asker
        quiet = asker.quiet() if isinstance(asker, WizardAsker) else asker
        with Deployment(answers, quiet, open_transport=self._open_transport) as deployment:
            deployment.cancel = cancel
            with beside_keys():
                return work(deployment)


class Tab(Vertical, Generic[Found]):
    """A tab. What was read stays on it while it is read again, and if that fails.

    Args:
        reader: Reads the servers.
        id: Its ID.
    """

    FRESH: ClassVar[float] = 55.0
    """Seconds after which it is read again while it is shown."""
    DEFAULT_CSS = """
    Tab { height: 1fr; }
    Tab > .tab--top { height: 1; padding: 0 2; }
    Tab .tab--title {
        height: 1; width: 1fr; color: $text-muted; text-overflow: ellipsis; text-wrap: nowrap;
    }
    Tab .tab--age { width: auto; color: $text-muted; padding-left: 2; }
    Tab > .tab--error { height: auto; max-height: 6; padding: 0 2; display: none; }
    Tab > .tab--error.-shown { display: block; }
    Tab .tab--body { height: 1fr; }
    Tab.-unread .tab--body { display: none; }
    Tab .tab--heading {
        height: 1; padding: 0 2; color: $text-muted; text-overflow: ellipsis; text-wrap: nowrap;
    }
    Tab .tab--part { height: 1fr; width: 1fr; }
    Tab .tab--part:focus-within .tab--heading { color: $text-accent; text-style: bold; }
    """

    class Changed(Message):
        """The tab shows something else."""

    def __init__(self, reader: Reader, *, id: str) -> None:  # noqa: A002 # Textual's name for it
        super().__init__(id=id, classes="-unread")
        self._reader = reader
        self._cancel = Cancel()
        self._is_reading = False
        self._read_at: float | None = None
        self._shown_at: float | None = None

    # --- to be defined --------------------------------------------------------------------

    def compose_parts(self) -> ComposeResult:
        """Yield what is below the title."""
        raise NotImplementedError

    def read(self, deployment: Deployment) -> Found:
        """Read the servers; runs in a thread.

        Args:
            deployment: The deployment.
        """
        raise NotImplementedError

    def show(self, found: Found) -> str:
        """Show what was read, and return a summary of it for the title."""
        raise NotImplementedError

    @property
    def can_open(self) -> bool:
        """Whether something is selected that can be opened."""
        return False

    def open_selected(self) -> None:
        """Open what is selected."""

    # --- reading --------------------------------------------------------------------------

    def compose(self) -> ComposeResult:
        with Horizontal(classes="tab--top"):
            yield Static("", classes="tab--title", markup=False)
            yield Static("", classes="tab--age", markup=False)
        yield Static("", classes="tab--error", markup=False)
        with Vertical(classes="tab--body"):
            yield from self.compose_parts()

    def on_mount(self) -> None:
        """Show the age of what is shown."""
        self.set_interval(TICK, self._show_age)

    def on_resize(self, event: events.Resize) -> None:
        """Put tables beside each other where there is room."""
        self.set_class(event.size.width >= _ROOMY, "-roomy")

    @property
    def first_focus(self) -> Widget | None:
        """The widget that gets the focus when the tab is shown."""
        return next((each for each in self.query("*") if each.focusable), None)

    def refresh_if_old(self) -> None:
        """Read the servers, unless they are being read or were read just now."""
        is_new = self._read_at is not None and time.monotonic() - self._read_at < self.FRESH
        if not self._is_reading and not is_new:
            self.read_again()

    def expire(self) -> None:
        """Read the servers when the tab is shown next, however new it is."""
        self._read_at = None

    def read_again(self) -> None:
        """Read the servers."""
        self.stop()
        try:
            answers = self._reader.answers()
        except MoorageError as error:
            self._show_error(error)
            return
        self._is_reading = True
        if self.has_class("-unread"):
            hosts = ", ".join(printable(each.host) for each in answers.servers)
            self.show_title(f"Reading {hosts}")
        self._cancel = cancel = Cancel()
        self._read(lambda: self._reader.read(answers, self.read, cancel))

    @work(exclusive=True, group="tab")
    async def _read(self, read: Callable[[], Found]) -> None:
        try:
            found = await in_thread(read)
        except MoorageError as error:
            self._is_reading = False
            self._read_at = time.monotonic()
            self._show_error(error)
            return
        self._is_reading = False
        self._read_at = time.monotonic()
        self._say(Content(""))
        self.remove_class("-unread")
        self.show_title(self.show(found))
        self._shown_at = time.time()
        self._show_age()
        self.post_message(self.Changed())

    def stop(self) -> None:
        """Stop reading."""
        self._cancel.set()
        self.workers.cancel_group(self, "tab")
        self._is_reading = False

    def show_waiting(self, text: str) -> None:
        """Show what has to be read first, unless something is shown."""
        if self.has_class("-unread"):
            self.show_title(text)

    def show_title(self, text: str) -> None:
        """Show a summary."""
        self.query_one(".tab--title", Static).update(text)

    def _show_age(self) -> None:
        if self._shown_at is not None:
            self.query_one(".tab--age", Static).update(as_of(self._shown_at))

    def _show_error(self, error: MoorageError) -> None:
        """Show why the servers could not be read; what was read before stays."""
        if self.has_class("-unread"):
            self.show_title("")
        again = Content.styled("\nCtrl+R: read again", "$text-muted")
        text = Content.styled(f"✗ {printable(describe_error(error))}", "$text-error")
        self._say(text + again)

    def _say(self, text: Content) -> None:
        line = self.query_one(".tab--error", Static)
        line.update(text)
        line.set_class(bool(text), "-shown")
