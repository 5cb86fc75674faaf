"""A dialog for one item of a list in the draft."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from textual import on

from tui.document.draft import Draft
from tui.messages import DraftChanged, FormSubmitted
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.wizard.form import Form


class FormDialog(AskingDialog[dict[str, Any] | None]):
    """A form for one item of a list, in a copy of the draft; returns the item when accepted.

    Args:
        draft: The draft, which is not changed.
        items: The path of the list, such as ``servers``.
        row: The index of the item; -1 for a new one.
        defaults: The values of a new item at first.

    Attributes:
        is_new: Whether the item is new.
        scratch: The copy of the draft.
        place: The path of the item in it.
    """

    DEFAULT_CSS = "FormDialog Form { height: 1fr; padding: 0; }"

    def __init__(self, draft: Draft, items: str, row: int, defaults: Mapping[str, Any]) -> None:
        super().__init__()
        self.is_new = row < 0
        self.scratch = Draft(draft.data)
        if self.is_new:
            row = len(self.scratch.items(items))
            self.scratch.append(items, dict(defaults))
        self.place = f"{items}[{row}]"

    def on_mount(self) -> None:
        """Focus the first field; show the problems of an item that already existed."""
        form = self.query_one(Form)
        form.load()
        form.fields[0].focus()
        if not self.is_new:
            self.call_after_refresh(self.show_problems)

    def show_problems(self) -> bool:
        """Show what is wrong and focus the first problem; returns whether everything is valid."""
        return self.query_one(Form).check()

    def is_right(self, field: Field) -> bool:
        """Return whether a field is valid; those without a path are checked on accepting."""
        if not field.path:
            return True
        field.show_error(self.query_one(Form).problem_of(field))
        return not field.error

    @on(FormSubmitted)
    def _weak_password_accepted(self, event: FormSubmitted) -> None:
        """Accept: the form posts this when the operator uses a weak password anyway."""
        event.stop()
        self.accept()

    @on(DraftChanged)
    def _typing(self, event: DraftChanged) -> None:
        event.stop()
