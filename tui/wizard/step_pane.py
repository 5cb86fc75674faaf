"""A step of the wizard: a form with a title, and what the frame calls."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.widget import Widget
from textual.widgets import Label, Static

from moorage.errors import Problem
from tui.document.steps import Step, step_of
from tui.labels import describe_problem, field_name
from tui.messages import FormSubmitted
from tui.widgets.choice import Choice, Toggle
from tui.wizard.form import Form, is_shown
from tui.wizard_session import WizardSession


class StepPane(Form):
    """The form of one step. Subclasses define the step, the question and the fields.

    Args:
        session: The deployment that is open.
    """

    step: ClassVar[Step]
    question: ClassVar[str]
    explanation: ClassVar[str] = ""
    help_text: ClassVar[str] = ""
    example: ClassVar[str] = ""

    DEFAULT_CSS = """
    StepPane { padding: 1 2 0 2; }
    StepPane .question { text-style: bold; width: 1fr; }
    StepPane .explanation { color: $text-muted; width: 1fr; height: auto; margin-bottom: 1; }
    StepPane .explanation.-empty { height: 1; margin-bottom: 0; }
    StepPane .fault { color: $text-error; height: auto; margin-bottom: 1; display: none; }
    StepPane .fault.-shown { display: block; }
    """

    def __init__(self, session: WizardSession) -> None:
        super().__init__(session.draft, id=self.step.value)
        self.session = session
        self.described: tuple[Problem, ...] = ()
        """The problems that the step itself shows."""

    def compose(self) -> ComposeResult:
        yield Label(self.question, classes="question")
        # An empty explanation still separates the question from the fields.
        empty = "" if self.explanation else " -empty"
        yield Static(self.explanation, classes=f"explanation{empty}", markup=False)
        yield from self.body()
        yield Static("", classes="fault", markup=False)

    def body(self) -> ComposeResult:
        """Yield the fields."""
        yield from ()

    def on_mount(self) -> None:
        """Fill the fields."""
        self.load()

    def opened(self) -> None:
        """Focus the first field when the step is opened."""
        self.load()
        for field in self.fields:
            # An invalid value comes from a file, or was seen before.
            if self.draft.get(field.path) is not None:
                field.show_error(self.problem_of(field))
        if self.step in self.session.progress.visited and self.problems():
            self.show_problems()
        else:
            self.show_fault("")
        self.focus_first()
        # Again after layout: the focused widget is near the top in every step.
        self.scroll_home(animate=False)
        self.call_after_refresh(self.scroll_home, animate=False)

    def closed(self) -> None:
        """React to leaving the step."""

    def focus_first(self) -> None:
        """Focus the first widget that can have the focus."""
        for widget in self.query(Widget):
            if widget.focusable:
                self.take_focus(widget)
                return

    def focus_part(self, path: str) -> None:
        """Focus what edits a part of the answers, and scroll to it.

        Args:
            path: The path of the part, such as ``retention``.
        """

    def take_focus(self, widget: Widget) -> None:
        """Move the focus at once, so that no type-ahead is lost."""
        self.screen.set_focus(widget)

    def problems(self) -> list[Problem]:
        """Return the problems of this step."""
        return [problem for problem in self.draft.problems if step_of(problem) is self.step]

    def show_problems(self) -> bool:
        """Show problems beside their fields, and those without a field below."""
        fields_are_good = super().show_problems()
        shown = {field.error for field in self.fields}
        shown |= {choice.fault for choice in self.query(Choice) if is_shown(choice, self)}
        shown |= {each.explain(field_name) for each in self.described}
        invalid = {toggle.path for toggle in self.query(Toggle) if toggle.invalid}
        problems = self.problems()
        rest = [
            describe_problem(each)
            for each in problems
            if each.explain(field_name) not in shown and each.dotted not in invalid
        ]
        self.show_fault("\n".join(rest))
        return fields_are_good and not problems

    def show_fault(self, message: str) -> None:
        """Show what is wrong with the step as a whole; empty clears it."""
        fault = self.query_one(".fault", Static)
        fault.update("\n".join(f"✗ {line}" for line in message.splitlines()))
        fault.set_class(bool(message), "-shown")
        if message:
            fault.scroll_visible(animate=False)

    def show_mistake(self, path: tuple[str | int, ...]) -> None:
        """Show the problems, and focus the first field that has one.

        Args:
            path: The path of the mistake to show.
        """
        self.check()
        # After the step has scrolled to its top.
        self.call_after_refresh(self._show_focused)

    def _show_focused(self) -> None:
        for field in self.fields:
            if field.input is self.screen.focused:
                field.scroll_visible(animate=False)

    def action_go_on(self) -> None:
        """Continue if there are no problems here."""
        if self.check():
            self.post_message(FormSubmitted())
