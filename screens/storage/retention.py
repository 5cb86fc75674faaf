"""The retention rules and the schedule of collections: a table, fields, and a rule's dialog."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Button, Static

from moorage.answers.model import Keep, RetentionRule
from moorage.escape import printable
from moorage.rows import Level
from screens.storage.growing_text import GrowingText
from tui.document.draft import Draft
from tui.labels import text_of
from tui.signs import COLOURS
from tui.widgets.field import Field, ListField
from tui.widgets.key_footer import KeyFooter
from tui.widgets.table import EditableTable
from tui.wizard.form import Form
from tui.wizard.form_dialog import FormDialog
from tui.wizard_session import WizardSession

if TYPE_CHECKING:
    from moorage.deploy.images.retain import Judgement

_NO_RULES = "Without a rule, every tag stays."
_SCHEDULE = ("when", "grace", "young", "trash", "untagged")


class RetentionFields(Vertical):
    """The rules in order, and the schedule."""

    DEFAULT_CSS = """
    RetentionFields { height: auto; }
    RetentionFields .muted { color: $text-muted; height: auto; }
    RetentionFields EditableTable { margin-bottom: 0; }
    RetentionFields #removed { height: auto; margin-bottom: 1; display: none; }
    """

    def compose(self) -> ComposeResult:
        yield Static("Retention: the tags that stay", classes="caption")
        yield Static(_NO_RULES, id="no-rules", classes="muted", markup=False)
        yield EditableTable(("Repositories", "Keep"), is_ordered=True, id="rules")
        with Horizontal(classes="row"):
            yield Button("Add a rule", id="add", compact=True)
            yield Button("Show what goes", id="removes", compact=True)
        yield GrowingText("", id="removed", markup=False)
        for name in _SCHEDULE:
            yield Field.at(f"collect.{name}")

    def show(self, draft: Draft) -> None:
        """Show the rules of a draft.

        Args:
            draft: The draft; its rules can be wrong or incomplete.
        """
        rules = draft.items("retention")
        table = self.query_one(EditableTable)
        table.display = bool(rules)
        table.show_rows([_cells(draft, place) for place in range(len(rules))])
        self.query_one("#no-rules").display = not rules
        self.query_one("#removes").display = bool(rules)

    def show_removed(self, text: Content) -> None:
        """Show what the rules would remove; nothing hides it."""
        removed = self.query_one("#removed", GrowingText)
        removed.display = bool(text)
        removed.replace(text, stays_in_view=bool(text))

    def show_judgement(self, judgement: Judgement) -> None:
        """Show what rules would remove now, and why the rest stays.

        Args:
            judgement: The verdicts.
        """
        self.show_removed(Content("\n").join(_removal_lines(judgement)))

    @property
    def first_focus(self) -> Widget:
        """The table, or the button to add a first rule."""
        table = self.query_one(EditableTable)
        return table if table.row_count else self.query_one("#add")


def _cells(draft: Draft, place: int) -> tuple[str, str]:
    """Return a rule as the cells of a row."""
    rule = draft.answers_of(RetentionRule, f"retention[{place}]")
    if rule is not None:
        return ", ".join(rule.repositories), ", ".join(_conditions(rule.keep))
    names: Any = draft.get(f"retention[{place}].repositories")
    named = ", ".join(map(str, names)) if isinstance(names, (list, tuple)) else str(names or "-")
    return printable(named), "✗ has problems"


def _conditions(keep: Keep) -> Iterator[str]:
    """Yield the conditions of a rule, in few words."""
    if keep.last is not None:
        yield f"last {keep.last}"
    yield from keep.tags
    if keep.pushed_within:
        yield f"pushed within {keep.pushed_within}"
    if keep.pulled_within:
        yield f"pulled within {keep.pulled_within}"


def _removal_lines(judgement: Judgement) -> Iterator[Content]:
    from moorage.deploy.images.retain import removed_text, rule_rows

    if names := removed_text(judgement):
        yield Content.styled(f"Tags that go: {printable(names)}", COLOURS[Level.WARNING])
    else:
        yield Content.styled("✓ No tag goes at present", "$text-success")
    for row in rule_rows(judgement):
        label = f"{row.label}: " if row.label else "  "
        yield Content.styled(label, "$text-muted") + Content.styled(
            printable(row.text), COLOURS.get(row.level, "")
        )


class RuleDialog(FormDialog):
    """Adds or edits one retention rule.

    Args:
        session: The deployment that is open.
        row: The rule's position; -1 for a new one.
    """

    DEFAULT_CSS = """
    RuleDialog > .dialog--box { height: 90%; max-height: 24; }
    RuleDialog #keep-error { color: $text-error; height: auto; display: none; }
    RuleDialog #keep-error.-shown { display: block; }
    """

    def __init__(self, session: WizardSession, row: int) -> None:
        super().__init__(session.draft, "retention", row, {"keep": {}})

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Add a retention rule" if self.is_new else "Edit the retention rule"
            with Form(self.scratch):
                yield ListField.at(f"{self.place}.repositories")
                yield Static("A tag stays if any of these applies:", classes="caption")
                yield Static("", id="keep-error", markup=False)
                yield Field.at(f"{self.place}.keep.last")
                yield ListField.at(f"{self.place}.keep.tags")
                yield Field.at(f"{self.place}.keep.pushed_within")
                yield Field.at(f"{self.place}.keep.pulled_within")
            yield from self.buttons("Add" if self.is_new else "OK")
        yield KeyFooter()

    def show_problems(self) -> bool:
        """Show what is wrong with the fields, and that nothing would stay."""
        fields_are_good = super().show_problems()
        keeps = self._check_keep()
        if fields_are_good and not keeps:
            self._field("keep.last").focus()
        return fields_are_good and keeps

    def _check_keep(self) -> bool:
        """Show that no condition is given; returns whether one is."""
        conditions = self.scratch.get(f"{self.place}.keep")
        fault = "" if conditions else text_of(self.scratch.problem_at(f"{self.place}.keep"))
        line = self.query_one("#keep-error", Static)
        line.update(f"✗ {fault}" if fault else "")
        line.set_class(bool(fault), "-shown")
        return not fault

    def _field(self, name: str) -> Field:
        return next(each for each in self.query(Field) if each.path == f"{self.place}.{name}")

    def accept(self) -> None:
        """Accept the rule if it is valid."""
        if self.show_problems():
            self.dismiss(self.scratch.get(self.place))
