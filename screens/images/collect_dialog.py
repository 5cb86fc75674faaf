"""Asks how to free space."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from moorage.answers.model_retention import Collect
from moorage.durations import FORM, seconds
from screens.images.source import CollectOptions
from tui.widgets.choice import Toggle
from tui.widgets.dialog import AskingDialog
from tui.widgets.field import Field
from tui.widgets.key_footer import KeyFooter

_ABOUT = (
    "Moves what no tag needs to the trash, while the registry serves. The plan comes next; nothing "
    "is moved before you confirm it."
)
_GRACE = "How long pushes in progress get to end"
_YOUNG = "What was pushed within this time stays"
_UNTAGGED = "Do not wait until it is known for 30 days who pulls by digest"
_PURGE = "For a full disk: nothing in the trash can be restored then"


class CollectDialog(AskingDialog[CollectOptions | None]):
    """The options of a collection.

    Args:
        settings: What the answers say.
    """

    DEFAULT_CSS = """
    CollectDialog > .dialog--box { width: 84; }
    CollectDialog Toggle { margin-bottom: 0; }
    CollectDialog .toggle--help { height: auto; padding-left: 5; color: $text-muted; }
    CollectDialog #purge-help { margin-bottom: 1; }
    """

    def __init__(self, settings: Collect) -> None:
        super().__init__()
        self._grace = Field(
            "Grace period",
            value=settings.grace,
            help_text=_GRACE,
            explanation=f"{_GRACE}: {FORM}.",
        )
        self._young = Field(
            "Keep younger",
            value=settings.young,
            help_text=_YOUNG,
            explanation=f"{_YOUNG}: {FORM}. A push that takes longer can fail.",
        )
        self._untagged = Toggle("Also remove images without a tag")
        self._purge = Toggle("Empty the trash at once")

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Free space"
            with VerticalScroll(classes="dialog--body", can_focus=False):
                yield Static(_ABOUT, classes="dialog--text", markup=False)
                yield self._grace
                yield self._young
                yield self._untagged
                yield Static(_UNTAGGED, classes="toggle--help", markup=False)
                yield self._purge
                yield Static(_PURGE, classes="toggle--help", id="purge-help", markup=False)
            yield from self.buttons("Show the plan")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start at the first field."""
        self._grace.focus()

    def is_right(self, field: Field) -> bool:
        """Return whether a field has a time; shows beside it what it should be."""
        try:
            seconds(field.value.strip())
        except ValueError:
            field.show_error(f"Invalid time: use {FORM}")
            return False
        field.show_error("")
        return True

    def accept(self) -> None:
        """Return the options, or show what is wrong."""
        wrong = [field for field in (self._grace, self._young) if not self.is_right(field)]
        if wrong:
            wrong[0].focus()
            return
        self.dismiss(
            CollectOptions(
                seconds(self._grace.value.strip()),
                seconds(self._young.value.strip()),
                self._untagged.value,
                self._purge.value,
            )
        )

    @on(Field.Changed)
    def _typing(self, event: Field.Changed) -> None:
        event.field.show_error("")

    @on(Field.Left)
    def _left(self, event: Field.Left) -> None:
        self.is_right(event.field)
