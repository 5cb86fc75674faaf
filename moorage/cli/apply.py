"""``moorage apply``."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, limit_option, server_options, session_of
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.engine import Engine
    from moorage.cli.passwords import PasswordSink
    from moorage.deploy.plan import Plan
    from moorage.deploy.report import ApplyReport
    from moorage.deploy.verify import Verification

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
@click.option(
    "--passwords-to",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write passwords made by this apply to this new file, a line USER:PASSWORD each.",
)
@click.option(
    "--show-passwords",
    is_flag=True,
    help="Print passwords made by this apply on stdout, even when that is no terminal.",
)
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
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Bring the servers to what the answers say.

    Shows the plan, asks, changes the servers, checks the registry from outside, and reports. It
    installs packages and writes below /etc/moorage, /etc/nginx, /etc/systemd/system and
    /var/lib/moorage. A failure on a server rolls that server back. Applying the same answers again
    changes nothing.

    Ctrl-C cancels: servers that have not been switched go back to how they were. A second one does
    not wait for that, and 'moorage status FILE --follow' finds the runs again.

    Without a terminal --yes is needed, unknown host keys are refused unless --accept-host-key
    names them, and passwords that are made need --passwords-to or --show-passwords. With --json,
    stdout has one event a line, and the last line is the result.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.complaints import WrongUsageError
    from moorage.cli.engine import open_engine
    from moorage.cli.passwords import PasswordSink
    from moorage.deploy.handover import in_background, look_up

    session = session_of(context)
    session.is_stream = session.as_json
    if not yes and not session.is_interactive:
        raise WrongUsageError(
            "There is no terminal to ask for confirmation.",
            hint="Add --yes to apply without being asked; 'moorage plan FILE' shows what it does.",
        )
    passwords = PasswordSink.choose(session, passwords_to, show_passwords)
    answers = open_answers(session, file)
    # The name is looked up while the servers are read: name servers may take their time.
    looked_up = in_background(partial(look_up, answers.registry.domain))
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        plan = engine.look(engine.deployment.plan)
        _show(engine, plan)
        passwords.check(plan.materials.generated)
        if plan.has_changes and not yes and not engine.asker.confirm("Apply this plan?"):
            session.narrate("Nothing was changed.")
            return ExitCode.FAILED
        try:
            report = _run(engine, plan, passwords)
            verification = None
            if report.is_good and not no_verify and not engine.desk.is_interrupted:
                verification = engine.do(
                    lambda: engine.deployment.verify(plan, large_upload=not skip_large_upload),
                    engine.deployment.cancel.set,
                )
            return _hand_over(
                engine, plan, report, verification, passwords, resolves_to=looked_up()
            )
        finally:
            passwords.show(session)


def _show(engine: Engine, plan: Plan) -> None:
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.errors import ServersFailed

    session = engine.session
    if session.as_json:
        session.emit({"event": "plan", **plan_as_json(plan, with_diff=False)})
    else:
        for line in plan_lines(plan, with_diff=False):
            session.narrate(*line)
    if plan.problems:
        raise ServersFailed(plan.problems)


def _run(engine: Engine, plan: Plan, passwords: PasswordSink) -> ApplyReport:
    from moorage.cli.complaints import WasInterruptedError

    passwords.take(plan.materials.generated)

    def cancel() -> None:
        engine.narrate(_CANCELLING)
        engine.deployment.abort()

    try:
        report = engine.do(lambda: engine.deployment.apply(plan), cancel)
    except WasInterruptedError as error:
        raise WasInterruptedError(
            "Interrupted twice: the runs were told to stop and are left to themselves.",
            hint="'moorage status FILE --follow' shows them or how they ended.",
        ) from error
    if not any(each.status in {"done", "lost", "interrupted"} for each in report.servers):
        passwords.withdraw()
    return report


def _hand_over(
    engine: Engine,
    plan: Plan,
    report: ApplyReport,
    verification: Verification | None,
    passwords: PasswordSink,
    *,
    resolves_to: tuple[str, ...],
) -> int:
    from moorage.cli import report_view
    from moorage.deploy.handover import handover

    code = report.exit_code
    if verification is not None and code == ExitCode.DONE:
        code = verification.exit_code
    if engine.desk.is_interrupted:
        code = ExitCode.INTERRUPTED
    deployment = engine.deployment
    handed = handover(deployment.answers, deployment.addresses, resolves_to)
    session = engine.session
    if session.as_json:
        session.emit(
            {
                "event": "result",
                "exit_code": int(code),
                "summary": plan.summary,
                "servers": report_view.report_as_json(report),
                "checks": report_view.verification_as_json(verification) if verification else None,
                "generated": sorted(report.generated),
                "passwords_file": str(passwords.file) if passwords.file else None,
                **report_view.handover_as_json(handed),
            }
        )
        return code
    lines = [*report_view.report_lines(report)]
    if verification is not None:
        lines += [("",), *report_view.verification_lines(verification)]
    if code == ExitCode.DONE:
        lines += [("",), *report_view.handover_lines(handed)]
    for line in lines:
        session.data(*line)
    return code
