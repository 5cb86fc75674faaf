"""Retention: the tags that the rules of the answers remove, and why the others stay."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from moorage.answers.model import RetentionRule
from moorage.answers.rows import keep_text
from moorage.deploy.deployment import Deployment
from moorage.deploy.images.activity import Activity, read_activity
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.images.run import (
    Accepts,
    accepts_none,
    answers_for_images,
    read_to_move,
    task_of,
)
from moorage.desired.collect import rule_of
from moorage.errors import MoorageError
from moorage.images.collection import plan_deletion, tagged_size
from moorage.images.retention import (
    Reason,
    Rule,
    Verdict,
    apply_rules,
    removed_tags,
    with_indexes,
)
from moorage.images.task import Task
from moorage.rows import Level, Row

_MOST_NAMES = 4


@dataclass(frozen=True)
class RuleResult:
    """The effect of one rule.

    Attributes:
        repositories: The repositories it is for, as in the answers.
        keep: What it keeps, in words.
        removed: The number of tags that go.
        kept: The number of tags that stay, by reason.
    """

    repositories: tuple[str, ...]
    keep: str
    removed: int
    kept: Mapping[Reason, int]


@dataclass(frozen=True)
class Judgement:
    """The verdicts of rules on all tags.

    Attributes:
        verdicts: The verdict on each tag.
        rules: The effect of each rule, in order.
        without_rule: The number of tags that no rule is for.
    """

    verdicts: tuple[Verdict, ...] = field(repr=False)
    rules: tuple[RuleResult, ...]
    without_rule: int

    @property
    def removed(self) -> tuple[Verdict, ...]:
        """The verdicts on the tags that go."""
        return tuple(each for each in self.verdicts if not each.stays)


@dataclass(frozen=True)
class RetainPlan:
    """A removal of tags by rules, to confirm.

    Attributes:
        read: The images it was planned from.
        activity: The pushes and pulls that are known.
        judgement: The verdicts.
        task: The task of the run.
        manifests: The number of manifests that can no longer be pulled.
        size: Bytes that the next collection can free because of it.
    """

    read: ImagesRead
    activity: Activity
    judgement: Judgement
    task: Task
    manifests: int
    size: int

    @property
    def has_changes(self) -> bool:
        """Whether any tag goes."""
        return bool(self.task.tags)


def plan_retain(deployment: Deployment, accepts: Accepts = accepts_none) -> RetainPlan:
    """Return what the retention rules remove. Changes nothing.

    Without an answers file, the rules are those that were applied last.

    Args:
        deployment: The deployment.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: There are no rules, or the images cannot be read or moved.
    """
    read = read_to_move(deployment, accepts)
    rules = _rules(deployment, read)
    activity = read_activity(deployment)
    judgement = judge(read, activity, rules)
    pairs = sorted(removed_tags(judgement.verdicts))
    entries = plan_deletion(read.stored, read.server_time, pairs)
    size = tagged_size(read.stored) - tagged_size(read.stored, pairs) if pairs else 0
    repositories = read.stored.tree.repositories
    task = task_of(
        deployment, read, "retain", rules=engine_rules(rules), looks=(1.0,),
        tags=tuple((name, tag, repositories[name].tags[tag].digest) for name, tag in pairs),
    )  # fmt: skip
    manifests = sum(entry.is_manifest for entry in entries)
    return RetainPlan(read, activity, judgement, task, manifests, size)


def judge(read: ImagesRead, activity: Activity, rules: Sequence[RetentionRule]) -> Judgement:
    """Return what rules say about the images.

    Args:
        read: The images.
        activity: The pushes and pulls that are known.
        rules: The rules of the answers, in order.
    """
    tree = read.stored.tree
    pulls = with_indexes(activity.pulls, tree, read.stored.manifests)
    verdicts = apply_rules(tree, engine_rules(rules), pulls, read.server_time)
    kept = Counter((each.rule, each.reason) for each in verdicts)
    results = tuple(
        RuleResult(
            rule.repositories, keep_text(rule.keep), kept[number, Reason.NOT_KEPT],
            {reason: kept[number, reason] for reason in _KEPT if kept[number, reason]},
        )
        for number, rule in enumerate(rules)
    )  # fmt: skip
    return Judgement(verdicts, results, kept[None, Reason.NO_RULE])


def engine_rules(rules: Iterable[RetentionRule]) -> tuple[Rule, ...]:
    """Return the rules of the answers as those that are applied."""
    return tuple(map(rule_of, rules))


def _rules(deployment: Deployment, read: ImagesRead) -> tuple[RetentionRule, ...]:
    answers = answers_for_images(deployment.answers, read.facts)
    if not answers.retention:
        raise MoorageError(
            "the answers have no retention rules, so every tag stays.",
            advice="Add rules under 'retention'; docs/images.md shows some.",
            server=read.server,
            code="no_retention_rules",
        )
    return answers.retention


_KEPT = {
    Reason.MATCHES: "match a pattern",
    Reason.ONE_OF_LAST: "are among the images pushed last",
    Reason.PUSHED: "were pushed lately",
    Reason.PULLED: "were pulled lately",
    Reason.PULLS_UNKNOWN: "stay because their pulls are not known for long enough",
    Reason.ABOUT_ANOTHER: "belong to another image (signatures and the like)",
    Reason.UNREADABLE: "cannot be read",
}
"""Why tags stay."""
_KEPT_ONE = {
    Reason.MATCHES: "matches a pattern",
    Reason.ONE_OF_LAST: "is among the images pushed last",
    Reason.PUSHED: "was pushed lately",
    Reason.PULLED: "was pulled lately",
    Reason.PULLS_UNKNOWN: "stays because its pulls are not known for long enough",
    Reason.ABOUT_ANOTHER: "belongs to another image (a signature or the like)",
    Reason.UNREADABLE: "cannot be read",
}


def rule_rows(judgement: Judgement) -> Iterator[Row]:
    """Yield a row for each rule: what it keeps, and how many tags go and stay, and why.

    Args:
        judgement: The verdicts.
    """
    for number, rule in enumerate(judgement.rules, 1):
        label = f"Rule {number}"
        yield Row("rule", label, f"{', '.join(rule.repositories)}: keep {rule.keep}")
        removed = tags_text(rule.removed)
        verb = "goes" if rule.removed == 1 else "go"
        yield Row("removed", "", f"{removed} {verb}", Level.BAD if rule.removed else Level.INFO)
        for reason, count in rule.kept.items():
            words = (_KEPT_ONE if count == 1 else _KEPT)[reason]
            yield Row(str(reason), "", f"{tags_text(count)} {words}")
    if judgement.without_rule:
        verb = "stays" if judgement.without_rule == 1 else "stay"
        text = f"{tags_text(judgement.without_rule)} {verb}: no rule is for their repositories"
        yield Row("no_rule", "No rule", text)


def removed_text(judgement: Judgement) -> str:
    """Return the repositories from which most tags go: ``app (3), web (1), 2 more``.

    Args:
        judgement: The verdicts.
    """
    counts = Counter(each.repository for each in judgement.removed)
    found = [f"{name} ({count})" for name, count in counts.most_common(_MOST_NAMES)]
    more = len(counts) - _MOST_NAMES
    return ", ".join([*found, *([f"{more} more"] if more > 0 else [])])


def tags_text(count: int) -> str:
    """Return a number of tags in words."""
    return f"{count} tag{'s' * (count != 1)}"
