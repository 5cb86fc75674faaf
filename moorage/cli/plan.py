"""``moorage plan``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, limit_option, server_options, session_of
from moorage.errors import ExitCode

_EXAMPLES = """\b
Examples:
  moorage plan moorage.yml --diff
  moorage plan moorage.yml --detailed-exitcode --json
"""


@click.command("plan", epilog=_EXAMPLES)
@answers_argument
@click.option("--diff", "with_diff", is_flag=True, help="Show what changes in each file.")
@limit_option
@click.option(
    "--detailed-exitcode",
    is_flag=True,
    help="Exit with 3 when the plan has changes, 0 when it has none.",
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

    Connects to the servers and reads them; changes nothing there. Signs: + new, ~ changed,
    - removed, > done. Files that somebody else changed since the last run are marked as drift. What
    would change of the registry's DNS records comes first, if Moorage makes them, with notes on
    what about the name will surprise somebody.
    Exits with 1 when something keeps the plan from being applied.
    """
    from moorage.cli.answers_file import open_answers
    from moorage.cli.deployment import open_engine
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.cli.registry_name import NameWork

    session = session_of(context)
    answers = open_answers(session, file)
    with open_engine(
        session, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as engine:
        name = NameWork.begin(engine, is_limited=bool(limit))
        plan = engine.look(engine.operations.make_plan)
        name.find(plan)
        if session.as_json:
            session.emit(plan_as_json(plan, with_diff=with_diff) | name.as_json())
        else:
            for line in (*name.lines(), *plan_lines(plan, with_diff=with_diff)):
                session.data(*line)
    if plan.problems or name.problem:
        return ExitCode.FAILED
    if detailed_exitcode and (plan.has_changes or name.has_changes):
        return ExitCode.CHANGES
    return ExitCode.DONE
