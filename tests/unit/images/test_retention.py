"""What retention rules remove, compared with a slow and plain reading of the rules."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from moorage.images.manifests import Descriptor, Manifest
from moorage.images.retention import (
    Keep,
    Pulls,
    Reason,
    Rule,
    apply_rules,
    removed_tags,
    with_indexes,
)
from moorage.images.tree import File, Repository, Tag, Tree

NOW = 2_000_000_000.0
DAY = 24 * 3600.0
DIGESTS = [f"sha256:{number:064x}" for number in range(5)]


def tagged(**days: float) -> Tree:
    """A repository `app` with tags that were pushed so many days ago, an image each."""
    tags = {
        name: Tag(f"sha256:{number:064x}", File(NOW - ago * DAY, NOW - ago * DAY, 71))
        for number, (name, ago) in enumerate(days.items())
    }
    return Tree(repositories={"app": Repository(tags=tags)})


def removed(tree: Tree, *rules: Rule, pulls: Pulls | None = None) -> set[str]:
    verdicts = apply_rules(tree, rules, pulls or Pulls(), NOW)
    return {tag for _, tag in removed_tags(verdicts)}


def test_without_a_rule_nothing_is_removed() -> None:
    assert removed(tagged(a=900)) == set()
    assert removed(tagged(a=900), Rule(("other", "app/*"), Keep(last=0))) == set()


def test_the_first_rule_for_a_repository_decides() -> None:
    keeps, removes = Rule(("app",), Keep(last=9)), Rule(("*",), Keep(last=0))
    assert removed(tagged(a=1), keeps, removes) == set()
    assert removed(tagged(a=1), removes, keeps) == {"a"}


def test_tags_of_one_image_count_once() -> None:
    tree = tagged(v3=1, v2=2, v1=3)
    tree.repositories["app"].tags["latest"] = tree.repositories["app"].tags["v3"]
    assert removed(tree, Rule(("app",), Keep(last=2))) == {"v1"}


def test_a_tag_about_an_image_follows_it() -> None:
    tree = tagged(v1=900)
    tree.repositories["app"].tags[f"sha256-{0:064x}.sig"] = Tag(DIGESTS[1], File(0, 0, 71))
    [about, image] = apply_rules(tree, [Rule(("*",), Keep(last=0))], Pulls(), NOW)
    assert (about.reason, image.reason) == (Reason.ABOUT_ANOTHER, Reason.NOT_KEPT)


def test_pulls_that_are_not_known_for_long_enough_make_nothing_look_unused() -> None:
    rule = Rule(("app",), Keep(pulled_within=90 * DAY))
    tree = tagged(a=900)
    assert removed(tree, rule, pulls=Pulls()) == set()
    assert removed(tree, rule, pulls=Pulls(known_since=NOW - 89 * DAY)) == set()
    assert removed(tree, rule, pulls=Pulls(known_since=NOW - 91 * DAY)) == {"a"}
    pulled = {("app", DIGESTS[0]): NOW - 5 * DAY}
    assert removed(tree, rule, pulls=Pulls(pulled, NOW - 91 * DAY)) == set()


def test_brackets_in_a_pattern_are_no_set() -> None:
    assert removed(tagged(v1=9), Rule(("app",), Keep(tags=("v[1]",)))) == {"v1"}


times = st.sampled_from([0.0, 1.0, 5.0, 5.0, 29.0, 31.0, 400.0])


@st.composite
def repositories(draw: st.DrawFn) -> Tree:
    tree = Tree()
    for name in ("app", "team/app", "team/x/y"):
        repository = tree.repositories[name] = Repository()
        for tag in draw(st.sets(st.sampled_from(["v1", "v2", "v10", "dev", "latest", "x"]))):
            at = NOW - draw(times) * DAY
            repository.tags[tag] = Tag(draw(st.sampled_from(["", *DIGESTS])), File(at, at, 71))
    return tree


keeps = st.builds(
    Keep,
    last=st.none() | st.integers(0, 4),
    tags=st.sets(st.sampled_from(["v*", "v?", "latest", "*", "nothing"]), max_size=2).map(tuple),
    pushed_within=st.none() | st.sampled_from([DAY, 30 * DAY]),
    pulled_within=st.none() | st.sampled_from([DAY, 30 * DAY]),
)
patterns = st.sampled_from(["app", "team/*", "team", "team/app", "*", "other"])
rules_ = st.lists(
    st.builds(Rule, st.sets(patterns, min_size=1, max_size=2).map(tuple), keeps), max_size=3
)
pulls_ = st.builds(
    Pulls,
    st.dictionaries(
        st.tuples(st.sampled_from(["app", "team/app"]), st.sampled_from(["v1", "dev", *DIGESTS])),
        times.map(lambda days: NOW - days * DAY), max_size=5),
    st.none() | st.sampled_from([NOW - 10 * DAY, NOW - 300 * DAY]),
)  # fmt: skip


@given(repositories(), rules_, pulls_)
def test_removes_what_the_rules_say(tree: Tree, rules: list[Rule], pulls: Pulls) -> None:
    expected = set()
    for name, repository in tree.repositories.items():
        for tag in repository.tags:
            rule = next((each for each in rules if _is_for(each, name)), None)
            if rule is not None and not _stays(rule.keep, name, tag, repository, pulls):
                expected.add((name, tag))
        assert all(entry.link for entry in repository.tags.values())

    assert removed_tags(apply_rules(tree, rules, pulls, NOW)) == expected


def _is_for(rule: Rule, name: str) -> bool:
    return any(
        re.fullmatch(re.escape(each).replace(r"\*", ".*"), name) for each in rule.repositories
    )


def _stays(keep: Keep, name: str, tag: str, repository: Repository, pulls: Pulls) -> bool:
    entry = repository.tags[tag]
    if not entry.digest:
        return True
    assert entry.link is not None
    if any(re.fullmatch(each.replace("*", ".*").replace("?", "."), tag) for each in keep.tags):
        return True
    newest: dict[str, float] = {}
    for other in repository.tags.values():
        if other.digest and other.link:
            newest[other.digest] = max(newest.get(other.digest, 0), other.link.modified)
    newer = sum(at > newest[entry.digest] for at in newest.values())
    if keep.last and newer < keep.last:
        return True
    if keep.pushed_within is not None and NOW - entry.link.modified <= keep.pushed_within:
        return True
    if keep.pulled_within is None:
        return False
    if pulls.known_since is None or NOW - pulls.known_since < keep.pulled_within:
        return True
    seen = [pulls.last.get((name, each)) for each in (tag, entry.digest)]
    return any(at is not None and NOW - at <= keep.pulled_within for at in seen)


@given(repositories(), pulls_, st.dictionaries(st.sampled_from(DIGESTS),
       st.sets(st.sampled_from(DIGESTS), max_size=2)))  # fmt: skip
def test_a_pull_of_one_platform_counts_for_the_whole_image(
    tree: Tree, pulls: Pulls, children: dict[str, set[str]]
) -> None:
    manifests = {
        digest: Manifest(digest, "", 1, children=tuple(Descriptor(each, 1, "") for each in below))
        for digest, below in children.items()
    }

    found = with_indexes(pulls, tree, manifests)

    assert found.known_since == pulls.known_since
    for name, repository in tree.repositories.items():
        for tag in repository.tags.values():
            reached = {tag.digest}
            for _ in DIGESTS:
                reached |= {each for digest in reached for each in children.get(digest, ())}
            times = [
                at for (where, of), at in pulls.last.items() if where == name and of in reached
            ]
            assert found.last.get((name, tag.digest)) == max(times, default=None)
