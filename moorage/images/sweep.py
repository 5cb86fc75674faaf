"""Move dead files of a registry's storage into a trash folder, and back.

Files are renamed, within one file system, into the folder of a run. Its list says where each came
from, and is on the disk before the first file is moved. So whatever interrupts a sweep, its files
can be put back; the next one begins with that.

The registry keeps serving meanwhile. What it writes is looked at twice: just before files are
moved, with writes held, and after they are let through again, because a request that had begun
before can still link to a file that is moved while it ends.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from moorage.images.strenum import StrEnum

V2 = "docker/registry/v2"
TRASH = "moorage-trash"
"""The trash, in the storage's root folder: the registry looks for images below `docker` only."""
_LIST = "list"
_STATE = "state"
_FILES = (_LIST, _STATE, f".{_LIST}", f".{_STATE}")
_CLOCK = ".clock"
_BATCH = 100
"""Files that are moved between two looks at the clock."""


class State(StrEnum):
    """The progress of a sweep.

    sweeping: files are being moved. swept: all have been moved. checked: what was linked meanwhile
    has been put back; the rest can be deleted later.
    """

    SWEEPING = "sweeping"
    SWEPT = "swept"
    CHECKED = "checked"


@dataclass(frozen=True)
class Entry:
    """A file or folder to move.

    Attributes:
        path: Its path below `docker/registry/v2`.
        digest: The digest whose content or link it is; empty for a tag's folder.
        size: Its bytes.
    """

    path: str
    digest: str = ""
    size: int = 0

    @property
    def is_content(self) -> bool:
        """Whether it is the content of a blob."""
        return self.path.startswith("blobs/")

    @property
    def is_link(self) -> bool:
        """Whether it is the link of a layer or manifest in a repository."""
        return is_link(self.path)

    @property
    def is_manifest(self) -> bool:
        """Whether it is the link of a manifest in a repository."""
        return is_manifest(self.path)

    @property
    def repository(self) -> str:
        """The repository it belongs to; empty for content."""
        return repository_of(self.path)

    @property
    def is_repository(self) -> bool:
        """Whether it stands for a repository that was deleted entirely."""
        return self.path.endswith("/_manifests")

    @property
    def tag(self) -> str:
        """The tag whose folder it is; empty for others."""
        return self.path.partition("/_manifests/tags/")[2]


class CannotSweepError(Exception):
    """The sweep was not begun, because it could not be undone or may move what is alive."""


class Sweep:
    """One run's folder in the trash.

    Args:
        root: The storage's root folder.
        run: The run's ID.
    """

    def __init__(self, root: Path, run: str) -> None:
        self.run = run
        self._v2 = root / V2
        self._folder = root / TRASH / run

    @property
    def state(self) -> State | None:
        """Its progress; None before anything is moved, and once everything is gone."""
        try:
            return State((self._folder / _STATE).read_text(encoding="ascii").strip())
        except FileNotFoundError:
            return None

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Everything it was to move, whether it did or not."""
        try:
            lines = (self._folder / _LIST).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()  # It was stopped before it had begun, or after everything was gone.
        return tuple(Entry(*json.loads(line)) for line in lines)

    def prepare(self, entries: Iterable[Entry]) -> None:
        """Write down what will be moved.

        Args:
            entries: The files and folders, in the order in which they are moved: tags before what
                they lead to.

        Raises:
            CannotSweepError: The trash is on another file system, where moving means copying.
        """
        self._folder.mkdir(parents=True, mode=0o700)
        if self._folder.stat().st_dev != (self._v2 / "blobs").stat().st_dev:
            self._folder.rmdir()
            raise CannotSweepError("the trash is on another file system than the images")
        _sync(self._folder.parent)
        lines = (json.dumps([each.path, each.digest, each.size]) for each in entries)
        _write(self._folder / _LIST, "".join(f"{line}\n" for line in lines))
        self._note(State.SWEEPING)

    def move(self, spared: set[str], deadline: float) -> int:
        """Move everything into the trash, except for what is spared.

        Args:
            spared: Paths that were written since the plan was made.
            deadline: When to stop, by `time.monotonic`.

        Returns:
            The number of files and folders moved.

        Raises:
            TimeoutError: Not everything could be moved in time. It has been put back.
        """
        moved = 0
        for number, entry in enumerate(self.entries):
            if number % _BATCH == 0 and time.monotonic() > deadline:
                self.put_back()
                raise TimeoutError
            if entry.path not in spared and _renamed(self._v2 / entry.path, self._in_trash(number)):
                moved += 1
        self._note(State.SWEPT)
        return moved

    def put_parts_back(self, repository: str, chosen: Callable[[Entry], bool]) -> int:
        """Move parts of a repository that was deleted entirely back to where they came from.

        Args:
            repository: The repository.
            chosen: Returns whether one of its tags or links is to go back.

        Returns:
            The number of files and folders that went back.
        """
        return sum(
            chosen(part) and _moved_back(place, self._v2 / part.path)
            for entry, folder in self.places()
            if entry.repository == repository
            for part, place in parts_of(entry, folder)
        )

    def put_back(self, chosen: Callable[[Entry], bool] = lambda entry: True) -> int:
        """Move files back to where they came from, content before what refers to it.

        What has been written there meanwhile stays as it is.

        Args:
            chosen: Returns whether an entry is to go back.

        Returns:
            The number of files and folders that went back.
        """
        back = 0
        for number, entry in reversed(list(enumerate(self.entries))):
            if chosen(entry) and _moved_back(self._in_trash(number), self._v2 / entry.path):
                back += 1
        return back

    def finish(self) -> None:
        """Note that what was linked meanwhile has been put back."""
        self._note(State.CHECKED)

    def discard(self) -> None:
        """Remove the run's folder, after everything in it was put back."""
        for number in range(len(self.entries)):
            if os.path.lexists(self._in_trash(number)):
                # It was written anew in its place, so this copy is not needed.
                _remove(self._in_trash(number))
        self._remove_folder()

    def purge(self) -> int:
        """Delete what is in the trash. Cannot be undone.

        Returns:
            The bytes freed.
        """
        freed = 0
        for number, entry in enumerate(self.entries):
            if os.path.lexists(self._in_trash(number)):
                _remove(self._in_trash(number))
                freed += entry.size
        self._remove_folder()
        return freed

    def in_trash(self) -> Iterator[Entry]:
        """Yield what is in the trash now."""
        for entry, _ in self.places():
            yield entry

    def places(self) -> Iterator[tuple[Entry, Path]]:
        """Yield what is in the trash now, and where."""
        for number, entry in enumerate(self.entries):
            if os.path.lexists(self._in_trash(number)):
                yield entry, self._in_trash(number)

    @property
    def since(self) -> float:
        """The time of its last change, in seconds since 1970."""
        return (self._folder / _STATE).stat().st_mtime

    def _in_trash(self, number: int) -> Path:
        return self._folder / str(number)

    def _note(self, state: State) -> None:
        _write(self._folder / _STATE, f"{state}\n")

    def _remove_folder(self) -> None:
        for name in _FILES:
            (self._folder / name).unlink(missing_ok=True)
        self._folder.rmdir()


def is_link(path: str) -> bool:
    """Return whether a path below `docker/registry/v2` is the link of a layer or manifest."""
    return path.endswith("/link")


def is_manifest(path: str) -> bool:
    """Return whether a path below `docker/registry/v2` is the link of a manifest."""
    return "/_manifests/revisions/" in path


def repository_of(path: str) -> str:
    """Return the repository that a path below `docker/registry/v2` is in; empty if in none."""
    if not path.startswith("repositories/"):
        return ""
    return path.partition("/")[2].partition("/_")[0]


def tag_folders(entry: Entry, place: Path) -> Iterator[tuple[str, Path]]:
    """Yield the tags that moved with an entry, and where their folders are now.

    Args:
        entry: A tag's folder, the manifests of a whole repository, or anything else.
        place: Its place in the trash.
    """
    if entry.tag:
        yield entry.tag, place
    elif entry.is_repository and (place / "tags").is_dir():
        yield from ((each.name, each) for each in (place / "tags").iterdir())


def parts_of(entry: Entry, place: Path) -> Iterator[tuple[Entry, Path]]:
    """Yield the tags and links that moved with a repository's folder, and where they are now.

    Args:
        entry: A folder of a whole repository, or anything else.
        place: Its place in the trash.
    """
    if entry.digest or entry.tag:
        return
    for path in sorted(place.glob("**/link")):
        part = part_of(f"{entry.path}/{path.relative_to(place).as_posix()}")
        if part is not None and part.digest:
            yield part, path
    for tag, folder in tag_folders(entry, place):
        yield Entry(f"{entry.path}/tags/{tag}"), folder


def part_of(path: str) -> Entry | None:
    """Return the tag or link that a file of a repository belongs to; None if to neither.

    Args:
        path: Its path below `docker/registry/v2`.
    """
    folder, _, inside = path.partition("/_")
    kind, *names = inside.split("/")
    if kind == "manifests" and names[:1] == ["tags"] and len(names) > 2:
        return Entry(f"{folder}/_manifests/tags/{names[1]}")
    if (kind, names[:1]) == ("manifests", ["revisions"]):
        names = names[1:]
    elif kind != "layers":
        return None
    return Entry(path, f"{names[0]}:{names[1]}") if names[2:] == ["link"] else None


def sweeps(root: Path) -> list[Sweep]:
    """Return the runs in the trash, oldest first.

    Args:
        root: The storage's root folder.
    """
    try:
        names = sorted(path.name for path in (root / TRASH).iterdir() if _is_of_a_run(path))
    except FileNotFoundError:
        return []
    return [Sweep(root, name) for name in names]


def _is_of_a_run(folder: Path) -> bool:
    """Return whether a run has created a folder; whatever else is in the trash stays."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    return all(each.name.isdecimal() or each.name in _FILES for each in folder.iterdir())


def clock(root: Path) -> float:
    """Return the time by the file system's clock, which is another machine's on a network disk.

    Args:
        root: The storage's root folder.

    Returns:
        Seconds since 1970.
    """
    path = root / TRASH / _CLOCK
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)
    os.utime(path)
    return path.stat().st_ctime


def recover(root: Path) -> list[str]:
    """Put back what interrupted sweeps have moved. Every run begins with it.

    Args:
        root: The storage's root folder.

    Returns:
        The IDs of the runs that were interrupted.
    """
    found = []
    for sweep in sweeps(root):
        if sweep.state is not State.CHECKED:
            found.append(sweep.run)
            sweep.put_back()
            sweep.discard()
    return found


def written_since(root: Path, entries: Sequence[Entry], since: float) -> set[str]:
    """Return the paths of entries that were written since.

    Args:
        root: The storage's root folder.
        entries: What is to be moved.
        since: A time of the file system's clock, in seconds since 1970.
    """
    found = set()
    for entry in entries:
        try:
            changed = (root / V2 / entry.path).stat().st_ctime
        except FileNotFoundError:
            continue
        if changed >= since:
            found.add(entry.path)
    return found


def _renamed(path: Path, to: Path) -> bool:
    try:
        path.rename(to)
    except FileNotFoundError:
        return False  # Somebody has deleted it.
    return True


def _moved_back(path: Path, to: Path) -> bool:
    """Move a file or folder without replacing what is there."""
    if not os.path.lexists(path):
        return False
    _make_parents(to.parent)
    if path.is_dir():
        # A folder never replaces one that has files in it; what is missing there is moved.
        try:
            path.rename(to)
        except OSError:
            moved = [_moved_back(inside, to / inside.name) for inside in sorted(path.iterdir())]
            with suppress(OSError):
                path.rmdir()
            return any(moved)
        return True
    try:
        os.link(path, to)
    except FileExistsError:
        return False
    path.unlink()
    return True


def _make_parents(folder: Path) -> None:
    """Create a folder and its parents for the account that the registry runs under."""
    if folder.is_dir():
        return
    _make_parents(folder.parent)
    folder.mkdir(exist_ok=True)
    above = folder.parent.stat()
    if os.geteuid() == 0:
        os.chown(folder, above.st_uid, above.st_gid)
    folder.chmod(above.st_mode & 0o777)


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for inside in path.iterdir():
        _remove(inside)
    path.rmdir()


def _write(path: Path, content: str) -> None:
    """Write a file so that it is on the disk, whole, before this returns."""
    temporary = path.with_name(f".{path.name}")  # As _remove_folder() knows it.
    with temporary.open("w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
