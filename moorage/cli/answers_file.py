"""Opens the answers file a command was given."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING

from moorage.cli.errors import WrongUsageError
from moorage.cli.session import Session
from moorage.errors import AnswersError, MoorageError, Problem

if TYPE_CHECKING:
    from moorage.answers.model import Answers


def open_answers(session: Session, path: Path) -> Answers:
    """Load an answers file and narrate what the loader has to say about it.

    Args:
        session: The session.
        path: The file.

    Raises:
        AnswersError: The answers are wrong.
        WrongUsageError: The file cannot be read.
    """
    from moorage.answers.load import load_draft
    from moorage.registry_keys import check_registry, only_version

    try:
        loaded = load_draft(path)
    except MoorageError as error:
        raise WrongUsageError(error.message, advice=error.advice, code=error.code) from error
    answers = loaded.answers
    if answers is None:
        raise AnswersError(loaded.problems)
    problems = loaded.locate(check_registry(answers, only_version(answers)))
    if problems:
        raise AnswersError(problems)
    for notice in loaded.notices:
        session.narrate(f"{path}: {notice}")
    return answers


def check_there(path: Path) -> None:
    """Make sure that there is such a file, before anything else is complained about.

    Raises:
        WrongUsageError: There is none.
    """
    try:
        # Not opened: what comes through a pipe is read only once.
        is_folder = stat.S_ISDIR(path.expanduser().stat().st_mode)
        why = "is a directory" if is_folder else ""
    except OSError as error:
        why = (error.strerror or "unknown").lower()
    if why:
        message = f"The answers file {path} cannot be read: {why}."
        raise WrongUsageError(message, code="cannot_read")


def check_machine(path: Path, answers: Answers) -> None:
    """Make sure that this machine has what an apply without a terminal needs: secrets and files.

    Args:
        path: The file the answers came from.
        answers: The answers.

    Raises:
        AnswersError: Something is missing; it lists all of it, with line and column.
    """
    from moorage.answers.load import load_draft
    from moorage.answers.resolve import check_available
    from moorage.deploy.local_files import check_local_files

    problems = check_available(answers, terminal=False) + check_local_files(answers)
    if problems:
        raise AnswersError(load_draft(path).locate(problems))


def check_provider(path: Path, answers: Answers) -> None:
    """Make sure that dns-lexicon has the provider of the answers, with their options.

    Args:
        path: The file the answers came from.
        answers: The answers.

    Raises:
        AnswersError: It has not.
    """
    section = answers.dns.lexicon
    if answers.dns.provider != "lexicon" or section is None:
        return
    from moorage.answers.load import load_draft
    from moorage.dns.lexicon import known_options

    try:
        known = known_options(section.name)
    except MoorageError as error:
        problems = [Problem(("dns", "lexicon", "name"), error.explain(), code=error.code)]
    else:
        problems = [
            Problem(
                ("dns", "lexicon", "options", name),
                f"{section.name} has no such option; it takes {', '.join(known) or 'none'}",
                code="no_option",
            )
            for name in section.options
            if name.replace("-", "_") not in known
        ]
    if problems:
        raise AnswersError(load_draft(path).locate(problems))
