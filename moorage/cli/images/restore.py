"""``moorage images restore``."""

from __future__ import annotations

from typing import Any

import click

from moorage.cli.images.open_images import (
    NAMES,
    accepts_store,
    change_options,
    check_can_confirm,
    open_images,
    parse_names,
    run_change,
    show_packages,
)
from moorage.cli.users.open_users import deployment_arguments

_EXAMPLES = """\b
Examples:
  moorage images restore moorage.yml team-a/app:1.2
  moorage images restore moorage.yml team-a/old
  moorage images restore moorage.yml            everything in the trash
"""


@click.command("restore", epilog=_EXAMPLES)
@deployment_arguments(f"[{NAMES}]")
@change_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, dry_run: bool, **options: Any) -> int:
    """Bring images back from the trash, with their tags.

    Without names, brings back everything in the trash. A tag that was pushed again since stays as
    it is now, and the deleted image can be pulled by its digest. Exits with 1 then.
    """
    from moorage.deploy.images.run import plan_restore

    arguments = parse_names(context, options)
    output = arguments.output
    check_can_confirm(output, yes=yes, dry_run=dry_run, what="restore")
    with open_images(arguments) as runner:
        plan = runner.query(
            lambda: plan_restore(runner.deployment, arguments.words, accepts_store(runner))
        )
        if not output.as_json:
            for repository, tag in plan.pushed_again:
                output.message(
                    ("!  ", "yellow"),
                    f"{repository}:{tag} was pushed again and stays: its deleted image comes back "
                    "without a tag",
                )
            show_packages(output, plan.read)
        what = ", ".join(arguments.words) or "everything in the trash"
        question = f"Restore {what}?"
        return run_change(
            runner, plan.read, plan.task, {"names": list(arguments.words)},
            question=question, yes=yes, dry_run=dry_run,
        )  # fmt: skip
