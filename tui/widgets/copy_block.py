"""Lines with a title and buttons that copy and save them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, HorizontalScroll, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.answers.secrets import Secret
from moorage.deploy.clients import ClientSetup
from moorage.escape import printable
from moorage.state import short_path
from tui.actions import bindings
from tui.text_files import save_text
from tui.widgets.button import relabel
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter


class Lines(HorizontalScroll, inherit_bindings=False):
    """Lines that are never wrapped, so that selecting them with the mouse gives what they are.

    Args:
        text: The lines.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("lines")
    DEFAULT_CSS = """
    Lines { height: auto; padding: 0 1; background: $panel; scrollbar-size: 1 1; }
    Lines:focus { background: $selection; }
    Lines > Static { width: auto; text-wrap: nowrap; }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = text

    def compose(self) -> ComposeResult:
        yield Static(Content(self._text))

    def allow_focus(self) -> bool:
        """Take the focus only to scroll."""
        return self.max_scroll_x > 0

    def action_sideways(self, columns: int) -> None:
        """Scroll sideways."""
        self.scroll_relative(x=columns, animate=False)


class CopyBlock(Vertical):
    """Lines with a title and buttons that copy and save them.

    Args:
        title: The purpose of the lines.
        text: The lines.
        secret: Copied instead of the text, for a password shown with its user.
        note: What else is needed; may be empty.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("copy_block")
    DEFAULT_CSS = """
    CopyBlock { height: auto; margin-bottom: 1; }
    CopyBlock .copy--title { height: 1; }
    CopyBlock .copy--title Static { width: 1fr; height: 1; }
    CopyBlock .copy--title Button { margin-left: 2; }
    CopyBlock .copy--note { height: auto; color: $text-muted; }
    CopyBlock .copy--saved { height: auto; display: none; }
    """

    def __init__(self, title: str, text: str, secret: Secret | None = None, note: str = "") -> None:
        super().__init__()
        self._title = title
        self._note = note
        self.text = text
        self._secret = secret
        self.is_copied = False

    @property
    def holds_secret(self) -> bool:
        """Whether a password is shown here."""
        return self._secret is not None

    def compose(self) -> ComposeResult:
        with Horizontal(classes="copy--title"):
            yield Static(Content(self._title))
            yield Button("Copy", compact=True)
            if not self.holds_secret:
                yield Button("Save", classes="copy--save", compact=True)
        if self._note:
            yield Static(Content(self._note), classes="copy--note")
        yield Static(classes="copy--saved", markup=False)
        yield Lines(self.text)

    @on(Button.Pressed)
    def _copy(self, event: Button.Pressed) -> None:
        event.stop()
        if event.button.has_class("copy--save"):
            self.action_save_lines()
            return
        self.app.copy_to_clipboard(self._secret.reveal() if self._secret else self.text)
        self.is_copied = True
        relabel(event.button, "Copied")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Keep passwords out of files."""
        return not (action == "save_lines" and self.holds_secret)

    def action_save_lines(self) -> None:
        """Save the lines to a file, and show where."""
        shown = self.query_one(".copy--saved", Static)
        shown.display = True
        try:
            path = save_text("clients", f"{self._title}.txt", self.text)
        except OSError as error:
            shown.update(f"✗ Cannot save the lines: {error.strerror}")
        else:
            shown.update(printable(f"✓ Saved in {short_path(path)}"))


def setup_block(setup: ClientSetup) -> CopyBlock:
    """Return the block of a client's setup."""
    return CopyBlock(setup.title, setup.text, note=setup.note)


class CopyDialog(Dialog[None]):
    """Several blocks to copy.

    Args:
        title: The dialog's title.
        text: The text above the blocks.
        blocks: The blocks.
    """

    # A certificate's lines, 64 columns, fit on the smallest terminal.
    DEFAULT_CSS = "CopyDialog > .dialog--box { width: 100; }"

    def __init__(self, title: str, text: str, blocks: Sequence[CopyBlock]) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._blocks = blocks

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(self._text, classes="dialog--text", markup=False)
                yield from self._blocks
            with Horizontal(classes="dialog--buttons"):
                yield Button("Close", id="refuse", variant="primary", compact=True)
        yield KeyFooter()

    @on(Button.Pressed, "#refuse")
    def _pressed(self) -> None:
        self.dismiss(None)
