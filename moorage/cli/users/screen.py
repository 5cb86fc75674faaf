"""``moorage users FILE``: the wizard's Users screen."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import output_of
from moorage.cli.wizard import open_wizard


@click.command("screen")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.pass_context
def command(context: click.Context, file: Path) -> int:
    """Open the Users screen of an answers file."""
    return open_wizard(output_of(context), file, users=True)
