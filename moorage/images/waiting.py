"""Find the content that nothing needs, but that is too young to be collected."""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, replace

from moorage.images.alive import CLOCK_STEP, Limits, find_alive
from moorage.images.read import Stored


@dataclass(frozen=True)
class Waiting:
    """Content that nothing needs, and that was written too lately.

    Attributes:
        blobs: The number of blobs.
        size: Bytes.
        until: When all of it can be collected, in seconds since 1970; 0 if there is none.
    """

    blobs: int = 0
    size: int = 0
    until: float = 0.0


def find_waiting(
    stored: Stored,
    limits: Limits,
    pulled: Mapping[tuple[str, str], float] | None,
    planned: Set[str],
) -> Waiting:
    """Return what could go if it was not young.

    Args:
        stored: What the registry stores.
        limits: The limits of the collection.
        pulled: By repository and digest, when a manifest was last pulled by its digest.
        planned: The digests that can go already, or are in the trash.
    """
    alive = find_alive(stored.tree, stored.manifests, replace(limits, young=float("-inf")), pulled)
    waiting = {
        digest: size
        for digest, size in alive.dead_blobs(stored.tree).items()
        if digest not in planned
    }
    if not waiting:
        return Waiting()
    written = [stored.tree.blobs[digest].changed for digest in waiting]
    for repository in stored.tree.repositories.values():
        for links in (repository.manifests, repository.blobs):
            written += [links[digest].changed for digest in links.keys() & waiting.keys()]
    until = max(written) + limits.young + CLOCK_STEP
    return Waiting(len(waiting), sum(waiting.values()), until)
