"""What an apply asks for before it begins: the changes of others, and what stops working."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.cli.deployment import Engine
    from moorage.cli.session import Session
    from moorage.deploy.acceptance import Accepted
    from moorage.deploy.plan import Plan


def plan_with_others(
    engine: Engine, file: Path, answers: Answers, *, asks: bool
) -> tuple[Answers, Plan]:
    """Plan; offer to take over what was changed since the revision that the answers know.

    Args:
        engine: The open deployment.
        file: The answers file.
        answers: Its answers.
        asks: Whether there is somebody to ask, and the file may be written.

    Returns:
        The answers, which the file has by then, and the plan.
    """
    plan = engine.look(engine.operations.make_plan)
    if asks and (caught_up := _offer_to_catch_up(engine, file, answers, plan)) is not None:
        engine.continue_with(caught_up)
        return caught_up, engine.look(engine.operations.make_plan)
    return answers, plan


def _offer_to_catch_up(engine: Engine, file: Path, answers: Answers, plan: Plan) -> Answers | None:
    from moorage.answers.amend import amend
    from moorage.answers.load import load
    from moorage.answers.save import save_text
    from moorage.cli.plan_view import missed_lines
    from moorage.deploy.merge import catch_up

    session = engine.session
    caught = catch_up(answers, plan)
    if not caught.has_changes:
        return None
    for line in missed_lines(plan):
        session.narrate(*line)
    what = ", ".join((*caught.users, *caught.places))
    if not engine.asker.confirm(f"Take these changes over into {file} ({what})?"):
        return None
    if caught.left:
        session.narrate(f"Left as they are in {file}: {', '.join(caught.left)}.")
    save_text(amend(file.expanduser().read_text("utf-8-sig"), caught.answers), file)
    return load(file)


def accept(
    engine: Engine,
    plan: Plan,
    accepted: Accepted,
    *,
    asks: bool,
    all_removals: bool,
    all_regained: bool,
) -> Accepted | None:
    """Return what of a plan's consequences is accepted, or None when the answer was no.

    Args:
        engine: The open deployment.
        plan: The plan, which was shown.
        accepted: What was accepted beforehand.
        asks: Whether there is somebody to ask.
        all_removals: Whether all users who go may go.
        all_regained: Whether all who get access back may have it.

    Raises:
        ServersFailed: Something was not accepted, and nobody can be asked.
    """
    from moorage.cli.plan_view import consequence_lines
    from moorage.deploy.consequences import accepting, refusals
    from moorage.errors import ServersFailed

    everything = accepting(plan.consequences)
    if not asks:
        accepted = replace(
            accepted,
            removals=everything.removals if all_removals else frozenset(),
            regained=everything.regained if all_regained else frozenset(),
        )
        if against := refusals(plan.consequences, accepted):
            raise ServersFailed(against)
        return accepted
    # What was said of them first has scrolled out of sight by now.
    for line in consequence_lines(plan, plan.destructive):
        engine.session.narrate(*line)
    if any(each.needs == "begin_empty" for each in plan.consequences):
        begins = accepted.begin_empty or engine.asker.confirm("Begin with an empty store?")
        accepted = replace(accepted, begin_empty=begins)
        if not begins:
            return None
    if not engine.asker.confirm("Apply this plan?"):
        return None
    return replace(accepted, removals=everything.removals, regained=everything.regained)


def note_base(session: Session, file: Path, answers: Answers, revision: int) -> Answers:
    """Write into an answers file which revision it knows now; an apply never fails for that.

    Args:
        session: The session.
        file: The answers file.
        answers: Its answers.
        revision: The deployment's.

    Returns:
        The answers as they are based now.
    """
    from moorage.answers.amend import with_base
    from moorage.answers.save import save_text
    from moorage.errors import MoorageError

    try:
        text = file.expanduser().read_text("utf-8-sig")
        written = with_base(text, revision)
        if written is None:
            raise MoorageError(f"Write 'based_on: {revision}' into it.")
        if written != text:
            save_text(written, file)
    except (MoorageError, OSError, ValueError) as error:
        session.narrate(
            ("Warning: ", "bold yellow"),
            f"{file} could not be updated with the revision it is based on: {error}",
        )
    return answers.model_copy(update={"based_on": revision})
