"""Images: repositories and tags, and the space they take up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, TypeVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static

from moorage.deploy.images.read import ImagesRead
from moorage.deploy.images.run import ImagesChange
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.images.space import Reclaimable, space_parts
from moorage.images.task import Task
from moorage.servers.facts import RunRecord
from screens.images import run_texts, texts
from screens.images.collect_dialog import CollectDialog
from screens.images.image_screen import ImageScreen
from screens.images.marks import Marks
from screens.images.rows import (
    REPOSITORY_ORDERS,
    TAG_ORDERS,
    RepositoryRow,
    sorted_repositories,
    tag_rows,
)
from screens.images.run_dialog import LEFT, ImagesRunDialog
from screens.images.source import Images, ImagesOnServers
from screens.images.tables import RepositoryTable, TagTable
from screens.images.trash_screen import TrashScreen
from tui.actions import bindings
from tui.age import TICK, as_of
from tui.labels import describe_error
from tui.messages import SettingsRequested
from tui.staging_screen import StagingScreen
from tui.tasks import in_thread
from tui.widgets.dialog import ConfirmDialog, NoteDialog
from tui.widgets.field import Field
from tui.widgets.find_field import FindField
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.storage_bar import StorageBar

_Plan = TypeVar("_Plan")
_FEW_LINES = 12
"""Lines of a plan that fit the smallest terminal."""


class ImagesScreen(StagingScreen):
    """Reads the images when it is opened, and again on demand; deletes, collects and restores.

    Args:
        source: Reads and changes them.
        registry: The registry's name, with its port if clients need it.
        repository: The repository to go to at first; empty for the first in order.
    """

    help_text = (
        "What the registry stores, read from its storage without a password; reading changes "
        "nothing. Own is what nothing else refers to: as much is freed once it is deleted and "
        "collected. Shared layers count once. Tags of one digest are the same image; a line "
        "joins them.\n\n"
        "Find takes a part of repository:tag, or a pattern: of repositories (team-a/*), of tags "
        "(v1.*), or of both (team-?/*:v1.*).\n\n"
        "Untagged manifests have lost their tag, for example to a newer push. Collectable is "
        "what nothing needs, and a collection frees.\n\n"
        "Deletions are staged: nothing happens on the server until you press p, check what will "
        "be deleted and confirm it. A deleted image can be restored from the trash for 7 days, and "
        "takes up space until then. Collecting moves what no tag needs there. A run continues on "
        "the server if Moorage is closed."
    )
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 # as Textual declares it
        (0, "-narrow"),
        (100, "-wide"),
    ]
    BINDINGS: ClassVar[list[BindingType]] = bindings("images")
    DEFAULT_CSS = """
    ImagesScreen #top { height: auto; }
    ImagesScreen.-high #top { margin: 1 0; }
    ImagesScreen #message { height: auto; max-height: 6; padding: 0 2; display: none; }
    ImagesScreen #message.-shown { display: block; }
    ImagesScreen #panes { height: 1fr; }
    ImagesScreen #empty { display: none; height: 1fr; padding: 1 2; }
    ImagesScreen #empty-text { height: auto; }
    ImagesScreen.-empty #panes, ImagesScreen.-empty #detail { display: none; }
    ImagesScreen.-empty #empty { display: block; }
    ImagesScreen .pane { height: 1fr; width: 1fr; }
    ImagesScreen.-wide #left { width: 5fr; }
    ImagesScreen.-wide #right { width: 4fr; }
    ImagesScreen .title {
        height: 1; padding: 0 2; color: $text-muted; text-overflow: ellipsis; text-wrap: nowrap;
    }
    ImagesScreen .pane:focus-within .title { color: $text-accent; text-style: bold; }
    ImagesScreen #detail {
        height: auto; min-height: 2; max-height: 4; padding: 0 2; background: $surface;
    }
    ImagesScreen #run { height: auto; max-height: 2; padding: 0 2; display: none; }
    ImagesScreen #run.-shown { display: block; }
    ImagesScreen #staged { height: 1; padding: 0 2; background: $panel; display: none; }
    ImagesScreen #staged.-shown { display: block; }
    """

    def __init__(self, source: ImagesOnServers, registry: str, repository: str = "") -> None:
        super().__init__()
        self._repository = repository
        self._source = source
        self._registry = registry
        self._images: Images | None = None
        self._reclaimable = Reclaimable()
        self._tags_of: tuple[RepositoryRow | None, str] | None = None
        self._text = ""
        self._with_checks = False
        self._progress: texts.Progress | None = None
        self._timer: Timer | None = None
        self._marks = Marks()
        self._result = Content("")

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._registry, "Images")
        with Vertical(id="top"):
            yield StorageBar()
            yield Static("", id="message", markup=False)
            yield Static("", id="run", markup=False)
        yield FindField("e.g. team-a, v1.2, team-a/*, v1.*")
        with Horizontal(id="panes"):
            with Vertical(id="left", classes="pane"):
                yield Static("", id="repositories-title", classes="title", markup=False)
                yield RepositoryTable(self._marks, id="repositories")
            with Vertical(id="right", classes="pane"):
                yield Static("", id="tags-title", classes="title", markup=False)
                yield TagTable(self._marks, id="tags")
        with VerticalScroll(id="empty", can_focus=False):
            yield Static("", id="empty-text", markup=False)
        yield Static("", id="detail", markup=False)
        yield Static("", id="staged", markup=False)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start reading."""
        self._repositories = self.query_one(RepositoryTable)
        self._tags = self.query_one(TagTable)
        self.set_focus(self._repositories)
        self.add_class("-empty")
        self.set_interval(TICK, self._show_ages)
        self.action_read()

    def on_unmount(self) -> None:
        """Stop reading, and close the connections."""
        self._source.stop()

    # --- reading --------------------------------------------------------------------------

    @property
    def is_reading(self) -> bool:
        """Whether the images are being read."""
        return self._progress is not None

    def action_read(self) -> None:
        """Read the images again; marks and what is staged are kept."""
        self._begin("Reading the images")
        self._read()

    def _begin(self, what: str) -> None:
        """Show the progress of reading or planning."""
        self._end_reading()
        self._progress = texts.Progress(self._source.servers[0], what)
        self._timer = self.set_interval(0.2, self._tick)
        self._tick()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        result, self._result = self._result, Content("")
        try:
            images = await in_thread(self._source.read)
        except MoorageError as error:
            self._end_reading()
            text = texts.error_text(printable(describe_error(error)), is_old=self._has_images)
            self._say(result + Content("\n") + text if result else text)
            return
        self._end_reading()
        self._say(result)
        self.show_images(images)
        self._reclaimable = await in_thread(lambda: self._source.reclaimable(images))
        self._show_space()

    def _end_reading(self) -> None:
        if self._timer is not None:
            self._timer.stop()
        if self._progress is not None:
            self._progress = None
            self.refresh_bindings()

    def _tick(self) -> None:
        if self._progress is None:
            return
        for event in self._source.events():
            self._progress.take(event)
        self._say(self._progress.line())

    def action_cancel(self) -> None:
        """Stop reading; the images read before stay."""
        self.workers.cancel_group(self, "read")
        self._end_reading()
        self._source.stop()
        text = "Cancelled." if self._has_images else "Cancelled. Press r to read the images."
        self._say(Content.styled(text, "$text-muted"))

    def _say(self, text: Content) -> None:
        """Show a text above the tables; empty removes it."""
        line = self.query_one("#message", Static)
        line.update(text)
        line.set_class(bool(text), "-shown")
        self.refresh_bindings()

    # --- showing --------------------------------------------------------------------------

    @property
    def _has_images(self) -> bool:
        return self._images is not None

    def show_images(self, images: Images) -> None:
        """Show images that were read.

        Args:
            images: The images.
        """
        self._images, self._reclaimable = images, Reclaimable()
        lost = self._marks.keep(images.read.stored.tree)
        if lost:
            text = f"No longer staged, because deleted meanwhile: {', '.join(lost)}"
            self._say(Content.styled(f"! {printable(text)}", "$text-warning"))
        self._show_space()
        self._show_run()
        self._show_repositories()
        self._show_marks()

    @property
    def _active_run(self) -> RunRecord | None:
        """The run that was in progress on the images' server, or waited, when they were read."""
        runs = self._images.read.facts.runs if self._images is not None else ()
        return next((run for run in runs if run.running), None)

    def _show_run(self) -> None:
        """Show a run that was in progress when the images were read."""
        run, line = self._active_run, self.query_one("#run", Static)
        line.set_class(run is not None, "-shown")
        if run is not None and self._images is not None:
            line.update(texts.active_run(self._images.read.facts.server, run))

    def _show_marks(self) -> None:
        """Show marks and what is staged; draws the visible rows again."""
        self._repositories.refresh()
        self._tags.refresh()
        text = texts.staged_line(self._marks.marked, self._marks.staged)
        line = self.query_one("#staged", Static)
        line.update(text)
        line.set_class(bool(text), "-shown")
        self.refresh_bindings()

    def _show_space(self) -> None:
        images = self._images
        if images is None:
            return
        parts = space_parts(images.usage, self._reclaimable, images.read.free)
        self.query_one(StorageBar).show(parts)
        self._show_age()

    def _show_ages(self) -> None:
        self._show_age()
        self._show_detail()

    def _show_age(self) -> None:
        if self._images is not None:
            age = as_of(self._images.read.at)
            self.query_one(HeaderBar).show(self._registry, "Images", age)

    def _show_repositories(self) -> None:
        """Show the repositories that match, and the tags of the one under the cursor."""
        images = self._images
        if images is None:
            return
        found = images.search.find(self._text, with_checks=self._with_checks)
        is_empty = not found and not self._text
        self.set_class(is_empty, "-empty")
        if is_empty:
            text = texts.empty_text(self._registry, has_checks=images.search.has_checks)
            self.query_one("#empty-text", Static).update(text)
        order = self._repositories.order
        self._repositories.show(sorted_repositories(found, order), self._repository or None)
        if self._repository:
            self._repository = ""
            self.set_focus(self._tags)
        title = texts.repositories_title(found, self._text, order)
        self.query_one("#repositories-title", Static).update(title, layout=False)
        self._show_tags()

    def _show_tags(self) -> None:
        """Show the tags of the repository under the cursor, unless they are shown."""
        row, order = self._repositories.row, self._tags.order
        if (row, order) == self._tags_of:
            return
        self._tags_of = (row, order)
        self._tags.show(tag_rows(row.tags, order) if row is not None else ())
        self.query_one("#tags-title", Static).update(texts.tags_title(row, order), layout=False)

    @on(RepositoryTable.Moved, "#repositories")
    def _repository_changed(self) -> None:
        self._show_tags()
        self._show_detail()

    @on(TagTable.Moved, "#tags")
    def _tag_changed(self) -> None:
        self._show_detail()

    def on_descendant_focus(self, _event: events.DescendantFocus) -> None:
        """Describe what is selected in the table that has the focus."""
        self._show_detail()
        self.refresh_bindings()

    def _show_detail(self) -> None:
        tag, repository = self._tags.row, self._repositories.row
        text = Content("")
        if tag is not None and self.focused is self._tags:
            text = texts.tag_line(tag.tag)
        elif repository is not None:
            text = texts.repository_line(repository.usage)
        line = self.query_one("#detail", Static)
        height = partial(line.get_content_height, self.size, self.size, line.content_size.width)
        before = height()
        line.update(text, layout=False)
        if height() != before:
            line.refresh(layout=True)

    # --- keys -----------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the actions that apply; only those of the field while typing."""
        if self.is_finding or action == "found":
            return self.is_finding and action in {"found", "back"}
        has_rows = self.is_mounted and not self.has_class("-empty")
        has_checks = self._images is not None and self._images.search.has_checks
        offered = {
            **dict.fromkeys(("open", "find", "sort", "left", "right", "mark"), has_rows),
            "stage": has_rows or bool(self._marks.staged),
            "plan": bool(self._marks.staged) and not self.is_reading,
            "undo": self._marks.can_undo,
            "watch": self._active_run is not None and not self.is_reading,
            **dict.fromkeys(("collect", "trash"), self._has_images and not self.is_reading),
            "checks": has_checks,
            "cancel": self.is_reading,
            "back": not self.is_reading,
        }
        return offered.get(action, True)

    @property
    def is_finding(self) -> bool:
        """Whether the text to find is being typed."""
        return self.is_mounted and self.query_one(FindField).is_typed_in

    def action_find(self) -> None:
        """Show only the repositories and tags that match a text."""
        self.query_one(FindField).open()

    @on(Field.Changed, "#find")
    def _finding(self, event: Field.Changed) -> None:
        self._find(event.value)

    def _find(self, text: str) -> None:
        if text.strip() != self._text:
            self._text = text.strip()
            self._show_repositories()

    async def action_found(self) -> None:
        """Move to the repositories, once everything that was typed is in the field."""
        self._find(await self.query_one(FindField).text())
        self.set_focus(self._repositories)

    def action_sort(self) -> None:
        """Sort the table that has the focus by the next order."""
        if self.focused is self._tags:
            self._tags.order = _next(TAG_ORDERS, self._tags.order)
            self._show_tags()
        else:
            orders = tuple(REPOSITORY_ORDERS)
            self._repositories.order = _next(orders, self._repositories.order)
            self._show_repositories()

    def action_checks(self) -> None:
        """Show or hide the repository of Moorage's own checks."""
        self._with_checks = not self._with_checks
        self._show_repositories()

    def action_open(self) -> None:
        """Go from a repository to its tags, or open a tag."""
        if self.focused is not self._tags:
            self.set_focus(self._tags)
        elif self._images is not None and self._tags.row is not None:
            tag = self._tags.row.tag
            self.app.push_screen(ImageScreen(self._source, self._images, tag, self._registry))

    def action_retention(self) -> None:
        """Edit the retention rules."""
        self.post_message(SettingsRequested(at="retention"))

    def action_left(self) -> None:
        """Go to the repositories."""
        self.set_focus(self._repositories)

    def action_right(self) -> None:
        """Go to the tags."""
        self.set_focus(self._tags)

    def action_back(self) -> None:
        """End finding, or go from the tags to the repositories, or leave."""
        find = self.query_one(FindField)
        if find.is_open:
            find.close()
            self._find("")
            self.set_focus(self._repositories)
        elif self.focused is self._tags:
            self.set_focus(self._repositories)
        else:
            self.ask_to_leave(lambda: self.dismiss(None))

    # --- marking and staging ----------------------------------------------------------------

    @property
    def _selected(self) -> str:
        """The name of the tag or repository under the cursor; empty without any."""
        tag, repository = self._tags.row, self._repositories.row
        if self.focused is self._tags:
            return f"{tag.tag.repository}:{tag.tag.name}" if tag is not None else ""
        return repository.usage.name if repository is not None else ""

    def action_mark(self) -> None:
        """Mark what is under the cursor, or remove its mark, and go to the next row."""
        if self._selected:
            self._marks.toggle(self._selected)
            table = self._tags if self.focused is self._tags else self._repositories
            table.action_move(1)
            self._show_marks()

    def action_stage(self) -> None:
        """Stage the deletion of what is marked, or of what is under the cursor, or take it back."""
        names = self._marks.marked or ({self._selected} if self._selected else set())
        if names:
            self._marks.stage(names)
            self._show_marks()

    def action_undo(self) -> None:
        """Undo the last staging."""
        self._marks.undo()
        self._show_marks()

    # --- deleting, collecting and restoring -------------------------------------------------

    @work(exclusive=True, group="read")
    async def action_plan(self) -> None:
        """Show what will be deleted, and delete it."""
        names = self._marks.to_delete
        plan = await self._planned("Planning the deletion", lambda: self._source.plan_delete(names))
        if plan is None:
            return
        what = texts.names_text(names)
        text = run_texts.delete_plan(plan)
        if await self._is_confirmed("What will be deleted", text, f"Delete {what}"):
            self._run(f"Deleting {what}", plan.read, plan.task)

    @work(exclusive=True, group="read")
    async def action_collect(self) -> None:
        """Free the space that nothing needs."""
        source = self._source
        settings = source.collect_settings(self._images)
        options = await self.app.push_screen_wait(CollectDialog(settings))
        if options is None:
            return
        plan = await self._planned("Planning the collection", lambda: source.plan_collect(options))
        if plan is None:
            return
        text = run_texts.collect_plan(plan)
        if not plan.has_changes:
            self.app.push_screen(NoteDialog("Free space", text.plain))
            return
        label = "Collect and empty the trash" if options.purges else "Move it to the trash"
        if await self._is_confirmed("Free space", text, label):
            self._run("Freeing space", plan.read, plan.task)

    @work(exclusive=True, group="read")
    async def action_trash(self) -> None:
        """Show the trash, and restore images from it."""
        found = await self._planned("Reading the trash", self._source.read_trash)
        if found is None:
            return
        read, trash = found
        screen = TrashScreen(trash, read.stored, self._registry)
        names = await self.app.push_screen_wait(screen)
        if names is None:
            return
        plan = await self._planned("Planning the restore", lambda: self._source.plan_restore(names))
        if plan is None:
            return
        what = texts.names_text(names) or "everything"
        text = run_texts.restore_plan(plan, names)
        if await self._is_confirmed("Restore from the trash", text, f"Restore {what}"):
            self._run(f"Restoring {what}", plan.read, plan.task)

    @work
    async def action_watch(self) -> None:
        """Follow the run that is in progress."""
        run = self._active_run
        assert run is not None
        assert self._images is not None
        facts = self._images.read.facts
        follow = partial(self._source.follow, facts.server, run.run_id)
        dialog = ImagesRunDialog(
            f"Run {run.run_id}", self._source, follow, facts.server, facts.clock_skew
        )
        self._was_run(await self.app.push_screen_wait(dialog), None)

    async def _planned(self, what: str, plan: Callable[[], _Plan]) -> _Plan | None:
        """Return a plan; None after an error, which is shown. What is staged is kept."""
        self._begin(what)
        try:
            return await in_thread(plan)
        except MoorageError as error:
            self.app.push_screen(NoteDialog("Images", printable(describe_error(error))))
            return None
        finally:
            self._end_reading()
            self._say(Content(""))

    async def _is_confirmed(self, title: str, text: Content, accept: str) -> bool:
        dialog = ConfirmDialog(title, text, accept, careful=True)
        dialog.set_class(text.plain.count("\n") > _FEW_LINES, "-tall")
        answer = await self.app.push_screen_wait(dialog)
        return bool(answer)

    @work
    async def _run(self, title: str, read: ImagesRead, task: Task) -> None:
        """Run a confirmed task and follow it."""
        run = partial(self._source.change, read, task)
        facts = read.facts
        dialog = ImagesRunDialog(title, self._source, run, facts.server, facts.clock_skew)
        change = await self.app.push_screen_wait(dialog)
        if task.action == "delete" and isinstance(change, ImagesChange) and change.is_good:
            self._marks.clear_staged()
        self._was_run(change, task)

    def _was_run(self, change: ImagesChange | str | None, task: Task | None) -> None:
        """Show a run's result, and read the images again."""
        if isinstance(change, ImagesChange) and change.is_good:
            self._result = run_texts.change_text(change, task)
        elif isinstance(change, ImagesChange):
            self._result = run_texts.failure_text(change)
        elif change == LEFT:
            self._result = Content("The run was left and continues on the server.")
        self._source.stop()  # a deployment that was told to stop its runs starts no other
        self.action_read()

    # --- leaving ----------------------------------------------------------------------------

    @property
    def leave_question(self) -> tuple[str, str] | None:
        """The question whether staged deletions are given up."""
        if not self._marks.staged:
            return None
        what = texts.names_text(self._marks.to_delete)
        return "Not deleted yet", f"{what} staged for deletion, but not deleted."


def _next(orders: Sequence[str], order: str) -> str:
    return orders[(orders.index(order) + 1) % len(orders)]
