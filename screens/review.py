"""Review: what an apply would do, on which server and why, before anything is done."""

from __future__ import annotations

import time
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.timer import Timer
from textual.widgets import Static, Tree

from moorage.deploy.events import STEPS, StepBegan
from moorage.deploy.plan import Change, Kind, Plan, ServerPlan
from moorage.deploy.visible import visible
from moorage.errors import AnswersError, MoorageError, ServersFailed
from tui.flow import Step, step_of
from tui.jobs import JobEnded, start_job
from tui.messages import ApplyWanted, AttachWanted, EngineEvents, JumpTo
from tui.session import Session
from tui.widgets.dialog import ConfirmDialog
from tui.widgets.pane import StepPane

_SIGNS = {"add": ("+", "new"), "change": ("~", "changed"), "remove": ("-", "removed"),
          "run": ("▸", "")}  # fmt: skip
_COLOURS = {"+": "green", "~": "yellow", "-": "red", "▸": "cyan"}
_KINDS = {
    Kind.PACKAGE: "Packages",
    Kind.ACCOUNT: "Accounts",
    Kind.IMAGE: "Images",
    Kind.FOLDER: "Folders",
    Kind.FILE: "Files",
    Kind.SERVICE: "Services",
    Kind.HOOK: "Hooks",
}

Subject = ServerPlan | Change | None


class PlanTree(Tree[Subject]):
    """Servers and their changes; Enter is left to the form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "wizard_go_on", "Go on", show=False),
        Binding("left", "collapse", "Close", show=False),
        Binding("right", "expand", "Open", show=False),
    ]

    def action_wizard_go_on(self) -> None:
        """Leave Enter to the form."""
        pane = next(node for node in self.ancestors if isinstance(node, ReviewPane))
        pane.action_go_on()

    def action_collapse(self) -> None:
        """Close the branch under the cursor, or go to its parent."""
        node = self.cursor_node
        if node is not None and node.is_expanded and node.allow_expand:
            node.collapse()
        else:
            self.action_cursor_parent()

    def action_expand(self) -> None:
        """Open the branch under the cursor."""
        if self.cursor_node is not None:
            self.cursor_node.expand()


class ReviewPane(StepPane):
    """Plans when it is opened, and shows the plan."""

    step = Step.REVIEW
    question = "Review"
    help_text = (
        "This is what an apply does, compared with what is on the servers now. Nothing was "
        "changed yet. The tree lists every package, file and service; the pane shows the "
        "difference, with secrets masked. Enter goes on to Apply, which asks once more."
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "plan", "Read again"),
        Binding("v", "view", "Diff or file"),
    ]
    DEFAULT_CSS = """
    ReviewPane { padding: 0; overflow: hidden; }
    ReviewPane .question { display: none; }
    ReviewPane .explanation { display: none; }
    ReviewPane #status { height: auto; padding: 0 2; margin: 1 0; max-height: 10; }
    ReviewPane #plan { height: 1fr; layout: vertical; }
    ReviewPane PlanTree { height: 1fr; background: $background; padding: 0 1; }
    ReviewPane #detail { height: 1fr; background: $surface; padding: 0 1; overflow-x: auto; }
    ReviewPane #detail Static { width: auto; min-width: 100%; }
    ReviewPane #detail:focus { background: $panel; }
    """

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._began = 0.0
        self._doing: dict[str, str] = {}
        self._timer: Timer | None = None
        self._attempt = 0
        self._shows_whole_file = False

    def body(self) -> ComposeResult:
        yield Static("", id="status", markup=False)
        with Horizontal(id="plan"):
            yield PlanTree("servers")
            with VerticalScroll(id="detail"):
                yield Static("", id="difference", markup=False)

    def on_mount(self) -> None:
        """Hide the tree until there is a plan."""
        tree = self.query_one(PlanTree)
        tree.show_root = False
        tree.guide_depth = 2
        self.query_one("#plan").display = False
        self.can_focus = True

    def opened(self) -> None:
        """Plan at once."""
        self.action_plan()

    def closed(self) -> None:
        """Give up on a plan that is being made."""
        self._attempt += 1
        self._stop_clock()
        self.session.engine.stop()

    def action_plan(self) -> None:
        """Read the servers and plan."""
        self._attempt += 1
        self.query_one("#plan").display = False
        self.take_focus(self)
        try:
            answers = self.draft.answers()
        except AnswersError as error:
            self._show_open_questions(error)
            return
        self._began = time.monotonic()
        self._doing = {server.host: "Connecting" for server in answers.servers}
        self._stop_clock()
        self._timer = self.set_interval(0.25, self._tick)
        self._tick()
        engine = self.session.engine
        start_job(self, f"plan-{self._attempt}", lambda: engine.make_plan(answers), engine.redactor)

    def _tick(self) -> None:
        elapsed = int(time.monotonic() - self._began)
        lines = [f"Reading the servers, {elapsed} s. Nothing is changed by this."]
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
                self._doing[event.server] = STEPS.get(event.step, event.step)

    def _show_open_questions(self, error: AnswersError) -> None:
        lines = ["Some answers are missing or wrong. Enter goes to the first."]
        for problem in error.problems:
            lines.append(f"✗ {step_of(problem).label}: {problem}")
        self._say(visible("\n".join(lines)), "$text-error")

    @on(JobEnded)
    def _planned(self, event: JobEnded) -> None:
        if event.name != f"plan-{self._attempt}":
            return
        self._stop_clock()
        if event.error is not None:
            self._show_failure(event.error)
        else:
            self._show_plan(event.result)

    def _show_failure(self, error: MoorageError) -> None:
        errors = error.errors if isinstance(error, ServersFailed) else (error,)
        lines = []
        for each in errors:
            place = f"{each.server}: " if each.server else ""
            lines.append(f"✗ {place}{each.message}")
            if each.hint:
                lines.append(f"  {each.hint}")
        lines.append("Ctrl+R reads the servers again; Escape goes back.")
        self._say(visible("\n".join(lines)), "$text-error")

    def _show_plan(self, plan: Plan) -> None:
        tree = self.query_one(PlanTree)
        tree.clear()
        for server in plan.servers:
            _add_server(tree, server)
        self.query_one("#plan").display = True
        self.take_focus(tree)
        self.call_after_refresh(lambda: tree.move_cursor(tree.root.children[0]))
        status = Content.styled(plan.summary, "bold")
        for line in _notes(plan):
            status += Content("\n") + line
        self.query_one("#status", Static).update(status)

    @on(Tree.NodeHighlighted)
    def _highlighted(self, event: Tree.NodeHighlighted[Subject]) -> None:
        self._show_subject(event.node.data)

    def _show_subject(self, subject: Subject) -> None:
        text = self.query_one("#difference", Static)
        match subject:
            case ServerPlan():
                text.update(_describe_server(subject))
            case Change() if subject.kind is Kind.HOOK:
                text.update(_describe_file(subject, whole=True))
            case Change() if subject.kind is Kind.FILE:
                text.update(_describe_file(subject, whole=self._shows_whole_file))
            case Change():
                text.update(Content(f"{visible(subject.subject)}\n\n{visible(subject.reason)}"))
            case _:
                text.update("")
        self.query_one("#detail").scroll_home(animate=False)

    def action_view(self) -> None:
        """Show the whole file, or the difference again."""
        self._shows_whole_file = not self._shows_whole_file
        node = self.query_one(PlanTree).cursor_node
        if node is not None:
            self._show_subject(node.data)

    def action_go_on(self) -> None:
        """Go on to Apply, to a run that goes on already, or to what is missing."""
        if self.draft.problems:
            self.post_message(JumpTo(step_of(self.draft.problems[0])))
            return
        plan = self.session.engine.plan
        if plan is None:
            return
        if any(server.facts.active_run for server in plan.servers):
            self.post_message(AttachWanted())
            return
        if plan.problems:
            self.notify("Solve what is marked ✗ first; Ctrl+R reads the servers again.",
                        severity="warning")  # fmt: skip
            return

        def confirmed(go: bool | None) -> None:
            if go:
                self.post_message(ApplyWanted())

        hosts = ", ".join(server.server for server in plan.servers)
        if plan.has_changes:
            dialog = ConfirmDialog("Apply", f"{plan.summary}\n\nOn {hosts}", "Apply")
        else:
            text = f"There is nothing to change on {hosts}. The registry is checked from outside."
            dialog = ConfirmDialog("Check", text, "Check")
        self.app.push_screen(dialog, confirmed)


def _notes(plan: Plan) -> list[Content]:
    lines = [Content.styled(visible(f"✗ {problem}"), "$text-error") for problem in plan.problems]
    for server in plan.servers:
        running = server.facts.active_run
        last = server.facts.runs[-1] if server.facts.runs else None
        if running is not None:
            step = STEPS.get(running.step, running.step).lower()
            text = f"● {server.server}: a run is going on ({step}); Enter follows it"
            lines.append(Content.styled(visible(text), "$text-warning"))
        elif last is not None and last.status != "done":
            step = STEPS.get(last.step, last.step).lower()
            how = last.status or "interrupted"
            why = f": {last.message}" if last.message else ""
            text = f"! {server.server}: the last run was {how} at: {step}{why}"
            lines.append(Content.styled(visible(text), "$text-warning"))
        lines += [
            Content.styled(visible(f"! {server.server}: {note}"), "$text-warning")
            for note in server.notes
        ]
    return lines


def _add_server(tree: PlanTree, server: ServerPlan) -> None:
    count = len(server.changes)
    summary = f"{count} change{'s' if count != 1 else ''}" if count else "nothing to change"
    label = Text.assemble((visible(server.server), "bold"), f"  {summary}")
    branch = tree.root.add(label, data=server, expand=True)
    for kind, title in _KINDS.items():
        changes = [change for change in server.changes if change.kind is kind]
        if not changes:
            continue
        is_worth_a_look = kind is not Kind.FOLDER
        below = branch.add(Text(f"{title} ({len(changes)})"), expand=is_worth_a_look)
        for change in changes:
            sign, word = _SIGNS[change.action]
            drift = ", edited on the server" if change.drift else ""
            state = f"  {word}{drift}" if word and (word != "new" or kind is Kind.FILE) else ""
            line = Text.assemble(
                (f"{sign} ", _COLOURS[sign]), visible(change.subject), (state, "dim")
            )
            below.add_leaf(line, data=change)
    same = len(server.desired.files) - sum(
        change.kind is Kind.FILE and change.action != "remove" for change in server.changes
    )
    if same > 0:
        branch.add_leaf(Text(f"= {same} files stay the same"))


def _describe_server(server: ServerPlan) -> Content:
    facts = server.facts
    lines = [
        server.server,
        "",
        f"System  {facts.os_name}, {facts.architecture}",
        f"Disk    {facts.disks[0].free / 1024**3:.1f} GiB free" if facts.disks else "",
        f"Slot    {server.slot_from or 'none yet'} now, {server.slot_to} afterwards",
        "",
        *(f"✗ {problem.message} {problem.hint}" for problem in server.problems),
        *(f"! {note}" for note in server.notes),
    ]
    return Content(visible("\n".join(line for line in lines)))


def _describe_file(change: Change, *, whole: bool) -> Content:
    head = Content.styled(visible(change.subject), "bold")
    head += Content.styled(f"\nfrom {change.reason}\n", "$text-muted")
    if change.drift:
        head += Content.styled(
            "It was edited on the server since Moorage wrote it; that edit is lost.\n",
            "$text-warning",
        )
    if whole:
        return head + Content("\n" + visible(change.after or ""))
    for line in change.diff.splitlines():
        colour = {"+": "$text-success", "-": "$text-error", "@": "$text-accent"}.get(line[:1], "")
        head += Content.styled("\n" + visible(line), colour)
    return head
