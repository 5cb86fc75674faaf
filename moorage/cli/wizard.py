"""``moorage`` and ``moorage FILE``: the wizard."""

from __future__ import annotations

import os
from pathlib import Path

import click

from moorage.cli import terminal
from moorage.cli.errors import WrongUsageError
from moorage.cli.options import LOCAL_FILE, output_of
from moorage.cli.output import Output, WebOptions
from moorage.local_file import LocalFileError, check_file


@click.command("wizard")
@click.argument("file", metavar="[FILE]", required=False, type=LOCAL_FILE)
@click.pass_context
def command(context: click.Context, file: Path | None) -> int:
    """Open the wizard, optionally with an answers file."""
    return open_wizard(output_of(context), file)


def open_wizard(
    output: Output,
    file: Path | None,
    *,
    users: bool = False,
    servers: tuple[tuple[str, ...], str] | None = None,
) -> int:
    """Open the wizard and return the exit code.

    Args:
        output: The output.
        file: The answers file to open, or None.
        users: Whether to open the Users screen.
        servers: Addresses of servers to read instead of a file, and their key file (or empty).

    Raises:
        LocalFileError: The file cannot be read.
        WrongUsageError: There is no terminal.
    """
    if file is not None:
        try:
            check_file(file, "answers file")
        except LocalFileError as error:
            error.advice += " 'moorage' alone starts with new answers and lists recent ones."
            raise
    if output.web is not None:
        return _serve(output.web, file)
    if not terminal.has_terminal():
        advice = (
            "'moorage users list FILE' lists the users; see 'moorage users --help' for more "
            "commands."
            if users
            else "Without one, use moorage validate FILE, moorage plan FILE, "
            "moorage apply FILE --yes, moorage status FILE, moorage verify FILE."
        )
        raise WrongUsageError("The wizard needs an interactive terminal.", advice=advice)
    if output.no_color:
        os.environ["NO_COLOR"] = "1"
    from tui.app import run_wizard

    return int(run_wizard(file, users=users, servers=servers))


def _serve(options: WebOptions, file: Path | None) -> int:
    try:
        from tui.web.serve import serve_wizard
    except ModuleNotFoundError as error:
        raise WrongUsageError(
            "The wizard in a browser needs textual-serve.", advice="pip install 'moorage[web]'"
        ) from error
    return serve_wizard(file, options.host, options.port, with_token=options.with_token)
