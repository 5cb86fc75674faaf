"""Review: the changes of an apply, by server, with their reasons, before anything is changed."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Static, Tree

from moorage.deploy.events import StepBegan, ending_in_words, step_title
from moorage.deploy.lifecycle.leaving import uninstall_text
from moorage.deploy.name import NamePlan
from moorage.deploy.plan.consequences import Code, accepting
from moorage.deploy.plan.plan import Change, Kind, Plan, ServerPlan
from moorage.deploy.record.deployment_json import deployed_at
from moorage.deploy.record.left_servers import LeftServer
from moorage.deploy.record.merge import CaughtUp, catch_up
from moorage.dns.operations import DnsPlan
from moorage.dns.records import RecordChange, RecordSet
from moorage.errors import AnswersError, MoorageError, Problem, ServersFailed
from moorage.escape import printable
from moorage.servers.run_results import RunStatus
from screens.review.commands import all_commands, commands_of
from screens.review.left_dialog import LeftChoice, LeftDialog
from screens.review.missed_dialog import MissedDialog
from screens.review.plan_tree import PlanTree, Subject
from tui.actions import bindings
from tui.consequences_text import describe_consequences
from tui.document.draft import Draft
from tui.document.steps import Step, step_of
from tui.labels import describe_error, describe_problem, explain, field_name
from tui.messages import (
    AppliedFound,
    ApplyRequested,
    AttachRequested,
    DraftChanged,
    EngineEvents,
    StepRequested,
)
from tui.tasks import in_thread
from tui.widgets.dialog import ConfirmDialog, FindDialog
from tui.widgets.diff_view import FIND_HELP, DiffView, Shown, View
from tui.wizard.step_pane import StepPane
from tui.wizard_session import WizardSession

_RUN_IN_PROGRESS = "run_going_on"
"""The code of a problem that has its own line here, because Enter follows the run."""
_LABEL_WIDTH, _TEXT_WIDTH = 13, 52
"""Columns of the labels and of the texts in the question whether to apply."""
_FOREIGN = "The record to be removed was not created by this deployment."


class ReviewPane(StepPane):
    """Plans when it is opened, and shows the plan."""

    step = Step.REVIEW
    question = "Review"
    help_text = (
        "What an apply would change on the servers. Nothing has changed yet. The tree lists "
        "every package, file and service; the pane shows the difference, with secrets masked. "
        "Enter applies the plan, after confirmation."
    )
    example = "+ new   ~ changed   - removed   ▸ done by the run"
    BINDINGS: ClassVar[list[BindingType]] = bindings("review")
    DEFAULT_CSS = """
    ReviewPane { padding: 0; overflow: hidden; }
    ReviewPane .question { display: none; }
    ReviewPane .explanation { display: none; }
    ReviewPane #messages { height: auto; max-height: 10; margin: 1 0; }
    ReviewPane #status { height: auto; padding: 0 2; }
    ReviewPane #plan { height: 1fr; layout: vertical; }
    ReviewPane PlanTree { height: 1fr; background: $background; padding: 0 1; }
    ReviewPane #detail { height: 1fr; background: $surface; }
    ReviewPane #view {
        height: 1; padding: 0 1; background: $panel; border-left: outer $panel;
    }
    ReviewPane #detail:focus-within #view { border-left: outer $accent; }
    ReviewPane DiffView { height: 1fr; }
    """

    def __init__(self, session: WizardSession) -> None:
        super().__init__(session)
        self._began = 0.0
        self._doing: dict[str, str] = {}
        self._timer: Timer | None = None

    def body(self) -> ComposeResult:
        with VerticalScroll(id="messages", can_focus=False):
            yield Static("", id="status", markup=False)
        with Horizontal(id="plan"):
            yield PlanTree("servers")
            with Vertical(id="detail"):
                yield Static("", id="view")
                yield DiffView()

    def on_mount(self) -> None:
        """Hide the tree until there is a plan."""
        self._say_view()
        self._hide_plan()
        self.can_focus = True

    def _hide_plan(self) -> None:
        self.query_one("#plan").display = False
        self.remove_class("-planned")
        self.refresh_bindings()

    def opened(self) -> None:
        """Start planning."""
        self.action_plan()

    def closed(self) -> None:
        """Cancel a plan in progress."""
        self.workers.cancel_group(self, "plan")
        self._stop_clock()
        self.session.operations.stop()

    def action_plan(self) -> None:
        """Read the servers and plan; servers that left keep running again."""
        self._read(LeftChoice())

    def _read(self, choice: LeftChoice) -> None:
        self.workers.cancel_group(self, "plan")
        self._hide_plan()
        self.take_focus(self)
        try:
            answers = self.session.answers()
        except AnswersError as error:
            self._show_open_questions(error)
            return
        self._began = time.monotonic()
        self._doing = {server.host: "Connecting" for server in answers.servers}
        self._stop_clock()
        self._timer = self.set_interval(0.25, self._tick)
        self._tick()
        operations = self.session.operations
        if self.draft.forget_reports():  # the plan reads the files again
            self.post_message(DraftChanged())

        def plan() -> Plan:
            operations.open(answers)
            operations.gone, operations.uninstalls_left = choice.gone, choice.uninstalls
            return operations.make_plan()

        self._plan(plan)

    @work(exclusive=True, group="plan")
    async def _plan(self, make: Callable[[], Plan]) -> None:
        try:
            plan = await in_thread(make, self.session.operations.redactor)
        except MoorageError as error:
            self._stop_clock()
            if isinstance(error, AnswersError):
                self._report(error)
                self._show_open_questions(error)
            else:
                self._show_failure(error)
            return
        self._stop_clock()
        if self.session.seen is None:
            self.session.seen = plan.revision.number
        self._show_plan(plan)
        if not (plan.has_changes or plan.problems or self.session.is_applied):
            self._post_to_app(AppliedFound(deployed_at(each.facts for each in plan.servers)))
        await self._offer_missed_changes(plan)

    def _tick(self) -> None:
        elapsed = int(time.monotonic() - self._began)
        lines = [f"Reading the servers ({elapsed} s). This changes nothing."]
        lines += [f"  … {host}: {what.lower()}" for host, what in self._doing.items()]
        self._say("\n".join(lines), "")

    def _stop_clock(self) -> None:
        if self._timer is not None:
            self._timer.stop()
            self._timer = None

    def _say(self, text: str, colour: str) -> None:
        self.query_one("#status", Static).update(Content.styled(text, colour))

    @on(EngineEvents)
    def _happened(self, message: EngineEvents) -> None:
        for event in message.events:
            if isinstance(event, StepBegan) and event.server in self._doing:
                self._doing[event.server] = step_title(event.step)

    def _report(self, error: AnswersError) -> None:
        """Mark the steps whose files have problems."""
        by_path: dict[str, list[Problem]] = {}
        for problem in error.problems:
            by_path.setdefault(problem.dotted, []).append(problem)
        for path, problems in by_path.items():
            self.draft.report(path, problems)
        self.post_message(DraftChanged())

    def _show_open_questions(self, error: AnswersError) -> None:
        lines = ["Some answers are missing or wrong. Press Enter to go to the first."]
        for problem in error.problems:
            lines.append(f"✗ {step_of(problem).label}: {describe_problem(problem)}")
        self._say(printable("\n".join(lines)), "$text-error")

    async def _offer_missed_changes(self, plan: Plan) -> bool:
        """Offer to take over what others changed; returns whether the operator has to decide."""
        base = self.session.answers().based_on
        if not plan.missed or base == plan.revision.number:
            return False
        caught = catch_up(self.session.answers(), plan)
        if not caught.has_changes:
            return False
        choice = await self.app.push_screen_wait(MissedDialog(plan, caught))
        if choice is None:
            return True
        self.session.know(plan.revision.number)
        if choice == "take":
            _take_over(self.draft, caught)
        self.post_message(DraftChanged())
        if choice == "take":
            self.action_plan()
        return True

    def _show_failure(self, error: MoorageError) -> None:
        errors = error.errors if isinstance(error, ServersFailed) else (error,)
        lines = []
        for each in errors:
            place = f"{each.server}: " if each.server else ""
            lines.append(f"✗ {place}{each.message}")
            if guide := each.guide(field_name):
                lines.append(f"  {guide}")
        lines.append("Press Ctrl+R to try again.")
        self._say(printable("\n".join(lines)), "$text-error")

    def _show_plan(self, plan: Plan) -> None:
        tree = self.query_one(PlanTree)
        tree.show(plan, self.session.operations.name.dns)
        self.query_one("#plan").display = True
        self.add_class("-planned")
        self.refresh_bindings()
        self.take_focus(tree)
        self.call_after_refresh(lambda: tree.move_cursor(tree.most_interesting))
        self._show_status()

    def _show_status(self, refusal: str = "") -> None:
        """Show the summary of the plan, its consequences and notes.

        Args:
            refusal: Why it cannot be applied, after an attempt to.
        """
        plan, name = self.session.operations.plan, self.session.operations.name
        if plan is None:
            return
        first = Content.styled(
            refusal or _summary(plan, name), "bold $text-error" if refusal else "bold"
        )
        leaving = self.session.operations.leaving
        meaning = [*self._notes_on_left(plan), *_consequences(plan, leaving)]
        lines = [*meaning, first] if not refusal else [first, *meaning]
        lines += [*_notes_of_name(name), *_notes(plan)]
        self.query_one("#status", Static).update(Content("\n").join(lines))

    def _notes_on_left(self, plan: Plan) -> list[Content]:
        """Return the choice for the servers that left, if there are any."""
        operations, lines = self.session.operations, []
        if operations.leaving:
            lines.append(_uninstall_line(operations.leaving, operations.name))
        elif plan.left:
            names = ", ".join(each.label for each in plan.left)
            text = f"○ Left, keep running (l: choose): {names}"
            lines.append(Content(printable(text)))
        if operations.gone:
            text = f"! No longer on record afterwards: {', '.join(sorted(operations.gone))}"
            lines.append(Content.styled(printable(text), "$text-warning"))
        return lines

    @work
    async def action_leaving(self) -> None:
        """Ask what happens to the servers that left."""
        plan, operations = self.session.operations.plan, self.session.operations
        if plan is None:
            return
        before = LeftChoice(operations.uninstalls_left, operations.gone)
        labels = sorted({*operations.gone, *(each.label for each in plan.left)})
        choice = await self.app.push_screen_wait(LeftDialog(labels, before))
        if choice is None or operations.plan is not plan:
            return
        if choice.gone != before.gone:
            self._read(choice)
            return
        operations.uninstalls_left = choice.uninstalls
        self._show_status()

    @on(Tree.NodeHighlighted)
    def _highlighted(self, event: Tree.NodeHighlighted[Subject]) -> None:
        self.query_one(DiffView).show(_describe(event.node.data))

    @on(PlanTree.Entered)
    def _entered(self) -> None:
        self.action_go_on()

    def action_view(self) -> None:
        """Switch between difference, whole file and commands."""
        view = self.query_one(DiffView)
        views = list(View)
        view.turn_to(views[(views.index(view.view) + 1) % len(views)])
        self._say_view()

    def _say_view(self, result: str = "") -> None:
        now = self.query_one(DiffView).view
        tabs = [
            Content.styled(f"{'●' if view is now else '○'} {view.value.capitalize()}  ",
                           "bold" if view is now else "$text-muted")
            for view in View
        ]  # fmt: skip
        tabs.append(Content.styled(result, "$text-success"))
        self.query_one("#view", Static).update(Content("").join(tabs))

    @work
    async def action_find(self) -> None:
        """Select the next line of the tree that is about a text."""
        view, tree = self.query_one(DiffView), self.query_one(PlanTree)
        dialog = FindDialog("Find in the plan", view.found, FIND_HELP)
        text = await self.app.push_screen_wait(dialog)
        if text is None:
            return

        def has_it(subject: Subject) -> bool:
            shown = _describe(subject)
            return shown is not None and view.has(shown, text)

        if text.strip() and not tree.select_next(has_it):
            self.app.notify(f"“{text.strip()}” is not in the plan", markup=False)
        view.find(text)

    def action_jump(self, step: int) -> None:
        """Go to the next or previous change in the file."""
        self.query_one(DiffView).action_jump(step)

    def action_copy(self) -> None:
        """Copy the text of the pane."""
        view = self.query_one(DiffView)
        self.app.copy_to_clipboard(view.text)
        self._say_view("✓ copied")

    def _post_to_app(self, message: Message) -> None:
        # Not bubbling: a message created while the frame handles a click stops at the frame.
        self.app.post_message(message)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what is about the plan once there is one, if it has what the action is about."""
        plan = self.session.operations.plan if self.has_class("-planned") else None
        if action in {"view", "jump", "copy", "find"}:
            return plan is not None
        if action == "leaving":
            return plan is not None and bool(plan.left or self.session.operations.gone)
        if action != "end_transfers":
            return super().check_action(action, parameters)
        return plan is not None and bool(_in_the_way(plan))

    def action_end_transfers(self) -> None:
        """Apply, ending the transfers in the way instead of waiting for them."""
        self._go_on(ends_transfers=True)

    def action_go_on(self) -> None:
        """Apply, follow a run in progress, or go to what is missing."""
        self._go_on(ends_transfers=False)

    @work
    async def _go_on(self, *, ends_transfers: bool) -> None:
        if self.draft.problems:
            self.post_message(StepRequested(step_of(self.draft.problems[0])))
            return
        plan = self.session.operations.plan
        if plan is None:
            return
        if any(server.facts.active_run for server in plan.servers):
            self._post_to_app(AttachRequested())
            return
        if await self._offer_missed_changes(plan):
            return
        name = self.session.operations.name
        if plan.problems or name.problem is not None:
            self._show_status("✗ Fix the items marked ✗, then press Ctrl+R.")
            return

        leaving = self.session.operations.leaving
        if plan.has_changes or name.has_changes or leaving:
            dialog = _question(plan, name, leaving, ends_transfers=ends_transfers)
        else:
            hosts = ", ".join(server.server for server in plan.servers)
            text = f"Nothing to change on {hosts}. Moorage only checks the registry from outside."
            dialog = ConfirmDialog("Check", text, "Check")
        if await self.app.push_screen_wait(dialog):
            accepted = replace(accepting(plan.consequences), end_transfers=ends_transfers)
            self.session.operations.accepted = accepted
            self._post_to_app(ApplyRequested())


def _take_over(draft: Draft, caught: CaughtUp) -> None:
    """Copy the changes that were taken over into a draft; the rest of it stays unchanged."""
    followed = Draft.from_answers(caught.answers)
    for place in ("credentials.users", *caught.places):
        value = followed.get(place)
        if value is None:
            draft.remove(place)
        else:
            draft.set(place, value)


def _in_the_way(plan: Plan) -> list[ServerPlan]:
    """Return the servers with transfers on the slot that an apply needs."""
    return [server for server in plan.servers if server.transfers_in_the_way]


def _uninstall_line(leaving: Sequence[LeftServer], name: NamePlan) -> Content:
    return Content.styled(printable(f"! {uninstall_text(leaving, name)}"), "$text-error")


def _consequences(plan: Plan, leaving: Sequence[LeftServer]) -> list[Content]:
    """Return the consequences of a plan, without those of servers that stay unless uninstalled."""
    if not leaving:
        return describe_consequences(plan)
    codes = {Code.SERVER_LEFT_OUT, Code.SERVER_LEFT_BEFORE}
    others = tuple(each for each in plan.consequences if each.code not in codes)
    return describe_consequences(replace(plan, consequences=others))


def _question(
    plan: Plan, name: NamePlan, leaving: Sequence[LeftServer], *, ends_transfers: bool
) -> ConfirmDialog:
    """Return the question whether to apply: consequences first, then the changes and servers."""
    hosts = printable(", ".join(server.server for server in plan.servers))
    lines, accept = _consequences(plan, leaving), "Apply"
    if leaving:
        lines.insert(0, _uninstall_line(leaving, name))
        accept = "Apply and uninstall"
    for server in _in_the_way(plan) if ends_transfers else ():
        count = server.transfers_in_the_way
        what = "1 transfer is" if count == 1 else f"{count} transfers are"
        text = f"! {server.server}: {what} cut off; clients must retry."
        lines.append(Content.styled(printable(text), "$text-error"))
        accept = "Apply and end transfers"
    lines += [Content("")] if lines else []
    lines += [Content(_summary(plan, name)), Content(f"On {hosts}"), Content("")]
    lines += _labelled(_expected(plan, ends_transfers=ends_transfers))
    if name.foreign:
        lines.append(Content("\nDNS records not created by this deployment will be replaced:"))
        lines.append(Content(printable("\n".join(name.foreign))))
        accept = "Apply and replace them"
    codes = {each.code for each in plan.consequences}
    if Code.NAME_NOT_SERVED in codes:
        accept = "Apply and replace it"
    if any(each.needs == "begin_empty" for each in plan.consequences):
        accept = "Apply and begin empty"
    is_careful = bool(name.foreign or plan.destructive or ends_transfers or leaving)
    return ConfirmDialog("Apply", Content("\n").join(lines), accept, careful=is_careful)


def _expected(plan: Plan, *, ends_transfers: bool) -> list[tuple[str, str]]:
    """Return what to expect of an apply, as labels and texts."""
    return [
        (row.label, printable(row.text))
        for row in plan.expectations
        if not (ends_transfers and row.key == "waiting")
    ]


def _labelled(rows: Iterable[tuple[str, str]]) -> list[Content]:
    """Return labels and texts in two columns, with long texts wrapped in theirs."""
    lines = []
    for label, text in rows:
        for number, piece in enumerate(textwrap.wrap(text, _TEXT_WIDTH) or [""]):
            head = label if number == 0 else ""
            line = Content.styled(head.ljust(_LABEL_WIDTH), "$text-muted") + Content(piece)
            lines.append(line)
    return lines


def _notes(plan: Plan) -> list[Content]:
    lines = [
        Content.styled(printable(f"✗ {describe_error(problem)}"), "$text-error")
        for problem in plan.problems
        if problem.code != _RUN_IN_PROGRESS
    ]
    for server in plan.servers:
        running = server.facts.active_run
        last = server.facts.last_run
        if running is not None:
            step = step_title(running.step).lower()
            text = f"● {server.server}: a run is in progress ({step}); Enter follows it"
            lines.append(Content.styled(printable(text), "$text-warning"))
        elif last is not None and last.status is not RunStatus.DONE:
            how = ending_in_words(last.status, last.step, last.message)
            text = f"! {server.server}: last run {how}"
            lines.append(Content.styled(printable(text), "$text-warning"))
        lines += [
            Content.styled(printable(f"! {server.server}: {explain(note)}"), "$text-warning")
            for note in server.notes
        ]
    return lines


def _summary(plan: Plan, name: NamePlan) -> str:
    """Return the summary of the plan, DNS records included."""
    if not name.has_changes or name.dns is None:
        return plan.summary
    return f"{plan.summary}\n{name.dns.summary}"


def _notes_of_name(name: NamePlan) -> list[Content]:
    if name.problem is not None:
        text = f"✗ Cannot change the DNS records: {describe_error(name.problem)}"
        return [Content.styled(printable(text), "$text-error")]
    return [
        Content.styled(printable(f"! not created by this deployment: {line}"), "$text-warning")
        for line in name.foreign
    ]


def _describe_name(dns: DnsPlan) -> Shown:
    return Shown(
        title=dns.name,
        note=f"{dns.provider.title}. Changed last, after the checks from outside; "
        "'moorage dns undo FILE' undoes it.",
        path="records" if dns.changes else "",
        before=_records(dns.current),
        after=_records(dns.desired),
    )


def _describe_records(change: RecordChange) -> Shown:
    either = change.after or change.before
    return Shown(
        title=f"{either.name} {either.kind}" if either else "",
        note="from DNS",
        warning=_FOREIGN if change.is_foreign else "",
        path="records",
        before=_records([change.before] if change.before else []),
        after=_records([change.after] if change.after else []),
    )


def _records(sets: Iterable[RecordSet]) -> str | None:
    """Return records as lines of a zone file; None if there are none."""
    return "\n".join(line for each in sets for line in each.lines()) or None


def _describe(subject: Subject) -> Shown | None:
    """Return what the pane shows about a line of the tree; None for nothing."""
    match subject:
        case (server, None):
            return _describe_server(server)
        case (server, change):
            return _describe_change(server, change)
        case DnsPlan() as dns:
            return _describe_name(dns)
        case RecordChange() as change:
            return _describe_records(change)
    return None


def _describe_server(server: ServerPlan) -> Shown:
    facts = server.facts
    disk = f", {facts.disks[0].free / 1024**3:.1f} GiB free" if facts.disks else ""
    slot = f"slot {server.slot_from or 'none yet'} now, {server.slot_to} afterwards"
    warnings = [*map(explain, server.problems), *map(explain, server.notes)]
    return Shown(
        title=server.server,
        note=f"{facts.os_name}, {facts.architecture}{disk}, {slot}",
        warning="\n! ".join(warnings),
        commands=tuple(all_commands(server)),
    )


def _describe_change(server: ServerPlan, change: Change) -> Shown:
    why = change.why(field_name)
    return Shown(
        title=change.subject,
        note=f"from {why}" if change.kind is Kind.FILE else why,
        warning="Edited on the server since Moorage wrote it; an apply discards that edit."
        if change.drift
        else "",
        path=change.subject if change.kind is Kind.FILE else "",
        before=change.before,
        after=change.script if change.kind is Kind.HOOK else change.after,
        commands=tuple(commands_of(server, change)),
    )
