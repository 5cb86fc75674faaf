"""Describes fields of the answers, and errors about them, by their labels. Does not import Textual.

Errors name fields by their paths (``dns.nameservers``). The wizard shows the labels of its fields
instead: “Name servers” (DNS).
"""

from __future__ import annotations

from moorage.errors import AnswersError, MoorageError, Note, Problem, ServersFailed
from tui.document.paths import parse_path
from tui.document.steps import Step, step_at
from tui.fields import label_at, plain

_ITEMS = {
    "servers": "Server",
    "credentials": "User",
    "hooks": "Hook",
    "retention": "Retention rule",
}
"""The name of an item, by list."""

_LISTS = {
    "servers": "Servers",
    "credentials.users": "Users",
    "hooks": "Hooks",
    "retention": "Retention rules",
}
"""The labels of the lists."""

_ASKED_FOR = {"servers[].password", "servers[].passphrase", "servers[].sudo_password"}
"""Secrets without a field: the wizard asks for them when a server needs them."""

_ADVICE = {
    "sudo_password_missing": "Enter it when the wizard asks for it.",
    "transfers_in_the_way": "Press E in Review to cut them off instead.",
}
"""Advice that only applies in the wizard, by the code of an error or note."""


def label_of(path: tuple[str | int, ...]) -> str:
    """Return the label of a path: ``Server 2, Key file``; empty if it has no field."""
    dotted = plain(Problem(path, "").dotted)
    label = label_at(dotted.removesuffix("[]")) or None
    if label is None and len(path) > 3 and path[:3] == ("dns", "lexicon", "options"):
        label = str(path[3]).replace("_", " ")
    if label is None and len(path) > 4 and path[:4] == ("ssl", "acme", "dns", "credentials"):
        label = str(path[4]).replace("_", " ").capitalize()
    number = next((part + 1 for part in path if isinstance(part, int)), 0)
    item = _ITEMS.get(str(path[0])) if path else None
    if item and number:
        return f"{item} {number}, {label}" if label else f"{item} {number}"
    return label or _LISTS.get(dotted, "")


def field_name(dotted: str) -> str:
    """Return a field's label and step: ``“Name servers” (DNS)``; empty without a field.

    Args:
        dotted: Its path in the answers; ``[]`` stands for any item of a list.
    """
    if plain(dotted) in _ASKED_FOR:
        return ""
    path = parse_path(dotted.replace("[]", ""))
    step = step_at(path)
    label = label_at(dotted) or label_of(path)
    return f"“{label}” ({step.label})" if label else f"the step {step.label}"


def explain(error: MoorageError | Note, here: Step | None = None) -> str:
    """Return the message and advice of an error or a note, without the server's name.

    Args:
        error: The error or note.
        here: The step that shows it, whose fields are below.
    """

    def name_of(dotted: str) -> str:
        label = label_at(dotted)
        is_here = bool(label) and step_at(parse_path(dotted)) is here
        return f"“{label}” below" if is_here else field_name(dotted)

    return " ".join(filter(None, (error.explain(name_of), _ADVICE.get(error.code, ""))))


def guide(error: MoorageError) -> str:
    """Return the advice of an error; may be empty.

    Args:
        error: The error.
    """
    return " ".join(filter(None, (error.guide(field_name), _ADVICE.get(error.code, ""))))


def describe_error(error: MoorageError, here: Step | None = None) -> str:
    """Return an error as text, a line for each problem or server in it.

    Args:
        error: The error.
        here: The step that shows it, whose fields are below.
    """
    if isinstance(error, AnswersError):
        return "\n".join(describe_problem(each) for each in error.problems)
    if isinstance(error, ServersFailed):
        return "\n".join(describe_error(each, here) for each in error.errors)
    text = explain(error, here)
    return f"{error.server}: {text}" if error.server else text


def describe_problem(problem: Problem) -> str:
    """Return a problem with the label of its field: ``Name servers: ...``.

    Args:
        problem: The problem.
    """
    place = label_of(problem.path) or problem.dotted
    text = problem.explain(field_name)
    return f"{place}: {text}" if place else text


def text_of(problem: Problem | None) -> str:
    """Return a problem's text for display beside its field; empty for None.

    Args:
        problem: The field's problem, or None.
    """
    return problem.explain(field_name) if problem is not None else ""
