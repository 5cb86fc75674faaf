"""A field for a password or key: hidden as it is typed, shown on demand."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from moorage.answers.secrets import Secret
from tui.actions import bindings
from tui.widgets.field import Field


class SecretField(Field):
    """A field whose text is hidden; F2 shows it and hides it again.

    Args:
        label: What it is.
        path: Where in the draft its value is kept; empty for a field that keeps its own.
        help_text: One line on what is wanted.
        placeholder: What it shows while it is empty.
        has_way_out: Whether what is wrong may come with a button that is a way out of it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("secret")

    def __init__(
        self,
        label: str,
        path: str = "",
        *,
        help_text: str = "",
        placeholder: str = "",
        has_way_out: bool = False,
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(
            label, path, help_text=help_text, placeholder=placeholder, password=True,
            has_way_out=has_way_out, id=id,
        )  # fmt: skip

    @property
    def secret(self) -> Secret | None:
        """What is typed, or None when nothing is."""
        return Secret(self.value) if self.value else None

    def action_show_or_hide(self) -> None:
        """Show what is typed, or hide it again."""
        self.input.password = not self.input.password
