"""What every part of the application needs of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.keys import KeysApp

if TYPE_CHECKING:
    from tui.session import Session


class BaseApp(KeysApp):
    """An application with at most one deployment open.

    Attributes:
        session: The deployment that is open, or None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.session: Session | None = None

    def tell(self, title: str, text: str) -> None:
        """Show a text in a box."""
        from tui.widgets.dialog import NoteDialog

        self.push_screen(NoteDialog(title, text))
