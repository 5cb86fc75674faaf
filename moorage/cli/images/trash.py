"""``moorage images trash``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.images.open_images import open_images
from moorage.cli.users.open_users import deployment_arguments, parse_arguments
from moorage.errors import ExitCode


@click.command("trash")
@deployment_arguments()
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Show what is in the trash, and how much space it takes up.

    'moorage images collect' deletes what has been in it for 7 days, and all of it with --purge.
    """
    import time

    from moorage.deploy.images import read_images
    from moorage.deploy.images_run import read_trash_of
    from moorage.units import age_text, size_text

    arguments = parse_arguments(context, options)
    output = arguments.output
    with open_images(arguments) as runner:
        trash = runner.query(
            lambda: read_trash_of(runner.deployment, read_images(runner.deployment, on_disk=True))
        )
    if output.as_json:
        output.emit(
            {
                "bytes": sum(run.size for run in trash),
                "runs": [
                    {
                        "run": run.run,
                        "at": int(run.at),
                        "is_complete": run.is_complete,
                        "bytes": run.size,
                        "blobs": run.blobs,
                        "tags": [{"repository": name, "tag": tag} for name, tag in run.tags],
                        "repositories": list(run.repositories),
                    }
                    for run in trash
                ],
            }
        )
        return ExitCode.DONE
    if not trash:
        output.data("The trash is empty.")
    for run in trash:
        state = "" if run.is_complete else "  interrupted: the next run puts it back"
        output.data(
            f"{age_text(run.at, time.time())}  {size_text(run.size)} in {run.blobs} files{state}"
        )
        for name in (*(f"{name}:{tag}" for name, tag in run.tags), *run.repositories):
            output.data(f"   {name}")
    return ExitCode.DONE
