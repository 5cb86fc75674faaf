"""How the wizard names the fields of the answers, and errors that point to them. No Textual here.

Errors carry the fields they are about as dotted paths (``dns.nameservers``). The wizard shows the
labels of its fields instead: “Name servers” (DNS).
"""

from __future__ import annotations

from moorage.errors import AnswersError, MoorageError, Note, Problem, ServersFailed
from tui.document.paths import parse_path
from tui.document.steps import step_at
from tui.fields import label_at, plain

_THINGS = {"servers": "Server", "credentials": "User", "hooks": "Hook"}
"""What one of each list is called."""

_LISTS = {"servers": "Servers", "credentials.users": "Users", "hooks": "Hooks"}
"""What all of them together are called."""

_ASKED_FOR = {"servers[].password", "servers[].passphrase", "servers[].sudo_password"}
"""Secrets without a field: the wizard asks for them when a server needs them."""

_OPTIONS = {
    "sudo_password_missing": "Enter it when the wizard asks for it.",
    "transfers_in_the_way": "Press E in Review to cut them off instead.",
}
"""What the wizard offers besides an error's or a note's own advice, by code."""


def label_of(path: tuple[str | int, ...]) -> str:
    """Return what the wizard calls a place: ``Server 2, Key file``; empty when it has no field."""
    dotted = plain(Problem(path, "").dotted)
    label = label_at(dotted.removesuffix("[]")) or None
    if label is None and len(path) > 3 and path[:3] == ("dns", "lexicon", "options"):
        label = str(path[3]).replace("_", " ")
    if label is None and len(path) > 4 and path[:4] == ("ssl", "acme", "dns", "credentials"):
        label = str(path[4]).replace("_", " ").capitalize()
    number = next((part + 1 for part in path if isinstance(part, int)), 0)
    thing = _THINGS.get(str(path[0])) if path else None
    if thing and number:
        return f"{thing} {number}, {label}" if label else f"{thing} {number}"
    return label or _LISTS.get(dotted, "")


def field_name(dotted: str) -> str:
    """Return how the wizard calls a field: ``“Name servers” (DNS)``; empty without a field.

    Args:
        dotted: Its path in the answers; ``[]`` stands for any item of a list.
    """
    if plain(dotted) in _ASKED_FOR:
        return ""
    path = parse_path(dotted.replace("[]", ""))
    step = step_at(path)
    label = label_at(dotted) or label_of(path)
    return f"“{label}” ({step.label})" if label else f"the step {step.label}"


def explain(error: MoorageError | Note) -> str:
    """Return what an error or a note says and what to do, without the server's name.

    Args:
        error: The error or note.
    """
    return " ".join(filter(None, (error.explain(field_name), _OPTIONS.get(error.code, ""))))


def guide(error: MoorageError) -> str:
    """Return what to do about an error; may be empty.

    Args:
        error: The error.
    """
    return " ".join(filter(None, (error.guide(field_name), _OPTIONS.get(error.code, ""))))


def describe_error(error: MoorageError) -> str:
    """Return an error as text, a line for each problem or server in it.

    Args:
        error: The error.
    """
    if isinstance(error, AnswersError):
        return "\n".join(describe_problem(each) for each in error.problems)
    if isinstance(error, ServersFailed):
        return "\n".join(describe_error(each) for each in error.errors)
    return f"{error.server}: {explain(error)}" if error.server else explain(error)


def describe_problem(problem: Problem) -> str:
    """Return a problem with the label of its field: ``Name servers: ...``.

    Args:
        problem: What is wrong in the answers.
    """
    place = label_of(problem.path) or problem.dotted
    text = problem.explain(field_name)
    return f"{place}: {text}" if place else text


def text_of(problem: Problem | None) -> str:
    """Return what is wrong for the field it is shown beside; empty when nothing is.

    Args:
        problem: What is wrong with the field, or None.
    """
    return problem.explain(field_name) if problem is not None else ""
