"""Saves the draft of the open deployment, and its answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual.timer import Timer

from moorage.errors import MoorageError
from moorage.local_file import LocalFileError, expand
from moorage.recents import APPLIED, UNFINISHED
from moorage.state import short_path
from tui.deployment_app import DeploymentApp
from tui.document import store
from tui.labels import describe_error
from tui.messages import AnswersSaved
from tui.tasks import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from moorage.deploy.operations import Outcome
    from tui.wizard_session import WizardSession

_EXISTS = "already exists."
_CHANGED = "has changed on disk since you opened it."


class Saving:
    """Saves the open deployment.

    Args:
        app: The application.
    """

    AUTOSAVE: ClassVar[float] = 0.4
    """Seconds without typing after which the draft is saved."""

    def __init__(self, app: DeploymentApp) -> None:
        self._app = app
        self._autosave: Timer | None = None

    @property
    def _session(self) -> WizardSession | None:
        return self._app.session

    def draft_changed(self) -> None:
        """Save the draft soon."""
        if self._session is not None:
            self._session.is_applied = False
        if self._autosave is not None:
            self._autosave.stop()
        self._autosave = self._app.set_timer(self.AUTOSAVE, self.keep_draft)

    def keep_draft(self) -> None:
        """Write the draft, or remove it if the answers file has everything."""
        self._autosave = None
        session = self._session
        if session is None:
            return
        if session.is_saved:
            session.draft_file.unlink(missing_ok=True)
            return
        if session.path is None and not (session.draft.domain or session.draft.items("servers")):
            return
        try:
            progress = session.progress
            store.keep_draft(session.draft_file, session.draft, of=session.path,
                               visited=progress.visited | {progress.current},
                               left_at=progress.current, base=session.base)  # fmt: skip
            if session.path is None:
                servers = [str(each.get("host", "")) for each in session.draft.items("servers")]
                store.remember(session.draft_file, session.draft.domain, is_draft=True,
                               servers=servers)  # fmt: skip
        except OSError as error:
            self._app.notify(
                f"Cannot save the draft in {short_path(session.draft_file)}: {error.strerror}",
                severity="warning",
                markup=False,
            )

    def know_revision(self, revision: int | None) -> None:
        """Base the draft, and its file if that is the same, on the revision that was applied.

        Args:
            revision: The deployment's revision; 0 if unknown, None if it was uninstalled.
        """
        session = self._session
        if session is None or revision == 0 or session.draft.get("based_on") == revision:
            return
        from moorage.answers.amend import with_base

        was_saved = session.is_saved
        if revision is None:
            session.draft.remove("based_on")
            session.seen = None
        else:
            session.draft.set("based_on", revision)
        if was_saved:
            self._update_file(session, lambda text: with_base(text, revision))

    def follow_run(self, outcome: Outcome) -> None:
        """Give the draft, and its file if that is the same, the answers after a run.

        Args:
            outcome: The result of the run. An apply only has another revision.
        """
        session, answers = self._session, outcome.answers
        if session is None or answers is None or not outcome.revision:
            return
        if not outcome.done_text:
            self.know_revision(outcome.revision)
            return
        from moorage.answers.amend import amend
        from tui.document.draft import Draft

        after = answers.model_copy(update={"based_on": outcome.revision})
        was_saved = session.is_saved
        if outcome.replaced and not self._keep_copy(session, outcome.revision):
            return
        session.draft = Draft.from_answers(after)
        if was_saved:
            self._update_file(session, lambda text: amend(text, after))

    def _keep_copy(self, session: WizardSession, revision: int) -> bool:
        """Keep the answers as they are in a file of their own; returns whether that worked."""
        from moorage.answers.save import copy_before, save_text
        from tui.document.saving import write_answers

        copy = copy_before(session.path or session.draft_file, revision)
        try:
            if session.is_saved:
                save_text(session.text, copy)
            else:
                write_answers(session.draft, copy)
        except MoorageError as error:
            text = f"The answers were not updated: {describe_error(error)}"
            self._app.notify(text, severity="warning", markup=False)
            return False
        text = f"{short_path(copy)} has the answers from before the rollback."
        self._app.notify(text, markup=False)
        return True

    def _update_file(self, session: WizardSession, change: Callable[[str], str | None]) -> None:
        """Change the file like the draft, unless somebody else has changed it."""
        path = session.path
        if path is None or store.text_of(path) != session.text:
            return
        from moorage.answers.save import save_text

        try:
            written = change(session.text)
            if written is None:
                return
            save_text(written, path)
        except MoorageError as error:
            self._app.notify(describe_error(error), severity="warning", markup=False)
            return
        session.note_saved(session.draft.without_secrets(), written)

    def note_apply_began(self) -> None:
        """Note that an apply has begun, in case the wizard does not see its end."""
        session = self._session
        if session is None:
            return
        self.keep_draft()
        kept = session.path or session.draft_file
        if kept.is_file():
            store.remember(kept, session.draft.domain, state=UNFINISHED,
                           is_draft=session.path is None)  # fmt: skip

    def note_applied(self, at: float | None, *, is_hearsay: bool, revision: int = 0) -> None:
        """Note that the open deployment is applied, although this wizard saw no apply end.

        Args:
            at: The time of the apply, in seconds since 1970; None if unknown.
            is_hearsay: Whether only the record says so; that does not replace what this machine
                knows.
            revision: The deployment's revision now; 0 for that of the open plan.
        """
        session = self._session
        if session is None:
            return
        if (plan := session.operations.plan) is not None:
            self.know_revision(revision or plan.revision.number)
        if not is_hearsay or store.last_applied(session.draft.domain) is None:
            store.keep_applied(session.draft)
        if not is_hearsay:
            session.read = None
        session.is_applied = True
        self.keep_draft()
        kept = session.path or session.draft_file
        if kept.is_file():
            store.remember(kept, session.draft.domain, state=APPLIED,
                             is_draft=session.path is None, applied=at)  # fmt: skip

    async def save(self) -> None:
        """Save the answers in their file, or ask for one; runs in a worker."""
        session = self._session
        if session is None:
            return
        from tui.document.saving import default_name
        from tui.widgets.dialog import ConfirmDialog, TextDialog

        path = session.path
        if path is not None:
            doubt = "" if store.text_of(path) in {session.text, ""} else _CHANGED
        else:
            name = await self._app.push_screen_wait(
                TextDialog(
                    "Save the answers",
                    "File",
                    value=default_name(session.draft.domain),
                    help_text=f"Relative to {short_path(Path.cwd())}",
                    accept="Save",
                )
            )
            if not name:
                return
            try:
                path = expand(name)
            except LocalFileError as error:
                self._app.show_note("Save the answers", describe_error(error))
                return
            doubt = _EXISTS if os.path.exists(path) else ""  # noqa: PTH110  # a name can be too long
        question = f"{short_path(path)} {doubt}"
        if doubt and not await self._app.push_screen_wait(
            ConfirmDialog("Save the answers", question, "Replace it", careful=True)
        ):
            return
        await self._write(session, path)

    async def _write(self, session: WizardSession, path: Path) -> None:
        from tui.document.draft import Draft
        from tui.document.saving import write_answers

        snapshot = Draft(session.draft.data)
        try:
            saved = await in_thread(lambda: write_answers(snapshot, path))
        except MoorageError as error:
            self._app.show_note("Save the answers", describe_error(error))
            return
        own = str(session.draft_file.absolute())
        kept = next((each for each in store.recents() if each.path == own), None)
        session.note_saved(saved.data, saved.text)
        session.path = path
        if session.is_saved:
            session.draft_file.unlink(missing_ok=True)
        store.forget(session.draft_file)
        session.draft_file = store.draft_file_for(path)
        store.remember(path, session.draft.domain, like=kept)
        missing = len(session.draft.problems)
        open_points = f"; {missing} still missing or wrong" if missing else ""
        lost = "; comments in the sections that changed are lost" if saved.lost_comments else ""
        text = f"Saved in {short_path(path)}{open_points}{lost}"
        self._app.screen.post_message(AnswersSaved(text))
