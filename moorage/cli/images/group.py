"""The group of commands ``moorage images``."""

from __future__ import annotations

import click

from moorage.cli.lazy_group import LazyCommand, LazyGroup

_COMMANDS = {
    "list": LazyCommand(
        "moorage.cli.images.list_images",
        "Show repositories, tags, and the space they take up.",
        synonyms=("ls", "catalog", "tags"),
    ),
    "show": LazyCommand(
        "moorage.cli.images.show",
        "Show an image's platforms, layers, history, labels and signatures.",
        synonyms=("inspect", "info"),
    ),
    "delete": LazyCommand(
        "moorage.cli.images.delete",
        "Delete tags, or whole repositories.",
        synonyms=("rm", "rmi", "remove", "untag", "del"),
    ),
    "collect": LazyCommand(
        "moorage.cli.images.collect",
        "Free the space that no tag needs (garbage collection: gc, clean, prune).",
        synonyms=("gc", "clean", "cleanup", "prune", "garbage-collect", "purge"),
    ),
    "retain": LazyCommand(
        "moorage.cli.images.retain", "Remove the tags that the retention rules do not keep."
    ),
    "restore": LazyCommand(
        "moorage.cli.images.restore",
        "Bring images back from the trash, with their tags.",
        synonyms=("undelete", "undo"),
    ),
    "trash": LazyCommand("moorage.cli.images.trash", "Show what is in the trash."),
}

_EPILOG = """\b
Examples:
  moorage images list moorage.yml --sort size
  moorage images show moorage.yml team-a/app:1.2
  moorage images delete moorage.yml team-a/app:1.2 team-a/app:1.3
  moorage images delete moorage.yml team-a/old
  moorage images collect moorage.yml
  moorage images retain moorage.yml
  moorage images trash moorage.yml
  moorage images restore moorage.yml team-a/app:1.2
"""


class _Images(LazyGroup):
    lazy = _COMMANDS


@click.group(cls=_Images, epilog=_EPILOG)
def command() -> None:
    """Show the registry's images, delete them, and free the space (garbage collection).

    FILE, an answers file, selects the deployment, or --server USER@HOST. 'list', 'show' and 'trash'
    change nothing. No password of a registry user is needed.

    What is deleted or collected goes to a trash first, from which restore brings it back. The
    registry serves meanwhile: pulls do not wait, pushes wait for less than two seconds. With
    images in S3, all servers take part in changes.
    """
