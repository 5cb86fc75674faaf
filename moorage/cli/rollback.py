"""``moorage rollback``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from moorage.cli.options import answers_argument, limit_option, output_of, server_options
from moorage.cli.run_plan import (
    check_options,
    check_registry,
    print_result,
    run_plan,
    update_file,
)
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.deploy.lifecycle.rollback import Rollback
    from moorage.deploy.plan.plan import Plan

_EXAMPLES = """\b
Examples:
  moorage rollback moorage.yml
  moorage rollback moorage.yml --to 7 --yes --json
"""


@click.command("rollback", epilog=_EXAMPLES)
@answers_argument
@click.option(
    "--to", "revision", type=click.IntRange(0), metavar="REVISION", help="Go back to this revision."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@limit_option
@click.option("--diff", "with_diff", is_flag=True, help="Show each file's diff.")
@check_options
@click.option(
    "--begin-empty",
    is_flag=True,
    help="Go back to an image store without images, leaving the current ones behind.",
)
@click.option(
    "--accept-retention",
    is_flag=True,
    help="Let the schedule remove the tags that the retention rules do not keep.",
)
@click.option(
    "--end-transfers",
    is_flag=True,
    help="Cut off transfers on the slot the rollback needs instead of waiting.",
)
@click.option("--no-save", is_flag=True, help="Do not update FILE.")
@server_options
@click.pass_context
def command(
    context: click.Context,
    *,
    file: Path,
    revision: int | None,
    yes: bool,
    limit: tuple[str, ...],
    with_diff: bool,
    no_verify: bool,
    skip_large_upload: bool,
    begin_empty: bool,
    accept_retention: bool,
    end_transfers: bool,
    no_save: bool,
    accepted_host_keys: tuple[str, ...],
) -> int:
    """Go back to the deployment before (undo, revert), or to an earlier one.

    Restores the registry's settings, program, hooks and web server on all servers, as one rollout
    without failed requests. The servers keep the last three deployments before the current one;
    'moorage history FILE' lists the revisions. Shows the plan and asks first.

    Users, passwords and a renewed certificate stay as they are, and so do images. A rollback is a
    run with a new revision: another one goes back to what it undid.

    Updates FILE with the answers of that deployment, keeping its comments and secret references, so
    that applying it changes nothing.

    With --limit, only some of the servers go back. FILE then keeps what all servers share.
    """
    from moorage.answers.save import copy_before
    from moorage.cli.answers_file import open_answers
    from moorage.cli.confirmation import accept, require_confirmation
    from moorage.cli.runner import open_deployment
    from moorage.deploy.plan.acceptance import Accepted

    output = output_of(context)
    output.is_stream = output.as_json
    answers = open_answers(output, file)
    require_confirmation(output, yes, "Add --yes to roll back without confirmation.")
    with open_deployment(
        output, answers, limit=limit, accepted_host_keys=accepted_host_keys
    ) as runner:
        runner.asker.asks_for_logins_only = True
        operations = runner.operations
        rollback = runner.query(lambda: operations.choose_rollback(revision))
        runner.continue_with(rollback.answers)
        plan = runner.query(lambda: operations.plan_rollback(rollback))
        copy = None
        if rollback.replaced and plan.has_changes and not no_save and file.is_file():
            copy = copy_before(file, plan.revised.revision)
        _show(output, rollback, plan, with_diff=with_diff, file=file, copy=copy)
        if not plan.has_changes:
            return ExitCode.DONE
        accepted = accept(
            runner,
            plan,
            Accepted(
                begin_empty=begin_empty,
                retention=accept_retention,
                end_transfers=end_transfers,
            ),
            asks=output.is_interactive and not yes,
            all_removals=False,
            all_regained=False,
            question=f"Roll back to revision {rollback.revision}?",
        )
        if accepted is None:
            output.message("Nothing was changed.")
            return ExitCode.FAILED
        operations.accepted = accepted
        outcome = run_plan(runner)
        copy = None if no_save else update_file(output, file, answers, outcome)
        outcome = check_registry(runner, verifies=not no_verify, large_upload=not skip_large_upload)
        return print_result(
            runner,
            plan,
            outcome,
            {
                "to_revision": rollback.revision,
                "copy": str(copy) if copy is not None else None,
            },
        )


def _show(
    output: Output,
    rollback: Rollback,
    plan: Plan,
    *,
    with_diff: bool,
    file: Path,
    copy: Path | None,
) -> None:
    from moorage.cli.plan_view import plan_as_json, plan_lines
    from moorage.errors import ServersFailed

    change = rollback.kept[0].change
    if output.as_json:
        event = {"event": "plan", **plan_as_json(plan, with_diff=with_diff)}
        output.emit(
            {
                **event,
                "to_revision": rollback.revision,
                "left": list(rollback.left),
                "differ": list(rollback.differ),
                "replaced": list(rollback.replaced) if copy is not None else [],
            }
        )
    else:
        output.message((f"Rolls back to {change}", "bold"))
        for line in plan_lines(plan, with_diff=with_diff):
            output.message(*line)
        if rollback.left:
            output.message(f"{rollback.left_text}.")
        if rollback.differ:
            output.message(f"Stays in the answers: {', '.join(rollback.differ)}.")
        if copy is not None:
            output.message(("! ", "yellow"), rollback.replaced_text(str(file), str(copy)))
    if plan.problems:
        raise ServersFailed(plan.problems)
    if not plan.has_changes:
        if output.as_json:
            unchanged = {"event": "result", "exit_code": 0, "to_revision": rollback.revision}
            output.emit({**unchanged, "revision": None})
        else:
            output.data(
                f"Nothing to roll back: the servers are as at revision {rollback.revision}."
            )
