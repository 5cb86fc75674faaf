"""Changes the users in an answers file, and leaves the rest of the file as somebody wrote it."""

from __future__ import annotations

from moorage.answers import document as yaml_document
from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.answers.save import HEADER, dump
from moorage.errors import AnswersError


def with_users_of(text: str, answers: Answers) -> str:
    """Return an answers file whose section ``credentials`` is that of other answers.

    Comments and order stay, but for those in that section. Where that cannot be done (JSON, for
    example), the whole file is written anew.

    Args:
        text: The file.
        answers: What the file is to say.
    """
    amended = _amended(text, answers)
    if amended is not None:
        try:
            if loads(amended) == answers:
                return amended
        except AnswersError:
            pass
    return dump(answers)


def _amended(text: str, answers: Answers) -> str | None:
    document = yaml_document.read(text)
    tops = sorted((mark.line, path[0]) for path, mark in document.keys.items() if len(path) == 1)
    lines = text.splitlines(keepends=True)
    here = [line for line, key in tops if key == "credentials"]
    if len(here) != 1:
        return None
    start = here[0] - 1
    end = min((line for line, _ in tops if line > here[0]), default=len(lines) + 1) - 1
    # Comments and empty lines right before the next section belong to that one.
    while end > start + 1 and (not (last := lines[end - 1].strip()) or last.startswith("#")):
        end -= 1
    section = _section(answers)
    return "".join([*lines[:start], section, *lines[end:]])


def _section(answers: Answers) -> str:
    """Return the section ``credentials`` as :func:`moorage.answers.save.dump` writes it."""
    lines = dump(answers).removeprefix(HEADER).splitlines(keepends=True)
    start = lines.index("credentials:\n")
    rest = lines[start + 1 :]
    length = next((n for n, line in enumerate(rest) if not line.startswith(" ")), len(rest))
    return "".join(lines[start : start + 1 + length])
