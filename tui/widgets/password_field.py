"""A field for a new password, which takes a weak one only on purpose."""

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

    What is weak is explained beside it, with a button to use it all the same; that counts for this
    password only, and the field says :class:`Field.Submitted` then.

    Args:
        name: Returns whose password it is, which is what an attacker tries first.
        instead: What to do in place of a weak one, as a sentence.
        help_text: One line on what is wanted.
        placeholder: What it shows while it is empty.
        may_be_empty: Whether none is fine, too.
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
            placeholder=placeholder, has_way_out=True, id=id,
        )  # fmt: skip
        self._whose = name
        self._instead = instead
        self._may_be_empty = may_be_empty
        self._taken_anyway = ""

    @property
    def fault(self) -> str:
        """Why what is typed cannot be a password, weak or not; empty when it can."""
        is_fine = self._may_be_empty and not self.value
        return "" if is_fine else password_problem(Secret(self.value))

    def check(self) -> bool:
        """Show why the password is not taken, if it is not; returns whether it is."""
        fault, way_out = self.fault, ""
        if not fault and self.value != self._taken_anyway:
            strength = estimate(self.value, [self._whose()])
            if strength.is_weak:
                fault, way_out = f"{strength} {self._instead}", "Use it anyway"
        self.show_error(fault, way_out)
        return not fault

    @on(Input.Changed)
    def _judge(self) -> None:
        self.show_help(str(estimate(self.value, [self._whose()])))

    @on(Field.WayOut)
    def _take_anyway(self, event: Field.WayOut) -> None:
        event.stop()
        self._taken_anyway = self.value
        self.show_error("")
        self.post_message(self.Submitted(self))
