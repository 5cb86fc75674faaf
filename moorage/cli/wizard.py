"""``moorage`` and ``moorage FILE``: the wizard."""

from __future__ import annotations

import os
from pathlib import Path

import click

from moorage.cli import terminal
from moorage.cli.errors import WrongUsageError
from moorage.cli.options import session_of
from moorage.cli.session import Session, WebPlace


@click.command("wizard")
@click.argument("file", metavar="[FILE]", required=False, type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, file: Path | None) -> int:
    """Open the wizard, on an answers file if there is one."""
    return open_wizard(session_of(context), file)


def open_wizard(
    session: Session,
    file: Path | None,
    *,
    users: bool = False,
    servers: tuple[tuple[str, ...], str] | None = None,
) -> int:
    """Open the wizard and return what to exit with.

    Args:
        session: The session.
        file: The answers file to open, or None.
        users: Whether to begin with the users.
        servers: The addresses and the key file (or empty) of servers to read instead of a file.

    Raises:
        WrongUsageError: There is no terminal, or no such file.
    """
    if file is not None and file.is_dir():
        raise WrongUsageError(
            f"{file} is a folder, and an answers file is wanted.",
            advice=f"Name the file in it, such as {file / 'moorage.yml'}; 'moorage' alone starts "
            "with new answers and lists those opened before.",
        )
    if file is not None and not file.is_file():
        raise WrongUsageError(
            f"There is no file {file}.", advice="'moorage' alone starts with new answers."
        )
    if session.web is not None:
        return _serve(session.web, file)
    if not terminal.has_terminal():
        advice = (
            "'moorage users list FILE' lists the users, and 'moorage users --help' shows what else "
            "there is."
            if users
            else "Without one, use: moorage validate FILE, moorage plan FILE, "
            "moorage apply FILE --yes, moorage status FILE, moorage verify FILE."
        )
        raise WrongUsageError("The wizard needs a terminal, and this is none.", advice=advice)
    if session.no_color:
        os.environ["NO_COLOR"] = "1"
    from tui.app import run_wizard

    return int(run_wizard(file, users=users, servers=servers))


def _serve(place: WebPlace, file: Path | None) -> int:
    try:
        from tui.web.serve import serve_wizard
    except ModuleNotFoundError as error:
        raise WrongUsageError(
            "The wizard in a browser needs textual-serve.", advice="pip install 'moorage[web]'"
        ) from error
    return serve_wizard(file, place.host, place.port, with_token=place.with_token)
