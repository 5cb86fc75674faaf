"""``moorage`` and ``moorage FILE``: the wizard."""

from __future__ import annotations

import os
from pathlib import Path

import click

from moorage.cli import terminal
from moorage.cli.errors import WrongUsageError
from moorage.cli.options import output_of
from moorage.cli.output import Output, WebOptions


@click.command("wizard")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
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
        WrongUsageError: There is no terminal, or the file does not exist.
    """
    if file is not None and file.is_dir():
        raise WrongUsageError(
            f"{file} is a folder, not an answers file.",
            advice=f"Use a file in it, such as {file / 'moorage.yml'}. 'moorage' alone starts "
            "with new answers and lists recent ones.",
        )
    if file is not None and not file.is_file():
        raise WrongUsageError(
            f"{file} does not exist.", advice="'moorage' alone starts with new answers."
        )
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
