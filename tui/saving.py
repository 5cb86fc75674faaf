"""An application with one deployment on its desk: keeps the draft, saves the answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.timer import Timer

from moorage.recents import APPLIED
from tui.buttons import ButtonRowsApp
from tui.document import store
from tui.messages import AnswersSaved, AppliedFound, DraftChanged, SaveWanted
from tui.tasks import JobEnded, start_job

if TYPE_CHECKING:
    from tui.document.writing import Saved
    from tui.session import Session

_THERE = "is there already."
_CHANGED = "was changed by somebody else since it was opened here."


class DeskApp(ButtonRowsApp):
    """Keeps and saves what is open.

    Attributes:
        session: The deployment that is open, or None.
    """

    AUTOSAVE: ClassVar[float] = 0.4
    """Seconds without typing after which the draft is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.session: Session | None = None
        self._autosave: Timer | None = None

    def tell(self, title: str, text: str) -> None:
        """Show a text in a box."""
        from tui.widgets.dialog import NoteDialog

        self.push_screen(NoteDialog(title, text))

    @on(DraftChanged)
    def _draft_changed(self) -> None:
        if self.session is not None:
            self.session.is_applied = False
        if self._autosave is not None:
            self._autosave.stop()
        self._autosave = self.set_timer(self.AUTOSAVE, self.keep_draft)

    def keep_draft(self) -> None:
        """Write the draft, or remove it when the answers file holds everything."""
        self._autosave = None
        session = self.session
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
                               left_at=progress.current)  # fmt: skip
            if session.path is None:
                store.remember(session.draft_file, session.draft.domain, is_draft=True)
        except OSError as error:
            self.notify(
                f"The draft cannot be kept in {session.draft_file}: {error.strerror}",
                severity="warning",
                markup=False,
            )

    def know_revision(self, revision: int) -> None:
        """Base what is open on the revision it was applied as, its file too if it says the same.

        Args:
            revision: The deployment's; 0 where it is not known.
        """
        session = self.session
        if session is None or not revision or session.draft.get("based_on") == revision:
            return
        path, was_saved = session.path, session.is_saved
        session.draft.set("based_on", revision)
        if path is None or not was_saved or store.text_of(path) != session.text:
            return
        from moorage.answers.amend import with_base
        from moorage.answers.save import save_text
        from moorage.errors import MoorageError

        try:
            written = with_base(session.text, revision)
            if written is None:
                return
            save_text(written, path)
        except MoorageError as error:
            self.notify(str(error), severity="warning", markup=False)
            return
        session.text, session.saved = written, session.draft.without_secrets()

    @on(AppliedFound)
    def _applied_found(self, event: AppliedFound) -> None:
        """Keep what is open as applied, although no apply from here was watched to its end."""
        session = self.session
        if session is None:
            return
        if (plan := session.operations.plan) is not None:
            self.know_revision(plan.revision.number)
        if not event.is_hearsay or store.last_applied(session.draft.domain) is None:
            store.keep_applied(session.draft)
        session.is_applied = True
        self.keep_draft()
        kept = session.path or session.draft_file
        if kept.is_file():
            store.remember(kept, session.draft.domain, state=APPLIED,
                             is_draft=session.path is None, applied=event.at)  # fmt: skip

    @on(SaveWanted)
    def _save(self) -> None:
        session = self.session
        if session is None:
            return
        from tui.document.writing import default_name

        if session.path is not None:
            is_as_read = store.text_of(session.path) in {session.text, ""}
            self._write_with_care(session, session.path, "" if is_as_read else _CHANGED)
            return

        def named(name: str | None) -> None:
            if name:
                path = Path(name).expanduser()
                self._write_with_care(session, path, _THERE if path.exists() else "")

        from tui.widgets.dialog import TextDialog

        self.push_screen(
            TextDialog(
                "Save the answers",
                "File",
                value=default_name(session.draft.domain),
                help_text=f"Without a folder it goes to {Path.cwd()}",
                accept="Save",
            ),
            named,
        )

    def _write_with_care(self, session: Session, path: Path, doubt: str) -> None:
        """Write a file; with a doubt, only when somebody says so."""
        if not doubt:
            self._write(session, path)
            return

        def confirmed(go: bool | None) -> None:
            if go:
                self._write(session, path)

        from tui.widgets.dialog import ConfirmDialog

        text = f"{path} {doubt}"
        dialog = ConfirmDialog("Save the answers", text, "Replace it", careful=True)
        self.push_screen(dialog, confirmed)

    def _write(self, session: Session, path: Path) -> None:
        from tui.document.draft import Draft
        from tui.document.writing import write_answers

        snapshot = Draft(session.draft.data)
        start_job(self, f"save:{path}", lambda: write_answers(snapshot, path))

    @on(JobEnded)
    def _written(self, event: JobEnded) -> None:
        session = self.session
        path = Path(event.name.removeprefix("save:"))
        if session is None or not event.name.startswith("save:"):
            return
        if event.error is not None:
            self.tell("Save the answers", str(event.error))
            return
        own = str(session.draft_file.absolute())
        kept = next((each for each in store.recents() if each.path == own), None)
        saved: Saved = event.result
        session.saved, session.text = saved.data, saved.text
        session.path = path
        if session.is_saved:
            session.draft_file.unlink(missing_ok=True)
        store.forget(session.draft_file)
        session.draft_file = store.draft_file_for(path)
        store.remember(path, session.draft.domain, like=kept)
        missing = len(session.draft.problems)
        open_points = f"; {missing} still missing or wrong" if missing else ""
        lost = "; comments in the sections that changed are gone" if saved.lost_comments else ""
        self.screen.post_message(AnswersSaved(f"Saved in {path}{open_points}{lost}"))
