"""``moorage images delete``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from moorage.cli.images.open_images import (
    NAMES,
    accepts_store,
    change_options,
    check_can_confirm,
    open_images,
    parse_image_arguments,
    run_change,
    show_packages,
)
from moorage.cli.users.open_users import deployment_arguments

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.deploy.images.run import DeletePlan

_EXAMPLES = """\b
Examples:
  moorage images delete moorage.yml team-a/app:1.2 team-a/app:1.3
  moorage images delete --server root@203.0.113.10 team-a/old --yes
"""


@click.command("delete", epilog=_EXAMPLES)
@deployment_arguments(NAMES)
@change_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, dry_run: bool, **options: Any) -> int:
    """Delete tags, or whole repositories.

    REPOSITORY without a tag deletes everything in it; it no longer appears in the catalog.
    Repositories below it stay.

    The tags go to the trash: 'moorage images restore' brings them back. The space is freed by
    'moorage images collect', which removes what no other tag needs.
    """
    from moorage.deploy.images.run import plan_delete

    arguments = parse_image_arguments(context, options, NAMES)
    output = arguments.output
    check_can_confirm(output, yes=yes, dry_run=dry_run, what="delete the images")
    with open_images(arguments) as runner:
        plan = runner.query(
            lambda: plan_delete(runner.deployment, arguments.words, accepts_store(runner))
        )
        if not output.as_json:
            _show(output, plan)
        count = len(plan.tags) + len(plan.repositories)
        names = arguments.words[0] if count == 1 else f"these {count}"
        question = f"Delete {names}?"
        return run_change(
            runner,
            plan.read,
            plan.task,
            _as_json(plan),
            question=question,
            yes=yes,
            dry_run=dry_run,
        )


def _show(output: Output, plan: DeletePlan) -> None:
    from moorage.units import count_text, size_text

    trees = plan.read.stored.tree.repositories
    for repository, tag, digest in plan.tags:
        output.message(("-  ", "red"), f"{repository}:{tag}  {digest[:19]}")
    for repository in plan.repositories:
        tags = count_text(len(trees[repository].tags), "tag")
        output.message(("-  ", "red"), f"{repository}  the whole repository: {tags}")
    output.message(
        f"{count_text(plan.manifests, 'manifest')} can no longer be pulled. "
        f"'moorage images collect' can then free {size_text(plan.size)}."
    )
    show_packages(output, plan.read)


def _as_json(plan: DeletePlan) -> dict[str, object]:
    return {
        "tags": [
            {"repository": repository, "tag": tag, "digest": digest}
            for repository, tag, digest in plan.tags
        ],
        "repositories": list(plan.repositories),
        "manifests": plan.manifests,
        "bytes": plan.size,
    }
