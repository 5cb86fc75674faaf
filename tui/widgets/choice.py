"""Radio buttons and checkboxes, drawn with signs so that they need no colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from moorage.escape import printable
from tui.actions import bindings
from tui.fields import FIELDS, plain


@dataclass(frozen=True)
class Option:
    """An option of a choice.

    Attributes:
        value: The value in the draft.
        label: The label.
        detail: Its meaning, in a few words.
    """

    value: str
    label: str
    detail: str = ""


class Choice(Widget, can_focus=True):
    """One of several options; Up and Down choose at once, Enter is left to the form.

    Args:
        options: The options.
        path: The path of the value in the draft; empty if it is not in the draft.
        value: The option chosen at first.
    """

    DEFAULT_CSS = """
    Choice { height: auto; margin-bottom: 1; }
    Choice:focus { background: $panel; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("choice")
    value: reactive[str] = reactive("", layout=False)
    fault: reactive[str] = reactive("", layout=True)
    """The problem with the value, until an option is chosen."""

    class Changed(Message):
        """Another option was chosen."""

        def __init__(self, choice: Choice, value: str) -> None:
            super().__init__()
            self.choice = choice
            self.value = value

        @property
        def control(self) -> Choice:
            """The choice."""
            return self.choice

    def __init__(
        self,
        options: Sequence[Option],
        path: str = "",
        *,
        value: str = "",
        id: str | None = None,  # noqa: A002 # Textual's name for it
    ) -> None:
        super().__init__(id=id)
        self.options = tuple(options)
        self.path = path
        self.set_reactive(Choice.value, value or self.options[0].value)

    def render(self) -> Content:
        """Draw one line per option."""
        lines = []
        width = max(len(option.label) for option in self.options)
        for option in self.options:
            chosen = option.value == self.value
            style = "bold" if chosen else ""
            line = self._mark(is_chosen=chosen) + Content.styled(
                f"({'•' if chosen else ' '}) {option.label:<{width}}", style
            )
            if option.detail:
                line += Content.styled(f"  {option.detail}", "$text-muted")
            lines.append(line)
        if self.value not in [option.value for option in self.options]:
            # An invalid value from a file is shown as it is, until an option is chosen.
            invalid = Content.styled(f"(•) {printable(self.value)}", "bold")
            lines.append(self._mark(is_chosen=True) + invalid)
        if self.fault:
            lines.append(Content.styled(f"     ✗ {printable(self.fault)}", "$text-error"))
        return Content("\n").join(lines)

    def _mark(self, *, is_chosen: bool) -> Content:
        """Return a bar before the chosen option while the choice has the focus."""
        return Content.styled("▌", "$accent") if is_chosen and self.has_focus else Content(" ")

    def action_move(self, step: int) -> None:
        """Choose the next or previous option."""
        values = [option.value for option in self.options]
        place = values.index(self.value) if self.value in values else -1
        self.choose(values[max(0, min(len(values) - 1, place + step))])

    def choose(self, value: str) -> None:
        """Choose an option and post a message."""
        if value != self.value:
            self.value, self.fault = value, ""
            self.post_message(self.Changed(self, value))

    def on_click(self, event: events.Click) -> None:
        """Choose the option that was clicked."""
        offset = event.get_content_offset(self)
        if offset is not None and 0 <= offset.y < len(self.options):
            self.choose(self.options[offset.y].value)


class Toggle(Widget, can_focus=True):
    """Yes or no; Space changes it, Enter is left to the form.

    Args:
        label: The label.
        path: The path of the value in the draft.
        value: The value at first.
    """

    DEFAULT_CSS = """
    Toggle { height: auto; margin-bottom: 1; border-left: blank $panel; }
    Toggle:focus { background: $panel; border-left: outer $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = bindings("toggle")
    value: reactive[bool] = reactive(False, layout=False)
    invalid: reactive[str] = reactive("", layout=True)
    """A value from a file that is not yes or no, until it is changed."""

    class Changed(Message):
        """It was changed."""

        def __init__(self, toggle: Toggle, value: bool) -> None:
            super().__init__()
            self.toggle = toggle
            self.value = value

        @property
        def control(self) -> Toggle:
            """The toggle."""
            return self.toggle

    @classmethod
    def at(cls, path: str, *, value: bool = False) -> Self:
        """Return the toggle for a path in the answers."""
        return cls(FIELDS[plain(path)].label, path, value=value)

    def __init__(self, label: str, path: str = "", *, value: bool = False) -> None:
        super().__init__()
        self.label = label
        self.path = path
        self.set_reactive(Toggle.value, value)

    def render(self) -> Content:
        """Draw the sign and the label."""
        if not self.invalid:
            return Content(f"[{'x' if self.value else ' '}] {self.label}")
        wrong = f"✗ {printable(self.invalid)} is not yes or no. Press Space to change it"
        return Content(f"[?] {self.label}\n    ") + Content.styled(wrong, "$text-error")

    def action_change(self) -> None:
        """Change it."""
        self.value, self.invalid = not self.value, ""
        self.post_message(self.Changed(self, self.value))

    def on_click(self) -> None:
        """Change it."""
        self.action_change()
