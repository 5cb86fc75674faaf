"""``moorage dns``: the registry's records."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, common_options, output_of
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.dns.findings import Finding
    from moorage.dns.operations import DnsCheck, DnsPlan

_EXAMPLES = """\b
Examples:
  moorage dns plan moorage.yml
  moorage dns apply moorage.yml --yes
  moorage dns check moorage.yml --wait 600
  moorage dns undo moorage.yml
"""

replace_option = click.option(
    "--replace-records",
    "replace",
    is_flag=True,
    help="Replace records that this deployment did not create.",
)
_yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_wait_option = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 86400),
    default=60,
    show_default=True,
    help="Wait this long for all of the zone's name servers to serve the change.",
)


@click.group("dns", epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Plan, apply, undo and check the DNS records of the registry's name.

    No command connects to the registry's servers. 'apply' and 'undo' change only the name's A,
    AAAA and CNAME records; 'plan' and 'check' change nothing.
    """


@command.command("plan")
@answers_argument
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 3 if there are changes, 0 if not.",
)
@common_options
@click.pass_context
def plan_command(context: click.Context, *, file: Path, detailed_exitcode: bool) -> int:
    """Show how the name's records would change, as a diff. Changes nothing."""
    output = output_of(context)
    with _open(output, file) as runner:
        plan = runner.query_dns(runner.deployment.name.plan)
    _show_plan(output, plan)
    return ExitCode.CHANGES if detailed_exitcode and plan.changes else ExitCode.DONE


@command.command("apply")
@answers_argument
@_yes_option
@replace_option
@_wait_option
@common_options
@click.pass_context
def apply_command(
    context: click.Context, *, file: Path, yes: bool, replace: bool, wait: float
) -> int:
    """Create or update the records, and wait until the zone's name servers serve them.

    Needs --replace-records or your confirmation to replace records that this deployment did not
    create. 'undo' restores the previous records. Exits with 1 if a name server does not serve
    the change in time.
    """
    output = output_of(context)
    _require_confirmation(output, yes)
    with _open(output, file) as runner:
        return _apply(runner, runner.query_dns(runner.deployment.name.plan), yes, replace, wait)


@command.command("undo")
@answers_argument
@_yes_option
@replace_option
@_wait_option
@common_options
@click.pass_context
def undo_command(
    context: click.Context, *, file: Path, yes: bool, replace: bool, wait: float
) -> int:
    """Undo the last change of the records from this machine.

    Run it again to undo the change before that.
    """
    from moorage.dns.operations import check_can_undo

    output = output_of(context)
    with _open(output, file) as runner:
        # Before the check for a terminal: it is the more useful error.
        check_can_undo(runner.deployment.answers)
        _require_confirmation(output, yes)
        return _apply(
            runner, runner.query_dns(runner.deployment.name.plan_undo), yes, replace, wait
        )


@command.command("check")
@answers_argument
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 86400),
    default=0,
    help="Check again until all name servers serve the records, for this long at most.",
)
@click.option(
    "--ca",
    "authority",
    metavar="NAME",
    default="",
    help="Check that CAA records allow this authority, such as letsencrypt.org. Default with "
    "ssl.mode acme: the one in the answers.",
)
@common_options
@click.pass_context
def check_command(context: click.Context, *, file: Path, wait: float, authority: str) -> int:
    """Check the name on the zone's name servers, and look for problems.

    Changes nothing and needs no login. Exits with 0 if the name resolves to the servers on all name
    servers.
    """
    from moorage.cli.dns_view import dns_check_as_json, dns_check_lines

    output = output_of(context)
    with _open(output, file) as runner:
        check, findings = runner.query_dns(lambda: _check(runner, wait, authority))
    if output.as_json:
        output.emit(dns_check_as_json(check, findings))
    else:
        for line in dns_check_lines(check, findings):
            output.data(*line)
    return ExitCode.DONE if check.is_good else ExitCode.FAILED


def _check(runner: Runner, wait: float, authority: str) -> tuple[DnsCheck, tuple[Finding, ...]]:
    from moorage.dns.caa import issuer_identity
    from moorage.dns.findings import find

    deployment = runner.deployment
    authority = authority or issuer_identity(deployment.answers)
    end = time.monotonic() + wait
    check = deployment.name.check()
    while not check.is_good and time.monotonic() < end:
        if deployment.cancel.event.wait(min(2.0, max(0.0, end - time.monotonic()))):
            break
        check = deployment.name.check()
    port = deployment.answers.registry.port
    return check, find(
        check, port=port, authority=authority, cancelled=lambda: deployment.cancel.is_set
    )


def _apply(runner: Runner, plan: DnsPlan, yes: bool, replace: bool, wait: float) -> int:
    from moorage.cli.dns_view import dns_report_as_json, dns_report_lines
    from moorage.dns.operations import foreign_records_error

    output = runner.output
    if not output.as_json:
        _show_plan(output, plan, on_stderr=True)
    if not plan.can_write:
        plan.provider.write(plan.changes)
    if plan.changes and not confirm_replacement(runner, plan, yes=yes, replace=replace):
        raise foreign_records_error(plan)
    if plan.changes and not yes and not runner.asker.confirm("Make this change?"):
        output.message("Nothing was changed.")
        return ExitCode.FAILED
    report = runner.query_dns(
        lambda: runner.deployment.name.apply(plan, replace=bool(plan.foreign), wait=wait),
        changes=True,
    )
    if output.as_json:
        output.emit(dns_report_as_json(report))
    else:
        for line in dns_report_lines(report):
            output.data(*line)
    if runner.main_thread.is_interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if report.missing else ExitCode.DONE


def confirm_replacement(runner: Runner, plan: DnsPlan, *, yes: bool, replace: bool) -> bool:
    """Return whether foreign records can be replaced; asks on a terminal.

    Args:
        runner: The open deployment.
        plan: The plan.
        yes: Whether ``--yes`` rules out questions.
        replace: Whether ``--replace-records`` allows it.
    """
    if not plan.foreign or replace:
        return True
    if yes or not runner.output.is_interactive:
        return False
    lines = "; ".join(line for each in plan.foreign for line in each.lines())
    return runner.asker.confirm(f"Replace records that this deployment did not create ({lines})?")


def _show_plan(output: Output, plan: DnsPlan, *, on_stderr: bool = False) -> None:
    from moorage.cli.dns_view import dns_plan_as_json, dns_plan_lines

    if output.as_json:
        output.emit(dns_plan_as_json(plan))
        return
    for line in dns_plan_lines(plan):
        (output.message if on_stderr else output.data)(*line)


def _require_confirmation(output: Output, yes: bool) -> None:
    from moorage.cli.confirmation import require_confirmation

    require_confirmation(output, yes, "Add --yes; 'moorage dns plan FILE' shows the changes.")


def _open(output: Output, file: Path) -> AbstractContextManager[Runner]:
    from moorage.cli.answers_file import open_answers
    from moorage.cli.runner import open_deployment

    return open_deployment(output, open_answers(output, file))
