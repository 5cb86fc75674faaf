"""Retention rules: which tags are removed, and why the others stay."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property

from moorage.images.alive import CLOCK_STEP, digest_it_is_about
from moorage.images.manifests import Manifest, below
from moorage.images.strenum import StrEnum
from moorage.images.tree import Repository, Tag, Tree

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Keep:
    """The conditions of a rule: a tag stays when any of them applies.

    Attributes:
        last: The number of images pushed last; tags of one image count once.
        tags: Patterns of tags, with * and ?.
        pushed_within: Seconds since the last push.
        pulled_within: Seconds since the last pull.
    """

    last: int | None = None
    tags: tuple[str, ...] = ()
    pushed_within: float | None = None
    pulled_within: float | None = None


@dataclass(frozen=True)
class Rule:
    """A retention rule.

    Attributes:
        repositories: Names of repositories; `team/*` is everything below `team`, `*` everything.
        keep: What it keeps.
    """

    repositories: tuple[str, ...]
    keep: Keep

    def is_for(self, repository: str) -> bool:
        """Return whether the rule is about a repository.

        Args:
            repository: Its name.
        """
        return any(_covers(each, repository) for each in self.repositories)


class Reason(StrEnum):
    """Why a tag stays, or that it does not."""

    NO_RULE = "no_rule"
    MATCHES = "matches"
    ONE_OF_LAST = "one_of_last"
    PUSHED = "pushed"
    PULLED = "pulled"
    PULLS_UNKNOWN = "pulls_unknown"
    UNREADABLE = "unreadable"
    ABOUT_ANOTHER = "about_another"
    NOT_KEPT = "not_kept"


@dataclass(frozen=True)
class Verdict:
    """The verdict of a rule on a tag.

    Attributes:
        repository: Its repository.
        tag: Its name.
        reason: Why it stays; :attr:`Reason.NOT_KEPT` for a tag to be removed.
        rule: The rule's position, from 0; None without one.
        detail: The pattern that matches, or empty.
        days: The days since the push or pull that counts; None if none does.
    """

    repository: str
    tag: str
    reason: Reason
    rule: int | None = None
    detail: str = ""
    days: float | None = None

    @property
    def stays(self) -> bool:
        """Whether the tag stays."""
        return self.reason is not Reason.NOT_KEPT


@dataclass(frozen=True)
class Pulls:
    """The last pulls of images.

    Attributes:
        last: By repository and tag or digest, in seconds since 1970.
        known_since: Since when all pulls on all servers are known; None if they are not.
    """

    last: Mapping[tuple[str, str], float] = field(default_factory=dict)
    known_since: float | None = None

    def of(self, repository: str, tag: str, digest: str) -> float | None:
        """Return when a tag was last pulled, by its name or by its digest.

        Args:
            repository: Its repository.
            tag: Its name.
            digest: What it names.
        """
        found = [self.last[each] for each in ((repository, tag), (repository, digest))
                 if each in self.last]  # fmt: skip
        return max(found, default=None)


def with_indexes(pulls: Pulls, tree: Tree, manifests: Mapping[str, Manifest]) -> Pulls:
    """Return pulls in which an index counts as pulled when one of its images was, by its digest.

    Args:
        pulls: The pulls.
        tree: All files.
        manifests: The parsed manifests, by digest.
    """
    last = dict(pulls.last)
    for name, repository in tree.repositories.items():
        for digest in {tag.digest for tag in repository.tags.values()}:
            times = [last[name, each] for each in below(manifests, digest) if (name, each) in last]
            if times:
                last[name, digest] = max(times)
    return Pulls(last, pulls.known_since)


def apply_rules(tree: Tree, rules: Sequence[Rule], pulls: Pulls, now: float) -> tuple[Verdict, ...]:
    """Return what the rules say about every tag.

    The first rule for a repository decides; without one, all its tags stay.

    Args:
        tree: All files.
        rules: The rules, in order.
        pulls: When images were last pulled.
        now: The time at which the listing began, in seconds since 1970.
    """
    found: list[Verdict] = []
    for name, repository in sorted(tree.repositories.items()):
        position = next((at for at, rule in enumerate(rules) if rule.is_for(name)), None)
        if position is None:
            found += [Verdict(name, tag, Reason.NO_RULE) for tag in sorted(repository.tags)]
            continue
        judge = _Judge(name, repository, position, rules[position].keep, pulls, now)
        found += [judge.verdict(tag) for tag in sorted(repository.tags)]
    return tuple(found)


@dataclass
class _Judge:
    """Applies one rule to one repository."""

    name: str
    repository: Repository
    rule: int
    keep: Keep
    pulls: Pulls
    now: float

    @cached_property
    def _last(self) -> set[str]:
        last = self.keep.last
        return set() if last is None else _last_pushed(self.repository.tags, last)

    def verdict(self, name: str) -> Verdict:
        tag = self.repository.tags[name]
        if digest_it_is_about(name):
            return self._verdict(name, Reason.ABOUT_ANOTHER)
        if not tag.digest or tag.link is None:
            return self._verdict(name, Reason.UNREADABLE)
        for pattern in self.keep.tags:
            if fnmatchcase(name, _without_sets(pattern)):
                return self._verdict(name, Reason.MATCHES, detail=pattern)
        if tag.digest in self._last:
            return self._verdict(name, Reason.ONE_OF_LAST)
        pushed = self.now - tag.link.modified
        if self._is_within(pushed, self.keep.pushed_within):
            return self._verdict(name, Reason.PUSHED, days=pushed / DAY)
        return self._by_pulls(name, tag, pushed)

    def _by_pulls(self, name: str, tag: Tag, pushed: float) -> Verdict:
        within = self.keep.pulled_within
        if within is None:
            return self._verdict(name, Reason.NOT_KEPT, days=pushed / DAY)
        pulled = self.pulls.of(self.name, name, tag.digest)
        if pulled is not None and self._is_within(self.now - pulled, within):
            return self._verdict(name, Reason.PULLED, days=(self.now - pulled) / DAY)
        since = self.pulls.known_since
        if since is None or since > self.now - within:
            return self._verdict(name, Reason.PULLS_UNKNOWN)
        return self._verdict(name, Reason.NOT_KEPT, days=pushed / DAY)

    def _is_within(self, age: float, period: float | None) -> bool:
        return period is not None and age <= period + CLOCK_STEP

    def _verdict(
        self, name: str, reason: Reason, *, detail: str = "", days: float | None = None
    ) -> Verdict:
        return Verdict(self.name, name, reason, self.rule, detail, days)


def _last_pushed(tags: Mapping[str, Tag], count: int) -> set[str]:
    """Return the digests of the images pushed last; more than `count` if they share a time."""
    pushed: dict[str, float] = {}
    for name, tag in tags.items():
        if tag.digest and tag.link is not None and not digest_it_is_about(name):
            pushed[tag.digest] = max(pushed.get(tag.digest, tag.link.modified), tag.link.modified)
    times = sorted(pushed.values(), reverse=True)[:count]
    return {digest for digest, at in pushed.items() if times and at >= times[-1]}


def _covers(given: str, repository: str) -> bool:
    if given == "*":
        return True
    below = given.removesuffix("/*")
    return repository.startswith(f"{below}/") if below != given else repository == given


def _without_sets(pattern: str) -> str:
    """Return a pattern in which brackets stand for themselves; no tag has any."""
    return pattern.replace("[", "[[]")


def removed_tags(verdicts: Iterable[Verdict]) -> frozenset[tuple[str, str]]:
    """Return the tags to remove, as repository and tag.

    Args:
        verdicts: What the rules say.
    """
    return frozenset((each.repository, each.tag) for each in verdicts if not each.stays)
