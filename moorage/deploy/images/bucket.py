"""Delete, collect and restore images in a bucket, from the operator's machine.

As moorage/images/collector.py does it on a disk, with these differences: all servers that use the
bucket take part, and hold writes together (bucket_gates.py); what was written meanwhile is known
from their logs; objects are copied to the trash before and only deleted while writes are held. The
content of blobs stays where it is until the trash is emptied, and counts as dead only if no link to
it is left anywhere.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING, Protocol

from moorage.deploy.images.bucket_gates import GateLostError, HoldOfAll, Uses
from moorage.errors import MoorageError
from moorage.images.alive import CLOCK_STEP, Alive, Limits, digest_it_is_about, find_alive
from moorage.images.collection import (
    Collection,
    NothingAliveError,
    plan_collection,
    plan_deletion,
    still_dead,
)
from moorage.images.collector import StopError, outdated_tags, tags_to_delete
from moorage.images.manifests import Manifest, UnreadableManifestError, parse_manifest
from moorage.images.read import SHA256, Stored
from moorage.images.restore import is_of, kept_warnings
from moorage.images.retention import Pulls
from moorage.images.sweep import V2, Entry, State
from moorage.units import count_text, size_text

if TYPE_CHECKING:
    from moorage.cloud.s3_images import Bucket
    from moorage.cloud.s3_images_write import BucketSweep, Objects, Piece
    from moorage.images.task import Task

MOST_AT_ONCE = 1_000
"""Objects that are deleted while writes are held once."""
MOST_TAGS = 100
"""Tags among them, each of which is read once more."""
ENOUGH = 0.8
"""Seconds that deleting them can take."""
PAUSE = 1.0
TRIES = 4
_FOLDERS = ("/_layers", "/_manifests", "/_uploads")

PullsOfAll = Callable[[], tuple[float | None, dict[tuple[str, str], float]]]


class Gates(Protocol):
    """The servers that use the bucket; see :class:`ServerGates`."""

    @property
    def is_cancelled(self) -> bool:
        """Whether the operator has cancelled."""

    def step(self, name: str) -> None:
        """Note a step of the work."""

    def say(self, text: str) -> None:
        """Add a line to the logs."""

    def warn(self, text: str) -> None:
        """Report a problem that does not stop the run."""

    def unlock(self) -> None:
        """Let other runs change the servers."""

    def lock(self) -> bool:
        """Let no other run change the servers."""

    def uses(self) -> Uses:
        """Return what clients did since the runs began."""

    def hold(self, condemned: Iterable[tuple[str, str]]) -> AbstractContextManager[HoldOfAll]:
        """Hold writes on all servers."""


class Lock(Protocol):
    """A lock on the bucket; see :class:`BucketLock`."""

    def renew(self) -> bool:
        """Show that it is still held."""


@dataclass
class Spared:
    """The part of a plan that stays.

    Attributes:
        digests: Content and links that are needed.
        tags: Repositories and tags that were written, or are needed.
        repositories: Repositories that got something, so that they are not deleted entirely.
        everything: Repositories in which it is not known what is needed.
    """

    digests: set[str] = field(default_factory=set)
    tags: set[tuple[str, str]] = field(default_factory=set)
    repositories: set[str] = field(default_factory=set)
    everything: set[str] = field(default_factory=set)

    def has(self, entry: Entry) -> bool:
        """Return whether an entry stays."""
        return (
            entry.repository in self.everything
            or (bool(entry.digest) and entry.digest in self.digests)
            or (bool(entry.tag) and (entry.repository, entry.tag) in self.tags)
            or (entry.path.endswith(_FOLDERS) and entry.repository in self.repositories)
        )


@dataclass
class BucketCollector:
    """One run.

    Attributes:
        bucket: The bucket.
        objects: Its objects.
        gates: The servers that use it.
        lock: The lock on it.
        task: The task.
        run: The run's ID.
        pulls: Returns since when pulls are known, and the last one of each image.
        known: Manifests that were read earlier, by digest.
        numbers: What it did.
    """

    bucket: Bucket
    objects: Objects
    gates: Gates
    lock: Lock
    task: Task
    run: str
    pulls: PullsOfAll
    known: dict[str, Manifest] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=count)

    def work(self) -> None:
        """Do the work.

        Raises:
            StopError: It ended without success.
            MoorageError: The bucket cannot be read or changed.
            GateLostError: A server no longer takes part.
        """
        from moorage.cloud.s3_images_write import recover_bucket

        if interrupted := recover_bucket(self.objects):
            self.gates.say(f"put back what run {', '.join(interrupted)} had moved")
        action = {
            "collect": self._collect, "delete": self._delete, "restore": self._restore,
            "retain": self._retain,
        }  # fmt: skip
        action[self.task.action]()

    # Reading

    def _mark(self) -> tuple[Stored, float]:
        self._check()
        stored = self.bucket.read(self.known)
        self.known.update(stored.manifests)
        return stored, self.bucket.listed_at

    def _plan(self, stored: Stored, now: float, since: float) -> Collection:
        young = max(self.task.young, now - since)
        known_since, pulled = self.pulls()
        limits = Limits(now, young, self.task.untagged, known_since, self.task.takes_untagged)
        try:
            sweeps = self._sweeps()
            trash = [piece.entry for sweep in sweeps for piece in sweep.pieces]
            plan = plan_collection(stored, limits, pulled, trash=trash)
        except NothingAliveError as error:
            raise StopError("failed", "images_nothing_alive") from error
        return without_condemned(plan, condemned_in(sweeps))

    def _sweeps(self) -> list[BucketSweep]:
        from moorage.cloud.s3_images_write import bucket_sweeps

        return bucket_sweeps(self.objects)

    # Collect

    def _collect(self) -> None:
        self.gates.step("images-mark")
        stored, first = self._mark()
        self._forget_alive(stored, first)
        plan = self._plan(stored, first, first)
        for repository, digests in plan.unreadable.items():
            self.gates.say(f"kept all of {repository}: {len(digests)} manifests cannot be read")
        if not plan.is_empty:
            self.gates.say(
                f"not needed: {count_text(plan.blobs, 'blob')}, {size_text(plan.freed)}; "
                f"{count_text(plan.manifests, 'manifest')} among them"
            )
            self._wait()
            self._move_dead({entry.path for entry in plan.entries}, first)
        self._purge(first)

    def _wait(self) -> None:
        self.gates.step("grace")
        self.gates.unlock()
        end = time.monotonic() + self.task.grace
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(1.0, left))
        while not self.gates.lock():
            self._check()
            time.sleep(1.0)

    def _move_dead(self, condemned: set[str], first: float) -> None:
        self.gates.step("images-mark")
        stored, now = self._mark()
        plan = self._plan(stored, now, first)
        self._move(still_dead(plan, condemned, stored.manifests), stored, now)

    def _forget_alive(self, stored: Stored, now: float) -> None:
        """Take off the lists of the trash what is needed again."""
        needed = _needed_content(find_alive(stored.tree, stored.manifests, Limits(now)), stored)
        for sweep in self._sweeps():
            sweep.forget(lambda entry: entry.digest in needed)

    # Moving

    def _move(self, entries: Sequence[Entry], stored: Stored, since: float) -> None:
        """Move links into the trash, some at a time, and list content that can go later."""
        self.gates.step("images-move")
        done: list[BucketSweep] = []
        failed: BaseException | None = None
        try:
            for sweep in self._sweep_all(self._pieces(entries), stored, since):
                done.append(sweep)
        except (StopError, GateLostError, MoorageError) as error:
            failed = error
        # What has been moved is moved for good: a part of a collection is a smaller one.
        self._look_again(done, since)
        for sweep in done:
            self._count(sweep)
            sweep.finish()
        if failed is not None:
            raise failed

    def _pieces(self, entries: Sequence[Entry]) -> Iterator[Piece]:
        from moorage.cloud.s3_images_write import Piece

        below: dict[str, list[str]] = defaultdict(list)
        folders = {entry.path for entry in entries if not entry.digest}
        for path in self.bucket.paths if folders else ():
            for above in _folders_above(path):
                if above in folders:
                    below[above].append(path)
        for entry in entries:
            if entry.is_content:
                yield Piece(entry, ())
            elif entry.digest:
                yield Piece(entry, (entry.path,))
            else:
                paths = below[entry.path]
                for at in range(0, len(paths), MOST_AT_ONCE):
                    yield Piece(entry, tuple(paths[at : at + MOST_AT_ONCE]))

    def _sweep_all(
        self, pieces: Iterable[Piece], stored: Stored, since: float, *, is_purge: bool = False
    ) -> Iterator[BucketSweep]:
        """Move pieces, some at a time: fewer, if that took too long."""
        waiting, failures = [*_parts(pieces)][::-1], 0
        while waiting:
            self._check()
            part = waiting.pop()
            name = f"{self.run}.{next(self._numbers):03}"
            try:
                yield self._sweep(name, part, stored, since, is_purge=is_purge)
            except TimeoutError as error:
                failures += 1
                if failures == TRIES:
                    raise StopError("failed", "images_bucket_slow") from error
                self.gates.say("moving took too long, so nothing was moved; trying with fewer")
                half = len(part) // 2
                waiting += [each for each in (part[half:], part[:half]) if each]
                time.sleep(PAUSE)
            else:
                failures = 0

    def _sweep(
        self, name: str, pieces: Sequence[Piece], stored: Stored, since: float, *, is_purge: bool
    ) -> BucketSweep:
        """Copy objects to the trash, and delete them while writes are held.

        Raises:
            TimeoutError: That took too long. Everything has been put back.
        """
        from moorage.cloud.s3_images_write import BucketSweep

        sweep = BucketSweep(self.objects, name)
        try:
            sweep.prepare(pieces, since, is_purge=is_purge)
            if not any(piece.paths for piece in pieces):
                sweep.settle(lambda entry: False)
                return sweep
            # Reads new manifests already, so that little is left to do while writes are held.
            self._spared((), stored, self.gates.uses())
            began = time.monotonic()
            with self.gates.hold(_references(pieces, stored)) as hold:
                spared = self._spared(pieces, stored, hold.uses)
                if time.monotonic() > hold.deadline - ENOUGH:
                    raise TimeoutError
                moved = sweep.move(spared.has)
                took = time.monotonic() - began
            sweep.settle(spared.has)
        except TimeoutError:
            sweep.put_back()
            sweep.discard()
            raise
        except BaseException:
            # If this fails, too, the next run does it.
            with suppress(MoorageError):
                sweep.put_back()
                sweep.discard()
            raise
        self.gates.say(
            f"moved {count_text(moved, 'object')} in {took * 1000:.0f} ms; "
            f"{count_text(hold.held, 'write')} waited"
        )
        self.numbers["held_ms"] = max(self.numbers.get("held_ms", 0), int(took * 1000))
        return sweep

    def _spared(self, pieces: Sequence[Piece], stored: Stored, uses: Uses) -> Spared:
        """Return what was written or asked for since, and what that needs."""
        spared = Spared()
        aliases, trees = stored.tree.aliases, stored.tree.repositories
        manifests: list[str] = []
        is_delete = self.task.action == "delete"
        for repository, reference in uses.written | (set() if is_delete else uses.asked):
            if (repository, reference) in uses.written:
                spared.repositories.add(repository)
            if reference == "*":
                spared.everything.add(repository)
            elif reference.startswith("@"):
                manifests.append(reference[1:])
                if self._manifest(reference[1:], stored, reads=True) is None:
                    spared.everything.add(repository)
            elif ":" in reference:
                manifests.append(aliases.get(reference, reference))
            else:
                spared.tags.add((repository, reference))
                there = trees.get(repository)
                if there is not None and reference in there.tags:
                    manifests.append(there.tags[reference].digest)
        self._spare_moved_tags(pieces, stored, spared)
        while manifests:
            digest = manifests.pop()
            if digest in spared.digests:
                continue
            spared.digests.add(digest)
            manifest = self._manifest(digest, stored)
            if manifest is not None:
                spared.digests |= {aliases.get(p.digest, p.digest) for p in manifest.blobs}
                manifests += [child.digest for child in manifest.children]
        return spared

    def _manifest(self, digest: str, stored: Stored, *, reads: bool = False) -> Manifest | None:
        """Return a manifest, reading it if it was pushed since; None for a layer."""
        found = stored.manifests.get(digest) or self.known.get(digest)
        if found is None and reads:
            found = self._read_manifest(digest)
            if found is not None:
                self.known[digest] = found
        return found

    def _spare_moved_tags(self, pieces: Sequence[Piece], stored: Stored, spared: Spared) -> None:
        """Read the tags once more: each must still name what it did when the plan was made."""
        tags = dict.fromkeys(piece.entry for piece in pieces if piece.entry.tag)
        found = self.objects.each(
            lambda entry: self.objects.read(f"{V2}/{entry.path}/current/link"), tags
        )
        for entry, link in zip(tags, found, strict=True):
            planned = stored.tree.repositories[entry.repository].tags[entry.tag].digest
            if link is not None and link[0].decode("ascii", "replace") != planned:
                spared.tags.add((entry.repository, entry.tag))

    def _read_manifest(self, digest: str) -> Manifest | None:
        """Return a manifest; None if there is none, or it cannot be read."""
        value = digest.partition(":")[2]
        key = f"{V2}/blobs/sha256/{value[:2]}/{value}/data"
        size = self.objects.size(key)
        if size is None or size > 4 * 1024 * 1024:
            return None
        found = self.objects.read(key)
        with suppress(UnreadableManifestError):
            if found is not None:
                return parse_manifest(digest, found[0])
        return None

    def _look_again(self, done: Sequence[BucketSweep], since: float) -> None:
        """Put back what requests that had begun before the hold have linked."""
        if not done:
            return
        with suppress(GateLostError):
            self.gates.step("images-check")
        began = time.monotonic()
        for after in self.task.looks:
            time.sleep(max(0.0, began + after - time.monotonic()))
            stored = self.bucket.read(self.known)
            self.known.update(stored.manifests)
            needed = self._needed(stored, self.bucket.listed_at, since)
            for sweep in done:
                if back := sweep.put_back(needed):
                    with suppress(GateLostError):
                        self.gates.say(f"put back {count_text(back, 'object')} pushed meanwhile")

    def _needed(self, stored: Stored, now: float, since: float) -> Callable[[Entry], bool]:
        """Return what tells whether an entry is needed by what was written since."""
        limits = Limits(now, now - since, takes_untagged=True)
        alive = find_alive(stored.tree, stored.manifests, limits)
        needed, trees = _needed_content(alive, stored), stored.tree.repositories
        manifests = {d for each in alive.repositories.values() for d in each.manifests}

        def is_needed(entry: Entry) -> bool:
            if entry.is_content:
                return entry.digest in needed
            found, tree = alive.repositories.get(entry.repository), trees.get(entry.repository)
            if found is None or tree is None or found.unreadable:
                return found is not None and bool(found.unreadable)
            if entry.tag:
                return entry.tag in tree.tags or digest_it_is_about(entry.tag) in manifests
            if entry.is_link:
                is_here = entry.digest in (found.manifests if entry.is_manifest else found.blobs)
                return is_here or (entry.is_manifest and self._subject(entry.digest) in manifests)
            return bool(found.manifests or found.blobs)

        return is_needed

    def _subject(self, digest: str) -> str:
        """Return the digest of what a manifest is about; empty if it is about none."""
        manifest = self.known.get(digest)
        return manifest.subject or "" if manifest is not None else ""

    def _count(self, sweep: BucketSweep) -> None:
        entries = dict.fromkeys(piece.entry for piece in sweep.pieces)
        paths = [path for piece in sweep.pieces for path in piece.paths]
        counted = {
            "repositories": sum(entry.is_repository for entry in entries),
            "tags": sum(path.endswith("/current/link") for path in paths),
            "blobs": sum(entry.is_content for entry in entries),
            "links": sum(entry.is_link for entry in entries),
            "bytes": sum(entry.size for entry in entries),
        }
        for kind, number in counted.items():
            self.numbers[kind] = self.numbers.get(kind, 0) + number

    # Trash

    def _purge(self, first: float) -> None:
        """Delete what has been in the trash for long enough and is still not needed."""
        sweeps = [each for each in self._sweeps() if each.state is State.CHECKED]
        if not self.task.purges:
            sweeps = [each for each in sweeps if each.at < first - self.task.trash]
        if not sweeps:
            return
        self.gates.step("images-purge")
        stored, now = self._mark()
        dead = self._dead_content(sweeps, stored, now)
        done = list(self._sweep_all(dead, stored, now, is_purge=True))
        self._look_again(done, now)
        freed = sum(piece.entry.size for sweep in done for piece in sweep.pieces)
        for sweep in (*sweeps, *done):
            sweep.discard()
        self.numbers["purged"] = self.numbers.get("purged", 0) + freed

    def _dead_content(
        self, sweeps: Sequence[BucketSweep], stored: Stored, now: float
    ) -> list[Piece]:
        """Return the content listed in the trash that nothing needs and nothing links to."""
        from moorage.cloud.s3_images_write import Piece

        # What is in the trash was not young then; links that were written since keep it.
        alive = find_alive(stored.tree, stored.manifests, Limits(now))
        needed = _needed_content(alive, stored)
        listed = dict.fromkeys(
            piece.entry for sweep in sweeps for piece in sweep.pieces if piece.entry.is_content
        )
        return [
            Piece(entry, (entry.path,))
            for entry in listed
            if entry.digest in stored.tree.blobs and entry.digest not in needed
        ]

    # Delete and restore

    def _delete(self) -> None:
        self.gates.step("images-mark")
        # Whatever was written just before the beginning counts as written since.
        time.sleep(CLOCK_STEP)
        stored, now = self._mark()
        tags = tags_to_delete(self.task, stored, now)
        entries = plan_deletion(stored, now, tags, self.task.repositories)
        self._move(entries, stored, now)
        for repository, tag, digest in self.task.tags:
            key = f"{V2}/repositories/{repository}/_manifests/tags/{tag}/current/link"
            link = self.objects.read(key)
            if link is not None and link[0].decode("ascii", "replace") == digest:
                raise StopError("failed", "images_tag_changed", f"{repository}:{tag}")
        for repository in self.task.repositories:
            if self.objects.list(f"{V2}/repositories/{repository}/_"):
                raise StopError("failed", "images_in_use", repository)

    def _retain(self) -> None:
        """Move the tags that the rules do not keep to the trash: those that were shown only."""
        self.gates.step("images-mark")
        time.sleep(CLOCK_STEP)
        stored, now = self._mark()
        known_since, pulled = self.pulls()
        tags = outdated_tags(self.task, stored, Pulls(pulled, known_since), now)
        self.gates.say(f"the retention rules remove {count_text(len(tags), 'tag')}")
        self._move(plan_deletion(stored, now, tags), stored, now)

    def _restore(self) -> None:
        self.gates.step("images-restore")
        chosen = [(repository, tag) for repository, tag, _ in self.task.tags]
        chosen += [(repository, "") for repository in self.task.repositories]
        sweeps = [each for each in reversed(self._sweeps()) if each.state is State.CHECKED]
        for sweep in sweeps:
            sweep.split(repository for repository, tag in chosen if tag)
        needed: set[str] = set()
        if chosen:
            needed = self._needed_to_restore(sweeps, chosen)
        repositories = {repository for repository, _ in chosen}

        def is_linked(entry: Entry) -> bool:
            is_wanted = entry.digest in needed and entry.repository in repositories
            return not entry.is_content and bool(entry.digest) and (is_wanted or not chosen)

        def is_named(entry: Entry) -> bool:
            is_wanted = any(is_of(entry, *each) for each in chosen)
            return not entry.is_content and (is_wanted or not chosen)

        found = any(is_named(piece.entry) for sweep in sweeps for piece in sweep.pieces)
        self._warn_of_kept(sweeps, is_named)
        # Links first, so that no tag names what is not there yet.
        back = sum(sweep.put_back(is_linked) for sweep in sweeps)
        back += sum(sweep.put_back(is_named) for sweep in sweeps)
        for sweep in sweeps:
            sweep.forget(lambda entry: not chosen or entry.digest in needed)
            if not sweep.pieces:
                sweep.discard()
        self.numbers["restored"] = back
        if not found:
            raise StopError("failed", "images_not_in_trash")

    def _warn_of_kept(
        self, sweeps: Sequence[BucketSweep], is_named: Callable[[Entry], bool]
    ) -> None:
        """Say which tags keep a new image, because they were pushed again."""
        kept = [
            (piece.entry.repository, path.split("/")[-3], digest)
            for sweep in sweeps
            for piece in sweep.pieces
            if is_named(piece.entry)
            for path in piece.paths
            if path.endswith("/current/link") and (digest := sweep.replaced(path))
        ]
        self.numbers["kept_tags"] = len(kept)
        for text in kept_warnings(kept):
            self.gates.warn(text)

    def _needed_to_restore(
        self, sweeps: Sequence[BucketSweep], chosen: Sequence[tuple[str, str]]
    ) -> set[str]:
        waiting = [
            digest
            for sweep in sweeps
            for piece in sweep.pieces
            if any(is_of(piece.entry, *each) for each in chosen)
            for digest in _digests_of(piece)
        ]
        needed: set[str] = set()
        while waiting:
            digest = waiting.pop()
            if digest in needed:
                continue
            needed.add(digest)
            if not digest.startswith("sha256:"):
                waiting += self._stored_as(digest, {name for name, _ in chosen}, sweeps)
                continue
            manifest = self.known.get(digest) or self._read_manifest(digest)
            if manifest is not None:
                waiting += [part.digest for part in (*manifest.blobs, *manifest.children)]
        return needed

    def _stored_as(
        self, digest: str, repositories: Iterable[str], sweeps: Sequence[BucketSweep]
    ) -> Iterator[str]:
        """Yield the digest under which content is stored that has one of another algorithm."""
        for repository in repositories:
            path = f"repositories/{repository}/_layers/{digest.replace(':', '/')}/link"
            found = self.objects.read(f"{V2}/{path}")
            links = [found[0]] if found is not None else [each.read(path) for each in sweeps]
            for link in links:
                text = link.decode("ascii", "replace")
                if SHA256.fullmatch(text):
                    yield text

    def _check(self) -> None:
        if self.gates.is_cancelled:
            raise StopError("cancelled", "run_cancelled")
        if not self.lock.renew():
            raise StopError("failed", "images_lock_lost")


def condemned_in(sweeps: Iterable[BucketSweep]) -> set[str]:
    """Return the paths of content that is listed in the trash already.

    Args:
        sweeps: The runs in the trash.
    """
    return {
        piece.entry.path for sweep in sweeps for piece in sweep.pieces if piece.entry.is_content
    }


def without_condemned(plan: Collection, condemned: set[str]) -> Collection:
    """Return a plan without content that is listed in the trash already.

    Args:
        plan: The plan.
        condemned: The paths of such content.
    """
    entries = tuple(entry for entry in plan.entries if entry.path not in condemned)
    content = [entry for entry in entries if entry.is_content]
    return replace(
        plan, entries=entries, blobs=len(content), freed=sum(entry.size for entry in content)
    )


def _needed_content(alive: Alive, stored: Stored) -> set[str]:
    """Return the digests that live manifests need, or any link or tag names."""
    found: set[str] = set()
    for each in alive.repositories.values():
        found |= each.manifests | each.blobs
    for repository in stored.tree.repositories.values():
        found.update(repository.manifests)
        found.update(repository.blobs)
        found.update(tag.digest for tag in repository.tags.values())
    return found


def _parts(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield pieces that are moved while writes are held once."""
    part: list[Piece] = []
    objects = tags = 0
    for piece in pieces:
        count, is_tag = len(piece.paths), bool(piece.entry.tag)
        if part and (objects + count > MOST_AT_ONCE or tags + is_tag > MOST_TAGS):
            yield part
            part, objects, tags = [], 0, 0
        part.append(piece)
        objects += count
        tags += is_tag
    if part:
        yield part


def _folders_above(path: str) -> Iterator[str]:
    """Yield the folders that can be planned as a whole: parts of a repository, and tags."""
    repository, separator, inside = path.partition("/_")
    if separator:
        parts = inside.split("/")
        yield f"{repository}/_{parts[0]}"
        if parts[:2] == ["manifests", "tags"] and len(parts) > 3:
            yield f"{repository}/_manifests/tags/{parts[2]}"


def _references(pieces: Sequence[Piece], stored: Stored) -> Iterator[tuple[str, str]]:
    others = {digest: alias for alias, digest in stored.tree.aliases.items()}
    for piece in pieces:
        entry = piece.entry
        if entry.is_link:
            yield entry.repository, entry.digest
            if entry.digest in others:
                yield entry.repository, others[entry.digest]
        elif entry.tag:
            yield entry.repository, entry.tag


def _digests_of(piece: Piece) -> Iterator[str]:
    if piece.entry.digest:
        yield piece.entry.digest
    for path in piece.paths:
        parts = path.split("/")
        if parts[-1] == "link" and len(parts) > 2 and parts[-3] in {"sha256", "sha512"}:
            yield f"{parts[-3]}:{parts[-2]}"
