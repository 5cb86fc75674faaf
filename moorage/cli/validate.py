"""``moorage validate``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, common_options, session_of

_EXAMPLES = """\b
Examples:
  moorage validate moorage.yml
  moorage validate moorage.yml --headless
"""


@click.command("validate", epilog=_EXAMPLES)
@answers_argument
@click.option(
    "--headless",
    is_flag=True,
    help="Also check that this machine has what an apply without a terminal needs: every secret "
    "the answers refer to, and the key, certificate and image files they name.",
)
@common_options
@click.pass_context
def command(context: click.Context, file: Path, headless: bool) -> None:
    """Check an answers file without touching any server.

    All problems are listed at once, with file, line and column. Changes nothing. Exits with 0 when
    the answers are valid and 2 when they are not.
    """
    from moorage.cli.answers_file import check_machine, check_provider, open_answers

    session = session_of(context)
    answers = open_answers(session, file)
    check_provider(file, answers)
    if headless:
        check_machine(file, answers)
    if session.as_json:
        session.emit({"valid": True, "file": str(file), "domain": answers.registry.domain})
    else:
        session.data(f"{file}: the answers are valid.")
