"""A form: fields that store their values in a draft and show its problems."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widget import Widget

from tui.actions import bindings
from tui.document.draft import Draft
from tui.labels import text_of
from tui.messages import DraftChanged, FormSubmitted
from tui.widgets.choice import Choice, Toggle
from tui.widgets.field import Field, ListField


class Form(VerticalScroll, can_focus=False):
    """Fields of a draft. Enter continues if there are no problems, else goes to the first.

    Args:
        draft: The draft.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("form")
    DEFAULT_CSS = "Form { padding: 0 1; }"

    def __init__(
        self,
        draft: Draft,
        *,
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.draft = draft

    @property
    def fields(self) -> list[Field]:
        """The visible fields that are in the draft, in reading order."""
        return [field for field in self.query(Field) if field.path and is_shown(field, self)]

    def load(self) -> None:
        """Fill the fields from the draft."""
        for field in self.query(Field):
            if field.path:
                field.value = self._text_of(field)
                if not field.value:
                    field.show_error("")
        for choice in self.query(Choice):
            if choice.path:
                choice.value = self.draft.text(choice.path) or choice.options[0].value
                choice.fault = text_of(self.draft.problem_at(choice.path))
        for toggle in self.query(Toggle):
            if toggle.path and (value := self.draft.get(toggle.path)) is not None:
                toggle.value = bool(value)
                toggle.invalid = str(value) if self.draft.problem_at(toggle.path) else ""

    def _text_of(self, field: Field) -> str:
        value = self.draft.get(field.path)
        if isinstance(field, ListField) and isinstance(value, (list, tuple)):
            return ", ".join(str(each) for each in value)
        return self.draft.text(field.path) or self._invalid_text(field.path)

    def _invalid_text(self, path: str) -> str:
        """Return a list or section that a file has in place of text, as YAML."""
        value = self.draft.get(path)
        if not isinstance(value, (dict, list)) or not self.draft.problem_at(path):
            return ""
        import yaml

        return str(yaml.safe_dump(value, default_flow_style=True, width=1000)).strip()

    def problem_of(self, field: Field) -> str:
        """Return what is wrong with a field; subclasses add checks that the draft does not make."""
        return text_of(self.draft.problem_at(field.path))

    def show_problems(self) -> bool:
        """Show what is wrong without moving the focus; returns whether everything is valid."""
        for field in self.fields:
            field.show_error(self.problem_of(field))
        return not any(field.error for field in self.fields)

    def check(self) -> bool:
        """Show what is wrong and focus the first problem; returns whether everything is valid."""
        is_good = self.show_problems()
        first = next((field for field in self.fields if field.error), None)
        if first is not None:
            first.focus()
        return is_good

    def action_go_on(self) -> None:
        """Continue, or show what is wrong."""
        if self.check():
            self.post_message(FormSubmitted())

    @on(Field.Changed)
    def _typed(self, event: Field.Changed) -> None:
        if not event.field.path:
            return
        event.stop()
        parts = [part.strip() for part in event.value.split(",") if part.strip()]
        if isinstance(event.field, ListField) and parts:
            self.draft.set(event.field.path, parts)
        else:
            self.draft.put_text(event.field.path, event.value)
        if event.field.error:
            event.field.show_error(self.problem_of(event.field))
        self.post_message(DraftChanged())

    @on(Field.Left)
    def _left(self, event: Field.Left) -> None:
        event.stop()
        if event.field.path:
            event.field.show_error(self.problem_of(event.field))

    @on(Field.Submitted)
    def _submitted(self, event: Field.Submitted) -> None:
        event.stop()
        self.action_go_on()

    @on(Choice.Changed)
    def _chosen(self, event: Choice.Changed) -> None:
        if event.choice.path:
            self.draft.put_text(event.choice.path, event.value)
            self.post_message(DraftChanged())

    @on(Toggle.Changed)
    def _toggled(self, event: Toggle.Changed) -> None:
        if event.toggle.path:
            self.draft.set(event.toggle.path, event.value)
            self.post_message(DraftChanged())


def is_shown(widget: Widget, form: Form) -> bool:
    """Return whether a widget and its parents up to the form are displayed."""
    for node in widget.ancestors_with_self:
        if node is form:
            return True
        if not node.display:
            return False
    return True
