"""Move a registry's objects in a bucket to a trash, and back.

Objects cannot be renamed. So they are copied to `moorage-trash/RUN/objects`, beside the registry's
own `docker` folder, and then deleted; `moorage-trash/RUN/run.json` is written first, and says what
is moved and how far that is. Whatever interrupts this, everything can be put back.

The content of blobs, which can be large, is only listed as no longer needed when its links are
moved. It is deleted when the trash is emptied, and is copied for that time only.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from moorage.cloud.s3 import explained
from moorage.cloud.s3_images import PAGE, READERS, answered_at
from moorage.errors import MoorageError
from moorage.images.sweep import TRASH, V2, Entry, State, part_of
from moorage.images.trash import TrashedRun

if TYPE_CHECKING:
    from moorage.cloud.s3_images import Bucket

_RUN = "run.json"
_LOCK = f"{TRASH}/lock"
_AT_ONCE = 250
"""Objects that one request deletes; some such requests are sent at once."""
LOCKED_FOR = 900.0
"""Seconds after which a lock that was not renewed has been left behind by a crash."""
_LOOKS = 30.0
"""Seconds between two looks at a lock."""
_UNSUPPORTED = {"NotImplemented", "InvalidArgument", "501"}
_EXISTS = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_MISSING = {"NoSuchKey", "404", "NotFound"}

_Item = TypeVar("_Item")
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Piece:
    """Objects that are moved together.

    Attributes:
        entry: The planned file or folder that they are, or are a part of.
        paths: Their paths below `docker/registry/v2`; none for content that stays for now.
    """

    entry: Entry
    paths: tuple[str, ...]


class Objects:
    """The objects below the registry's root folder in a bucket.

    Args:
        bucket: The bucket.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._storage = bucket.storage

    @property
    def _client(self) -> Any:
        return self._bucket.client

    def list(self, prefix: str) -> dict[str, int]:
        """Return the sizes of all objects below a prefix, by key.

        Args:
            prefix: The prefix, below the root folder like all keys here.
        """
        found: dict[str, int] = {}
        token: dict[str, str] = {}
        root = self._bucket.root
        with explained(self._storage):
            while True:
                page = self._client.list_objects_v2(
                    Bucket=self._storage.bucket, Prefix=root + prefix, MaxKeys=PAGE, **token
                )
                for each in page.get("Contents", ()):
                    found[each["Key"][len(root) :]] = each["Size"]
                if not page.get("IsTruncated"):
                    return found
                token = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> tuple[bytes, float] | None:
        """Return an object, and how many seconds ago it was written; None if it does not exist."""
        with explained(self._storage):
            answer = _unless(_MISSING, self._client.get_object, **self._name(key))
            if answer is None:
                return None
            age = answered_at(answer) - answer["LastModified"].timestamp()
            return bytes(answer["Body"].read()), age

    def size(self, key: str) -> int | None:
        """Return an object's bytes; None if it does not exist."""
        with explained(self._storage):
            answer = _unless(_MISSING, self._client.head_object, **self._name(key))
            return None if answer is None else int(answer["ContentLength"])

    def write(self, key: str, content: bytes) -> None:
        """Write an object."""
        with explained(self._storage):
            self._client.put_object(**self._name(key), Body=content, **self._options())

    def create(self, key: str, content: bytes) -> bool:
        """Write an object unless it exists; returns whether it did not."""
        from botocore.exceptions import ClientError

        with explained(self._storage):
            try:
                self._client.put_object(
                    **self._name(key), Body=content, IfNoneMatch="*", **self._options()
                )
            except ClientError as error:
                if _code(error) in _EXISTS:
                    return False
                if _code(error) not in _UNSUPPORTED:
                    raise
            else:
                return True
        # Older stores have no such condition.
        if self.size(key) is not None:
            return False
        self.write(key, content)
        return True

    def copy(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Copy objects within the bucket.

        Args:
            pairs: Where from and where to.
        """
        with explained(self._storage):
            self.each(self._copy_one, pairs)

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects, by exactly these keys.

        Raises:
            MoorageError: The store reports that it did not delete all of them.
        """
        groups = [keys[at : at + _AT_ONCE] for at in range(0, len(keys), _AT_ONCE)]
        with explained(self._storage):
            for errors in self.each(self._delete_some, groups):
                for error in errors:
                    if error.get("Code") not in _MISSING:
                        raise MoorageError(
                            f"The store did not delete {error.get('Key', 'an object')}: "
                            f"{error.get('Code')}.",
                            advice="The key must be allowed to delete objects (s3:DeleteObject).",
                            code="storage_refused",
                        )

    def each(self, work: Callable[[_Item], _Value], items: Iterable[_Item]) -> Sequence[_Value]:
        """Do something with each item, some of them at once."""
        pool = ThreadPoolExecutor(READERS)
        try:
            return list(pool.map(work, items))
        finally:
            pool.shutdown(cancel_futures=True)

    def _copy_one(self, pair: tuple[str, str]) -> None:
        source = {"Bucket": self._storage.bucket, "Key": self._bucket.root + pair[0]}
        target = self._name(pair[1])
        if pair[0].endswith("/link"):
            self._client.copy_object(**target, CopySource=source, **self._options())
        else:
            # In parts, if it is too large for one request.
            self._client.copy(source, **target, ExtraArgs=self._options())

    def _delete_some(self, keys: Sequence[str]) -> Sequence[Mapping[str, str]]:
        answer = self._client.delete_objects(
            Bucket=self._storage.bucket,
            Delete={"Objects": [{"Key": self._bucket.root + key} for key in keys], "Quiet": True},
        )
        errors: Sequence[Mapping[str, str]] = answer.get("Errors", ())
        return errors

    def _name(self, key: str) -> dict[str, str]:
        return {"Bucket": self._storage.bucket, "Key": self._bucket.root + key}

    def _options(self) -> dict[str, str]:
        """Return how the registry stores objects, which those that go back must not lose."""
        storage, options = self._storage, {}
        if storage.encrypt:
            options["ServerSideEncryption"] = "aws:kms" if storage.keyid else "AES256"
            if storage.keyid:
                options["SSEKMSKeyId"] = storage.keyid
        if storage.storageclass:
            options["StorageClass"] = storage.storageclass
        if storage.objectacl:
            options["ACL"] = storage.objectacl
        return options


class BucketSweep:
    """One run's part of the trash in a bucket. As `moorage.images.sweep.Sweep` on a disk.

    Args:
        objects: The bucket's objects.
        run: The run's name.

    Attributes:
        run: The run's name.
        state: Its progress; None if there is no such run.
        at: When it was begun, by the store's clock, in seconds since 1970.
        is_purge: Whether it empties the trash: then what it holds are copies of deleted content.
        pieces: Everything it was to move, whether it did or not.
    """

    def __init__(self, objects: Objects, run: str) -> None:
        self._objects = objects
        self.run = run
        self._folder = f"{TRASH}/{run}/"
        self.state: State | None = None
        self.at = 0.0
        self.is_purge = False
        self.pieces: tuple[Piece, ...] = ()

    def load(self) -> None:
        """Read what is known about it.

        Raises:
            MoorageError: Its object is damaged.
        """
        found = self._objects.read(self._folder + _RUN)
        if found is None:
            return
        try:
            values = json.loads(found[0])
            self.at, self.is_purge = float(values["at"]), bool(values["is_purge"])
            self.pieces = tuple(
                Piece(Entry(path, digest, size), tuple(paths))
                for path, digest, size, paths in values["pieces"]
            )
            self.state = State(values["state"])
        except (ValueError, KeyError, TypeError) as error:
            raise MoorageError(
                f"{self._folder}{_RUN} in the bucket is damaged, so the trash is not known.",
                code="images_unreadable",
            ) from error

    def prepare(self, pieces: Sequence[Piece], at: float, *, is_purge: bool = False) -> None:
        """Write down what will be moved, and copy it.

        Args:
            pieces: What is moved.
            at: The time, by the store's clock.
            is_purge: Whether it empties the trash.
        """
        self.pieces, self.at, self.is_purge = tuple(pieces), at, is_purge
        self._note(State.SWEEPING)
        self._objects.copy([(f"{V2}/{path}", self._copy_of(path)) for path in self._paths()])
        copies = self._copies()
        for path in self._paths():
            if path not in copies:
                raise MoorageError("The store did not copy an object.", code="storage_refused")

    def move(self, spared: Callable[[Entry], bool]) -> int:
        """Delete what was copied, except for what is spared.

        Args:
            spared: Returns whether an entry stays.

        Returns:
            The number of objects.
        """
        gone = [piece for piece in self.pieces if not spared(piece.entry)]
        keys = [f"{V2}/{path}" for piece in gone for path in piece.paths]
        self._objects.delete(keys)
        return len(keys)

    def settle(self, spared: Callable[[Entry], bool]) -> None:
        """Note that everything was moved; what was spared is not in it any more."""
        stay = [piece for piece in self.pieces if spared(piece.entry)]
        copies = self._copies()
        self._objects.delete(
            [self._copy_of(path) for piece in stay for path in piece.paths if path in copies]
        )
        self.pieces = tuple(piece for piece in self.pieces if not spared(piece.entry))
        self._note(State.SWEPT)

    def put_back(self, chosen: Callable[[Entry], bool] = lambda entry: True) -> int:
        """Copy objects back to where they came from, content before what refers to it.

        What has been written there meanwhile stays as it is.

        Args:
            chosen: Returns whether an entry goes back.

        Returns:
            The number of objects that went back.
        """
        copies, back = self._copies(), 0
        going = [piece for piece in self.pieces if chosen(piece.entry)]
        for paths in _in_order(going):
            there = [path for path in paths if path in copies]
            back += sum(self._objects.each(self._put_one_back, there))
        self._objects.delete(
            [self._copy_of(path) for piece in going for path in piece.paths if path in copies]
        )
        if going and self.state is not None:
            self.pieces = tuple(piece for piece in self.pieces if not chosen(piece.entry))
            self._note(self.state)
        return back

    def forget(self, chosen: Callable[[Entry], bool]) -> None:
        """Take content off the list that is needed again."""
        stay = tuple(p for p in self.pieces if p.paths or not chosen(p.entry))
        if stay != self.pieces:
            self.pieces = stay
            self._note(self.state or State.CHECKED)

    def finish(self) -> None:
        """Note that what was linked meanwhile has been put back."""
        if self.pieces and not self.is_purge:
            self._note(State.CHECKED)
        else:
            self.discard()

    def discard(self) -> None:
        """Delete the run's objects in the trash."""
        keys = [key for key in self._objects.list(self._folder) if not key.endswith(f"/{_RUN}")]
        self._objects.delete(keys)
        self._objects.delete([self._folder + _RUN])
        self.state, self.pieces = None, ()

    def replaced(self, path: str) -> str:
        """Return the digest that a tag in the trash names, if the tag names another one now.

        Args:
            path: The path of its `current/link`.
        """
        now, then = self._objects.read(f"{V2}/{path}"), self._objects.read(self._copy_of(path))
        if now is None or then is None or now[0] == then[0]:
            return ""
        return then[0].decode("ascii", "replace")

    def read(self, path: str) -> bytes:
        """Return what is in the trash; empty if it is not.

        Args:
            path: The path that it had below `docker/registry/v2`.
        """
        found = self._objects.read(self._copy_of(path))
        return b"" if found is None else found[0]

    def split(self, repositories: Iterable[str]) -> None:
        """Tell the tags and links of repositories apart that were deleted entirely.

        Args:
            repositories: The repositories.
        """
        chosen, pieces = frozenset(repositories), []
        for piece in self.pieces:
            entry = piece.entry
            if entry.digest or entry.tag or entry.repository not in chosen:
                pieces.append(piece)
                continue
            parts: dict[Entry, list[str]] = {}
            for path in piece.paths:
                parts.setdefault(part_of(path) or entry, []).append(path)
            pieces += [Piece(part, tuple(paths)) for part, paths in parts.items()]
        self.pieces = tuple(pieces)

    def as_trash(self, kept_for: float) -> TrashedRun:
        """Return it as what `moorage images trash` shows.

        Args:
            kept_for: Seconds for which it can be restored.
        """
        entries = tuple(dict.fromkeys(piece.entry for piece in self.pieces))
        paths = (path for p in self.pieces if p.entry.is_repository for path in p.paths)
        parts = dict.fromkeys(filter(None, map(part_of, paths)))
        inside = tuple((part.repository, part.tag) for part in parts if part.tag)
        is_complete = self.state is State.CHECKED
        return TrashedRun(self.run, self.at, is_complete, entries, kept_for, inside)

    def _put_one_back(self, path: str) -> int:
        if path.endswith("/link"):
            found = self._objects.read(self._copy_of(path))
            return int(found is not None and self._objects.create(f"{V2}/{path}", found[0]))
        if self._objects.size(f"{V2}/{path}") is not None:
            return 0
        self._objects.copy([(self._copy_of(path), f"{V2}/{path}")])
        return 1

    def _paths(self) -> list[str]:
        return [path for piece in self.pieces for path in piece.paths]

    def _copy_of(self, path: str) -> str:
        return f"{self._folder}objects/{path}"

    def _copies(self) -> set[str]:
        folder = f"{self._folder}objects/"
        return {key[len(folder) :] for key in self._objects.list(folder)}

    def _note(self, state: State) -> None:
        values = {
            "state": str(state),
            "at": self.at,
            "is_purge": self.is_purge,
            "pieces": [
                [p.entry.path, p.entry.digest, p.entry.size, list(p.paths)] for p in self.pieces
            ],
        }
        self._objects.write(self._folder + _RUN, json.dumps(values).encode())
        self.state = state


def bucket_sweeps(objects: Objects) -> list[BucketSweep]:
    """Return the runs in a bucket's trash, oldest first.

    Args:
        objects: The bucket's objects.
    """
    runs = {key.split("/")[1] for key in objects.list(f"{TRASH}/") if key.count("/") >= 2}
    found = [BucketSweep(objects, run) for run in sorted(runs)]
    for sweep in found:
        sweep.load()
    return sorted(found, key=lambda each: each.at)


def recover_bucket(objects: Objects) -> list[str]:
    """Put back what interrupted runs have moved. Every run begins with it.

    Args:
        objects: The bucket's objects.

    Returns:
        The names of the runs that were interrupted.
    """
    found = []
    for sweep in bucket_sweeps(objects):
        if sweep.state is not State.CHECKED:
            found.append(sweep.run)
            sweep.put_back()
            sweep.discard()
    return found


class BucketLock:
    """A lock on a bucket's images, against operators of other servers that use it.

    Args:
        objects: The bucket's objects.
        holder: A line that says who holds it.
    """

    def __init__(self, objects: Objects, holder: str) -> None:
        self._objects = objects
        self._content = holder.encode()
        self._looked = 0.0

    def take(self, stale: Callable[[str], bool]) -> str:
        """Take it.

        Args:
            stale: Returns whether a holder has ended without giving it back.

        Returns:
            Who holds it; empty if it was taken.
        """
        if self._objects.create(_LOCK, self._content):
            return ""
        found = self._objects.read(_LOCK)
        if found is not None:
            holder = found[0].decode("utf-8", "replace")
            if found[1] < LOCKED_FOR and not stale(holder):
                return holder
        self._objects.write(_LOCK, self._content)
        found = self._objects.read(_LOCK)
        is_ours = found is not None and found[0] == self._content
        return "" if is_ours or found is None else found[0].decode("utf-8", "replace")

    def renew(self) -> bool:
        """Show that it is still held; returns False if it is another's meanwhile."""
        if time.monotonic() < self._looked + _LOOKS:
            return True
        self._looked = time.monotonic()
        found = self._objects.read(_LOCK)
        if found is None or found[0] != self._content:
            return False
        if found[1] > LOCKED_FOR / 5:
            self._objects.write(_LOCK, self._content)
        return True

    def give_back(self) -> None:
        """Remove it, if it is still held."""
        found = self._objects.read(_LOCK)
        if found is not None and found[0] == self._content:
            self._objects.delete([_LOCK])


def _in_order(pieces: Sequence[Piece]) -> Iterable[list[str]]:
    """Yield paths in the order in which they go back: nothing refers to what is not there yet."""
    content = [p for p in pieces if p.entry.is_content]
    tags = [p for p in pieces if not (p.entry.is_content or p.entry.is_link)]
    links = [p for p in pieces if p.entry.is_link and not p.entry.is_content]
    for group in (content, links, tags):
        paths = [path for piece in group for path in piece.paths]
        yield [path for path in paths if "/_manifests/tags/" not in path]
        yield [path for path in paths if "/_manifests/tags/" in path and "/current/" not in path]
        yield [path for path in paths if path.endswith("/current/link")]


def _unless(codes: set[str], request: Callable[..., Any], **options: Any) -> Any:
    from botocore.exceptions import ClientError

    try:
        return request(**options)
    except ClientError as error:
        if _code(error) in codes:
            return None
        raise


def _code(error: Any) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
