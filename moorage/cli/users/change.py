"""One change of the users: shown, confirmed, made on all servers, told, and noted in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from moorage.cli.session import Session
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.answers.secrets import PasswordReference, Secret
    from moorage.cli.passwords import PasswordSink
    from moorage.cli.users.target import Target, UsersAtWork
    from moorage.deploy.report import ApplyReport
    from moorage.deploy.users_change import UsersPlan
    from moorage.desired.users import RegistryUser
    from moorage.users.answers_sync import AnswersSync
    from moorage.users.describe import UserDifference

_Function = TypeVar("_Function", bound=Callable[..., Any])

_CANCELLING = (
    "Cancelling: a server that has not changed its users keeps them, and one that has changes them "
    "back. Ctrl-C again ends Moorage without waiting for that."
)


@dataclass(frozen=True)
class Wanted:
    """What a change is to come to.

    Attributes:
        users: The users as they should be.
        listed_too: New users whom the answers file is to list.
        generated: Passwords that were made for it, by user.
        reference: Where the new password was found, if through a reference.
        details: More for the JSON result.
        lines: What to say about it before it is made.
    """

    users: tuple[RegistryUser, ...]
    listed_too: tuple[str, ...] = ()
    generated: Mapping[str, Secret] = field(default_factory=dict)
    reference: PasswordReference | None = None
    details: Mapping[str, object] = field(default_factory=dict)
    lines: tuple[str, ...] = ()


Decide = Callable[["UsersAtWork", tuple["RegistryUser", ...]], Wanted]
"""Returns what a change is to come to, from the users as they are."""


@dataclass(frozen=True)
class HowToChange:
    """The options that every change takes."""

    yes: bool
    without_unreached: bool
    source: str | None
    no_save: bool


def change_options(function: _Function) -> _Function:
    """Add what every change takes; :func:`how_to_change` takes them out of the options again."""
    decorators = (
        click.option("--yes", is_flag=True, help="Do not ask before anything is changed."),
        click.option(
            "--without-unreached",
            is_flag=True,
            help="Go on although a server cannot be reached; it misses the change and is repaired "
            "by the next one.",
        ),
        from_option,
        click.option("--no-save", is_flag=True, help="Leave FILE as it is."),
    )
    for decorator in reversed(decorators):
        function = decorator(function)
    return function


from_option = click.option(
    "--from",
    "source",
    metavar="HOST",
    help="Where servers differ because somebody edited their users: the server that counts.",
)


def how_to_change(options: dict[str, Any]) -> HowToChange:
    """Take the options of :func:`change_options` out of a command's options."""
    names = ("yes", "without_unreached", "source", "no_save")
    return HowToChange(*(options.pop(name) for name in names))


def check_confirmation(session: Session, how: HowToChange) -> None:
    """Make sure that there is somebody to ask, or that nobody has to be asked.

    Raises:
        WrongUsageError: There is no terminal, and no ``--yes``.
    """
    from moorage.cli.errors import WrongUsageError

    if not how.yes and not session.is_interactive:
        raise WrongUsageError(
            "There is no terminal to ask for confirmation.",
            advice="Add --yes to change the users without being asked.",
        )


def change(
    target: Target, how: HowToChange, decide: Decide, passwords: PasswordSink | None = None
) -> int:
    """Change the users of a deployment.

    Args:
        target: Which deployment.
        how: The options.
        decide: Says what to change.
        passwords: Where passwords that are made go.

    Returns:
        What the process exits with.
    """
    from moorage.cli.users.target import open_users
    from moorage.deploy.users_change import plan_change
    from moorage.errors import ServersFailed

    session = target.session
    check_confirmation(session, how)
    with open_users(target) as work:
        if work.read.unreached and not how.without_unreached:
            # Before anybody types a password.
            session.narrate(
                "Nothing was changed, because not every server was reached. --without-unreached "
                "goes on without those."
            )
            raise ServersFailed(work.read.unreached)
        work.say_what_was_edited()
        before = work.users(how.source)
        wanted = decide(work, before)
        work.engine.deployment.redactor.add(*wanted.generated.values())
        plan = plan_change(work.read, wanted.users, without_unreached=how.without_unreached)
        if passwords is not None:
            passwords.check(wanted.generated)
        return _go_on(work, how, _Change(before, wanted, plan), passwords)


@dataclass(frozen=True)
class _Change:
    before: tuple[RegistryUser, ...]
    wanted: Wanted
    plan: UsersPlan

    @property
    def differences(self) -> list[UserDifference]:
        from moorage.users.describe import differences

        return differences(self.before, self.wanted.users)


def _go_on(
    work: UsersAtWork, how: HowToChange, this: _Change, passwords: PasswordSink | None
) -> int:
    from moorage.cli.users.view import change_lines
    from moorage.users.describe import names_text

    session = work.target.session
    if not session.as_json:
        for line in change_lines(this.differences, this.plan, this.wanted.lines):
            session.narrate(*line)
    if this.plan.has_changes and not how.yes:
        where = "all servers"
        if this.plan.left_out:
            where = f"all servers but {', '.join(this.plan.left_out)}"
        # What was said of them first may have scrolled out of sight by now.
        what = names_text(this.differences)
        question = f"Change the users of {where} ({what})?" if what else f"Repair {where}?"
        if not work.engine.asker.confirm(question):
            session.narrate("Nothing was changed.")
            return ExitCode.FAILED
    try:
        report = _run(work, this, passwords)
        return _tell(work, how, this, report, passwords)
    finally:
        if passwords is not None:
            passwords.show(session)


def _run(work: UsersAtWork, this: _Change, passwords: PasswordSink | None) -> ApplyReport:
    from moorage.cli.errors import WasInterruptedError

    engine = work.engine
    if passwords is not None:
        passwords.take(this.wanted.generated)

    def cancel() -> None:
        engine.narrate(_CANCELLING)
        engine.deployment.abort()

    try:
        report = engine.do(lambda: engine.operations.change_users(this.plan), cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: the servers were told to stop and are left to themselves.",
            advice="'moorage users list' shows what has become of them.",
        ) from error
    if passwords is not None:
        passwords.settle(report)
    return report


def _tell(
    work: UsersAtWork,
    how: HowToChange,
    this: _Change,
    report: ApplyReport,
    passwords: PasswordSink | None,
) -> int:
    from moorage.cli.report_view import report_as_json, report_lines
    from moorage.cli.users.view import changes_as_json
    from moorage.deploy.report import ADVICE_OF_USERS
    from moorage.users.answers_sync import AnswersSync

    session = work.target.session
    left_out = this.plan.left_out
    code = report.exit_code
    if code == ExitCode.DONE and left_out:
        code = ExitCode.PARTLY_DONE
    synced = _sync(work, how, this) if report.is_good else AnswersSync()
    if synced.failure is not None and code == ExitCode.DONE:
        code = ExitCode.FAILED
    if work.engine.desk.is_interrupted and not report.is_good:
        code = ExitCode.INTERRUPTED
    if session.as_json:
        session.emit(
            {
                "exit_code": int(code),
                "changes": changes_as_json(this.differences),
                "servers": report_as_json(report, ADVICE_OF_USERS),
                "left_out": list(left_out),
                "generated": passwords.users if passwords else [],
                "saved": str(work.target.file) if synced.is_saved else None,
                **this.wanted.details,
            }
        )
        return code
    for line in report_lines(report, ADVICE_OF_USERS):
        session.data(*line)
    for label in left_out:
        session.data(
            ("✗  ", "red"), f"{label}  outdated: it could not be reached; the next change fixes it"
        )
    return code


def _sync(work: UsersAtWork, how: HowToChange, this: _Change) -> AnswersSync:
    """Let the answers follow, and say what became of them."""
    from moorage.users.answers_sync import UsersChange, sync_answers

    session, wanted = work.target.session, this.wanted
    file = None if how.no_save else work.target.file
    change = UsersChange(
        this.before, wanted.users, wanted.listed_too, wanted.reference, this.plan.revisions
    )
    synced = sync_answers(work.engine.deployment.answers.registry.domain, file, change)
    if file is None:
        _warn_about_answers(session, work, this)
    if synced.failure is not None:
        session.narrate(("Warning: ", "bold yellow"), str(synced.failure))
    for notice in synced.notices:
        session.narrate(notice)
    return synced


def _warn_about_answers(session: Session, work: UsersAtWork, this: _Change) -> None:
    """Say whom an apply of answers that were not updated would bring back or change."""
    declared = work.read.latest.declared
    names = [each.name for each in this.differences if each.name in declared]
    if names:
        which = str(work.target.file or "The answers file that was applied last")
        session.narrate(
            f"{which} lists {', '.join(names)}: applying it as it is undoes this change for them, "
            "but for passwords that are {generate: true}."
        )
