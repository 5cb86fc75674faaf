"""``moorage images show``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.images.open_images import (
    open_images,
    parse_image_arguments,
    read_images,
    read_reclaimable,
)
from moorage.cli.users.open_users import deployment_arguments
from moorage.errors import ExitCode

_NAME = "REPOSITORY[:TAG|@DIGEST]"
_EXAMPLES = """\b
Examples:
  moorage images show moorage.yml team-a/app
  moorage images show moorage.yml team-a/app:1.2
  moorage images show moorage.yml team-a/app@sha256:3f2a91 --json
  moorage images show --server root@203.0.113.10 team-a/app:1.2
"""


@click.command("show", epilog=_EXAMPLES)
@deployment_arguments(_NAME)
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Show an image, or the tags of a repository.

    Of an image: its platforms with their layers, history, labels and configuration; what refers to
    it, such as signatures and attestations; and what its tag named before. The first 4 digits of
    a digest are enough if no other begins with them. Changes nothing.

    Exits with 1 if there is no such image.
    """
    from moorage.cli.images.images_view import (
        image_as_json,
        image_lines,
        list_as_json,
        list_lines,
    )
    from moorage.deploy.images.rows import parse_image_name, select_repository, with_uses
    from moorage.images.usage import measure

    arguments = parse_image_arguments(context, options, _NAME)
    output = arguments.output
    with open_images(arguments) as runner:
        operations = runner.operations
        read, activity = read_images(runner)
        usage = with_uses(measure(read.stored), activity)
        name = parse_image_name(arguments.words[0], read.domain)
        if not name.reference:
            listed = select_repository(read, usage, name.repository)
            found = read_reclaimable(runner, read, activity)
            if output.as_json:
                value = list_as_json(listed, activity, found)
                output.emit({"exit_code": int(ExitCode.DONE), **value})
            else:
                for line in list_lines(listed, activity, found, with_tags=True, width=output.width):
                    output.data(*line)
            return ExitCode.DONE
        details = runner.query(
            lambda: operations.read_image(read, usage, name.repository, name.reference)
        )
    use = activity.of(details.repository, details.tag, details.digest)
    if output.as_json:
        output.emit({"exit_code": int(ExitCode.DONE), **image_as_json(read, details, use)})
    else:
        for line in image_lines(read, details, use):
            output.data(*line)
    return ExitCode.DONE
