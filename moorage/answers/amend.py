"""Change an answers file, and leave the rest of it as the operator wrote it."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterable
from typing import Any

from moorage.answers import document as yaml_document
from moorage.answers.load import loads
from moorage.answers.model import Answers
from moorage.answers.save import HEADER, dump
from moorage.errors import AnswersError, MoorageError


def amend(text: str, answers: Answers) -> str:
    """Return an answers file with other answers.

    Comments and order are kept outside the sections that change. If that is not possible (the file
    has mistakes), the whole file is written anew. JSON stays JSON.

    Args:
        text: The file.
        answers: The new answers.
    """
    anew = dump(answers)
    same = with_base(text, answers.based_on) if answers.based_on is not None else None
    if same is not None and loads(same) == loads(anew):
        return same
    if _is_json(text):
        return json.dumps(yaml_document.read(anew).value, indent=2, ensure_ascii=False) + "\n"
    try:
        candidate = _with_sections_of(text, anew)
        # Compared as files: in a file, a typed secret is a prompt.
        if loads(candidate) == loads(anew):
            return candidate
    except AnswersError:
        pass
    return anew


def amend_values(text: str, answers: Answers, paths: Iterable[yaml_document.Path]) -> str:
    """Return an answers file in which only some values differ, all comments kept if possible.

    Args:
        text: The file.
        answers: The new answers.
        paths: The paths of the texts that differ.
    """
    lines = text.splitlines(keepends=True)
    keys = yaml_document.read(text).keys
    new = answers.model_dump(mode="json")
    with contextlib.suppress(AnswersError, KeyError):
        for path in paths:
            number = keys[path].line - 1
            name = re.escape(str(path[-1]))
            # The name and its colon, the value, and a comment.
            found = re.fullmatch(
                rf"([^#]*?\b{name}\s*:[ \t]*)([^#]*?)([ \t]*(?:[ \t]#.*)?\n?)", lines[number]
            )
            if found is not None:
                lines[number] = f"{found[1]}{_scalar(_at(new, path))}{found[3]}"
        candidate = "".join(lines)
        if loads(candidate) == loads(dump(answers)):
            return candidate
    return amend(text, answers)


def _at(values: Any, path: yaml_document.Path) -> Any:
    for part in path:
        values = values[part]
    return values


def _scalar(value: Any) -> str:
    """Return a value for YAML; names such as those of images need no quotes."""
    is_plain = isinstance(value, str) and re.fullmatch(
        r"[A-Za-z/][\w.-]*(/[\w.-]+)+(:[\w.-]+)?", value
    )
    return str(value) if is_plain else json.dumps(value, ensure_ascii=False)


def with_base(text: str, revision: int) -> str | None:
    """Return an answers file with another ``based_on`` and nothing else changed.

    Args:
        text: The file, as YAML or JSON.
        revision: The revision it is based on.

    Returns:
        The file; None if the value cannot be written without touching the rest.
    """
    line = f"based_on: {revision}"
    candidate, found = re.subn(r"(?m)^based_on:[^\n#]*?([ \t]*(?:#.*)?)$", rf"{line}\1", text)
    if not found:
        candidate = (text if text.endswith("\n") else f"{text}\n") + f"{line}\n"
    candidates = [candidate]
    with contextlib.suppress(ValueError):
        parsed = {**json.loads(text), "based_on": revision}
        candidates = [json.dumps(parsed, indent=2, ensure_ascii=False) + "\n"]
    for each in candidates:
        with contextlib.suppress(MoorageError):
            if loads(each) == loads(text).model_copy(update={"based_on": revision}):
                return each
    return None


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def lost_comments(before: str, after: str) -> bool:
    """Return whether the first text has comment lines that the second does not have."""
    return bool(_comments(before) - _comments(after) - _comments(HEADER))


def _comments(text: str) -> set[str]:
    return {line.strip() for line in text.splitlines() if line.strip().startswith("#")}


def _with_sections_of(text: str, anew: str) -> str:
    """Replace changed sections, drop removed ones and add new ones at the end.

    Raises:
        AnswersError: The file has mistakes.
    """
    old, new = _sections(dump(loads(text))), _sections(anew)
    document = yaml_document.read(text)
    tops = sorted((mark.line, str(path[0])) for path, mark in document.keys.items()
                  if len(path) == 1)  # fmt: skip
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    written = lines[: tops[0][0] - 1] if tops else lines
    for (line, key), (following, _) in zip(tops, [*tops[1:], (len(lines) + 1, "")], strict=True):
        body = lines[line - 1 : following - 1]
        if old.get(key) == new.get(key):
            written += body
            continue
        # Comments and empty lines directly before the next section belong to it.
        length = len(body)
        while length > 1 and (not (last := body[length - 1].strip()) or last.startswith("#")):
            length -= 1
        written += [new.get(key, ""), *body[length:]]
    present = {key for _, key in tops}
    written += [section for key, section in new.items()
                if key not in present and section != old.get(key)]  # fmt: skip
    return "".join(written)


def _sections(dumped: str) -> dict[str, str]:
    """Return the text of each section written by :func:`moorage.answers.save.dump`, by key."""
    sections: dict[str, str] = {}
    key = ""
    for line in dumped.removeprefix(HEADER).splitlines(keepends=True):
        if not line.startswith((" ", "-")):
            key = line.partition(":")[0]
        sections[key] = sections.get(key, "") + line
    return sections
