"""``moorage users FILE``: the wizard's Users screen."""

from __future__ import annotations

from pathlib import Path

import click

from moorage.cli.options import LOCAL_FILE, output_of
from moorage.cli.wizard import open_wizard


@click.command("screen")
@click.argument("file", metavar="FILE", type=LOCAL_FILE)
@click.pass_context
def command(context: click.Context, file: Path) -> int:
    """Open the Users screen of an answers file."""
    return open_wizard(output_of(context), file, users=True)
