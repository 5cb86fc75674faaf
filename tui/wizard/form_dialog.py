"""A dialog over one thing in the draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import on

from tui.document.draft import Draft
from tui.messages import DraftChanged, GoOn
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.wizard.form import Form


class FormDialog(AskingDialog[dict[str, Any] | None]):
    """A form over one thing of a list, in a draft of its own; it counts when it is accepted.

    Args:
        draft: What is typed so far; it stays as it is.
        items: Where the list stands in it, such as ``servers``.
        row: Which thing; -1 for a new one.
        fresh: What a new one begins with.

    Attributes:
        is_new: Whether it is about a thing that was not there before.
        scratch: The draft of its own.
        place: Where the thing stands in it.
    """

    DEFAULT_CSS = "FormDialog Form { height: 1fr; padding: 0; }"

    def __init__(self, draft: Draft, items: str, row: int, fresh: Mapping[str, Any]) -> None:
        super().__init__()
        self.is_new = row < 0
        self.scratch = Draft(draft.data)
        if self.is_new:
            row = len(self.scratch.items(items))
            self.scratch.append(items, dict(fresh))
        self.place = f"{items}[{row}]"

    def on_mount(self) -> None:
        """Start typing at once; what is wrong with a thing that was there is said beside it."""
        form = self.query_one(Form)
        form.load()
        form.fields[0].focus()
        if not self.is_new:
            self.call_after_refresh(self.show_problems)

    def show_problems(self) -> bool:
        """Show what is wrong, move the focus to the first of it, and return whether all is well."""
        return self.query_one(Form).check()

    def is_right(self, field: Field) -> bool:
        """Those without a path judge themselves when the form is accepted."""
        if not field.path:
            return True
        field.show_error(self.query_one(Form).problem_of(field))
        return not field.error

    @on(GoOn)
    def _taken_on_purpose(self, event: GoOn) -> None:
        """The form says so when a weak password is taken."""
        event.stop()
        self.accept()

    @on(DraftChanged)
    def _typing(self, event: DraftChanged) -> None:
        event.stop()
