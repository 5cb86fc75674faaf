"""``moorage apply``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    answers_argument,
    limit_option,
    passwords_options,
    server_options,
    session_of,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.cli.deployment import Engine
    from moorage.cli.passwords import PasswordSink
    from moorage.cli.registry_name import NameWork
    from moorage.deploy.acceptance import Accepted
    from moorage.deploy.operations import Outcome
    from moorage.deploy.plan import Plan
    from moorage.deploy.report import ApplyReport

_CANCELLING = (
    "Cancelling: each server stops before its next step, and its files and services go back to how "
    "they were; installed packages stay. Servers that have been switched already stay switched. "
    "Ctrl-C again ends Moorage without waiting for them."
)

_EXAMPLES = """\b
Examples:
  moorage apply moorage.yml
  moorage apply moorage.yml --yes --json --passwords-to passwords.txt
"""


@click.command("apply", epilog=_EXAMPLES)
@answers_argument
@click.option("--yes", is_flag=True, help="Do not ask before anything is changed.")
@limit_option
@click.option(
    "--no-verify", is_flag=True, help="Do not check the registry from outside afterwards."
)
@click.option(
    "--skip-large-upload", is_flag=True, help="Leave out the check that sends over 100 MB."
)
@passwords_options
@click.option(
    "--replace-records",
    is_flag=True,
    help="Replace DNS records of the registry's name that this deployment did not make.",
)
@click.option(
    "--accept-removals",
    is_flag=True,
    help="Remove users although FILE is older than they are.",
)
@click.option(
    "--accept-regained",
    is_flag=True,
    help="Give users back what was taken from them after FILE was written.",
)
@click.option(
    "--begin-empty",
    is_flag=True,
    help="Begin with an empty store where the images are in another one.",
)
@click.option(
    "--end-transfers",
    is_flag=True,
    help="Cut off transfers on the slot that is needed instead of waiting for them.",
)
@click.option("--no-save", is_flag=True, help="Leave FILE as it is.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    yes: bool,
    limit: tuple[str, ...],
    no_verify: bool,
    skip_large_upload: bool,
    passwords_to: Path | None,
    show_passwords: bool,
    replace_records: bool,
    accept_removals: bool,
    accept_regained: bool,
    begin_empty: bool,
    end_transfers: bool,
    no_save: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Bring the servers to what the answers say.

    Shows the plan, asks, changes the servers, checks the registry from outside, and reports. It
    installs packages and writes below /etc/moorage, /etc/nginx, /etc/systemd/system and
    /var/lib/moorage. With a DNS provider that can write, it then makes the registry's DNS records,
    unless --limit leaves servers out. A failure on a server rolls that server back. Applying the
    same answers again changes nothing.

    FILE gets a line based_on: the revision of the deployment that it knows. What others changed
    since is told. Without a terminal users who came later are removed only with --accept-removals,
    and those who were removed, disabled or limited later, or got another password, get back what
    they had only with --accept-regained.

    Ctrl-C cancels: servers that have not been switched go back to how they were. A second one does
    not wait for that, and 'moorage status FILE --follow' finds the runs again.

    Without a terminal --yes is needed, unknown host keys are refused unless --accept-host-key
    names them, and passwords that are made need --passwords-to or --show-passwords. With --json,
    stdout has one event a line, and the last line is the result.
    """
    from moorage.cli.acceptance import accept, note_base, plan_with_others
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine
    from moorage.cli.errors import WrongUsageError
    from moorage.cli.passwords import PasswordSink
    from moorage.cli.registry_name import NameWork
    from moorage.deploy.acceptance import Accepted

    session = session_of(context)
    session.is_stream = session.as_json
    # First of all: whoever mistyped the file's name is not helped by another option.
    answers = open_answers(session, file)
    if not yes and not session.is_interactive:
        raise WrongUsageError(
            "There is no terminal to ask for confirmation.",
            advice="Add --yes to apply without being asked; 'moorage plan FILE' shows what it "
            "does.",
        )
    passwords = PasswordSink.choose(session, passwords_to, show_passwords)
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        engine.operations.look_up_name()
        name = NameWork.begin(engine, is_limited=bool(limit))
        accepted = Accepted(begin_empty=begin_empty, end_transfers=end_transfers)
        asks = session.is_interactive and not yes
        saves = not no_save and file.is_file()
        answers, plan = plan_with_others(engine, file, answers, asks=asks and saves)
        name.find(plan)
        _show(engine, plan, name)
        passwords.check(plan.materials.generated)
        name.may_begin(yes=yes, replace=replace_records)
        if plan.has_changes or name.has_changes:
            said = accept(
                engine,
                plan,
                accepted,
                asks=asks,
                all_removals=accept_removals,
                all_regained=accept_regained,
            )
            if said is None:
                session.narrate("Nothing was changed.")
                return ExitCode.FAILED
            accepted = said
        try:
            report = _run(engine, plan, accepted, passwords)
            if saves and report.revision:
                answers = note_base(session, file, answers, report.revision)
            outcome = _finish(engine, verifies=not no_verify, large_upload=not skip_large_upload)
            code = _hand_over(engine, plan, outcome, passwords)
            if code == ExitCode.DONE:
                _remember(file, answers, is_whole=not limit)
            return code
        finally:
            passwords.show(session)


def _remember(file: Path, answers: Answers, *, is_whole: bool) -> None:
    """Put the deployment on the list the wizard starts with; an apply never fails for that."""
    from moorage.answers.save import dump
    from moorage.recents import applied_file, remember
    from moorage.state import write_private

    domain = answers.registry.domain
    with suppress(OSError, RuntimeError):
        if file.is_file():
            remember(file, domain, state="applied")
        if is_whole:
            write_private(applied_file(domain), dump(answers).encode())


def _show(engine: Engine, plan: Plan, name: NameWork) -> None:
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.errors import ServersFailed

    session = engine.session
    if session.as_json:
        session.emit({"event": "plan", **plan_as_json(plan, with_diff=False), **name.as_json()})
    else:
        for line in (*name.lines(), *plan_lines(plan, with_diff=False)):
            session.narrate(*line)
    if plan.problems:
        raise ServersFailed(plan.problems)


def _run(engine: Engine, plan: Plan, accepted: Accepted, passwords: PasswordSink) -> ApplyReport:
    from moorage.cli.errors import WasInterruptedError

    passwords.take(plan.materials.generated)
    engine.operations.accepted = accepted

    def cancel() -> None:
        engine.narrate(_CANCELLING)
        engine.operations.abort()

    try:
        outcome = engine.do(engine.operations.run, cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: the runs were told to stop and are left to themselves.",
            advice="'moorage status FILE --follow' shows them or how they ended.",
        ) from error
    assert outcome.report is not None
    passwords.settle(outcome.report)
    return outcome.report


def _finish(engine: Engine, *, verifies: bool, large_upload: bool) -> Outcome:
    operations = engine.operations
    if engine.desk.is_interrupted:
        assert operations.outcome is not None
        return operations.outcome
    return engine.do(
        lambda: operations.finish(verifies=verifies, large_upload=large_upload),
        operations.skip_checks,
    )


def _hand_over(engine: Engine, plan: Plan, outcome: Outcome, passwords: PasswordSink) -> int:
    from moorage.cli import report_view
    from moorage.cli.registry_name import change_as_json, change_lines

    report, checks, name = outcome.report, outcome.verification, outcome.name
    assert report is not None
    code = ExitCode.INTERRUPTED if engine.desk.is_interrupted else outcome.exit_code
    session = engine.session
    if session.as_json:
        session.emit(
            {
                "event": "result",
                "exit_code": int(code),
                "summary": plan.summary,
                "servers": report_view.report_as_json(report),
                "checks": report_view.verification_as_json(checks) if checks else None,
                "generated": passwords.users,
                "passwords_file": str(passwords.written_to) if passwords.written_to else None,
                **report_view.handover_as_json(engine.operations.handover(), serves=report.serves),
                **change_as_json(name),
            }
        )
        return code
    lines = [*report_view.report_lines(report)]
    if checks is not None:
        lines += [("",), *report_view.verification_lines(checks)]
    lines += change_lines(name)
    if code == ExitCode.DONE:
        lines += [("",), *report_view.handover_lines(engine.operations.handover())]
    for line in lines:
        session.data(*line)
    return code
