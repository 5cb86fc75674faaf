"""What is alive, compared with a slow and plain reading of the rules."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from moorage.images.alive import Limits, digest_it_is_about, find_alive
from moorage.images.manifests import Descriptor, Manifest
from moorage.images.tree import File, Repository, Tag, Tree

NOW = 2_000_000_000.0
DAY = 24 * 3600.0
OLD, NEW = NOW - 90 * DAY, NOW - 3600.0
IMAGE = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
KNOWN = Limits(NOW, known_since=NOW - 60 * DAY)


def digest(number: int) -> str:
    return f"sha256:{number:064x}"


def blob(number: int) -> Descriptor:
    return Descriptor(digest(number), 10, "application/vnd.oci.image.layer.v1.tar+gzip")


@dataclass(frozen=True)
class Registry:
    tree: Tree
    manifests: dict[str, Manifest]
    pulled: dict[tuple[str, str], float]
    removed: frozenset[tuple[str, str]]


BLOBS, MANIFESTS = range(8), range(100, 112)
TAGS = ["v1", "v2", "latest", *(digest(n).replace(":", "-") + end for n in (100, 105, 111)
                                for end in ("", ".sig"))]  # fmt: skip


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    times = st.sampled_from([OLD, OLD, OLD, NEW])
    manifests = {}
    for number in MANIFESTS:
        subject = draw(st.sampled_from(["", "", "", *map(digest, MANIFESTS)]))
        if draw(st.booleans()):
            parts = draw(st.lists(st.sampled_from(BLOBS), max_size=3))
            manifest = Manifest(digest(number), IMAGE, 5, config=blob(draw(st.sampled_from(BLOBS))),
                                layers=tuple(map(blob, parts)), subject=subject)  # fmt: skip
        else:
            # Digests make circles impossible; nothing here rests on that.
            children = draw(st.lists(st.sampled_from([*MANIFESTS, 3]), max_size=3))
            manifest = Manifest(digest(number), INDEX, 5, subject=subject, children=tuple(
                Descriptor(digest(child), 5, IMAGE if child >= 100 else "") for child in children
            ))  # fmt: skip
        manifests[digest(number)] = manifest
    unreadable = draw(st.sets(st.sampled_from(MANIFESTS), max_size=1 if draw(st.booleans()) else 0))
    for number in unreadable:
        del manifests[digest(number)]
    tree = Tree(blobs={
        digest(number): File(draw(times), OLD, 10)
        for number in draw(st.sets(st.sampled_from([*BLOBS, *MANIFESTS]), min_size=8))
    })  # fmt: skip
    pulled = {}
    for name in ("a", "b/c", "d"):
        repository = tree.repositories[name] = Repository()
        for number in draw(st.sets(st.sampled_from(MANIFESTS), max_size=8)):
            repository.manifests[digest(number)] = File(draw(times), OLD, 71)
            if draw(st.booleans()):
                pulled[name, digest(number)] = NOW - draw(st.sampled_from([5, 40])) * DAY
        for number in draw(st.sets(st.sampled_from(BLOBS), max_size=8)):
            repository.blobs[digest(number)] = File(draw(times), OLD, 71)
        for tag in draw(st.sets(st.sampled_from(TAGS), max_size=4)):
            named = draw(st.sampled_from([None, *MANIFESTS]))
            repository.tags[tag] = Tag(
                digest(named) if named else "", File(draw(times), OLD, 71) if named else None,
                {digest(number): File(OLD, OLD, 71)
                 for number in draw(st.sets(st.sampled_from(MANIFESTS), max_size=2))},
            )  # fmt: skip
    places = [(name, tag) for name, each in tree.repositories.items() for tag in each.tags]
    removed = draw(st.sets(st.sampled_from(places), max_size=2)) if places else set()
    return Registry(tree, manifests, pulled, frozenset(removed))


def plainly(registry: Registry, limits: Limits) -> tuple[set[tuple[str, str]], set[str]]:
    """Live manifests (as repository and digest) and live content, by the rules, one at a time."""
    repositories = registry.tree.repositories
    stored = {d for each in repositories.values() for d in each.manifests}
    stored |= {t.digest for each in repositories.values() for t in each.tags.values() if t.digest}
    live: set[tuple[str, str]] = set()
    whole: set[str] = {
        name for name, each in repositories.items()
        if any(d not in registry.manifests for d in each.manifests)
    }  # fmt: skip
    while True:
        before = (len(live), len(whole))
        anywhere = {d for _, d in live}
        for name, repository in repositories.items():
            for tag, entry in repository.tags.items():
                if (name, tag) in registry.removed:
                    continue
                about = digest_it_is_about(tag)
                is_young = entry.link is not None and entry.link.changed >= NOW - DAY
                if about not in stored or is_young or about in anywhere or name in whole:
                    named = [entry.digest] if entry.digest else list(entry.earlier)
                    live |= {(name, d) for d in named}
            for d, link in repository.manifests.items():
                manifest = registry.manifests.get(d)
                recently = registry.pulled.get((name, d), 0) >= NOW - 30 * DAY
                unknown = limits.known_since is None
                if (
                    link.changed >= NOW - DAY
                    or name in whole
                    or (manifest and manifest.subject in anywhere)
                    or (not limits.takes_untagged and (unknown or recently))
                ):
                    live.add((name, d))
            for owner, d in list(live):
                if owner != name:
                    continue
                manifest = registry.manifests.get(d)
                if manifest is None:
                    whole.add(name)
                    continue
                for child in manifest.children:
                    is_here = child.digest in repository.manifests
                    if is_here or (child.media_type and child.digest in registry.manifests):
                        live.add((name, child.digest))
        if before == (len(live), len(whole)):
            break
    content = {d for _, d in live}
    for _, d in live:
        if manifest := registry.manifests.get(d):
            content |= {part.digest for part in (*manifest.blobs, *manifest.children)}
    for name, repository in repositories.items():
        content |= {d for d, link in repository.blobs.items()
                    if name in whole or link.changed >= NOW - DAY}  # fmt: skip
    content |= {d for d, file in registry.tree.blobs.items() if file.changed >= NOW - DAY}
    return live, content


@given(registries(), st.sampled_from([KNOWN, Limits(NOW), replace(KNOWN, takes_untagged=True)]))
def test_marks_what_the_rules_say(registry: Registry, limits: Limits) -> None:
    alive = find_alive(registry.tree, registry.manifests, limits, registry.pulled,
                       without=registry.removed)  # fmt: skip

    live, content = plainly(registry, limits)
    found = {(name, d) for name, each in alive.repositories.items() for d in each.manifests}
    assert found == live
    assert alive.blobs == content
    assert set(alive.dead_blobs(registry.tree)) == set(registry.tree.blobs) - content
