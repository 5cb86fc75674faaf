"""``moorage certificate``: what is served, and replacing a certificate of your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, limit_option, server_options, session_of
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.deployment import Engine
    from moorage.cli.session import Session
    from moorage.deploy.certificate import Replacement


_EXAMPLES = """\b
Examples:
  moorage certificate show moorage.yml
  moorage certificate replace moorage.yml --certificate fullchain.pem --key privkey.pem
"""


@click.group("certificate", epilog=_EXAMPLES)
def command() -> None:
    """Show the certificate clients see, or replace one of your own.

    show changes nothing; replace changes the certificate on the servers and nothing else.
    """


@command.command("show")
@answers_argument
@limit_option
@server_options
@click.pass_context
def show(
    context: click.Context,
    *,
    file: Path,
    limit: tuple[str, ...],
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Show the certificate of each server: the one it has, and the one it shows.

    Names, issuer, chain, days left, and with ACME how the last renewal went. Changes nothing. Exits
    with 1 when a server shows no certificate, or another than it has.
    """
    from moorage.cli import certificate_view
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine
    from moorage.deploy.certificate import read_certificates

    session = session_of(context)
    answers = open_answers(session, file)
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        engine.asker.asks_for_logins_only = True
        found = engine.look(lambda: read_certificates(engine.deployment))
    if session.as_json:
        session.emit({"servers": [certificate_view.as_json(each) for each in found]})
    else:
        for each in found:
            for line in certificate_view.lines(each):
                session.data(*line)
    return ExitCode.DONE if all(each.is_good for each in found) else ExitCode.FAILED


@command.command("replace")
@answers_argument
@click.option(
    "--certificate",
    metavar="PEM",
    type=click.Path(dir_okay=False),
    help="The new certificate, followed by its chain; the file in the answers without it.",
)
@click.option(
    "--key",
    metavar="PEM",
    type=click.Path(dir_okay=False),
    help="Its key, without a passphrase; the file in the answers without it.",
)
@click.option("--yes", is_flag=True, help="Do not ask before anything is changed.")
@limit_option
@server_options
@click.pass_context
def replace(
    context: click.Context,
    *,
    file: Path,
    certificate: str | None,
    key: str | None,
    yes: bool,
    limit: tuple[str, ...],
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Replace a certificate of your own on all servers (ssl.mode: files).

    Checks the new certificate first: its chain, key, names and dates. Then puts it on the servers,
    without a failed request, and looks at what each of them shows. Nothing else is changed: when
    something else waits to be applied, it says so and stops.

    At the end the files that the answers name hold the new certificate; what they held is kept
    beside them with the ending .old.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine
    from moorage.cli.errors import WrongUsageError
    from moorage.deploy.certificate import keep, with_files

    session = session_of(context)
    answers = open_answers(session, file)
    replaced = with_files(answers, certificate, key)
    if not yes and not session.is_interactive:
        raise WrongUsageError(
            "There is no terminal to ask for confirmation.",
            advice="Add --yes to replace the certificate without being asked.",
        )
    with open_engine(
        session, replaced, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        done = _replace(engine, ask=not yes)
    if done is None:
        session.narrate("Nothing was changed.")
        return ExitCode.FAILED
    if done.is_good and not limit:
        for path in keep(answers, replaced):
            session.narrate(f"{path} holds the new certificate; {path}.old what it held.")
    _report(session, done)
    return done.exit_code


def _replace(engine: Engine, *, ask: bool) -> Replacement | None:
    from moorage.cli.plan_view import plan_lines

    plan = engine.look(engine.operations.plan_replacement)
    if not engine.session.as_json:
        for line in plan_lines(plan, with_diff=False):
            engine.session.narrate(*line)
    if plan.has_changes and ask and not engine.asker.confirm("Replace the certificate?"):
        return None
    return engine.do(engine.operations.replace_certificate, engine.operations.abort)


def _report(session: Session, done: Replacement) -> None:
    from moorage.cli import certificate_view, report_view
    from moorage.cli.tables import row_line

    if session.as_json:
        session.emit(
            {
                "is_good": done.is_good,
                "fingerprint": done.expected,
                "servers": report_view.report_as_json(done.report) if done.report else [],
                "served": [certificate_view.served_as_json(each) for each in done.served],
            }
        )
        return
    if done.report is not None:
        for line in report_view.report_lines(done.report):
            session.data(*line)
    for row in done.rows:
        session.data(*row_line(row))
