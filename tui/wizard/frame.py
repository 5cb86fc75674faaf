"""The wizard's screen: header, step list, form, live preview, footer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import events, on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Button, ContentSwitcher

from moorage.errors import MoorageError, Problem
from moorage.rows import Row
from tui.actions import bindings
from tui.document import preview, store
from tui.document.steps import STEPS, Step, step_at, step_of, wrong_steps
from tui.document.unapplied import not_applied
from tui.labels import describe_problem, label_of
from tui.messages import (
    AnswersSaved,
    BackRequested,
    DraftChanged,
    EngineEvents,
    FormSubmitted,
    LogsRequested,
    SaveRequested,
    StepRequested,
    UsersRequested,
)
from tui.palette import actions_of_screen
from tui.styled_once import StyledOnce
from tui.tasks import in_thread
from tui.widgets.button import relabel
from tui.widgets.field import FieldInput
from tui.widgets.header import HeaderBar
from tui.widgets.help_dialog import HelpDialog
from tui.widgets.key_footer import KeyFooter
from tui.wizard.preview_pane import PreviewPane
from tui.wizard.step_list import StepList, summary_of
from tui.wizard.step_pane import StepPane
from tui.wizard_session import WizardSession


class WizardFrame(StyledOnce[None]):
    """The wizard's main screen.

    Args:
        session: The deployment that is open.
        panes: The class of each step's form.
        from_dashboard: Whether the settings of a deployed registry are edited. Escape then goes
            back to the dashboard at once, and there is no order of steps: Enter goes to the next
            field, and the button opens Review.
        at: The path of the answers to focus at first; empty for the first field.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("wizard")
    DEFAULT_CSS = """
    WizardFrame { layout: vertical; }
    WizardFrame #middle { height: 1fr; }
    WizardFrame #main { width: 1fr; }
    WizardFrame #panes { height: 1fr; }
    WizardFrame #panes > StepPane { height: 1fr; }
    WizardFrame #navigation { height: 1; align-horizontal: right; padding: 0 2; }
    WizardFrame #navigation Button { margin-left: 2; }
    WizardFrame #save { display: none; }
    WizardFrame PreviewPane { display: none; }
    WizardFrame.-wide PreviewPane { display: block; width: 2fr; }
    WizardFrame.-wide #main { width: 3fr; }
    WizardFrame.-narrow.-preview PreviewPane { display: block; width: 1fr; }
    WizardFrame.-narrow.-preview #main { display: none; }
    """

    def __init__(
        self,
        session: WizardSession,
        panes: Mapping[Step, type[StepPane]],
        *,
        from_dashboard: bool = False,
        at: str = "",
    ) -> None:
        super().__init__()
        self._at = at
        self.session = session
        self._panes = panes
        self._from_dashboard = from_dashboard
        self._opened: Mapping[str, str] | None = None
        self._applied: Mapping[str, str] | None = None
        self._timer: Timer | None = None
        self._changes: tuple[str, ...] = ()
        self._opening = asyncio.Lock()

    def compose(self) -> ComposeResult:
        yield HeaderBar()
        with Horizontal(id="middle"):
            yield StepList("Settings" if self._from_dashboard else "Steps")
            with Vertical(id="main"):
                yield ContentSwitcher(id="panes")
                with Horizontal(id="navigation"):
                    yield Button("Save the answers", id="save", compact=True)
                    yield Button("Back", id="back", compact=True)
                    yield Button("Next", id="next", variant="primary", compact=True)
            yield PreviewPane()
        yield KeyFooter()

    async def on_mount(self) -> None:
        """Open the current step."""
        await self._open(self.session.progress.current)
        if self._at:
            self.pane.focus_part(self._at)

    @property
    def pane(self) -> StepPane:
        """The form of the current step."""
        return self.query_one(f"#{self.session.progress.current.value}", StepPane)

    @property
    def _is_review(self) -> bool:
        return self.session.progress.current is Step.REVIEW

    async def _open(self, step: Step) -> None:
        # Keys are handled in the application's task, messages in this screen's.
        async with self._opening:
            await self._show_step(step)

    async def _show_step(self, step: Step) -> None:
        switcher = self.query_one("#panes", ContentSwitcher)
        for pane in switcher.query(StepPane):
            if pane.id == switcher.current and pane.step is not step:
                pane.closed()
        if step is not self.session.progress.current:
            self.session.progress = self.session.progress.moved_to(step)
        if not switcher.query(f"#{step.value}"):
            await switcher.mount(self._panes[step](self.session))
        switcher.current = step.value
        # A class of the whole screen would match the styles of all its widgets again.
        self.query_one("#save").display = self._is_review
        self.query_one(PreviewPane).styles.display = "none" if self._is_review else None
        self.remove_class("-preview")
        self.refresh_bindings()
        self._opened = None
        self._update()
        self._render_soon()
        self.pane.opened()

    def _update(self) -> None:
        """Update the header and the step list."""
        session = self.session
        progress = session.progress
        step = progress.current
        place, note = f"{step.label}  {step.number} of {len(STEPS)}", session.saved_state
        if self._from_dashboard:
            place, note = step.label, note or "Settings"
        self.query_one(HeaderBar).show(session.draft.domain or "new deployment", place, note)
        self._show_next()
        wrong = wrong_steps(session.draft.problems)
        changed = {step_at(tuple(path.split("."))) for path in self._changes}
        marks = {
            each: progress.mark(each, wrong, changed=changed, is_applied=session.is_applied)
            for each in STEPS
        }
        self.query_one(StepList).show(
            [(each, marks[each], summary_of(each, session.draft)) for each in STEPS]
        )

    def _show_next(self) -> None:
        """Show what the button does that continues."""
        label = "Apply" if self._is_review else "Next"
        if self._from_dashboard and not self._is_review:
            count = len(self._changes)
            label = f"Apply ({count} change{'s' if count != 1 else ''})" if count else "Review"
        button = self.query_one("#next", Button)
        if str(button.label) != label:
            relabel(button, label)
            self.refresh_bindings()

    @on(AnswersSaved)
    def _saved(self, message: AnswersSaved) -> None:
        self._update()
        self.notify(message.text, markup=False)

    @on(EngineEvents)
    def _happened(self, message: EngineEvents) -> None:
        self.pane.post_message(EngineEvents(message.events))

    @on(DraftChanged)
    def _changed(self) -> None:
        self._update()
        self._render_soon()

    def _render_soon(self) -> None:
        """Render the preview once typing pauses."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(0.12, self._render_preview)

    @work(exclusive=True, group="preview")
    async def _render_preview(self) -> None:
        draft = type(self.session.draft)(self.session.draft.data)
        known, domain = self._applied, draft.domain
        if self._from_dashboard:
            read = self.session.read
            changes = await in_thread(lambda: not_applied(draft, read))
            if changes != self._changes:
                self._changes = changes
                self._update()

        problems, step = self.session.draft.problems, self.session.progress.current

        def render() -> tuple[Sequence[Row], Mapping[str, str], Mapping[str, str]]:
            answers = preview.nearest_answers(draft)
            rows = preview.rows(problems, answers, step, describe_problem)
            now = preview.render(answers)
            if known is not None:
                return rows, now, known
            last = store.last_applied(domain)
            before = preview.nearest_answers(last) if last is not None else None
            return rows, now, preview.render(before)

        try:
            rows, now, applied = await in_thread(render)
        except MoorageError:
            return
        self._applied = applied or None
        if self._opened is None:
            self._opened = now
        files = preview.of_step(self.session.progress.current, now, applied, self._opened)
        # The files have an example for each of these.
        examples = dict.fromkeys(label_of(each.path) or each.dotted for each in problems)
        self.query_one(PreviewPane).show(rows, files, [name for name in examples if name])

    def forget_applied(self) -> None:
        """Read the last applied answers again, because something has been applied."""
        self._applied = None
        self._update()
        self._render_soon()

    @on(FormSubmitted)
    async def _go_on(self) -> None:
        if self._from_dashboard:
            self.focus_next()
            return
        await self._open(self.session.progress.next())

    @on(BackRequested)
    async def _go_back(self) -> None:
        await self.action_back()

    @on(StepRequested)
    async def _jump(self, event: StepRequested) -> None:
        await self._open(event.step)

    @on(FieldInput.PastedBlock)
    async def _storage_pasted(self, event: FieldInput.PastedBlock) -> None:
        """Fill Storage with lines about it that were pasted into a field of another step."""
        event.stop()
        await self._open(Step.STORAGE)
        self.pane.post_message(FieldInput.PastedBlock(event.text))

    @on(Button.Pressed, "#next")
    async def _next_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.action_next()

    @on(Button.Pressed, "#save")
    def _save_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.action_save()

    @on(Button.Pressed, "#back")
    async def _back_pressed(self, event: Button.Pressed) -> None:
        event.stop()
        await self.action_back()

    async def action_next(self) -> None:
        """Continue from the current form, after a step that is still opening."""
        async with self._opening:
            pane = self.pane
        if not self._from_dashboard or pane.step is Step.REVIEW:
            pane.action_go_on()
        elif pane.check():
            await self._open(Step.REVIEW)

    async def action_apply(self) -> None:
        """Continue from Review, or go there from the settings."""
        await self.action_next()

    async def action_back(self) -> None:
        """Close the preview, go back a step, or leave the wizard."""
        if self.has_class("-preview"):
            self.action_preview()
            return
        previous = self.session.progress.previous()
        if previous is None:
            self.dismiss(None)
        else:
            await self._open(previous)

    async def action_step_back(self) -> None:
        """Go back, for a key that is not in the footer."""
        await self.action_back()

    def action_close(self) -> None:
        """Close the preview, or leave the wizard for the dashboard."""
        if self.has_class("-preview"):
            self.action_preview()
        else:
            self.dismiss(None)

    async def action_jump(self, step: str) -> None:
        """Open a step by its name."""
        await self._open(Step(step))

    async def show_mistake(self, problem: Problem) -> None:
        """Open the step with a mistake and focus its field."""
        await self._open(step_of(problem))
        self.pane.show_mistake(problem.path)

    def action_preview(self) -> None:
        """Show or hide the files: beside the form, or in its place on a narrow terminal."""
        pane = self.query_one(PreviewPane)
        if self.has_class("-wide"):
            pane.shows_files = not pane.shows_files
            return
        self.toggle_class("-preview")
        pane.shows_files = self.has_class("-preview")
        if pane.shows_files:
            pane.focus()
        else:
            self.pane.focus_first()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Show in the footer only what the keys do on this step."""
        is_review = self._is_review
        if action == "close":
            return self._from_dashboard
        if action == "preview":
            return not is_review
        goes_on = is_review or self._from_dashboard
        return {"next": not goes_on, "apply": goes_on}.get(action, True)

    def action_save(self) -> None:
        """Save the answers."""
        self.post_message(SaveRequested())

    def action_users(self) -> None:
        """Open the users."""
        self.post_message(UsersRequested())

    async def action_retention(self) -> None:
        """Go to the retention rules."""
        await self._open(Step.STORAGE)
        self.pane.focus_part("retention")

    def action_logs(self) -> None:
        """Open the logs."""
        self.post_message(LogsRequested())

    def action_help(self) -> None:
        """Show the step's help and keys."""
        pane = self.pane
        own = pane.help_text or pane.explanation
        self.app.push_screen(
            HelpDialog(pane.step.label, own, actions_of_screen(self), pane.example)
        )

    def on_resize(self, _event: events.Resize) -> None:
        """Close a preview that covers the form once there is room beside it."""
        if self.has_class("-wide"):
            self.remove_class("-preview")
