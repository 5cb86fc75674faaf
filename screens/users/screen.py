"""Users: manage who can log in; changes are staged, shown, then applied to all servers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.binding import BindingType

from moorage.deploy.run.report import ApplyReport
from moorage.deploy.users.change import UsersPlan, UsersRead, plan_change
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.rows import Action
from moorage.servers.run_results import RunStatus
from moorage.users import edits
from moorage.users.describe import count_text
from moorage.users.edits import WrongUserError
from moorage.users.on_servers import UsersStatus
from moorage.users.passwords import Scheme, hash_password
from screens.users import change_dialogs, import_dialogs, user_dialogs
from screens.users.servers import UsersOnServers
from screens.users.staging import Edit, StagedChange
from screens.users.view import UsersView
from tui.actions import bindings
from tui.labels import describe_error
from tui.messages import BackRequested, UsersChanged
from tui.tasks import in_thread
from tui.widgets.dialog import ConfirmDialog, NoteDialog
from tui.widgets.find_field import FindField

_OF_THE_TABLE = {"apply", "undo", "add", "password", "access", "disable", "enable", "remove",
                 "import_users", "find", "sort"}  # fmt: skip


class UsersScreen(UsersView):
    """Adds, changes and removes users.

    Args:
        users_on_servers: Reads and changes them.
        domain: The registry's name.
    """

    help_text = (
        "The users who can log in, as read from the servers. Changes are staged: nothing happens "
        "on a server until you press Enter, check what will change and apply it to all servers at "
        "once. If one server fails, the others are rolled back.\n\n"
        "Access: push can push, pull and delete; pull can only pull; both for all repositories or "
        "for some. A disabled user cannot log in and keeps the password.\n\n"
        "An outdated server missed a change; the next change fixes it. A modified server was "
        "edited by hand; the next change overwrites it. While a run is in progress on a server, "
        "no users can be changed: read again when it has ended."
    )
    BINDINGS: ClassVar[list[BindingType]] = bindings("users")

    def __init__(self, users_on_servers: UsersOnServers, domain: str) -> None:
        super().__init__(users_on_servers, domain)
        self._hashing = 0
        self._is_planning = False

    def _show_error(self, title: str, error: MoorageError) -> None:
        self.app.push_screen(NoteDialog(title, printable(describe_error(error))))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the actions that apply to the row and the changes; none of them while typing."""
        if self._is_planning and action in {*_OF_THE_TABLE, "back", "read"}:
            return False  # the preview shows the changes staged until now
        if self.is_finding or action == "found":
            return action not in _OF_THE_TABLE and self.is_finding
        row = self.table.row if self.is_mounted else None
        is_selected = row is not None and row.action is not Action.REMOVE
        is_disabled = row is not None and row.user.disabled
        offered = {
            **dict.fromkeys(("password", "access", "remove"), is_selected),
            "disable": is_selected and not is_disabled,
            "enable": is_selected and is_disabled,
            **dict.fromkeys(("add", "import_users"), self.users_read is not None),
            "undo": self.has_staged,
            "apply": self.has_staged or self._needs_repair,
        }
        return offered.get(action, True)

    @property
    def _needs_repair(self) -> bool:
        statuses = self.users_read.statuses.values() if self.users_read else ()
        return any(status in {UsersStatus.OUTDATED, UsersStatus.MODIFIED} for status in statuses)

    # --- staging -------------------------------------------------------------------------

    def _stage(self, change: StagedChange, name: str = "") -> None:
        self.say("")
        try:
            self.staging.add(change)
        except WrongUserError as error:
            self._show_error("Not possible", error)
        self.show_users(name)

    async def _stage_password(
        self,
        summary: str,
        name: str,
        password: user_dialogs.Password,
        edit: Callable[[str], Edit],
        *,
        is_new: bool = False,
    ) -> None:
        """Hash a password in a thread, because that is slow, then stage a change with the hash."""
        assert self.users_read is not None
        scheme: Scheme = self.users_read.scheme
        generated = {name: password.secret} if password.is_generated else {}
        listed = (name,) if is_new else ()

        def change() -> StagedChange:
            hashed = hash_password(password.secret, scheme)
            return StagedChange(summary, edit(hashed), generated, listed)

        self._hashing += 1
        try:
            staged = await in_thread(change)
        except MoorageError as error:
            self._show_error("Password", error)
            return
        finally:
            self._hashing -= 1
        self._stage(staged, name if is_new else "")

    @work
    async def action_add(self) -> None:
        """Ask for a new user."""
        new = await self.app.push_screen_wait(user_dialogs.NewUserDialog(self.staging.users))
        if isinstance(new, RegistryUser):
            self.show_all(new.name)
        elif new is not None:
            await self._stage_new(new)

    async def _stage_new(self, new: user_dialogs.NewUser) -> None:
        def edit(value: str) -> Edit:
            user = RegistryUser(new.name, value, new.access, new.repositories)
            return functools.partial(edits.add, user=user)

        await self._stage_password(f"add {new.name}", new.name, new.password, edit, is_new=True)

    @work
    async def action_password(self) -> None:
        """Ask for a new password."""
        user = self._chosen()
        password = await self.app.push_screen_wait(user_dialogs.PasswordDialog(user))
        if password is None:
            return

        def edit(value: str) -> Edit:
            return functools.partial(edits.set_password, name=user.name, value=value)

        await self._stage_password(f"password of {user.name}", user.name, password, edit)

    @work
    async def action_access(self) -> None:
        """Ask for new access and repositories."""
        user = self._chosen()
        new = await self.app.push_screen_wait(user_dialogs.AccessDialog(user))
        if new is not None:
            edit = functools.partial(
                edits.set_access, name=user.name, access=new.access, repositories=new.repositories
            )
            self._stage(StagedChange(f"access of {user.name}", edit), user.name)

    def action_disable(self) -> None:
        """Disable the selected user."""
        self._stage_disabled("disable", disabled=True)

    def action_enable(self) -> None:
        """Enable the selected user."""
        self._stage_disabled("enable", disabled=False)

    def _stage_disabled(self, word: str, *, disabled: bool) -> None:
        user = self._chosen()
        edit = functools.partial(edits.set_disabled, names=(user.name,), disabled=disabled)
        self._stage(StagedChange(f"{word} {user.name}", edit), user.name)

    def action_remove(self) -> None:
        """Remove the selected user."""
        user = self._chosen()
        edit = functools.partial(edits.remove, names=(user.name,))
        self._stage(StagedChange(f"remove {user.name}", edit), user.name)

    def action_undo(self) -> None:
        """Undo the last staged change."""
        undone = self.staging.undo()
        self.say(f"Undone: {undone}")
        self.show_users()

    def _chosen(self) -> RegistryUser:
        row = self.table.row
        assert row is not None  # check_action offers these actions only with a row
        return row.user

    # --- import --------------------------------------------------------------------------

    @work
    async def action_import_users(self) -> None:
        """Import users from an htpasswd file."""
        assert self.users_read is not None
        reached = [user_list.server for user_list in self.users_read.user_lists]
        source = await self.app.push_screen_wait(import_dialogs.ImportDialog(reached))
        if source is None:
            return
        users = self.staging.users
        self.say("Reading the file…")
        try:
            preview = await in_thread(
                lambda: import_dialogs.read_import(source, users, self.users_on_servers)
            )
        except MoorageError as error:
            self._show_error("Import users", error)
            return
        finally:
            self.say("")
        if await self.app.push_screen_wait(import_dialogs.ImportPreviewDialog(preview)):
            self._stage(StagedChange(f"import from {preview.source.path}", preview.edit))

    # --- applying ------------------------------------------------------------------------

    @work
    async def action_apply(self) -> None:
        """Show what will change, and apply it."""
        read = self.users_read
        if read is None or self._hashing or self.is_reading:
            self.say("Please wait: still reading the servers or hashing a password")
            return
        if read.unreached and not await self.app.push_screen_wait(_left_out(read)):
            return
        plan = await self._plan(read)
        if plan is None:
            return
        if not plan.has_changes:
            self.say("No changes: the servers already match")
            return
        notes = [
            f"{server} was edited by hand; this change overwrites it"
            for server, status in read.statuses.items()
            if status is UsersStatus.MODIFIED
        ]
        notes += [
            f"{server} will not get this change now; the next change brings it up to date"
            for server in plan.left_out
        ]
        changes = change_dialogs.ChangesDialog(self.staging.differences, plan, notes)
        if not await self.app.push_screen_wait(changes):
            return
        progress = change_dialogs.ProgressDialog(self.users_on_servers, plan)
        report = await self.app.push_screen_wait(progress)
        self.action_read()
        if report is not None and report.is_good:
            self._applied(report, plan)

    async def _plan(self, read: UsersRead) -> UsersPlan | None:
        users = self.staging.users
        self._is_planning = True
        self.refresh_bindings()
        try:
            return await in_thread(
                lambda: plan_change(read, users, without_unreached=bool(read.unreached))
            )
        except MoorageError as error:
            self._show_error("Users", error)
            return None
        finally:
            self._is_planning = False
            self.refresh_bindings()

    def _applied(self, report: ApplyReport, plan: UsersPlan) -> None:
        passwords, staging = self.staging.generated_passwords, self.staging
        self.post_message(UsersChanged(staging.base, staging.users, staging.listed, plan.revisions))
        count = sum(1 for each in report.servers if each.status is RunStatus.DONE)
        staging.clear()
        self.say(f"✓ Changed on {count} server{'s' if count != 1 else ''}.")
        for each in report.servers:
            for warning in each.warnings:
                self.say(f"{each.server}: {warning}", warns=True, more=True)
        if passwords:
            self.app.push_screen(change_dialogs.GeneratedPasswordsDialog(passwords, self.domain))

    # --- leaving -------------------------------------------------------------------------

    def action_back(self) -> None:
        """Show all users again, or leave; asks if changes are staged."""
        if self.query_one(FindField).is_open:
            self.show_all()
            return
        self.ask_to_leave(lambda: self.post_message(BackRequested()))

    @property
    def leave_question(self) -> tuple[str, str] | None:
        """The question whether staged changes are given up."""
        if not self.has_staged:
            return None
        what = count_text(self.staging.differences) or "The changes"
        return "Not applied yet", f"{what}, but not applied to any server."


def _left_out(read: UsersRead) -> ConfirmDialog:
    """Return the question whether to continue without the unreachable servers."""
    names = ", ".join(printable(error.server or "a server") for error in read.unreached)
    why = "\n".join(printable(describe_error(error)) for error in read.unreached)
    them = "it" if len(read.unreached) == 1 else "them"
    return ConfirmDialog(
        f"{names} cannot be reached",
        f"{why}\n\nNothing has been changed. If you continue without {names}, the next change "
        f"brings {them} up to date. Until then, access you revoke still works there.",
        f"Continue without {them}",
        careful=True,
    )
