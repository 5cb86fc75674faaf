"""A field: a label, an input, and one line of help or an error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.strip import Strip
from textual.suggester import SuggestFromList
from textual.widgets import Button, Input, Label, Static

from tui.actions import bindings
from tui.fields import FIELDS, explanation_of, help_of, placeholder_of, plain
from tui.widgets.button import relabel

_BLOCKS = ("REGISTRY_STORAGE_", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


class FieldInput(Input):
    """The input of a field. Enter is left to the form; Up and Down go through suggestions."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("field")

    class PastedBlock(Message):
        """A block of environment lines was pasted, which does not fit one field."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(
        self, value: str, placeholder: str, suggestions: Sequence[str], *, password: bool
    ) -> None:
        super().__init__(
            value,
            placeholder=placeholder,
            password=password,
            compact=True,
            select_on_focus=False,
            suggester=SuggestFromList(suggestions, case_sensitive=False) if suggestions else None,
        )
        self._suggestions = list(suggestions)

    def render_line(self, y: int) -> Strip:
        """Draw a line; cut a long placeholder at the edge instead of at a space."""
        room = self.scrollable_content_region.width
        if self.value or y or len(self.placeholder) <= room:
            return super().render_line(y)
        text = Text(self.placeholder, no_wrap=True, overflow="ellipsis", end="")
        text.stylize(self.get_component_rich_style("input--placeholder"))
        if self.has_focus and self._cursor_visible:
            text.stylize(self.get_component_rich_style("input--cursor"), 0, 1)
        options = self.app.console_options.update_width(room)
        strip = Strip(self.app.console.render(text, options))
        return strip.extend_cell_length(room + 1).apply_style(self.rich_style)

    def _on_paste(self, event: events.Paste) -> None:
        if any(mark in event.text for mark in _BLOCKS):
            event.stop()
            event.prevent_default()
            self.post_message(self.PastedBlock(event.text))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer suggestions only if there are some."""
        return bool(self._suggestions) if action == "suggest" else True

    def action_suggest(self, step: int) -> None:
        """Fill in the next or previous suggestion."""
        try:
            place = self._suggestions.index(self.value) + step
        except ValueError:
            place = 0 if step > 0 else -1
        self.value = self._suggestions[place % len(self._suggestions)]
        self.cursor_position = len(self.value)


class Field(Vertical):
    """A labelled input.

    Args:
        label: The label.
        path: The path of its value in the draft; empty if it is not in the draft.
        help_text: One line of help.
        placeholder: The text shown while it is empty.
        value: The value at first.
        password: Whether the text is hidden.
        suggestions: Values offered while typing.
        has_remedy: Whether an error can come with a button that resolves it.
        explanation: What F1 says about it; empty for the line of help.
    """

    DEFAULT_CSS = """
    Field {
        height: auto;
        margin-bottom: 1;
        & .field--row { height: 1; }
        & .field--label { width: 16; color: $foreground; text-overflow: ellipsis; }
        & Input, & Input:focus {
            width: 1fr; height: 1; background: $panel; color: $foreground;
            background-tint: transparent;
        }
        /* Room for the bar without the focus, too: the focus moves without a new layout. */
        & Input, & Input.-textual-compact {
            border-left: blank $panel !important; padding: 0 1 0 0 !important;
        }
        & Input:focus, & Input.-textual-compact:focus { border-left: outer $accent !important; }
        & Input > .input--placeholder { color: $text-muted; text-style: italic; }
        & Input > .input--suggestion { color: $text-muted; text-style: italic; }
        & .field--help { height: auto; padding-left: 17; color: $text-muted; }
        & .field--error { height: auto; padding-left: 17; color: $text-error; display: none; }
        & .field--remedy { margin-left: 17; display: none; }
        &.-wrong .field--error { display: block; }
        &.-remedy .field--remedy { display: block; }
        &.-wrong .field--help { display: none; }
        &.-wrong Input.-textual-compact:focus { border-left: outer $error !important; }
    }
    """

    class FieldMessage(Message):
        """A message about a field."""

        def __init__(self, field: Field) -> None:
            super().__init__()
            self.field = field

        @property
        def control(self) -> Field:
            """The field."""
            return self.field

        @property
        def value(self) -> str:
            """The text."""
            return self.field.value

    class Changed(FieldMessage):
        """The text changed."""

    class Left(FieldMessage):
        """The focus left the field."""

    class Submitted(FieldMessage):
        """Enter was pressed in the field."""

    class RemedyPressed(FieldMessage):
        """The button that resolves the error was pressed."""

    def __init__(
        self,
        label: str,
        path: str = "",
        *,
        help_text: str = "",
        placeholder: str = "",
        value: str = "",
        password: bool = False,
        suggestions: Sequence[str] = (),
        has_remedy: bool = False,
        explanation: str = "",
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.label = label
        self.path = path
        self._explanation = explanation
        self._help = help_text
        self._remedy = Button("", classes="field--remedy", compact=True) if has_remedy else None
        self._input = FieldInput(value, placeholder, suggestions, password=password)
        self._error = Static("", classes="field--error", markup=False)

    @classmethod
    def at(cls, path: str, *, keeps_own: bool = False, help_text: str = "", **more: Any) -> Self:
        """Return the field for a path in the answers, with its texts.

        Args:
            path: The path, such as ``servers[0].host``.
            keeps_own: Whether its value is not in the draft.
            help_text: Help to show instead of the usual.
            more: The other arguments of a field.
        """
        field = cls(
            FIELDS[plain(path)].label,
            "" if keeps_own else path,
            help_text=help_text or help_of(path),
            placeholder=placeholder_of(path),
            **more,
        )
        field._explanation = explanation_of(path)
        return field

    def compose(self) -> ComposeResult:
        with Horizontal(classes="field--row"):
            yield Label(self.label, classes="field--label", markup=False)
            yield self._input
        if self._help:
            yield Static(self._help, classes="field--help", markup=False)
        yield self._error
        if self._remedy is not None:
            yield self._remedy

    @property
    def value(self) -> str:
        """The text."""
        return self._input.value

    @value.setter
    def value(self, text: str) -> None:
        if self._input.value != text:
            with self.prevent(Input.Changed):
                self._input.value = text
            self._input.cursor_position = len(text)

    @property
    def input(self) -> Input:
        """The input itself."""
        return self._input

    @property
    def explanation(self) -> str:
        """The text that F1 shows, as sentences."""
        text = self._explanation or self._help
        return text if not text or text.endswith(".") else f"{text}."

    @property
    def error(self) -> str:
        """The error shown; empty if there is none."""
        return str(self._error.content).removeprefix("✗ ")

    def show_error(self, message: str, remedy: str = "") -> None:
        """Show an error, or clear it with an empty message.

        Args:
            message: The error.
            remedy: The label of the button that resolves it; empty for no button.
        """
        self._error.update(f"✗ {message}" if message else "")
        self.set_class(bool(message), "-wrong")
        if self._remedy is not None:
            relabel(self._remedy, Content(remedy))
            self.set_class(bool(remedy), "-remedy")
        if message and self._input is self.screen.focused:
            self.call_after_refresh(self.scroll_visible, animate=False)

    def show_help(self, text: str) -> None:
        """Show another text in the line of help; empty for the usual one."""
        self.query_one(".field--help", Static).update(Content(text or self._help))

    def focus(self, scroll_visible: bool = True) -> Field:
        """Move the focus to the input at once, so that no type-ahead is lost."""
        self.screen.set_focus(self._input, scroll_visible)
        return self

    @on(Input.Changed)
    def _changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Changed(self))

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Submitted(self))

    @on(Button.Pressed)
    def _remedy_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.post_message(self.RemedyPressed(self))

    @on(Input.Blurred)
    def _blurred(self, event: Input.Blurred) -> None:
        event.stop()
        self.post_message(self.Left(self))

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Bring help and error into view with the input."""
        self.call_after_refresh(self.scroll_visible, animate=False)


class ListField(Field):
    """A field for several values, separated by commas."""
