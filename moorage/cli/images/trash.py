"""``moorage images trash``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.images.open_images import accepts_store, open_images, parse_image_arguments
from moorage.cli.users.open_users import deployment_arguments
from moorage.errors import ExitCode


@click.command("trash")
@deployment_arguments()
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Show what is in the trash, and how much space it takes up.

    'moorage images collect' deletes what has been in it for 7 days, and all of it with --purge.
    """
    from moorage.cli.images.trash_view import trash_as_json, trash_lines
    from moorage.deploy.images.read import read_images
    from moorage.deploy.images.run import read_trash_of

    arguments = parse_image_arguments(context, options)
    output = arguments.output
    with open_images(arguments) as runner:
        read = runner.query(lambda: read_images(runner.deployment, accepts=accepts_store(runner)))
        trash = runner.query(lambda: read_trash_of(runner.deployment, read))
    if output.as_json:
        output.emit(trash_as_json(trash, read.stored))
        return ExitCode.DONE
    for line in trash_lines(trash, read.stored):
        output.data(*line)
    return ExitCode.DONE
