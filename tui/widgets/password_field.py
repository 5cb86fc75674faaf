"""A field for a new password that accepts a weak one only on purpose."""

from __future__ import annotations

from collections.abc import Callable

from textual import on
from textual.widgets import Input

from moorage.answers.secrets import Secret
from moorage.users.passwords import password_problem
from moorage.users.strength import estimate
from tui.fields import FIELDS
from tui.widgets.field import Field
from tui.widgets.secret_field import SecretField


class PasswordField(SecretField):
    """A field for a new password.

    A weak password is explained beside the field, with a button to use it anyway. The button counts
    for this password only, and posts :class:`Field.Submitted`.

    Args:
        name: Returns the user's name, which is what an attacker tries first.
        instead: Advice in case of a weak password, as a sentence.
        help_text: One line of help.
        placeholder: The text shown while it is empty.
        may_be_empty: Whether the field can be left empty.
    """

    def __init__(
        self,
        name: Callable[[], str],
        instead: str,
        *,
        help_text: str,
        placeholder: str = "",
        may_be_empty: bool = False,
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(
            FIELDS["credentials.users[].password"].label, help_text=help_text,
            placeholder=placeholder, has_remedy=True, id=id,
        )  # fmt: skip
        self._user_name = name
        self._instead = instead
        self._may_be_empty = may_be_empty
        self._accepted_weak = ""

    @property
    def fault(self) -> str:
        """Why the text cannot be a password, weak or not; empty if it can."""
        is_fine = self._may_be_empty and not self.value
        return "" if is_fine else password_problem(Secret(self.value))

    def check(self) -> bool:
        """Return whether the password is accepted; shows why not."""
        fault, remedy = self.fault, ""
        if not fault and self.value != self._accepted_weak:
            strength = estimate(self.value, [self._user_name()])
            if strength.is_weak:
                fault, remedy = f"{strength} {self._instead}", "Use it anyway"
        self.show_error(fault, remedy)
        return not fault

    @on(Input.Changed)
    def _judge(self) -> None:
        self.show_help(str(estimate(self.value, [self._user_name()])))

    @on(Field.RemedyPressed)
    def _use_anyway(self, event: Field.RemedyPressed) -> None:
        event.stop()
        self._accepted_weak = self.value
        self.show_error("")
        self.post_message(self.Submitted(self))
