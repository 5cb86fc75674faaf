"""Hooks: the operator's scripts that a run executes on a server.

An apply copies the scripts from the operator's machine to the servers, as managed files. A change
of the users runs those copies: the operator who makes it does not need the scripts, and what runs
is what was applied last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from moorage.answers.model import Answers, Moment
from moorage.deploy.plan.plan import Change, Kind, PlannedHook, ServerPlan
from moorage.deploy.record.deployment_json import recorded_digests
from moorage.deploy.run.payload import GATE_SECONDS
from moorage.desired import layout
from moorage.errors import AnswersError, MoorageError, Problem
from moorage.local_file import LocalFileError, read_file
from moorage.rows import Action
from moorage.servers.facts import Facts

LARGEST_SCRIPT = 1024**2
"""The maximum size of a hook's script, in bytes."""
KILL_SECONDS = 5
"""Seconds between SIGTERM and SIGKILL for a hook that took too long; also in ``run.sh``."""

_MOMENTS: dict[Moment, str] = {
    "before_apply": "before the apply",
    "after_apply": "after the apply's checks",
    "after_users": "after the change of the users",
}


def read_scripts(answers: Answers) -> dict[str, bytes]:
    """Read the hooks' scripts on this machine.

    Args:
        answers: What the operator decided.

    Returns:
        The scripts by their hook's name.

    Raises:
        AnswersError: Some cannot be used; the error lists all of them.
    """
    scripts, problems = {}, []
    for position, hook in enumerate(answers.hooks):
        try:
            scripts[hook.name] = _read(hook.script)
        except LocalFileError as error:
            problems.append(error.problem(("hooks", position, "script")))
    if problems:
        raise AnswersError(problems)
    return scripts


def find_faulty_scripts(answers: Answers) -> Iterator[Problem]:
    """Yield the problems of hooks' scripts.

    Args:
        answers: What the operator decided.
    """
    try:
        read_scripts(answers)
    except AnswersError as error:
        yield from error.problems


def fault_of_script(script: str) -> str:
    """Return why a script cannot be used as a hook; empty when it can.

    Args:
        script: Its path on this machine, as in the answers.
    """
    try:
        _read(script)
    except LocalFileError as error:
        return error.clause
    return ""


def _read(script: str) -> bytes:
    content = read_file(script, largest=LARGEST_SCRIPT)
    first = content.partition(b"\n")[0]
    fault = ""
    if not first.startswith(b"#!") or not first[2:].strip().startswith(b"/"):
        fault = "has no interpreter in its first line, such as #!/bin/sh"
    elif first.endswith(b"\r"):
        fault = "has Windows line endings; save it with Unix line endings"
    if fault:
        raise LocalFileError(script, fault, code="invalid")
    return content


def change_of(planned: PlannedHook) -> Change:
    """Return a hook as a change in the plan."""
    on_failure = "undoes the run" if planned.hook.on_failure == "roll_back" else "is only reported"
    return Change(
        Kind.HOOK,
        Action.RUN,
        planned.hook.name,
        f"hooks, {_MOMENTS[planned.moment]}; a failure {on_failure}",
        after=planned.content.decode("utf-8", "replace"),
    )


def hooks_of_apply(answers: Answers, scripts: Mapping[str, bytes]) -> tuple[PlannedHook, ...]:
    """Return the hooks an apply runs, in order.

    Args:
        answers: What the operator decided.
        scripts: The scripts by their hook's name.
    """
    moments: tuple[Moment, ...] = ("before_apply", "after_apply")
    return tuple(
        PlannedHook(hook, moment, scripts[hook.name])
        for moment in moments
        for hook in answers.hooks
        if moment in hook.when
    )


def hooks_of_users(answers: Answers, facts: Facts) -> tuple[PlannedHook, ...]:
    """Return the hooks that a change of the users runs, in order: those applied last.

    Args:
        answers: The answers applied last.
        facts: The server's facts. Hooks missing there are left out; see :func:`find_lost_hooks`.
    """
    return tuple(
        PlannedHook(hook, "after_users", facts.files[layout.hook_path(hook.name)].content)
        for hook in answers.hooks
        if "after_users" in hook.when and layout.hook_path(hook.name) in facts.files
    )


def find_lost_hooks(answers: Answers, facts: Facts) -> Iterator[MoorageError]:
    """Yield a problem for each hook of a change of the users that was modified or removed."""
    recorded = recorded_digests(facts)
    for hook in answers.hooks:
        path = layout.hook_path(hook.name)
        there = facts.files.get(path)
        if "after_users" in hook.when and (there is None or there.digest != recorded.get(path)):
            yield MoorageError(
                f"the hook {hook.name} ({path}) was modified or removed since it was applied.",
                advice="Apply the answers again: moorage apply FILE.",
                server=facts.server,
                code="hook_changed",
            )


def gate_seconds(plans: Sequence[ServerPlan]) -> int:
    """Return how long a staged server waits for its turn, including the others' hooks.

    Args:
        plans: The plans of an apply's servers.
    """
    before = max((_seconds(plan, "before_apply") for plan in plans), default=0)
    return GATE_SECONDS + before + sum(_seconds(plan, "after_apply") for plan in plans)


def users_hooks_seconds(plans: Sequence[ServerPlan]) -> int:
    """Return how long hooks can take on servers that change their users in parallel.

    Args:
        plans: The plans of the servers whose users change.
    """
    return max((_seconds(plan, "after_users") for plan in plans), default=0)


def _seconds(plan: ServerPlan, moment: Moment) -> int:
    return sum(
        planned.hook.timeout + KILL_SECONDS for planned in plan.hooks if planned.moment == moment
    )
