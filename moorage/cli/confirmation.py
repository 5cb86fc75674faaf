"""Confirm changes: without a terminal, and the questions an apply asks before it starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.cli.output import Output
    from moorage.cli.runner import Runner
    from moorage.deploy.plan.acceptance import Accepted
    from moorage.deploy.plan.plan import Plan


def require_confirmation(output: Output, yes: bool, advice: str) -> None:
    """Check that the operator can be asked for confirmation, or has passed ``--yes``.

    Args:
        output: The output.
        yes: Whether ``--yes`` was passed.
        advice: What to do without a terminal.

    Raises:
        WrongUsageError: There is neither a terminal nor ``--yes``.
    """
    from moorage.cli.errors import WrongUsageError

    if not yes and not output.is_interactive:
        raise WrongUsageError("There is no terminal to ask for confirmation.", advice=advice)


def plan_with_merge(
    runner: Runner, file: Path, answers: Answers, *, asks: bool
) -> tuple[Answers, Plan]:
    """Plan an apply; offer to merge what changed since the revision the answers are based on.

    Args:
        runner: The open deployment.
        file: The answers file.
        answers: Its answers.
        asks: Whether the operator can be asked and the file can be written.

    Returns:
        The answers, as they are in the file now, and the plan.
    """
    plan = runner.query(runner.operations.make_plan)
    if asks and (merged := _offer_to_merge(runner, file, answers, plan)) is not None:
        runner.continue_with(merged)
        return merged, runner.query(runner.operations.make_plan)
    return answers, plan


def _offer_to_merge(runner: Runner, file: Path, answers: Answers, plan: Plan) -> Answers | None:
    from moorage.answers.amend import amend
    from moorage.answers.load import load, read_answers_text
    from moorage.answers.save import save_text
    from moorage.cli.plan_view import missed_lines
    from moorage.deploy.record.merge import catch_up

    output = runner.output
    caught_up = catch_up(answers, plan)
    if not caught_up.has_changes:
        return None
    for line in missed_lines(plan):
        output.message(*line)
    names = ", ".join((*caught_up.users, *caught_up.places))
    if not runner.asker.confirm(f"Merge these changes into {file} ({names})?"):
        return None
    if caught_up.left:
        output.message(f"Not merged into {file}: {', '.join(caught_up.left)}.")
    save_text(amend(read_answers_text(file), caught_up.answers), file)
    return load(file)


def accept(
    runner: Runner,
    plan: Plan,
    accepted: Accepted,
    *,
    asks: bool,
    all_removals: bool,
    all_regained: bool,
    question: str = "Apply this plan?",
) -> Accepted | None:
    """Return the accepted consequences of a plan, or None if the operator says no.

    Args:
        runner: The open deployment.
        plan: The plan, already shown.
        accepted: The consequences accepted on the command line.
        asks: Whether the operator can be asked.
        all_removals: Whether all removals of users are accepted.
        all_regained: Whether all restored access is accepted.
        question: The question.

    Raises:
        ServersFailed: A consequence is not accepted, and the operator cannot be asked.
    """
    from moorage.cli.plan_view import consequence_lines
    from moorage.deploy.plan.consequences import accepting, refusals
    from moorage.errors import ServersFailed

    everything = accepting(plan.consequences)
    if not asks:
        accepted = replace(
            accepted,
            removals=everything.removals if all_removals else frozenset(),
            regained=everything.regained if all_regained else frozenset(),
        )
        if refused := refusals(plan.consequences, accepted):
            raise ServersFailed(refused)
        return accepted
    # The plan above may have scrolled them out of sight.
    for line in consequence_lines(plan, plan.destructive):
        runner.output.message(*line)
    begin_empty = accepted.begin_empty
    if everything.begin_empty and not begin_empty:
        begin_empty = runner.asker.confirm("Begin with an empty store?")
        if not begin_empty:
            return None
    if not runner.asker.confirm(question):
        return None
    return replace(everything, begin_empty=begin_empty, end_transfers=accepted.end_transfers)


def record_base(output: Output, file: Path, answers: Answers, revision: int | None) -> Answers:
    """Write the deployment's revision into an answers file; a failure is only a warning.

    Args:
        output: The output.
        file: The answers file.
        answers: Its answers.
        revision: The deployment's revision; None if it no longer exists.

    Returns:
        The answers with the new base.
    """
    from moorage.answers.amend import with_base
    from moorage.answers.load import read_answers_text
    from moorage.answers.save import save_text
    from moorage.errors import MoorageError

    try:
        text = read_answers_text(file)
        written = with_base(text, revision)
        if written is None:
            word = (
                "Remove 'based_on' from" if revision is None else f"Add 'based_on: {revision}' to"
            )
            raise MoorageError(f"{word} it.")
        if written != text:
            save_text(written, file)
    except (MoorageError, OSError, ValueError) as error:
        output.message(
            ("Warning: ", "bold yellow"),
            f"Could not update based_on in {file}: {error}",
        )
    return answers.model_copy(update={"based_on": revision})
