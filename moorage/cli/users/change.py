"""Change the users: show and confirm the change, run it, report it, update the answers file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.output import Output
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.answers.secrets import PasswordReference, Secret
    from moorage.cli.passwords import PasswordOutput
    from moorage.cli.users.open_users import Arguments, OpenUsers
    from moorage.deploy.run.report import ApplyReport
    from moorage.deploy.users.change import UsersPlan
    from moorage.desired.users import RegistryUser
    from moorage.users.answers_sync import AnswersSync
    from moorage.users.describe import UserDifference

_Function = TypeVar("_Function", bound=Callable[..., Any])

_CANCELLING = (
    "Cancelling: servers that have not changed keep their users, the others restore them. "
    "Press Ctrl-C again to exit without waiting."
)


@dataclass(frozen=True)
class NewUsers:
    """The users after an edit.

    Attributes:
        users: All users.
        add_to_file: New users to list in the answers file.
        generated: Generated passwords, by user.
        reference: The reference of the new password, if it has one.
        details: Further values for the JSON result.
        lines: Messages to show with the change.
    """

    users: tuple[RegistryUser, ...]
    add_to_file: tuple[str, ...] = ()
    generated: Mapping[str, Secret] = field(default_factory=dict)
    reference: PasswordReference | None = None
    details: Mapping[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


Edit = Callable[["OpenUsers", tuple["RegistryUser", ...]], NewUsers]
"""Returns the new users, from the current ones."""


@dataclass(frozen=True)
class ChangeOptions:
    """The options of every change."""

    yes: bool
    without_unreached: bool
    source: str | None
    no_save: bool


def change_options(function: _Function) -> _Function:
    """Add the options of every change; :func:`take_change_options` reads them."""
    decorators = (
        click.option("--yes", is_flag=True, help="Do not ask for confirmation."),
        click.option(
            "--without-unreached",
            is_flag=True,
            help="Continue although a server is unreachable; it misses this change, and the next "
            "one fixes it.",
        ),
        from_option,
        click.option("--no-save", is_flag=True, help="Do not update FILE."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


from_option = click.option(
    "--from",
    "source",
    metavar="HOST",
    help="The server with the right users, if they were edited by hand and differ.",
)


def take_change_options(options: dict[str, Any]) -> ChangeOptions:
    """Remove the options of :func:`change_options` from a command's options and return them."""
    names = ("yes", "without_unreached", "source", "no_save")
    return ChangeOptions(*(options.pop(name) for name in names))


def change(
    arguments: Arguments, chosen: ChangeOptions, edit: Edit, passwords: PasswordOutput | None = None
) -> int:
    """Change the users of a deployment.

    Args:
        arguments: The command's arguments.
        chosen: The options.
        edit: Returns the new users.
        passwords: The destination of generated passwords.

    Returns:
        The exit code.
    """
    from moorage.cli.confirmation import require_confirmation
    from moorage.cli.users.open_users import open_users
    from moorage.deploy.users.change import plan_change
    from moorage.errors import ServersFailed

    output = arguments.output
    require_confirmation(output, chosen.yes, "Add --yes to change the users without being asked.")
    with open_users(arguments) as opened:
        if opened.read.unreached and not chosen.without_unreached:
            # Before the operator types a password.
            output.message(
                "Nothing was changed, because a server is unreachable. Use --without-unreached to "
                "continue without it."
            )
            raise ServersFailed(opened.read.unreached)
        opened.report_manual_edits()
        before = opened.users(chosen.source)
        new = edit(opened, before)
        opened.runner.deployment.redactor.add(*new.generated.values())
        plan = plan_change(opened.read, new.users, without_unreached=chosen.without_unreached)
        if passwords is not None:
            passwords.check(new.generated)
        return _confirm_and_run(opened, chosen, _Change(before, new, plan), passwords)


@dataclass(frozen=True)
class _Change:
    before: tuple[RegistryUser, ...]
    new: NewUsers
    plan: UsersPlan

    @property
    def differences(self) -> list[UserDifference]:
        from moorage.users.describe import differences

        return differences(self.before, self.new.users, self.new.generated)


def _confirm_and_run(
    opened: OpenUsers, chosen: ChangeOptions, this: _Change, passwords: PasswordOutput | None
) -> int:
    from moorage.cli.users.view import change_lines
    from moorage.users.describe import names_text

    output = opened.arguments.output
    if not output.as_json:
        for line in change_lines(this.differences, this.plan, this.new.lines):
            output.message(*line)
    if this.plan.has_changes and not chosen.yes:
        where = "all servers"
        if this.plan.left_out:
            where = f"all servers but {', '.join(this.plan.left_out)}"
        # The changes above may have scrolled out of sight.
        names = names_text(this.differences)
        question = f"Change the users of {where} ({names})?" if names else f"Repair {where}?"
        if not opened.runner.asker.confirm(question):
            output.message("Nothing was changed.")
            return ExitCode.FAILED
    try:
        report = _run(opened, this, passwords)
        return _report(opened, chosen, this, report, passwords)
    finally:
        if passwords is not None:
            passwords.show(output)


def _run(opened: OpenUsers, this: _Change, passwords: PasswordOutput | None) -> ApplyReport:
    from moorage.cli.errors import WasInterruptedError

    runner = opened.runner
    if passwords is not None:
        passwords.store(this.new.generated)

    def cancel() -> None:
        runner.message(_CANCELLING)
        runner.deployment.abort()

    try:
        report = runner.run(lambda: runner.operations.change_users(this.plan), cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: Moorage told the servers to stop, but did not wait for them.",
            advice="'moorage users list' shows their status.",
        ) from error
    if passwords is not None:
        passwords.discard_unused(report)
    return report


def _report(
    opened: OpenUsers,
    chosen: ChangeOptions,
    this: _Change,
    report: ApplyReport,
    passwords: PasswordOutput | None,
) -> int:
    from moorage.cli.report_view import report_as_json, report_lines
    from moorage.cli.users.view import changes_as_json
    from moorage.deploy.run.report import ADVICE_OF_USERS
    from moorage.users.answers_sync import AnswersSync

    output = opened.arguments.output
    left_out = this.plan.left_out
    code = report.exit_code
    if code == ExitCode.DONE and left_out:
        code = ExitCode.PARTLY_DONE
    synced = _sync(opened, chosen, this) if report.is_good else AnswersSync()
    if synced.failure is not None and code == ExitCode.DONE:
        code = ExitCode.FAILED
    if opened.runner.main_thread.is_interrupted and not report.is_good:
        code = ExitCode.INTERRUPTED
    if output.as_json:
        output.emit(
            {
                "exit_code": int(code),
                "changes": changes_as_json(this.differences),
                "servers": report_as_json(report, ADVICE_OF_USERS),
                "left_out": list(left_out),
                "generated": passwords.users if passwords else [],
                "saved": str(opened.arguments.file) if synced.is_saved else None,
                **this.new.details,
            }
        )
        return code
    for line in report_lines(report, ADVICE_OF_USERS):
        output.data(*line)
    for label in left_out:
        output.data(("✗  ", "red"), f"{label}  outdated: unreachable; the next change fixes it")
    return code


def _sync(opened: OpenUsers, chosen: ChangeOptions, this: _Change) -> AnswersSync:
    """Update the answers file and print the result."""
    from moorage.users.answers_sync import UsersChange, sync_answers

    output, new = opened.arguments.output, this.new
    file = None if chosen.no_save else opened.arguments.file
    change = UsersChange(
        this.before, new.users, new.add_to_file, new.reference, this.plan.revisions
    )
    synced = sync_answers(opened.runner.deployment.answers.registry.domain, file, change)
    if file is None:
        _warn_about_answers(output, opened, this)
    if synced.failure is not None:
        output.message(("Warning: ", "bold yellow"), str(synced.failure))
    for notice in synced.notices:
        output.message(notice)
    return synced


def _warn_about_answers(output: Output, opened: OpenUsers, this: _Change) -> None:
    """Warn that applying answers without this change would undo it."""
    declared = opened.read.latest.declared
    names = [each.name for each in this.differences if each.name in declared]
    if names:
        which = str(opened.arguments.file or "The answers file that was applied last")
        output.message(
            f"{which} lists {', '.join(names)}: applying it undoes this change, except for "
            "passwords with {generate: true}."
        )
