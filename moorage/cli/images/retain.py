"""``moorage images retain``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from moorage.cli.images.open_images import (
    accepts_store,
    change_options,
    check_can_confirm,
    open_images,
    run_change,
)
from moorage.cli.users.open_users import deployment_arguments, parse_arguments
from moorage.errors import ExitCode

if TYPE_CHECKING:
    from moorage.cli.plan_view import Line
    from moorage.deploy.images.retain import RetainPlan

_EXAMPLES = """\b
Examples:
  moorage images retain moorage.yml
  moorage images retain moorage.yml --yes --json
  moorage images retain --server root@203.0.113.10
"""
_SHORT = 19


@click.command("retain", epilog=_EXAMPLES)
@deployment_arguments()
@change_options
@click.pass_context
def command(context: click.Context, /, *, yes: bool, dry_run: bool, **options: Any) -> int:
    """Remove the tags that the retention rules do not keep (clean up, prune, expire).

    The rules are under 'retention' in FILE; with --server, those that were applied last. The first
    rule for a repository decides; without one, all its tags stay. Shows which tags go, and why the
    others stay, before it asks.

    The tags go to the trash: 'moorage images restore' brings them back. The space is freed by
    'moorage images collect'. A tag that is pushed or pulled before the run begins stays.
    """
    from moorage.deploy.images.retain import plan_retain, tags_text

    arguments = parse_arguments(context, options)
    output = arguments.output
    check_can_confirm(output, yes=yes, dry_run=dry_run, what="remove the tags")
    with open_images(arguments) as runner:
        plan = runner.query(lambda: plan_retain(runner.deployment, accepts_store(runner)))
        if not output.as_json:
            for line in _lines(plan):
                output.message(*line)
        elif not plan.has_changes:
            output.emit({"exit_code": 0, "plan": _as_json(plan)})
        if not plan.has_changes:
            return ExitCode.DONE
        question = f"Move {tags_text(len(plan.task.tags))} to the trash?"
        return run_change(
            runner,
            plan.read,
            plan.task,
            _as_json(plan),
            question=question,
            yes=yes,
            dry_run=dry_run,
        )


def _lines(plan: RetainPlan) -> Iterator[Line]:
    """Yield the tags that go, the effect of each rule, and the sums."""
    from moorage.cli.tables import aligned, row_lines
    from moorage.deploy.images.retain import rule_rows, tags_text
    from moorage.escape import one_line
    from moorage.units import age_text, size_text

    now = plan.read.server_time
    trees = plan.read.stored.tree.repositories
    if plan.has_changes:
        head = ("image", "digest", "last push", "last pull", "rule")
        rows: list[tuple[Any, ...]] = [tuple((title, "bold") for title in head)]
        for each in plan.judgement.removed:
            tag = trees[each.repository].tags[each.tag]
            pulled = plan.activity.of(each.repository, each.tag, tag.digest).pulled
            rows.append((
                (one_line(f"{each.repository}:{each.tag}"), "red"), tag.digest[:_SHORT],
                age_text(tag.link.modified if tag.link else None, now),
                age_text(pulled.at if pulled else None, now),
                str((each.rule or 0) + 1),
            ))  # fmt: skip
        yield from aligned(rows)
        yield ("",)
    yield from row_lines(list(rule_rows(plan.judgement)), "")
    if not plan.has_changes:
        yield ("No tag goes.",)
        return
    manifests = f"{plan.manifests} manifest{'s' * (plan.manifests != 1)}"
    yield (
        f"{tags_text(len(plan.task.tags))} to remove; {manifests} can no longer be pulled then. "
        f"'moorage images collect' can then free {size_text(plan.size)} ({plan.size} bytes).",
    )


def _as_json(plan: RetainPlan) -> dict[str, object]:
    from moorage.cli.images.images_view import time_text

    judgement = plan.judgement
    digests = {(name, tag): digest for name, tag, digest in plan.task.tags}
    return {
        "tags": [
            {
                "repository": each.repository,
                "tag": each.tag,
                "digest": digests[each.repository, each.tag],
                "rule": each.rule,
            }
            for each in judgement.removed
        ],
        "manifests": plan.manifests,
        "bytes": plan.size,
        "rules": [
            {
                "repositories": list(rule.repositories),
                "keep": rule.keep,
                "removed": rule.removed,
                "kept": {str(reason): count for reason, count in rule.kept.items()},
            }
            for rule in judgement.rules
        ],
        "without_rule": judgement.without_rule,
        "pulls_known_since": time_text(plan.activity.covers_since),
    }
