"""A field for a password or key, hidden unless F2 shows it."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import BindingType

from moorage.answers.secrets import Secret
from tui.actions import bindings
from tui.widgets.field import Field


class SecretField(Field):
    """A field whose text is hidden; F2 shows it and hides it again.

    Args:
        label: The label.
        path: The path of its value in the draft; empty if it is not in the draft.
        help_text: One line of help.
        placeholder: The text shown while it is empty.
        has_remedy: Whether an error can come with a button that resolves it.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("secret")

    def __init__(
        self,
        label: str,
        path: str = "",
        *,
        help_text: str = "",
        placeholder: str = "",
        has_remedy: bool = False,
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(
            label, path, help_text=help_text, placeholder=placeholder, password=True,
            has_remedy=has_remedy, id=id,
        )  # fmt: skip

    @property
    def secret(self) -> Secret | None:
        """The secret, or None if the field is empty."""
        return Secret(self.value) if self.value else None

    def action_show_or_hide(self) -> None:
        """Show or hide the text."""
        self.input.password = not self.input.password
