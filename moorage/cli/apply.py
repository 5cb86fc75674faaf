"""``moorage apply``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import (
    answers_argument,
    limit_option,
    output_of,
    passwords_options,
    server_options,
)
from moorage.cli.run_plan import check_options, check_registry, exit_code_of, run_plan
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.cli.passwords import PasswordOutput
    from moorage.cli.registry_name import RegistryName
    from moorage.cli.runner import Runner
    from moorage.deploy.operations import Outcome
    from moorage.deploy.plan.acceptance import Accepted
    from moorage.deploy.plan.plan import Plan
    from moorage.deploy.run.report import ApplyReport

_EXAMPLES = """\b
Examples:
  moorage apply moorage.yml
  moorage apply moorage.yml --yes --json --passwords-to passwords.txt
"""


@click.command("apply", epilog=_EXAMPLES)
@answers_argument
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@limit_option
@check_options
@passwords_options
@click.option(
    "--replace-records",
    is_flag=True,
    help="Replace DNS records that this deployment did not create.",
)
@click.option(
    "--accept-removals",
    is_flag=True,
    help="Remove users who were added after FILE was written.",
)
@click.option(
    "--accept-regained",
    is_flag=True,
    help="Restore access that was revoked after FILE was written.",
)
@click.option(
    "--accept-retention",
    is_flag=True,
    help="Let the schedule remove the tags that the retention rules do not keep.",
)
@click.option(
    "--begin-empty",
    is_flag=True,
    help="Start with an empty image store, leaving the old images behind.",
)
@click.option(
    "--end-transfers",
    is_flag=True,
    help="Cut off transfers on the slot the apply needs instead of waiting.",
)
@click.option(
    "--gone",
    multiple=True,
    metavar="HOST",
    help="This server, which left FILE, was uninstalled or no longer exists.",
)
@click.option(
    "--leaving",
    type=click.Choice(("keep", "uninstall")),
    default="keep",
    show_default=True,
    help="What happens to servers that left FILE.",
)
@click.option("--no-save", is_flag=True, help="Do not update FILE.")
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
    accept_retention: bool,
    begin_empty: bool,
    end_transfers: bool,
    gone: tuple[str, ...],
    leaving: str,
    no_save: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Apply the answers to the servers.

    Shows the plan, asks, changes the servers, checks the registry from outside, and reports.
    Installs packages and writes below /etc/moorage, /etc/nginx, /etc/systemd/system,
    /usr/local/lib/moorage and /var/lib/moorage. Then updates the registry's DNS records if the DNS
    provider can write them, but not with --limit. A server that fails is rolled back. Applying the
    same answers again changes nothing.

    A server that left FILE keeps running. With --leaving uninstall, the registry is removed from it
    after the others and the DNS records were changed and the records' TTL has passed.

    Records the deployment's revision in FILE (based_on) and shows what others have changed since.
    Without a terminal, removing users added after that revision needs --accept-removals, and
    restoring access revoked after it needs --accept-regained: of users who were removed, disabled
    or limited, or got a new password. A schedule that will remove tags by new retention rules needs
    --accept-retention.

    Ctrl-C cancels: servers that have not switched roll back. A second Ctrl-C exits without waiting;
    'moorage status FILE --follow' shows the runs.

    Without a terminal, pass --yes; generated passwords need --passwords-to or --show-passwords,
    unknown host keys need --accept-host-key. With --json, stdout has one event per line, the result
    last.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.confirmation import (
        accept,
        plan_with_merge,
        record_base,
        require_confirmation,
    )
    from moorage.cli.passwords import PasswordOutput
    from moorage.cli.registry_name import RegistryName
    from moorage.cli.runner import open_deployment
    from moorage.deploy.plan.acceptance import Accepted

    output = output_of(context)
    output.is_stream = output.as_json
    # First, so that a mistyped file name is reported before a missing option.
    answers = open_answers(output, file)
    require_confirmation(
        output,
        yes,
        "Add --yes to apply without confirmation; 'moorage plan FILE' shows the changes.",
    )
    passwords = PasswordOutput.choose(output, passwords_to, show_passwords)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        runner.operations.gone = frozenset(gone)
        runner.operations.uninstalls_left = leaving == "uninstall"
        runner.operations.look_up_name()
        name = RegistryName.start_check(runner, is_limited=bool(limit))
        accepted = Accepted(
            begin_empty=begin_empty, retention=accept_retention, end_transfers=end_transfers
        )
        asks = output.is_interactive and not yes
        saves = not no_save and file.is_file()
        answers, plan = plan_with_merge(runner, file, answers, asks=asks and saves)
        name.collect_findings(plan)
        _show(runner, plan, name)
        passwords.check(plan.materials.generated)
        name.check_can_change(yes=yes, replace=replace_records)
        if plan.has_changes or name.has_changes or runner.operations.leaving:
            confirmed = accept(
                runner,
                plan,
                accepted,
                asks=asks,
                all_removals=accept_removals,
                all_regained=accept_regained,
            )
            if confirmed is None:
                output.message("Nothing was changed.")
                return ExitCode.FAILED
            accepted = confirmed
        try:
            report = _run(runner, plan, accepted, passwords)
            if saves and report.revision:
                answers = record_base(output, file, answers, report.revision)
            outcome = check_registry(
                runner, verifies=not no_verify, large_upload=not skip_large_upload
            )
            if saves and outcome.revision != report.revision:
                answers = record_base(output, file, answers, outcome.revision)
            code = _report(runner, plan, outcome, passwords, file)
            if code == ExitCode.DONE:
                _remember(file, answers, is_whole=not limit)
            return code
        finally:
            passwords.show(output)
            runner.operations.note_shown(passwords.users)


def _remember(file: Path, answers: Answers, *, is_whole: bool) -> None:
    """Add the deployment to the wizard's list of recent ones, ignoring errors."""
    from moorage.answers.save import dump
    from moorage.recents import applied_file, remember
    from moorage.state import write_private

    domain = answers.registry.domain
    with suppress(OSError, RuntimeError):
        if file.is_file():
            remember(file, domain, state="applied")
        if is_whole:
            write_private(applied_file(domain), dump(answers).encode())


def _show(runner: Runner, plan: Plan, name: RegistryName) -> None:
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.errors import ServersFailed

    output = runner.output
    leaving = [each.label for each in runner.operations.leaving]
    if output.as_json:
        output.emit(
            {
                "event": "plan",
                **plan_as_json(plan, with_diff=False),
                **name.as_json(),
                "uninstalls": leaving,
            }
        )
    else:
        for line in (*name.lines(), *plan_lines(plan, with_diff=False)):
            output.message(*line)
        if leaving:
            from moorage.deploy.lifecycle.leaving import uninstall_text

            text = uninstall_text(runner.operations.leaving, runner.operations.name)
            output.message((f"! {text}", "bold red"))
    if plan.problems:
        raise ServersFailed(plan.problems)


def _run(runner: Runner, plan: Plan, accepted: Accepted, passwords: PasswordOutput) -> ApplyReport:
    passwords.store(plan.materials.generated)
    runner.operations.accepted = accepted
    outcome = run_plan(runner)
    assert outcome.report is not None
    passwords.discard_unused(outcome.report)
    return outcome.report


def _report(
    runner: Runner, plan: Plan, outcome: Outcome, passwords: PasswordOutput, file: Path
) -> int:
    from moorage.cli import report_view
    from moorage.cli.registry_name import change_as_json, change_lines
    from moorage.deploy.run.report import ApplyReport

    report, checks, name = outcome.report, outcome.verification, outcome.name
    assert report is not None
    left = ApplyReport(outcome.leaving.reports if outcome.leaving is not None else (), {})
    code = exit_code_of(runner, outcome)
    output = runner.output
    if output.as_json:
        output.emit(
            {
                "event": "result",
                "exit_code": int(code),
                "summary": plan.summary,
                "servers": report_view.report_as_json(report),
                **report_view.verification_as_json(checks),
                "generated": passwords.users,
                "passwords_file": str(passwords.written_to) if passwords.written_to else None,
                **report_view.handover_as_json(runner.operations.handover(), serves=report.serves),
                **change_as_json(name),
                "left": report_view.report_as_json(left),
            }
        )
        return code
    lines = [*report_view.report_lines(report)]
    if checks is not None:
        lines += [("",), *report_view.verification_lines(checks)]
    lines += change_lines(name)
    if left.servers:
        lines += [("",), *report_view.report_lines(left)]
    if code == ExitCode.DONE:
        lines += [("",), *report_view.handover_lines(runner.operations.handover(), file)]
    for line in lines:
        output.data(*line)
    return code
