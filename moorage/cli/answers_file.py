"""Load and check the answers file of a command."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cli.output import Output
from moorage.errors import AnswersError, MoorageError, Problem
from moorage.local_file import LocalFileError

if TYPE_CHECKING:
    from moorage.answers.model import Answers


def open_answers(output: Output, path: Path) -> Answers:
    """Load an answers file and print the loader's notices.

    Args:
        output: The output.
        path: The file.

    Raises:
        AnswersError: The answers are invalid.
        LocalFileError: The file cannot be read.
    """
    from moorage.answers.load import load_draft
    from moorage.registry_keys import check_loaded

    loaded = load_draft(path, pipes=True)
    answers = loaded.answers
    problems = check_loaded(loaded)
    if problems or answers is None:
        raise AnswersError(problems)
    for notice in loaded.notices:
        output.message(f"{path}: {notice}")
    return answers


def check_local_requirements(path: Path, answers: Answers) -> None:
    """Check that this machine has the secrets and files for an apply without a terminal.

    Args:
        path: The answers file.
        answers: The answers.

    Raises:
        AnswersError: Some are missing; lists all of them, with line and column.
    """
    from moorage.answers.resolve import check_available
    from moorage.deploy.plan.local_files import check_local_files

    problems = check_available(answers, terminal=False) + check_local_files(answers)
    if problems:
        raise AnswersError(_located(path, problems))


def check_provider(path: Path, answers: Answers) -> None:
    """Check that dns-lexicon has the answers' provider and its options.

    Args:
        path: The answers file.
        answers: The answers.

    Raises:
        AnswersError: It does not have them.
    """
    section = answers.dns.lexicon
    if answers.dns.provider != "lexicon" or section is None:
        return
    from moorage.dns.lexicon import known_options

    try:
        known = known_options(section.name)
    except MoorageError as error:
        problems = [Problem(("dns", "lexicon", "name"), error.explain(), code=error.code)]
    else:
        problems = [
            Problem(
                ("dns", "lexicon", "options", name),
                f"unknown option for {section.name}; use {', '.join(known) or 'none'}",
                code="no_option",
            )
            for name in section.options
            if name.replace("-", "_") not in known
        ]
    if problems:
        raise AnswersError(_located(path, problems))


def _located(path: Path, problems: Sequence[Problem]) -> Sequence[Problem]:
    """Add lines and columns, unless the file was a pipe, which cannot be read again."""
    from moorage.answers.load import load_draft

    try:
        return load_draft(path).locate(problems)
    except LocalFileError:
        return problems
