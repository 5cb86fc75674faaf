"""Load an answers file and report all its problems at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from moorage.answers import document as yaml_document
from moorage.answers.document import Document
from moorage.answers.migrate import MigrationError, migrate
from moorage.answers.model import VERSION, Answers
from moorage.answers.problems import explain, model_at
from moorage.errors import AnswersError, Problem
from moorage.local_file import read_start, read_text

OnNotice = Callable[[str], None]


@dataclass
class LoadedAnswers:
    """An answers file as far as it could be read.

    Attributes:
        data: The answers as nested dictionaries and lists, in the current version's format; all
            that could be read, valid or not.
        answers: The answers, if there are no problems.
        problems: All problems, in the order of the file.
        notices: What the operator should know, such as that the file has an older version.
        document: The file, with the position of each path.
    """

    data: dict[str, Any] = field(default_factory=dict)
    answers: Answers | None = None
    problems: tuple[Problem, ...] = ()
    notices: tuple[str, ...] = ()
    document: Document = field(default_factory=Document)

    def locate(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems found by other checks, with this file's name, line and column.

        Args:
            problems: For example those of the registry's settings.
        """
        return [
            self.document.problem(each.path, each.message, code=each.code, fields=each.fields)
            for each in problems
        ]


def load(path: str | Path, on_notice: OnNotice = lambda notice: None) -> Answers:
    """Return the answers in a file.

    Args:
        path: The file.
        on_notice: Takes notices, for example that the file has an older version.

    Raises:
        AnswersError: The answers are invalid; it has all problems, with line and column.
        LocalFileError: The file cannot be read.
    """
    return _answers_or_raise(load_draft(path), on_notice)


def loads(text: str, file: str | None = None, on_notice: OnNotice = lambda notice: None) -> Answers:
    """Return the answers in a text.

    Args:
        text: YAML.
        file: The file's name for messages.
        on_notice: Takes notices.

    Raises:
        AnswersError: The answers are invalid; it has all problems, with line and column.
    """
    return _answers_or_raise(loads_draft(text, file), on_notice)


def load_draft(path: str | Path, *, pipes: bool = False) -> LoadedAnswers:
    """Read a file that can be incomplete or invalid, for the wizard.

    Args:
        path: The file.
        pipes: Whether it can be a pipe.

    Raises:
        LocalFileError: The file cannot be read.
    """
    file = str(path)
    size = yaml_document.LARGEST_FILE + 1
    content = read_start(path, "answers file", size=size, pipes=pipes)
    if len(content) > yaml_document.LARGEST_FILE:
        problem = Problem((), yaml_document.TOO_LARGE, file=file, line=1, column=1)
        return LoadedAnswers(problems=(problem,))
    text, problems = yaml_document.decode(content, file)
    if problems:
        return LoadedAnswers(problems=tuple(problems))
    return loads_draft(text, file)


def read_answers_text(path: str | Path) -> str:
    """Return the text of an answers file, to change parts of it.

    Args:
        path: The file.

    Raises:
        LocalFileError: The file cannot be read.
    """
    return read_text(path, "answers file", largest=yaml_document.LARGEST_FILE)


def loads_draft(text: str, file: str | None = None) -> LoadedAnswers:
    """Read a text that can be incomplete or invalid. Raises nothing.

    Args:
        text: YAML.
        file: The file's name for messages.
    """
    document = yaml_document.read(text, file)
    problems = list(document.problems)
    data = document.value
    if not isinstance(data, dict):
        if not problems:
            what = "a list" if isinstance(data, list) else "a single value"
            message = f"is {what}; expected keys such as version, registry and servers"
            problems.append(document.problem((), message))
        return LoadedAnswers(problems=tuple(problems), document=document)
    notices: list[str] = []
    try:
        data, notices = migrate(data)
    except MigrationError as error:
        problems.append(document.problem(("version",), str(error)))
        if "version" in data:
            # The rules of another version are not known.
            return LoadedAnswers(data, problems=tuple(problems), document=document)
        data = {**data, "version": VERSION}
    data = _without_empty_sections(data)
    document.value = data
    answers, found = _validate(data, document)
    known = {problem.path for problem in problems}
    problems += [problem for problem in found if problem.path not in known]
    problems.sort(key=lambda problem: (problem.line or 0, problem.column or 0))
    return LoadedAnswers(
        data, None if problems else answers, tuple(problems), tuple(notices), document
    )


def _without_empty_sections(value: Any, path: tuple[str | int, ...] = ()) -> Any:
    """Return answers without sections and lists that are empty and can be left out."""
    if isinstance(value, list):
        return [_without_empty_sections(each, (*path, number)) for number, each in enumerate(value)]
    model = model_at(path) if isinstance(value, dict) else None
    if model is None:
        return value
    kept = {}
    for key, below in value.items():
        field = model.model_fields.get(key)
        if below is None and field is not None and not field.is_required():
            usual = field.get_default(call_default_factory=True, validated_data={})
            if isinstance(usual, (BaseModel, dict, tuple)):
                continue
        kept[key] = _without_empty_sections(below, (*path, key))
    return kept


def validate(data: dict[str, Any]) -> tuple[Answers | None, tuple[Problem, ...]]:
    """Return the answers in nested dictionaries and lists, or all their problems.

    Args:
        data: The answers; secrets are references or :class:`~moorage.answers.secrets.Typed`.
    """
    answers, problems = _validate(data, Document(value=data))
    return answers, tuple(problems)


def _validate(data: dict[str, Any], document: Document) -> tuple[Answers | None, list[Problem]]:
    # It can still be yesterday where the servers are.
    context = {"today": date.today() - timedelta(days=1)}
    try:
        return Answers.model_validate(data, context=context), []
    except ValidationError as error:
        return None, explain(error, document)


def _answers_or_raise(loaded: LoadedAnswers, on_notice: OnNotice) -> Answers:
    if loaded.answers is None:
        raise AnswersError(loaded.problems)
    for notice in loaded.notices:
        on_notice(notice)
    return loaded.answers
