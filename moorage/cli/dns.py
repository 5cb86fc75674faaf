"""``moorage dns``: the registry's records."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, common_options, session_of
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from moorage.cli.deployment import Engine
    from moorage.cli.session import Session
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
    help="Replace records of the name that this deployment did not make.",
)
_yes_option = click.option("--yes", is_flag=True, help="Do not ask before anything is changed.")
_wait_option = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 86400),
    default=60,
    show_default=True,
    help="How long to wait until all name servers of the zone serve the change.",
)


@click.group("dns", epilog=_EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Look at, make, undo and check the DNS records of the registry's name.

    None of these connects to the registry's servers. 'apply' and 'undo' change the name's A, AAAA
    and CNAME records and nothing else; 'plan' and 'check' change nothing.
    """


@command.command("plan")
@answers_argument
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 3 when there is something to change, 0 when there is not.",
)
@common_options
@click.pass_context
def plan_command(context: click.Context, *, file: Path, detailed_exitcode: bool) -> int:
    """Show what would change at the name, as a diff. Changes nothing."""
    session = session_of(context)
    with _open(session, file) as engine:
        plan = engine.ask_dns(engine.deployment.name.plan)
    _show_plan(session, plan)
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
    """Make the records, and wait until the zone's name servers serve them.

    Records that somebody else made are replaced only with --replace-records, or when you say so.
    What was there before is kept; 'undo' brings it back. Exits with 1 when a name server does not
    serve the change in time.
    """
    session = session_of(context)
    _need_someone(session, yes)
    with _open(session, file) as engine:
        return _make(engine, engine.ask_dns(engine.deployment.name.plan), yes, replace, wait)


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
    """Bring back what was at the name before the last change from this machine.

    Called again it takes back the change before that.
    """
    from moorage.dns.operations import check_can_undo

    session = session_of(context)
    with _open(session, file) as engine:
        # What cannot be undone is said first, whoever could be asked.
        check_can_undo(engine.deployment.answers)
        _need_someone(session, yes)
        return _make(engine, engine.ask_dns(engine.deployment.name.plan_undo), yes, replace, wait)


@command.command("check")
@answers_argument
@click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(0, 86400),
    default=0,
    help="Look again until all name servers serve the records, for this long.",
)
@click.option(
    "--ca",
    "authority",
    metavar="NAME",
    default="",
    help="Check that CAA records let this authority issue, such as letsencrypt.org; with ssl.mode "
    "acme the one of the answers is checked without being named.",
)
@common_options
@click.pass_context
def check_command(context: click.Context, *, file: Path, wait: float, authority: str) -> int:
    """Ask the zone's own name servers what the name leads to, and look for surprises.

    Changes nothing and needs no login. Exits with 0 when all name servers lead to the servers.
    """
    from moorage.cli.dns_view import dns_check_as_json, dns_check_lines

    session = session_of(context)
    with _open(session, file) as engine:
        check, findings = engine.ask_dns(lambda: _check(engine, wait, authority))
    if session.as_json:
        session.emit(dns_check_as_json(check, findings))
    else:
        for line in dns_check_lines(check, findings):
            session.data(*line)
    return ExitCode.DONE if check.is_good else ExitCode.FAILED


def _check(engine: Engine, wait: float, authority: str) -> tuple[DnsCheck, tuple[Finding, ...]]:
    from moorage.dns.caa import issuer_identity
    from moorage.dns.findings import find

    deployment = engine.deployment
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


def _make(engine: Engine, plan: DnsPlan, yes: bool, replace: bool, wait: float) -> int:
    from moorage.cli.dns_view import dns_report_as_json, dns_report_lines
    from moorage.dns.operations import foreign_records_error

    session = engine.session
    if not session.as_json:
        _show_plan(session, plan, narrate=True)
    if not plan.can_write:
        plan.provider.write(plan.changes)
    if plan.changes and not may_replace(engine, plan, yes=yes, replace=replace):
        raise foreign_records_error(plan)
    if plan.changes and not yes and not engine.asker.confirm("Make this change?"):
        session.narrate("Nothing was changed.")
        return ExitCode.FAILED
    report = engine.ask_dns(
        lambda: engine.deployment.name.apply(plan, replace=bool(plan.foreign), wait=wait),
        changes=True,
    )
    if session.as_json:
        session.emit(dns_report_as_json(report))
    else:
        for line in dns_report_lines(report):
            session.data(*line)
    if engine.desk.is_interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.FAILED if report.missing else ExitCode.DONE


def may_replace(engine: Engine, plan: DnsPlan, *, yes: bool, replace: bool) -> bool:
    """Return whether records of somebody else's may be replaced; asks where somebody can be asked.

    Args:
        engine: The open deployment.
        plan: The plan.
        yes: Whether nothing is to be asked.
        replace: Whether the operator said so already.
    """
    if not plan.foreign or replace:
        return True
    if yes or not engine.session.is_interactive:
        return False
    lines = "; ".join(line for each in plan.foreign for line in each.lines())
    return engine.asker.confirm(f"Replace what this deployment did not make ({lines})?")


def _show_plan(session: Session, plan: DnsPlan, *, narrate: bool = False) -> None:
    from moorage.cli.dns_view import dns_plan_as_json, dns_plan_lines

    if session.as_json:
        session.emit(dns_plan_as_json(plan))
        return
    for line in dns_plan_lines(plan):
        (session.narrate if narrate else session.data)(*line)


def _need_someone(session: Session, yes: bool) -> None:
    from moorage.cli.errors import WrongUsageError

    if not yes and not session.is_interactive:
        raise WrongUsageError(
            "There is no terminal to ask for confirmation.",
            advice="Add --yes; 'moorage dns plan FILE' shows what it does.",
        )


def _open(session: Session, file: Path) -> AbstractContextManager[Engine]:
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine

    return open_engine(session, open_answers(session, file))
