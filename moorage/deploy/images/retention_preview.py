"""The consequences of new retention rules: the tags that they will remove."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from moorage.deploy.plan.consequences import Code, Consequence, store_in_words
from moorage.deploy.plan.store import uses_recorded_store
from moorage.deploy.record.deployment_json import as_applied
from moorage.errors import MoorageError

if TYPE_CHECKING:
    from moorage.answers.model import Answers
    from moorage.deploy.deployment import Deployment
    from moorage.servers.facts import Facts


def find_removals(deployment: Deployment, every: Sequence[Facts]) -> Iterator[Consequence]:
    """Yield what the rules of the answers remove, if an apply puts them into force.

    Reads the images, but only if there is something to find out.

    Args:
        deployment: The deployment.
        every: The facts of its servers.
    """
    from moorage.deploy.images.activity import read_activity
    from moorage.deploy.images.read import read_images
    from moorage.deploy.images.retain import judge, removed_text, tags_text

    answers = deployment.answers
    if not _come_into_force(answers, every) or not any(map(_has_images, every)):
        return
    is_scheduled = answers.collect.when is not None
    if not any(uses_recorded_store(answers, each) for each in every):
        yield _unknown(
            f"the images in {store_in_words(answers.storage)} can only be read once they are "
            "served. Without a schedule, 'moorage images retain' then shows it",
            is_scheduled=is_scheduled,
        )
        return
    try:
        read = read_images(deployment, every)
        judgement = judge(read, read_activity(deployment), answers.retention)
    except MoorageError as error:
        yield _unknown(f"{error}".rstrip("."), is_scheduled=is_scheduled)
        return
    counts = Counter(each.repository for each in judgement.removed)
    who = f"the schedule ({answers.collect.when})" if is_scheduled else "'moorage images retain'"
    if not counts:
        text = f"By the retention rules, {who} removes no tag at present."
        yield Consequence(Code.RETENTION_REMOVES, text)
        return
    count = f"{len(counts)} {'repository' if len(counts) == 1 else 'repositories'}"
    yield Consequence(
        Code.RETENTION_REMOVES,
        f"By the retention rules, {who} will move {tags_text(counts.total())} of {count} to the "
        f"trash: {removed_text(judgement)}.",
        is_destructive=is_scheduled,
        needs="retention" if is_scheduled else None,
        after=str(counts.total()),
    )


def _unknown(why: str, *, is_scheduled: bool) -> Consequence:
    return Consequence(
        Code.RETENTION_UNKNOWN,
        f"It is not known what the retention rules will remove: {why}.",
        is_destructive=is_scheduled,
        needs="retention" if is_scheduled else None,
    )


def _come_into_force(answers: Answers, every: Sequence[Facts]) -> bool:
    """Return whether the rules, or whether they are applied by a timer, differ from before."""
    if not answers.retention:
        return False
    now = (answers.retention, answers.collect.when is not None)
    for facts in every:
        applied = as_applied(facts)
        before = applied.answers_here if applied is not None else None
        if before is None or (before.retention, before.collect.when is not None) != now:
            return True
    return False


def _has_images(facts: Facts) -> bool:
    """Return whether a server may have images; a bucket is not looked into."""
    if as_applied(facts) is None:
        return facts.store is not None and facts.store.has_images
    return True
