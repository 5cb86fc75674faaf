"""The changes of a run, and of going back to it, with the difference of each file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.widgets import Static

from moorage.answers.save import copy_before
from moorage.deploy.lifecycle.diff import DeploymentDiff, compare
from moorage.deploy.lifecycle.history import HistoryRow
from moorage.deploy.lifecycle.kept import read_deployments
from moorage.deploy.lifecycle.rollback import Rollback
from moorage.deploy.plan.consequences import accepting
from moorage.deploy.plan.plan import Change, Plan
from moorage.errors import MoorageError
from moorage.escape import one_line, printable
from moorage.servers.transport import Cancel
from moorage.state import short_path
from screens.dashboard.server_choice import ServersDialog, server_choice
from screens.dashboard.tab import Reader
from tui.actions import bindings
from tui.consequences_text import describe_consequences, describe_effects
from tui.labels import describe_error, explain, field_name
from tui.messages import ApplyRequested
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.diff_view import DiffView, Shown
from tui.widgets.header import HeaderBar
from tui.widgets.key_footer import KeyFooter
from tui.widgets.row_table import Column, RowTable
from tui.wizard_session import WizardSession


@dataclass(frozen=True)
class _Row:
    """A change on a server."""

    server: str
    change: Change


_SIGN = Column[_Row]("", lambda row: row.change.action.sign, 1)
_WHAT = Column[_Row]("What", lambda row: row.change.subject, 0)
_SIZE = Column[_Row]("Lines", lambda row: row.change.size, 10)
_SERVER = Column[_Row]("Server", lambda row: row.server, 20)


class _ChangeTable(RowTable[_Row]):
    def columns(self, width: int) -> Sequence[Column[_Row]]:
        """Return the columns; the server only if there are several."""
        several = len({row.server for row in self.rows}) > 1
        return (_SIGN, _WHAT, _SIZE, _SERVER) if several else (_SIGN, _WHAT, _SIZE)

    def name_of(self, row: _Row) -> object:
        """Return the server and the thing that changes."""
        return (row.server, row.change.subject)


class _ChangesScreen(StyledOnce[None]):
    """A summary, the changes, and the difference of the selected one."""

    DEFAULT_CSS = """
    _ChangesScreen #summary { height: auto; max-height: 40%; padding: 0 2; background: $surface; }
    _ChangesScreen _ChangeTable { height: auto; max-height: 30%; margin: 1 0; }
    _ChangesScreen DiffView { height: 1fr; }
    """

    def __init__(self, registry: str, title: str) -> None:
        super().__init__()
        self._registry = registry
        self._title = title

    def compose(self) -> ComposeResult:
        yield HeaderBar(self._registry, self._title)
        yield Static("Reading the servers", id="summary", markup=False)
        yield _ChangeTable(id="changes")
        yield DiffView()
        yield KeyFooter()

    def show(self, lines: Sequence[Content], rows: Sequence[_Row]) -> None:
        """Show what was read."""
        self.query_one("#summary", Static).update(Content("\n").join(lines))
        table = self.query_one(_ChangeTable)
        table.show(rows)
        table.focus()

    def show_error(self, error: MoorageError) -> None:
        """Show why nothing was read."""
        self.show([Content.styled(printable(f"✗ {describe_error(error)}"), "$text-error")], ())

    def on_row_table_moved(self) -> None:
        """Show the difference of the selected change."""
        row = self.query_one(_ChangeTable).row
        self.query_one(DiffView).show(_shown(row.change) if row is not None else None)

    def action_back(self) -> None:
        """Go back."""
        self.dismiss(None)


def _shown(change: Change) -> Shown:
    is_file = bool(change.diff.strip())
    return Shown(
        title=change.subject,
        note=change.why(field_name),
        path=change.subject if is_file else "",
        before=change.before,
        after=change.after,
    )


class RunDiffScreen(_ChangesScreen):
    """The difference between what a run deployed and the deployment before it.

    Args:
        reader: Reads the servers.
        row: The run.
        registry: The registry's name.
    """

    help_text = (
        "What differs between this deployment and the one before it: answers, the registry's "
        "version, files. Secrets are masked. Servers keep the current deployment and the three "
        "before it."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("run_diff")

    def __init__(self, reader: Reader, row: HistoryRow, registry: str) -> None:
        super().__init__(registry, f"Changes of revision {row.change.revision}")
        self._reader = reader
        self._row = row
        self._cancel = Cancel()

    def on_mount(self) -> None:
        """Read the deployments."""
        self._read()

    def on_unmount(self) -> None:
        """Stop reading."""
        self._cancel.set()

    @work
    async def _read(self) -> None:
        revision = self._row.change.revision
        try:
            answers = self._reader.answers()
            diff = await in_thread(
                lambda: self._reader.read(
                    answers,
                    lambda deployment: compare(read_deployments(deployment), None, revision),
                    self._cancel,
                )
            )
        except MoorageError as error:
            self.show_error(error)
            return
        rows = [_Row(each.server, change) for each in diff.servers for change in each.files]
        self.show(_diff_summary(diff), rows)


def _diff_summary(diff: DeploymentDiff) -> list[Content]:
    lines = [Content.styled(f"Revision {diff.before} to {diff.after}", "bold")]
    for answer in diff.answers:
        lines.append(Content(one_line(f"{answer.path}  {answer}")))
    for server in diff.servers:
        if server.before != server.after:
            text = f"{server.server}: registry {server.before or '?'} → {server.after or '?'}"
            lines.append(Content(one_line(text)))
        if server.reason:
            text = one_line(f"! {server.server}: {server.reason}")
            lines.append(Content.styled(text, "$text-warning"))
    if not diff.has_differences:
        lines.append(Content("The deployments are the same."))
    return lines


class RollbackScreen(_ChangesScreen):
    """The plan of a rollback to what a run deployed.

    Args:
        session: The deployment that is open.
        row: The run.
    """

    help_text = (
        "What a rollback changes. It restores the settings, the program, the web server and the "
        "hooks of that deployment on all servers, in one switch. Users, passwords, a renewed "
        "certificate and images stay as they are. The answers are updated when it is done."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("rollback")

    def __init__(self, session: WizardSession, row: HistoryRow) -> None:
        super().__init__(
            session.draft.registry_name, f"Roll back to revision {row.change.revision}"
        )
        self._session = session
        self._revision = row.change.revision
        self._limit: tuple[str, ...] = ()
        self._rollback: Rollback | None = None
        self._plan: Plan | None = None

    def on_mount(self) -> None:
        """Read the servers."""
        self._read()

    @work(exclusive=True, group="read")
    async def _read(self) -> None:
        operations, limit = self._session.operations, self._limit
        try:
            answers = self._session.answers()

            def read() -> tuple[Rollback, Plan]:
                operations.open(answers, limit)
                rollback = operations.choose_rollback(self._revision)
                operations.continue_with(rollback.answers)
                return rollback, operations.plan_rollback(rollback)

            rollback, plan = await in_thread(read, operations.redactor)
        except MoorageError as error:
            self.show_error(error)
            return
        self._rollback, self._plan = rollback, plan
        rows = [_Row(each.server, change) for each in plan.servers for change in each.changes]
        summary = _rollback_summary(rollback, plan)
        self.show([*summary, *self._replaced, Content(plan.summary)], rows)
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to roll back if that is possible, and to choose among several servers."""
        plan = self._plan
        if action == "choose_servers":
            return len(self._session.draft.items("servers")) > 1
        return action != "go_on" or (plan is not None and plan.has_changes and not plan.problems)

    @property
    def _replaced(self) -> list[Content]:
        """The line about answers that were not applied and are replaced, if there are any."""
        plan, rollback = self._plan, self._rollback
        if plan is None or rollback is None or not plan.has_changes or not rollback.replaced:
            return []
        path = self._session.path or self._session.draft_file
        copy = copy_before(path, plan.revised.revision)
        text = rollback.replaced_text(short_path(path), short_path(copy))
        return [Content.styled(printable(f"! {text}"), "$text-warning")]

    @work
    async def action_choose_servers(self) -> None:
        """Choose the servers, and read them again."""
        try:
            choice = server_choice(self._session.answers(), self._limit)
        except MoorageError as error:
            self.show_error(error)
            return
        if choice is None:
            return
        limit = await self.app.push_screen_wait(ServersDialog(self._title, choice))
        if limit is not None:
            self._limit, self._plan = limit, None
            self.show([Content("Reading the servers")], ())
            self._read()

    @work
    async def action_go_on(self) -> None:
        """Roll back, after confirmation."""
        plan, rollback = self._plan, self._rollback
        if plan is None or rollback is None:
            return
        text = Content("\n").join([*describe_effects(plan), *self._replaced])
        dialog = ConfirmDialog(self._title, text, "Roll back", careful=bool(plan.destructive))
        if await self.app.push_screen_wait(dialog):
            self._session.operations.accepted = accepting(plan.consequences)
            self.dismiss(None)
            self.app.post_message(ApplyRequested())


def _rollback_summary(rollback: Rollback, plan: Plan) -> list[Content]:
    lines = [Content.styled(printable(f"Rolls back to {rollback.kept[0].change}"), "bold")]
    lines += describe_consequences(plan)
    for problem in plan.problems:
        lines.append(Content.styled(printable(f"✗ {describe_error(problem)}"), "$text-error"))
    for server in plan.servers:
        for note in server.notes:
            text = printable(f"! {server.server}: {explain(note)}")
            lines.append(Content.styled(text, "$text-warning"))
    if rollback.left:
        lines.append(Content.styled(printable(f"! {rollback.left_text}"), "$text-warning"))
    if rollback.differ:
        text = f"Stays in the answers: {', '.join(rollback.differ)}"
        lines.append(Content(printable(text)))
    lines += [
        Content(printable(f"{row.label}: {row.text}"))
        for row in plan.expectations
        if row.key == "others"
    ]
    return lines
