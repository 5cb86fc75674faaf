"""Dialogs that apply staged changes: a preview, the progress, and the generated passwords."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from textual import on, work
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Button, Static

from moorage.answers.secrets import Secret
from moorage.deploy.events import Committed, Event, RunEnded, Staged, StepBegan
from moorage.deploy.plan.plan import Kind
from moorage.deploy.run.report import ApplyReport
from moorage.deploy.users.change import UsersPlan
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.servers.run_results import RunStatus
from moorage.users.describe import UserDifference, count_text
from moorage.users.describe import notes as notes_of
from screens.users.servers import UsersOnServers
from tui.actions import bindings
from tui.labels import describe_error
from tui.signs import ACTION_COLOURS
from tui.tasks import in_thread
from tui.widgets.button import relabel
from tui.widgets.copy_block import CopyBlock
from tui.widgets.dialog import ConfirmDialog, Dialog
from tui.widgets.diff_view import DiffView, Shown
from tui.widgets.key_footer import KeyFooter
from tui.widgets.server_row import ServerProgress, ServerRow

_MOST_LINES = 500
_FEW = 6
"""Lines that fit the smallest terminal beside the rest of the dialog."""


def describe(differences: Sequence[UserDifference], most: int = _MOST_LINES) -> Content:
    """Return changes as text, one line per user: ``+ ana  pull team-a/*``."""
    shown = differences[:most]
    width = min(24, max((len(each.name) for each in shown), default=0))
    lines = [
        Content.styled(f"{each.sign} ", f"bold {ACTION_COLOURS[each.action]}")
        + Content.styled(f"{printable(each.name):<{width}}", "bold")
        + Content(f"  {printable(each.text)}")
        for each in shown
    ]
    if len(differences) > most:
        lines.append(Content.styled(f"  and {len(differences) - most} more", "$text-muted"))
    return Content("\n").join(lines)


def _describe_hooks(plan: UsersPlan) -> list[str]:
    """Return a sentence for each hook that runs."""
    failures = {"roll_back": "the change is rolled back", "go_on": "Moorage only reports it"}
    hooks = [planned.hook for server in plan.servers for planned in server.hooks]
    sentences = [
        f"Runs hook {each.name}; if it fails, {failures[each.on_failure]}." for each in hooks
    ]
    return list(dict.fromkeys(sentences))


class ChangesDialog(Dialog[bool]):
    """Shows the changes of users, and on a key the files that change.

    Args:
        differences: How users change.
        plan: The plan for every server.
        notes: Other remarks for the operator.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("user_changes")
    DEFAULT_CSS = """
    ChangesDialog > .dialog--box { width: 104; }
    ChangesDialog #summary { height: auto; margin-bottom: 1; }
    ChangesDialog.-tall #summary { height: 1fr; }
    ChangesDialog #notes { height: auto; color: $text-warning; }
    ChangesDialog DiffView { height: 1fr; min-height: 8; display: none; margin-bottom: 1; }
    ChangesDialog.-files > .dialog--box { height: 90%; }
    ChangesDialog.-files DiffView { display: block; }
    ChangesDialog.-files #summary { display: none; }
    """

    def __init__(
        self, differences: Sequence[UserDifference], plan: UsersPlan, notes: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._differences = differences
        self._plan = plan
        self._notes = (*notes, *notes_of(differences), *_describe_hooks(plan))
        self._files = _files_of(plan)
        self._place = -1
        self.set_class(len(differences) + 2 * len(self._notes) > _FEW, "-tall")

    def compose(self) -> ComposeResult:
        changed = [server.server for server in self._plan.servers if server.has_changes]
        count = f"{len(changed)} server{'s' if len(changed) != 1 else ''}"
        with Vertical(classes="dialog--box") as box:
            box.border_title = "What will change"
            yield Static(self._head(changed), classes="dialog--text")
            with VerticalScroll(id="summary"):
                yield Static(describe(self._differences))
            yield DiffView()
            if self._notes:
                notes = [Content(f"! {printable(note)}") for note in self._notes]
                yield Static(Content("\n").join([*notes, Content("")]), id="notes")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Back", id="refuse", compact=True)
                yield Button(f"Apply to {count}", id="accept", variant="primary", compact=True)
        yield KeyFooter()

    def _head(self, changed: Sequence[str]) -> Content:
        what = count_text(self._differences) or "Repairs the users"
        where = ", ".join(printable(name) for name in changed)
        return Content.styled(what, "bold") + Content.styled(
            f" on {where}. nginx is reloaded; nothing is interrupted.", "$text-muted"
        )

    def on_mount(self) -> None:
        """Focus the button that applies."""
        self.set_focus(self.query_one("#accept"))

    def action_view(self) -> None:
        """Show each file in turn, then the summary again."""
        self._place += 1
        if self._place >= len(self._files):
            self._place = -1
        self.set_class(self._place >= 0, "-files")
        if self._place >= 0:
            self.query_one(DiffView).show(self._files[self._place])
            self.set_focus(self.query_one(DiffView))
        else:
            self.set_focus(self.query_one("#accept"))

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "accept")

    def action_accept(self) -> None:
        """Apply, wherever the focus is."""
        self.dismiss(True)

    def action_refuse(self) -> None:
        """Go back."""
        self.dismiss(False)


def _files_of(plan: UsersPlan) -> list[Shown]:
    """Return every distinct change of a file, with the servers it is for."""
    servers: dict[tuple[str, str | None, str | None], list[str]] = {}
    for server in plan.servers:
        for change in server.changes:
            if change.kind is Kind.FILE:
                key = (change.subject, change.before, change.after)
                servers.setdefault(key, []).append(server.server)
    return [
        Shown(path, f"on {', '.join(names)}", "", path, before, after)
        for (path, before, after), names in servers.items()
    ]


class ProgressDialog(Dialog[ApplyReport | None]):
    """Changes the users on all servers and shows the progress of each.

    Closes by itself if all succeed; otherwise it says what happened.

    Args:
        users_on_servers: Changes the users.
        plan: The plan of the change.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("users_apply")
    DEFAULT_CSS = """
    ProgressDialog > .dialog--box { width: 104; }
    ProgressDialog #rows { height: auto; max-height: 12; margin-bottom: 1; }
    ProgressDialog #outcome { height: auto; margin-bottom: 1; }
    """

    def __init__(self, users_on_servers: UsersOnServers, plan: UsersPlan) -> None:
        super().__init__()
        self._users_on_servers = users_on_servers
        self._plan = plan
        self._servers = {each.server: ServerProgress(each.server) for each in plan.servers}
        for each in plan.servers:
            if not each.has_changes:
                self._servers[each.server].end("unchanged", "no changes")
        self._report: ApplyReport | None = None
        self._has_ended = False

    def compose(self) -> ComposeResult:
        width = min(30, max((len(name) for name in self._servers), default=0))
        with Vertical(classes="dialog--box") as box:
            box.border_title = "Changing the users"
            with VerticalScroll(id="rows", can_focus=False):
                for progress in self._servers.values():
                    yield ServerRow(progress, width)
            yield Static("", id="outcome")
            with Horizontal(classes="dialog--buttons"):
                yield Button("Stop and undo", id="stop", variant="error", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Start the change."""
        self.set_interval(0.1, self._pump)
        self._change()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer to stop while the change is running, and to close once it has ended."""
        if action == "stop":
            return not self._has_ended
        return self._has_ended if action == "refuse" else True

    def action_stop(self) -> None:
        """Stop, and roll back all servers."""
        self.query_one("#outcome", Static).update("Stopping and undoing the change…")
        self._users_on_servers.stop_change()

    def _pump(self) -> None:
        for event in self._users_on_servers.events():
            self._take(event)
        for row in self.query(ServerRow):
            row.refresh()

    def _take(self, event: Event) -> None:
        progress = self._servers.get(event.server)
        if progress is None:
            return
        match event:
            case StepBegan():
                progress.begin_step(event.step)
            case Staged():
                progress.words = "Ready, waiting"
            case Committed():
                progress.words = "Changed, waiting"
            case RunEnded(status=RunStatus.DONE):
                progress.end("done", "done")
            case RunEnded():
                progress.end("bad", event.message or event.status.label)

    @work
    async def _change(self) -> None:
        report, failure = None, None
        try:
            report = await in_thread(lambda: self._users_on_servers.change(self._plan))
        except MoorageError as error:
            failure = error
        self._pump()
        self._has_ended = True
        self._report = report
        if report is not None and report.is_good:
            self.dismiss(report)
            return
        for each in report.servers if report else ():
            if not each.is_good:
                self._servers[each.server].end("bad", each.message or each.status.label)
        self.query_one("#outcome", Static).update(_describe_outcome(report, failure))
        button = self.query_one("#stop", Button)
        button.label, button.variant = "Close", "primary"
        button.focus()
        self.refresh_bindings()

    @on(Button.Pressed)
    def _pressed(self) -> None:
        if self._has_ended:
            self.dismiss(self._report)
        else:
            self.action_stop()

    def action_refuse(self) -> None:
        """Close, once the change has ended."""
        if self._has_ended:
            self.dismiss(self._report)


def _describe_outcome(report: ApplyReport | None, error: MoorageError | None) -> Content:
    """Return what happened, and the state of the servers now."""
    if report is None:
        return Content.styled("✗ Nothing was changed. ", "bold $text-error") + Content(
            printable(describe_error(error) if error else "")
        )
    failed = [each for each in report.servers if not each.is_good]
    rolled_back = [each.server for each in failed if each.status.is_rolled_back]
    culprits = [each for each in failed if each.server not in rolled_back]
    changed = [each.server for each in report.servers if each.status is RunStatus.DONE]
    lines = [
        Content.styled(f"✗ {printable(each.server)}: ", "bold $text-error")
        + Content(printable(each.message or each.status.label))
        for each in culprits
    ]
    if rolled_back:
        names = ", ".join(printable(name) for name in rolled_back)
        lines.append(Content(f"Rolled back: {names}."))
    if changed:
        names = ", ".join(printable(name) for name in changed)
        lines.append(Content(f"Changed: {names}. The other servers are outdated."))
    lines.append(Content("Your changes are kept. Fix the problem and try again."))
    return Content("\n").join(lines)


class GeneratedPasswordsDialog(Dialog[None]):
    """Shows generated passwords once; asks before it closes if one was not copied.

    Args:
        passwords: The passwords, by user.
        domain: The registry's name.
    """

    BINDINGS: ClassVar[list[BindingType]] = bindings("generated_passwords")
    DEFAULT_CSS = """
    GeneratedPasswordsDialog.-single CopyBlock Button { display: none; }
    """

    def __init__(self, passwords: Mapping[str, Secret], domain: str) -> None:
        super().__init__()
        self._passwords = passwords
        self.set_class(len(passwords) > 2, "-tall")
        self.set_class(len(passwords) == 1, "-single")
        self._domain = domain

    def compose(self) -> ComposeResult:
        many = len(self._passwords) > 1
        with Vertical(classes="dialog--box") as box:
            box.border_title = "New passwords" if many else "New password"
            yield Static(
                f"Valid on {self._domain} from now on, and shown only once: Moorage keeps no copy. "
                "Some terminals block the clipboard: paste to check that it worked.",
                classes="dialog--text",
                markup=False,
            )
            with VerticalScroll(classes="dialog--body", can_focus=False):
                for name, secret in self._passwords.items():
                    yield CopyBlock(f"Password of {printable(name)}", secret.reveal(), secret)
            with Horizontal(classes="dialog--buttons"):
                yield Button("Copy all" if many else "Copy", id="copy-all", compact=True)
                yield Button("Close", id="refuse", variant="primary", compact=True)
        yield KeyFooter()

    def on_mount(self) -> None:
        """Focus the button that copies."""
        self.set_focus(self.query_one("#copy-all"))

    def action_copy_all(self) -> None:
        """Copy the password, or all passwords with their users."""
        if len(self._passwords) == 1:
            text = next(iter(self._passwords.values())).reveal()
        else:
            text = "\n".join(
                f"{name}\t{secret.reveal()}" for name, secret in self._passwords.items()
            )
        self.app.copy_to_clipboard(text)
        for block in self.query(CopyBlock):
            block.is_copied = True
        relabel(self.query_one("#copy-all", Button), "Copied")

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "copy-all":
            self.action_copy_all()
        elif event.button.id == "refuse":
            self.action_refuse()

    def action_refuse(self) -> None:
        """Close, after a question if a password was not copied."""
        left = [block for block in self.query(CopyBlock) if not block.is_copied]
        if left:
            self._confirm_closing(len(left))
        else:
            self.dismiss(None)

    @work
    async def _confirm_closing(self, left: int) -> None:
        what = "A password was" if left == 1 else f"{left} passwords were"
        dialog = ConfirmDialog(
            "Not copied yet",
            f"{what} not copied. Moorage cannot show {'it' if left == 1 else 'them'} again.",
            "Close without copying",
            careful=True,
        )
        if await self.app.push_screen_wait(dialog):
            self.dismiss(None)
