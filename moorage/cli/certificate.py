"""``moorage certificate``: show certificates, and replace your own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    LOCAL_PATH,
    answers_argument,
    limit_option,
    output_of,
    server_options,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.deploy.certificates.certificate import Replacement
    from moorage.deploy.plan.plan import Plan


_EXAMPLES = """\b
Examples:
  moorage certificate show moorage.yml
  moorage certificate replace moorage.yml --certificate fullchain.pem --key privkey.pem
"""


@click.group("certificate", epilog=_EXAMPLES)
def command() -> None:
    """Show the certificate clients see, or replace your own.

    show changes nothing; replace changes only the certificate.
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
    """Show each server's certificate, installed and served.

    Names, issuer, chain, days left, and with ACME the last renewal. Changes nothing. Exits with 1
    if a server serves no certificate, or not the installed one.
    """
    from moorage.cli import certificate_view
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment
    from moorage.deploy.certificates.certificate import read_certificates

    output = output_of(context)
    answers = open_answers(output, file)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        runner.asker.asks_for_logins_only = True
        found = runner.query(lambda: read_certificates(runner.deployment))
    if output.as_json:
        output.emit({"servers": [certificate_view.as_json(each) for each in found]})
    else:
        for each in found:
            for line in certificate_view.lines(each):
                output.data(*line)
    return ExitCode.DONE if all(each.is_good for each in found) else ExitCode.FAILED


@command.command("replace")
@answers_argument
@click.option(
    "--certificate",
    metavar="PEM",
    type=LOCAL_PATH,
    help="The new certificate, followed by its chain. Default: the file in the answers.",
)
@click.option(
    "--key",
    metavar="PEM",
    type=LOCAL_PATH,
    help="Its key, without a passphrase. Default: the file in the answers.",
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
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
    """Replace your own certificate on all servers (ssl.mode: files).

    Checks the new certificate's chain, key, names and dates first. Then installs it without a
    failed request, and checks what each server serves. Changes nothing else: it stops if there are
    other changes to apply.

    Finally copies the new certificate to the files that the answers name, and keeps the previous
    ones with the suffix .old.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.confirmation import require_confirmation
    from moorage.cli.runner import open_deployment
    from moorage.deploy.certificates.certificate import keep, with_files

    output = output_of(context)
    answers = open_answers(output, file)
    replaced = with_files(answers, certificate, key)
    require_confirmation(output, yes, "Add --yes to replace the certificate without confirmation.")
    with open_deployment(
        output, replaced, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        plan = runner.query(runner.operations.plan_replacement)
        done = _replace(runner, plan, ask=not yes)
    if done is None:
        output.message("Nothing was changed.")
        return ExitCode.FAILED
    if done.is_good and not limit:
        for path in keep(answers, replaced):
            output.message(f"{path} is the new certificate, {path}.old the previous one.")
    _report(output, plan, done)
    return done.exit_code


def _replace(runner: Runner, plan: Plan, *, ask: bool) -> Replacement | None:
    from moorage.cli.plan_view import consequence_lines, plan_lines

    if runner.output.as_json:
        lines = consequence_lines(plan, plan.destructive)
    else:
        lines = plan_lines(plan, with_diff=False)
    for line in lines:
        runner.output.message(*line)
    if plan.has_changes and ask and not runner.asker.confirm("Replace the certificate?"):
        return None
    return runner.run(runner.operations.replace_certificate, runner.operations.abort)


def _report(output: Output, plan: Plan, done: Replacement) -> None:
    from moorage.cli import certificate_view, report_view
    from moorage.cli.plan_view import consequence_as_json
    from moorage.cli.tables import row_line

    if output.as_json:
        output.emit(
            {
                "is_good": done.is_good,
                "fingerprint": done.expected,
                "consequences": [consequence_as_json(each) for each in plan.consequences],
                "servers": report_view.report_as_json(done.report) if done.report else [],
                "served": [certificate_view.served_as_json(each) for each in done.served],
            }
        )
        return
    if done.report is not None:
        for line in report_view.report_lines(done.report):
            output.data(*line)
    for row in done.rows:
        output.data(*row_line(row))
