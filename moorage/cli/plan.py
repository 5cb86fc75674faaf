"""``moorage plan``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, limit_option, output_of, server_options
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage plan moorage.yml --diff
  moorage plan moorage.yml --detailed-exitcode --json
"""


@click.command("plan", epilog=_EXAMPLES)
@answers_argument
@click.option("--diff", "with_diff", is_flag=True, help="Show each file's diff.")
@limit_option
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 3 if the plan has changes, 0 if it has none.",
)
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    with_diff: bool,
    limit: tuple[str, ...],
    detailed_exitcode: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Show what an apply would change on each server, and why.

    Reads the servers and changes nothing. Signs: + new, ~ changed, - removed, > action. Files
    modified since the last run are marked as drift. Changes to the registry's DNS records come
    first, if Moorage manages them, with notes on problems with the name.
    Exits with 1 if a problem prevents the apply.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.cli.registry_name import RegistryName
    from moorage.cli.runner import open_deployment

    output = output_of(context)
    answers = open_answers(output, file)
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        name = RegistryName.start_check(runner, is_limited=bool(limit))
        plan = runner.query(runner.operations.make_plan)
        name.collect_findings(plan)
        if output.as_json:
            output.emit(plan_as_json(plan, with_diff=with_diff) | name.as_json())
        else:
            for line in (*name.lines(), *plan_lines(plan, with_diff=with_diff)):
                output.data(*line)
    if plan.problems or name.problem:
        return ExitCode.FAILED
    if detailed_exitcode and (plan.has_changes or name.has_changes):
        return ExitCode.CHANGES
    return ExitCode.DONE
