"""Lines with a title and a button that copies them."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.answers.secrets import Secret
from moorage.deploy.clients import ClientSetup
from tui.widgets.dialog import Dialog
from tui.widgets.key_footer import KeyFooter


class CopyBlock(Vertical):
    """Lines with a title and a button that copies them.

    Args:
        title: The purpose of the lines.
        text: The lines.
        secret: Copied instead of the text, for a password shown with its user.
        note: What else is needed; may be empty.
    """

    DEFAULT_CSS = """
    CopyBlock { height: auto; margin-bottom: 1; }
    CopyBlock .copy--title { height: 1; }
    CopyBlock .copy--title Static { width: 1fr; height: 1; }
    CopyBlock .copy--note { height: auto; color: $text-muted; }
    CopyBlock .copy--text { height: auto; padding: 0 1; background: $panel; }
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
        if self._note:
            yield Static(Content(self._note), classes="copy--note")
        yield Static(Content(self.text), classes="copy--text")

    @on(Button.Pressed)
    def _copy(self, event: Button.Pressed) -> None:
        event.stop()
        self.app.copy_to_clipboard(self._secret.reveal() if self._secret else self.text)
        self.is_copied = True
        event.button.label = "Copied"
        event.button.refresh(layout=True)


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
