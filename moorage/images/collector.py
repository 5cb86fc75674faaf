"""Delete, collect and restore images on the server that stores them.

The program that a run starts there (templates/shell/images/run.sh), with the run's folder as its
only argument. It needs nothing but the standard library. The order of a collection:

1. put back what an interrupted run has moved; mark what is alive: the rest is condemned;
2. wait (the grace period), and follow nginx's log: what clients ask for in the meantime stays;
   so pushes in progress can end, and nothing has changed so far;
3. mark again: what is still dead, and was not written since, goes;
4. hold writes for less than two seconds; look at what was written and asked for since; rename the
   dead into the trash; let writes through;
5. look again, several times, for what requests that had begun before have linked meanwhile, and put
   it back.

A restart or a kill anywhere leaves either nothing moved, or moved files that step 1 puts back.
"""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from moorage.images.activity import parse_index
from moorage.images.alive import CLOCK_STEP, Alive, Limits, find_alive
from moorage.images.asked import Asked, LogLostError
from moorage.images.collection import (
    Collection,
    NothingAliveError,
    plan_collection,
    plan_deletion,
    still_dead,
)
from moorage.images.hold import Hold, can_hold, clear, condemn, pardon
from moorage.images.manifests import Manifest
from moorage.images.read import Stored, read_stored
from moorage.images.restore import kept_warnings, restore
from moorage.images.retention import Pulls, apply_rules, removed_tags, with_indexes
from moorage.images.settings import unfit_settings
from moorage.images.spare import Watch, empty_folders, find_spared
from moorage.images.sweep import (
    TRASH,
    V2,
    CannotSweepError,
    Entry,
    State,
    Sweep,
    clock,
    recover,
    sweeps,
    tag_folders,
)
from moorage.images.task import Task, read_task
from moorage.units import count_text, size_text

MOST_AT_ONCE = 2_000
"""Files that are moved while writes are held once."""
DRAIN = 0.3
"""Seconds for which writes that nginx passed on before the hold get to finish."""
PAUSE = 1.0
"""Seconds between two holds, in which waiting writes proceed."""
ENOUGH = 0.5
"""Seconds that moving so many files can take. If it took longer, they would go back, which changes
their time: then they count as written since, and what they refer to stays."""
TRIES = 3
_NO_REGISTRY = 3


class StopError(Exception):
    """The run ends without success.

    Attributes:
        status: failed, cancelled or locked.
        code: A key of the run results' reasons.
        values: Its values.
    """

    def __init__(self, status: str, code: str, *values: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.values = values


@dataclass(frozen=True)
class Places:
    """Folders on the server.

    Attributes:
        run: The run's folder.
        state: Moorage's state.
        etc: The registry's configuration.
        web: nginx's runtime folder.
        upstream: nginx's file that names the active slot.
        sockets: The slots' sockets.
        log: nginx's log of the registry.
    """

    run: Path
    state: Path = Path("/var/lib/moorage")
    etc: Path = Path("/etc/moorage/registry")
    web: Path = Path("/run/moorage")
    upstream: Path = Path("/etc/nginx/moorage/upstream.conf")
    sockets: Path = Path("/run/moorage-registry")
    log: Path = Path("/var/log/nginx/moorage.log")


@dataclass
class Collector:
    """One run."""

    places: Places
    task: Task
    known: dict[str, Manifest] = field(default_factory=dict)
    _locks: dict[str, Any] = field(default_factory=dict)
    _is_cancelled: bool = False
    _asked: Asked | None = None
    _numbers: dict[str, int] = field(default_factory=dict)
    _trash: tuple[Entry, ...] = ()
    _sweeps: Iterator[int] = field(default_factory=count)

    @property
    def root(self) -> Path:
        """The storage's root folder."""
        return Path(self.task.root)

    @property
    def numbers(self) -> Mapping[str, int]:
        """The numbers that it reports at its end."""
        return self._numbers

    def run(self) -> None:
        """Do the work and report the result."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._cancel)
        try:
            # Only those who look whether it lives hold it, for a moment.
            self._lock("run", self.places.run / "lock", waits=True)
            self._lock("images", self.places.state / "images.lock")
            self._lock("apply", self.places.state / "lock")
            (self.places.state / "current").write_text(f"{self.places.run.name}\n")
            self._work()
            self._finish("done", "")
        except StopError as stop:
            self._finish(stop.status, stop.code, *stop.values)
        except LogLostError:
            self._finish("failed", "images_log_lost", str(self.places.log))
        except OSError as error:
            self._finish("failed", "images_failed", describe(error))
        except Exception as error:
            traceback.print_exc()
            self._finish("failed", "images_failed", describe(error))

    def _cancel(self, *_: object) -> None:
        self._is_cancelled = True

    def _work(self) -> None:
        self._step("recheck")
        self._check_server()
        if interrupted := recover(self.root):
            say(f"put back what run {', '.join(interrupted)} had moved when it was interrupted")
        clear(self.places.web)
        try:
            {"collect": self._collect, "delete": self._delete, "restore": self._restore,
             "retain": self._retain, "scheduled": self._scheduled}[self.task.action]()  # fmt: skip
        finally:
            clear(self.places.web)

    # Checks

    def _check_server(self) -> None:
        """Refuse to begin where moving files could do harm."""
        self._check_marker()
        slot = self._active_slot()
        config = _read(self.places.etc / slot / "config.yml")
        for reason in unfit_settings(config, _read(self.places.etc / "registry.env")):
            raise StopError("failed", "images_settings", reason)
        self._check_store(config)
        if self.task.action != "restore" and not can_hold(self.places.web):
            raise StopError("failed", "images_no_hold")

    def _check_marker(self) -> None:
        """Refuse to begin if the disk is not mounted."""
        if self.task.store:
            marker = _read(self.root / ".moorage-store").strip()
            if marker != self.task.store:
                raise StopError("failed", "images_store_missing", self.task.root)

    def _check_store(self, config: str) -> None:
        """Refuse to begin if the images are not where the registry stores them."""
        if not _has_root(config, self.task.root):
            raise StopError("failed", "changed_meanwhile", str(self.places.etc))
        if mounted := _mounts_below(self.root):
            raise StopError("failed", "images_mounts", mounted)

    def _active_slot(self) -> str:
        found = re.search(r"/(blue|green)/registry\.sock;", _read(self.places.upstream))
        if not found:
            raise StopError("failed", "images_no_slot")
        other = {"blue": "green", "green": "blue"}[found[1]]
        # The other slot may have a cache that reports files as present after they were moved.
        if _listens(self.places.sockets / other / "registry.sock"):
            raise StopError("failed", "images_other_slot", other)
        return found[1]

    # Reading

    def _mark(self) -> tuple[Stored, float]:
        now = clock(self.root)
        request = "".join(
            f"{line}\n" for line in (self.task.root, *sorted(d[7:] for d in self.known))
        )
        completed = subprocess.run(
            ["sh", str(self.places.run / "images.sh")],
            input=request.encode(), capture_output=True, check=False,
        )  # fmt: skip
        if completed.returncode == _NO_REGISTRY:
            return Stored(), now
        if completed.returncode != 0:
            lines = completed.stderr.decode("utf-8", "replace").strip().splitlines()
            raise StopError("failed", "images_unreadable", lines[-1] if lines else "")
        try:
            stored = read_stored(completed.stdout, self.known)
        except (ValueError, IndexError) as error:
            raise StopError("failed", "images_unreadable", str(error)) from error
        self.known.update(stored.manifests)
        return stored, now

    def _plan(self, stored: Stored, now: float, since: float) -> Collection:
        """Return what can go; nothing that was written since."""
        young = max(self.task.young, now - since)
        known_since, pulled = self._pulls()
        limits = Limits(now, young, self.task.untagged, known_since, self.task.takes_untagged)
        try:
            return plan_collection(stored, limits, pulled, trash=self._trash)
        except NothingAliveError as error:
            raise StopError("failed", "images_nothing_alive") from error

    def _pulls(self) -> tuple[float | None, dict[tuple[str, str], float]]:
        """Return since when pulls are known, and the last one of each image."""
        index = self.places.state / "activity" / "index"
        update = ["systemctl", "start", "moorage-activity.service"]
        if not index.exists() or subprocess.run(update, check=False).returncode != 0:
            return None, {}
        try:
            found = parse_index(index.read_text(encoding="ascii"))
        except (OSError, ValueError, IndexError) as error:
            say(f"it is not known who pulls what: {describe(error)}")
            return None, {}
        return found.covers_since, found.last_uses()

    # Collect

    def _collect(self) -> None:
        self._step("images-mark")
        self._asked = Asked(self.places.log)
        stored, first = self._mark()
        self._trash = tuple(entry for sweep in sweeps(self.root) for entry in sweep.in_trash())
        self._empty_old_trash(stored, first)
        plan = self._plan(stored, first, first)
        for repository, digests in plan.unreadable.items():
            say(f"kept all of {repository}: {len(digests)} of its manifests cannot be read")
        if not plan.is_empty:
            say(
                f"not needed: {count_text(plan.blobs, 'blob')}, {size_text(plan.freed)}; "
                f"{count_text(plan.manifests, 'manifest')} among them"
            )
            self._wait()
            self._step("recheck")
            self._lock_again()
            self._check_server()
            self._move_dead({entry.path for entry in plan.entries}, first)
        if self.task.purges:
            self._purge_all()

    def _wait(self) -> None:
        self._step("grace")
        # Other runs can change the server meanwhile: everything is checked again afterwards.
        self._unlock("apply")
        print(f"@until\t{int(time.time() + self.task.grace)}", flush=True)
        end = time.monotonic() + self.task.grace
        while time.monotonic() < end:
            self._check_cancelled()
            time.sleep(min(0.5, max(0.0, end - time.monotonic())))

    def _lock_again(self) -> None:
        while True:
            self._check_cancelled()
            try:
                self._lock("apply", self.places.state / "lock")
            except StopError:
                time.sleep(1)
                continue
            break
        (self.places.state / "current").write_text(f"{self.places.run.name}\n")

    def _move_dead(self, condemned: set[str], first: float) -> None:
        self._step("images-mark")
        since = clock(self.root)
        empty = empty_folders(self.root)
        stored, now = self._mark()
        plan = self._plan(stored, now, first)
        self._check_cancelled()
        self._move(still_dead(plan, condemned, stored.manifests), stored, since, empty)

    def _move(
        self,
        entries: Sequence[Entry],
        stored: Stored,
        since: float,
        empty: Sequence[str],
        looks: Sequence[float] | None = None,
    ) -> None:
        """Move files into the trash, some at a time."""
        self._step("images-move")
        watched = Watch(self.root, tuple(entries), stored, since, tuple(empty))
        done: list[Sweep] = []
        failed: StopError | None = None
        for start in range(0, len(entries), MOST_AT_ONCE):
            name = f"{self.places.run.name}.{next(self._sweeps):03}"
            try:
                self._check_cancelled()
                done.append(self._sweep(name, entries[start : start + MOST_AT_ONCE], watched))
            except StopError as stop:
                failed = stop
                break
            time.sleep(PAUSE if len(entries) > start + MOST_AT_ONCE else 0)
        # What has been moved is moved for good: a part of a collection is a smaller one.
        self._look_again(done, watched, self.task.looks if looks is None else looks)
        for sweep in done:
            for entry, place in sweep.places():
                self._count(entry, place)
            sweep.finish()
        if failed is not None:
            raise failed

    def _sweep(self, name: str, entries: Sequence[Entry], watched: Watch) -> Sweep:
        """Hold writes, and move a part of the files."""
        for _ in range(TRIES):
            sweep = Sweep(self.root, name)
            try:
                sweep.prepare(entries)
            except CannotSweepError as error:
                raise StopError("failed", "images_other_disk") from error
            if self._asked is not None:
                self._asked.read()
                condemn(self.places.web, _references(entries, watched.stored.tree.aliases))
            began = time.monotonic()
            hold = Hold(self.places.web)
            try:
                with hold:
                    time.sleep(DRAIN)
                    asked = self._asked.read() if self._asked is not None else set()
                    spared = find_spared(watched, entries, asked=asked)
                    paths = {each.path for each in entries if spared.has(each)}
                    if time.monotonic() > hold.deadline - ENOUGH:
                        raise TimeoutError
                    moved = sweep.move(paths, hold.deadline)
            except TimeoutError:
                sweep.discard()
                say("moving took too long, so nothing was moved; trying again")
                time.sleep(PAUSE)
                continue
            except BaseException:
                sweep.put_back()
                sweep.discard()
                raise
            finally:
                pardon(self.places.web)
            took = time.monotonic() - began
            blobs = sum(entry.is_content for entry in sweep.in_trash())
            say(
                f"moved {count_text(blobs, 'blob')} and {moved - blobs} of their links and tags "
                f"in {took * 1000:.0f} ms; {count_text(hold.held, 'write')} waited"
            )
            self._numbers["held_ms"] = max(self._numbers.get("held_ms", 0), int(took * 1000))
            return sweep
        raise StopError("failed", "images_too_slow")

    def _look_again(self, done: Sequence[Sweep], watched: Watch, looks: Sequence[float]) -> None:
        """Put back what requests that had begun before the hold have linked."""
        self._step("images-check", can_stop=False)
        began = time.monotonic()
        for after in looks if done else ():
            time.sleep(max(0.0, began + after - time.monotonic()))
            spared = find_spared(watched, done=done)
            for sweep in done:
                if count := sweep.put_back(spared.has):
                    say(f"put back {count_text(count, 'file')} pushed meanwhile")

    def _count(self, entry: Entry, place: Path) -> None:
        counted = {
            "repositories": int(entry.is_repository),
            "tags": sum(1 for _ in tag_folders(entry, place)),
            "blobs": int(entry.is_content),
            "links": int(entry.is_link),
            "bytes": entry.size,
        }
        for kind, number in counted.items():
            self._numbers[kind] = self._numbers.get(kind, 0) + number

    # Trash

    def _empty_old_trash(self, stored: Stored, now: float) -> None:
        """Delete what has been in the trash for long enough and is still not needed."""
        old = [each for each in sweeps(self.root) if each.since < now - self.task.trash]
        self._purge(old, stored, now)

    def _purge_all(self) -> None:
        self._step("images-purge")
        stored, now = self._mark()
        self._purge(sweeps(self.root), stored, now)

    def _purge(self, chosen: Sequence[Sweep], stored: Stored, now: float) -> None:
        if not chosen:
            return
        alive = find_alive(stored.tree, stored.manifests, Limits(now))
        missing = _missing(alive, stored)
        for sweep in chosen:
            if sweep.state is not State.CHECKED:
                continue
            if back := sweep.put_back(lambda entry: entry.digest in missing):
                say(f"put back {count_text(back, 'file')} needed again")
            freed = sweep.purge()
            self._numbers["purged"] = self._numbers.get("purged", 0) + freed

    # Delete and restore

    def _delete(self) -> None:
        self._step("images-mark")
        # Whatever was written just before the beginning counts as written since.
        time.sleep(CLOCK_STEP)
        since = clock(self.root)
        empty = empty_folders(self.root)
        stored, now = self._mark()
        tags = tags_to_delete(self.task, stored, now)
        entries = plan_deletion(stored, now, tags, self.task.repositories)
        self._check_cancelled()
        self._move(entries, stored, since, empty)
        kept = [each for each in self.task.tags if self._is_there(*each)]
        for repository, tag, _ in kept:
            raise StopError("failed", "images_tag_changed", f"{repository}:{tag}")
        for repository in self.task.repositories:
            if any((self.root / V2 / "repositories" / repository).glob("_*")):
                raise StopError("failed", "images_in_use", repository)

    # Retain

    def _scheduled(self) -> None:
        if self.task.rules:
            self._retain()
        self._collect()

    def _retain(self) -> None:
        """Move the tags that the rules do not keep to the trash."""
        self._step("images-mark")
        # Whatever was written just before the beginning counts as written since.
        time.sleep(CLOCK_STEP)
        since = clock(self.root)
        empty = empty_folders(self.root)
        stored, now = self._mark()
        known_since, pulled = self._pulls()
        tags = outdated_tags(self.task, stored, Pulls(pulled, known_since), now)
        say(f"the retention rules remove {len(tags)} tags")
        self._check_cancelled()
        entries = plan_deletion(stored, now, tags)
        # Only links go, as when tags are deleted by name.
        self._move(entries, stored, since, empty, self.task.looks[:1])

    def _is_there(self, repository: str, tag: str, digest: str) -> bool:
        folder = self.root / V2 / "repositories" / repository / "_manifests/tags" / tag
        return folder.is_dir() and _read(folder / "current/link").strip() == digest

    def _restore(self) -> None:
        self._step("images-restore")
        chosen = [(repository, tag) for repository, tag, _ in self.task.tags]
        chosen += [(repository, "") for repository in self.task.repositories]
        restored = restore(self.root, chosen)
        self._numbers["restored"] = restored.files
        self._numbers["kept_tags"] = len(restored.kept)
        for text in kept_warnings(restored.kept):
            warn(text)
        if not restored.is_found:
            raise StopError("failed", "images_not_in_trash")

    # Locks, steps and the end

    def _lock(self, name: str, path: Path, *, waits: bool = False) -> None:
        file = path.open("a")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if waits else fcntl.LOCK_NB))
        except OSError as error:
            file.close()
            holder = _read(self.places.state / "current").strip()
            raise StopError("locked", "run_locked", holder) from error
        self._locks[name] = file

    def _unlock(self, name: str) -> None:
        self._locks.pop(name).close()

    def _check_cancelled(self) -> None:
        if self._is_cancelled or (self.places.run / "abort").exists():
            raise StopError("cancelled", "run_cancelled")

    def _step(self, name: str, *, can_stop: bool = True) -> None:
        if can_stop:
            self._check_cancelled()
        with (self.places.run / "step").open("a") as file:
            file.write(f"{name}\n")
        print(f"@step\t{int(time.time())}\t{name}", flush=True)

    def _finish(self, status: str, code: str, *values: str) -> None:
        for name, number in self._numbers.items():
            print(f"@number\t{name}\t{number}", flush=True)
        line = "\t".join(re.sub(r"[\t\n]", " ", value) for value in values)
        result = self.places.run / "result"
        try:
            temporary = result.with_name("result.new")
            with temporary.open("w") as file:
                file.write(f"{status}\n{code}\n{line}\n")
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(result)
        except OSError:
            status, code, line = "failed", "cannot_write", str(result)
        print(f"@result\t{status}\t{code}\t{line}", flush=True)


def tags_to_delete(task: Task, stored: Stored, now: float) -> list[tuple[str, str]]:
    """Return the tags that the operator named, as repository and tag.

    Args:
        task: The task.
        stored: What the registry stores now.
        now: The time at which the listing began, in seconds since 1970.

    Raises:
        StopError: A tag names another image than the operator saw, or a repository is in use.
    """
    for repository, tag, digest in task.tags:
        there = stored.tree.repositories.get(repository)
        found = there.tags.get(tag) if there is not None else None
        if found is None or found.digest != digest:
            raise StopError("failed", "images_tag_changed", f"{repository}:{tag}")
    for repository in task.repositories:
        there = stored.tree.repositories.get(repository)
        if there is not None and there.is_in_use(now):
            raise StopError("failed", "images_in_use", repository)
    return [(repository, tag) for repository, tag, _ in task.tags]


def outdated_tags(task: Task, stored: Stored, pulls: Pulls, now: float) -> list[tuple[str, str]]:
    """Return the tags that the rules remove; on the operator's word, only those that were shown.

    Args:
        task: The task.
        stored: What the registry stores now.
        pulls: The pulls that are known.
        now: The time at which the listing began, in seconds since 1970.
    """
    pulls = with_indexes(pulls, stored.tree, stored.manifests)
    tags = removed_tags(apply_rules(stored.tree, task.rules, pulls, now))
    if task.action != "scheduled":
        tags &= {
            (name, tag)
            for name, tag, digest in task.tags
            if (name, tag) in tags and stored.tree.repositories[name].tags[tag].digest == digest
        }
    return sorted(tags)


def _has_root(config: str, root: str) -> bool:
    found = re.search(r"^    rootdirectory: (.*)$", config, re.MULTILINE)
    return found is not None and found[1].strip("'\"") == root


def _mounts_below(root: Path) -> str:
    """Return a mount point within the storage's folders; empty if there is none."""
    below = f"{root / V2}/"
    for line in _read(Path("/proc/self/mountinfo")).splitlines():
        path = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), line.split(" ")[4])
        if f"{path}/".startswith((below, f"{root / TRASH}/")):
            return path
    return ""


def _listens(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(path))
            return True
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return False
    except OSError:
        return True


def _references(entries: Sequence[Entry], aliases: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the repository and digest of each link, and the repository and name of each tag."""
    others = {digest: alias for alias, digest in aliases.items()}
    for entry in entries:
        if entry.is_link:
            yield entry.repository, entry.digest
            if entry.digest in others:
                yield entry.repository, others[entry.digest]
        elif entry.tag:
            yield entry.repository, entry.tag


def _missing(alive: Alive, stored: Stored) -> set[str]:
    """Return the digests of what is needed and has no content."""
    return {digest for digest in alive.blobs if digest not in stored.tree.blobs}


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""


def describe(error: BaseException) -> str:
    """Return an error in one line.

    Args:
        error: The error.
    """
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return f"{type(error).__name__}: {error}"


def say(text: str) -> None:
    """Print a line of the log."""
    print(text, flush=True)


def warn(text: str) -> None:
    """Report a problem that does not stop the run."""
    line = re.sub(r"[\t\n]", " ", text)
    print(f"@warning\t{line}", flush=True)


def main(folder: str) -> int:
    """Run until the work is done.

    Args:
        folder: The run's folder, with `task.json` and `images.sh`.
    """
    os.umask(0o022)
    run = Path(folder)
    Collector(Places(run), read_task(run / "task.json")).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
