"""``moorage images list``."""

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

_EXAMPLES = """\b
Examples:
  moorage images list moorage.yml
  moorage images list moorage.yml --sort size
  moorage images list moorage.yml --tags --sort pulled
  moorage images list moorage.yml 'team-a/*' --tags --sort pushed
  moorage images list moorage.yml 'team-a/app:1.*'
  moorage images list --server root@203.0.113.10 --json
"""


@click.command("list", epilog=_EXAMPLES)
@deployment_arguments("[PATTERN]")
@click.option("--tags", "with_tags", is_flag=True, help="Show each tag, not only repositories.")
@click.option(
    "--sort",
    type=click.Choice(["name", "size", "pushed", "pulled"]),
    default="name",
    help="Sort by name (default), by size with the largest first, or by the last push or pull with "
    "the latest first.",
)
@click.option(
    "--all",
    "with_checks",
    is_flag=True,
    help="Also show moorage-verify, the repository that Moorage's own checks push to.",
)
@click.pass_context
def command(
    context: click.Context, /, *, with_tags: bool, sort: str, with_checks: bool, **options: Any
) -> int:
    """Show repositories and tags, and the space they take up.

    PATTERN selects repositories: 'team-a/*' is everything below team-a, and * and ? stand for any
    characters. It can select tags as well: '1.*', or with a colon 'team-a/app:1.*'.

    Size is everything that an image needs. Own is the part of it that nothing else needs: what is
    shared counts once in the total, and in the own size of none. So own is what deleting it would
    free at most. Last push is the time of the tag's file on the disk; last pulls and users are
    from nginx's log, as far as the servers noted them (see 'moorage activity'). Changes nothing.

    In a narrow terminal the table leaves out columns. --json always includes the tags, and sizes in
    bytes.
    """
    from moorage.cli.images.images_view import list_as_json, list_lines
    from moorage.deploy.images.rows import Order, below_hint, select, with_uses
    from moorage.images.usage import measure

    has_pattern = len(options["words"]) > (0 if options["addresses"] else 1)
    arguments = parse_image_arguments(context, options, *(["[PATTERN]"] if has_pattern else []))
    output = arguments.output
    pattern = arguments.words[0] if has_pattern else ""
    with open_images(arguments) as runner:
        read, activity = read_images(runner)
        found = read_reclaimable(runner, read, activity)
    usage = with_uses(measure(read.stored), activity)
    listed = select(read, usage, pattern, Order(sort), with_checks=with_checks)
    if output.as_json:
        output.emit({"exit_code": int(ExitCode.DONE), **list_as_json(listed, activity, found)})
        return ExitCode.DONE
    if pattern and not listed.repositories:
        output.message(f"No image matches {pattern}.{below_hint(read, pattern)}")
    tags = {each.name: len(each.tags) for each in usage.repositories}
    # The pattern names tags.
    with_tags |= any(len(each.tags) < tags[each.name] for each in listed.repositories)
    shows_tags = with_tags or ":" in pattern
    for line in list_lines(listed, activity, found, with_tags=shows_tags, width=output.width):
        output.data(*line)
    return ExitCode.DONE
