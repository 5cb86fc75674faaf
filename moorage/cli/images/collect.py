"""``moorage images collect``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from moorage.cli.images.open_images import (
    accepts_store,
    change_options,
    check_can_confirm,
    open_images,
    parse_image_arguments,
    run_change,
    show_packages,
)
from moorage.cli.users.open_users import deployment_arguments
from moorage.durations import FORM, seconds
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.output import Output
    from moorage.deploy.images.run import CollectPlan

_EXAMPLES = """\b
Examples:
  moorage images collect moorage.yml
  moorage images collect moorage.yml --grace 10m --untagged-now --yes --json
"""


class _Duration(click.ParamType[float]):
    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        try:
            return seconds(str(value))
        except ValueError:
            self.fail(f"Invalid time '{value}': use {FORM}.", param)


@click.command("collect", epilog=_EXAMPLES)
@deployment_arguments()
@click.option(
    "--grace", type=_Duration(), show_default="collect.grace of the answers, or 1h",
    help="How long pushes in progress get to end before anything is moved.",
)  # fmt: skip
@click.option(
    "--young", type=_Duration(), show_default="collect.young of the answers, or 24h",
    help="Keep what was pushed within this time. A push that takes longer can fail.",
)  # fmt: skip
@click.option(
    "--untagged-now", is_flag=True,
    help="Also remove images without a tag, although it is not known who pulls them by digest.",
)  # fmt: skip
@click.option(
    "--purge", is_flag=True, help="Empty the trash at once. What was in it cannot be restored."
)
@change_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    grace: float | None,
    young: float | None,
    untagged_now: bool,
    purge: bool,
    yes: bool,
    dry_run: bool,
    **options: Any,
) -> int:
    """Free the space that nothing needs: garbage collection (gc, clean up, prune).

    Keeps everything that tags refer to: images of all platforms, signatures, attestations. Keeps
    what was pushed within --young, all of a repository with a manifest that cannot be read, and
    images without a tag that were pulled by digest within 30 days, or all of them while it is not
    known for that long who pulls what.

    The registry keeps serving: pulls do not wait, pushes wait for less than two seconds. The rest
    goes to the trash, where it still takes up space for 7 days; 'moorage images restore' brings it
    back. The run continues on the server if the connection is lost. Ctrl-C cancels it.
    """
    from moorage.deploy.images.run import plan_collect

    arguments = parse_image_arguments(context, options)
    output = arguments.output
    check_can_confirm(output, yes=yes, dry_run=dry_run, what="collect")
    with open_images(arguments) as runner:
        plan = runner.query(
            lambda: plan_collect(
                runner.deployment,
                grace=grace,
                young=young,
                takes_untagged=untagged_now,
                purges=purge,
                accepts=accepts_store(runner),
            )
        )
        if output.as_json and not plan.has_changes:
            output.emit({"exit_code": 0, "plan": _as_json(plan)})
        if not output.as_json:
            _show(output, plan)
        if not plan.has_changes:
            return ExitCode.DONE
        if not output.as_json:
            show_packages(output, plan.read)
        question = "Move this to the trash?"
        if purge:
            question = "Move this to the trash and empty the trash? This cannot be undone."
        elif plan.collection.is_empty:
            question = "Delete this from the trash? This cannot be undone."
        return run_change(
            runner,
            plan.read,
            plan.task,
            _as_json(plan),
            question=question,
            yes=yes,
            dry_run=dry_run,
        )


def _show(output: Output, plan: CollectPlan) -> None:
    from moorage.deploy.images.rows import kept_untagged_text
    from moorage.units import count_text, duration_text, size_text

    this = plan.collection
    if this.is_empty:
        output.message("Nothing to collect.")
    else:
        output.message(
            f"{count_text(this.blobs, 'blob')} that nothing needs: {size_text(this.freed)} "
            f"({this.freed} bytes), {count_text(this.manifests, 'manifest')} among them."
        )
    for repository, tag in this.tags:
        output.message(("-  ", "red"), f"{repository}:{tag}  belongs to an image that goes")
    if this.removes_checks:
        text = "moorage-verify  the repository of Moorage's own checks; they create it again"
        output.message(("-  ", "red"), text)
    if plan.waiting.blobs:
        at = time.strftime("%Y-%m-%d %H:%M", time.localtime(plan.waiting.until))
        output.message(
            f"Too young: {count_text(plan.waiting.blobs, 'blob')}, {size_text(plan.waiting.size)}, "
            f"that nothing needs and that were written within {duration_text(plan.task.young)}. "
            f"All of it can be collected from {at} on."
        )
    if this.kept_untagged:
        kept = kept_untagged_text(this.kept_untagged, this.kept_until)
        output.message(f"{kept} --untagged-now does not wait for that.")
    for repository, manifests in this.unreadable.items():
        digest, why = manifests[0]
        output.message(
            ("!  ", "yellow"),
            f"Kept: everything in {repository}, because manifest {digest[:19]} cannot be read: "
            f"{why or 'unknown'}",
        )
    if plan.trash:
        size = sum(run.size for run in plan.trash)
        end = (
            "is deleted with this"
            if plan.task.purges
            else f"is deleted after {duration_text(plan.task.trash)}"
        )
        output.message(f"In the trash: {size_text(size)}, which {end}.")
        if plan.emptied and not plan.task.purges:
            old = size_text(sum(run.size for run in plan.emptied))
            output.message(f"{old} of it has been there for longer, and is deleted with this.")


def _as_json(plan: CollectPlan) -> dict[str, object]:
    from moorage.cli.images.images_view import time_text

    this = plan.collection
    return {
        "bytes": this.freed,
        "blobs": this.blobs,
        "manifests": this.manifests,
        "tags": [{"repository": repository, "tag": tag} for repository, tag in this.tags],
        "kept_untagged": this.kept_untagged,
        "kept_until": time_text(this.kept_until),
        "waiting": {
            "blobs": plan.waiting.blobs,
            "bytes": plan.waiting.size,
            "until": time_text(plan.waiting.until or None),
        },
        "unreadable": {
            repository: [{"digest": digest, "reason": reason} for digest, reason in manifests]
            for repository, manifests in this.unreadable.items()
        },
        "trash_bytes": sum(run.size for run in plan.trash),
        "emptied_bytes": sum(run.size for run in plan.emptied),
        "purges": plan.task.purges,
        "grace": plan.task.grace,
        "young": plan.task.young,
    }
