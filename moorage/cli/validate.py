"""``moorage validate``."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import answers_argument, common_options, output_of

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
    help="Also check that this machine has all secrets and key, certificate and image files in "
    "the answers, as an apply without a terminal needs.",
)
@common_options
@click.pass_context
def command(context: click.Context, file: Path, headless: bool) -> None:
    """Check an answers file without touching any server.

    Lists all problems at once, with file, line and column, or says in words what the answers mean.
    Changes nothing. Exits with 0 if the answers are valid, 2 if not.
    """
    from moorage.answers.rows import answers_rows
    from moorage.cli.answers_file import check_local_requirements, check_provider, open_answers
    from moorage.cli.tables import row_lines

    output = output_of(context)
    answers = open_answers(output, file)
    check_provider(file, answers)
    if headless:
        check_local_requirements(file, answers)
    rows = answers_rows(answers)
    if output.as_json:
        meaning = {row.key: row.text for row in rows}
        result = {"valid": True, "file": str(file), "domain": answers.registry.domain}
        output.emit({**result, "meaning": meaning})
    else:
        output.data(f"{file}: the answers are valid.")
        for line in row_lines(rows, "  "):
            output.data(*line)
