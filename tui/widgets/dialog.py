"""Dialogs on top of a screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Static

from tui.actions import bindings
from tui.palette import actions_of_screen
from tui.styled_once import StyledOnce
from tui.widgets.choice import Choice, Toggle
from tui.widgets.field import Field, FieldInput
from tui.widgets.key_footer import KeyFooter

Result = TypeVar("Result")


class Dialog(StyledOnce[Result], ModalScreen[Result]):
    """A box in the middle; Escape goes back. Keys scroll a text that is longer than the box."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("dialog")
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 60%; }
    Dialog > .dialog--box {
        width: 72; max-width: 96%; height: auto; max-height: 90%;
        background: $surface; border: round $edge; padding: 1 2;
        border-title-color: $foreground; border-title-style: bold;
    }
    Dialog .dialog--body { height: auto; max-height: 1fr; }
    Dialog .dialog--text { height: auto; margin-bottom: 1; }
    Dialog.-tall > .dialog--box { height: 90%; }
    Dialog.-tall .dialog--body { height: 1fr; max-height: 100%; }
    Dialog .dialog--buttons { height: 1; align-horizontal: right; }
    Dialog Button { margin-left: 2; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._typed_ahead: list[events.Event] = []
        self._is_ready = False

    def _forward_event(self, event: events.Event) -> None:
        """Hold type-ahead until a widget in here has the focus."""
        if isinstance(event, events.Key | events.Paste) and not self._is_ready:
            self._typed_ahead.append(event)
        else:
            super()._forward_event(event)

    def on_mount(self) -> None:
        """Move the focus in here and replay type-ahead. Runs after the subclass's ``on_mount``."""
        for body in self.query(".dialog--body"):
            self.watch(body, "show_vertical_scrollbar", self.refresh_bindings, init=False)
        if self.focused is None and (chain := self.focus_chain):
            self.set_focus(chain[0])
        if isinstance(self.focused, FieldInput):
            # Typing replaces what was filled in.
            self.focused.select_all()
        self._is_ready = True
        for event in self._typed_ahead:
            (self.focused or self)._forward_event(event)

    def on_resize(self) -> None:
        """Keep the buttons in sight below a long body."""
        self.call_after_refresh(self._keep_buttons_in_sight)

    def _keep_buttons_in_sight(self) -> None:
        for box in self.query(".dialog--box"):
            for buttons in box.query(".dialog--buttons"):
                if not box.content_region.contains_region(buttons.region):
                    self.add_class("-tall")

    @on(FieldInput.PastedBlock)
    def _storage_pasted(self, event: FieldInput.PastedBlock) -> None:
        """Dialogs have no field for such lines."""
        event.stop()
        self.notify("These lines belong in Storage (Alt+3): paste them there", markup=False)

    def action_scroll_body(self, way: str) -> None:
        """Scroll a body that does not fit."""
        for body in self.query(".dialog--body"):
            getattr(body, way)(animate=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer scrolling only if the body does not fit."""
        if action != "scroll_body":
            return True
        return any(body.show_vertical_scrollbar for body in self.query(".dialog--body"))

    def explanations(self) -> list[str]:
        """Return the paragraphs that explain the fields and choices in here."""
        found = []
        for each in self.query("Field, Choice"):
            if not isinstance(each, Field | Choice) or not _is_displayed(each):
                continue
            if isinstance(each, Choice):
                found += [f"{it.label}: {it.detail}." for it in each.options if it.detail]
            elif each.explanation:
                found.append(f"{each.label}: {each.explanation}")
        return found

    def action_help(self) -> None:
        """Explain the fields and list the keys."""
        from tui.widgets.help_dialog import HelpDialog

        text = "\n\n".join(self.explanations())
        self.app.push_screen(HelpDialog("Help", text, actions_of_screen(self)))

    def action_refuse(self) -> None:
        """Go back without an answer."""
        self.dismiss(None)


class ConfirmDialog(Dialog[bool]):
    """Yes, no, or None for Escape.

    Args:
        title: The title.
        text: What will happen; a string is shown without markup.
        accept: The label of the button that does it.
        refuse: The label of the other button.
        careful: Whether the other button has the focus at first.
    """

    def __init__(
        self,
        title: str,
        text: str | Content,
        accept: str,
        refuse: str = "Back",
        *,
        careful: bool = False,
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._accept = accept
        self._refuse = refuse
        self._careful = careful

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(self._text, classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button(self._refuse, id="refuse", compact=True)
                yield Button(self._accept, id="accept", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Move the focus to a button."""
        self.set_focus(self.query_one("#refuse" if self._careful else "#accept"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")


class LeaveQuestion(ConfirmDialog):
    """Asks before Moorage ends; Ctrl+C, which may have brought it up, leaves."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("leave_question")

    def action_leave(self) -> None:
        """Leave."""
        self.dismiss(True)


class AskingDialog(Dialog[Result]):
    """Fields above buttons. Enter goes from field to field, and accepts in the last one."""

    BINDINGS: ClassVar[list[BindingType]] = bindings("form_dialog")

    def buttons(self, accept: str, *others: Button) -> ComposeResult:
        """Yield the buttons.

        Args:
            accept: The label of the button that accepts.
            others: More buttons, between Back and that one.
        """
        with Horizontal(classes="dialog--buttons"):
            yield Button("Back", id="refuse", compact=True)
            yield from others
            yield Button(accept, id="accept", variant="primary", compact=True)

    def accept(self) -> None:
        """Return the values, or show beside a field what is wrong."""
        raise NotImplementedError

    def is_right(self, field: Field) -> bool:
        """Return whether Enter can leave a field; shows beside it why not."""
        return True

    def is_enough(self) -> bool:
        """Return whether Enter accepts, although more fields follow."""
        return False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leave Enter to buttons and to text areas."""
        if action not in {"next_field", "end"}:
            return super().check_action(action, parameters)
        if not isinstance(self.focused, FieldInput | Choice | Toggle):
            return False
        is_last = self._following() is None or self.is_enough()
        return is_last if action == "end" else not is_last

    def _following(self) -> Widget | None:
        """Return the next field, choice or toggle after the focus, if there is one."""
        chain = self.focus_chain
        if self.focused not in chain:
            return None
        for each in chain[chain.index(self.focused) + 1 :]:
            if isinstance(each, FieldInput | Choice | Toggle):
                return each
        return None

    def action_next_field(self) -> None:
        """Go to the next field, or stay at one with a mistake."""
        following = self._following()
        field = next((each for each in self.query(Field) if each.input is self.focused), None)
        if following is not None and (field is None or self.is_right(field)):
            self.set_focus(following)

    def action_end(self) -> None:
        """Accept, from the last field."""
        self.accept()

    def action_accept(self) -> None:
        """Accept, from anywhere."""
        self.accept()

    @on(Field.Submitted)
    def _submitted(self) -> None:
        """Accept: the operator chose to use a weak password."""
        self.accept()

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "accept":
            self.accept()
        elif event.button.id == "refuse":
            self.action_refuse()


class TextDialog(AskingDialog[str | None]):
    """One line of text.

    Args:
        title: The title.
        label: The field's label.
        text: The text above it.
        value: The field's value at first.
        help_text: The field's help.
        accept: The button's label.
        password: Whether the text is hidden.
        suggestions: Values offered while typing.
    """

    def __init__(
        self,
        title: str,
        label: str,
        *,
        text: str = "",
        value: str = "",
        help_text: str = "",
        accept: str = "OK",
        password: bool = False,
        suggestions: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self._title = title
        self._text = text
        self._accept = accept
        self._field = Field(
            label, help_text=help_text, value=value, password=password, suggestions=suggestions
        )

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            if self._text:
                yield Static(self._text, classes="dialog--text", markup=False)
            yield self._field
            yield from self.buttons(self._accept)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start typing at once."""
        self._field.focus()

    def fault(self, text: str) -> str:
        """Return what is wrong with the text; empty if it is valid."""
        return "" if text else "Required"

    def accept(self) -> None:
        """Return the text, or show what is wrong with it."""
        fault = self.fault(self._field.value)
        self._field.show_error(fault)
        if not fault:
            self.dismiss(self._field.value)

    @on(Field.Changed)
    @on(Field.Left)
    def _typing(self) -> None:
        self._field.show_error("")


class FindDialog(TextDialog):
    """Asks for a text to find, which may be empty.

    Args:
        title: The title.
        text: The text at first.
        help_text: What happens with it.
    """

    def __init__(
        self,
        title: str,
        text: str,
        help_text: str = "Show only lines that contain it; empty shows all",
    ) -> None:
        super().__init__(title, "Text", value=text, help_text=help_text, accept="Find")

    def fault(self, text: str) -> str:
        """Allow any text."""
        return ""


class NoteDialog(Dialog[None]):
    """A text to read.

    Args:
        title: The title.
        text: The text, shown without markup.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("note")

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self._title = title
        self._text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = self._title
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(self._text, classes="dialog--text", markup=False)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Close", id="refuse", variant="primary", compact=True)
        yield KeyFooter()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        self.dismiss(None)


def _is_displayed(widget: Widget) -> bool:
    """Return whether a widget and all that it is in are displayed."""
    return all(each.display for each in widget.ancestors_with_self if isinstance(each, Widget))
