"""A step with a list whose items can be added, edited and removed."""

from __future__ import annotations

from typing import Any, ClassVar

from textual import on, work
from textual.widgets import Button

from tui.document.paths import parse_path
from tui.labels import label_of
from tui.messages import DraftChanged
from tui.widgets.dialog import Dialog
from tui.widgets.table import EditableTable
from tui.wizard.step_pane import StepPane


class ListPane(StepPane):
    """A step with a table of items and a button, ``#add``, to add one.

    Attributes:
        items: The path of the list in the draft, such as ``servers``.
    """

    items: ClassVar[str]

    def dialog(self, row: int) -> Dialog[dict[str, Any] | None]:
        """Return the dialog for an item; -1 for a new one."""
        raise NotImplementedError

    def edited(self, item: dict[str, Any]) -> None:
        """React to a change of an existing item."""

    def show_mistake(self, path: tuple[str | int, ...]) -> None:
        """Open the dialog of the item with the mistake, if it has a field for it."""
        super().show_mistake(path)
        head = parse_path(self.items)
        row = path[len(head)] if len(path) > len(head) and path[: len(head)] == head else None
        if not isinstance(row, int) or label_of(path) == label_of(path[: len(head) + 1]):
            return
        self.edit(row)

    @on(EditableTable.Entered)
    def _entered(self) -> None:
        self.action_go_on()

    @on(Button.Pressed, "#add")
    def _add(self, event: Button.Pressed) -> None:
        event.stop()
        self.edit(-1)

    @on(EditableTable.Edit)
    def _edit_row(self, event: EditableTable.Edit) -> None:
        if event.action == "delete":
            self.draft.remove(f"{self.items}[{event.row}]")
            self._changed()
        elif event.action == "move":
            items = [*self.draft.items(self.items)]
            items.insert(event.row + event.step, items.pop(event.row))
            self.draft.set(self.items, items)
            self._changed()
            self.query_one(EditableTable).move_cursor(row=event.row + event.step)
        else:
            self.edit(event.row)

    @work
    async def edit(self, row: int) -> None:
        """Open the dialog for an item; -1 adds one."""
        item = await self.app.push_screen_wait(self.dialog(row))
        if item is None:
            return
        if row < 0:
            self.draft.append(self.items, item)
        else:
            self.draft.set(f"{self.items}[{row}]", item)
            self.edited(item)
        self._changed()

    def _changed(self) -> None:
        self.show_fault("")
        self.load()
        self.post_message(DraftChanged())
        has_any = bool(self.draft.items(self.items))
        self.take_focus(self.query_one(EditableTable) if has_any else self.query_one("#add"))
