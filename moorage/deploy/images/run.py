"""Delete, collect and restore images: plans, and the run on the server that stores them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import moorage
from moorage.answers.model import Answers
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import RunEnded
from moorage.deploy.images.activity import read_activity
from moorage.deploy.images.bucket import without_condemned
from moorage.deploy.images.bucket_run import (
    change_in_bucket,
    check_all_servers,
    trash_in_bucket,
)
from moorage.deploy.images.read import ImagesRead, nearest_image, read_images
from moorage.deploy.images.rows import without_registry
from moorage.deploy.images.summary import summary_of
from moorage.deploy.plan.store import Store
from moorage.deploy.record.deployment_json import UNKNOWN_NAME, active_slot, as_applied
from moorage.deploy.run.payload import new_run_id, run_input
from moorage.desired import layout
from moorage.desired.registry import mode_of
from moorage.durations import seconds
from moorage.errors import MoorageError
from moorage.escape import one_line
from moorage.images.alive import Limits
from moorage.images.collection import (
    Collection,
    NothingAliveError,
    plan_collection,
    plan_deletion,
    tagged_size,
)
from moorage.images.read import Stored
from moorage.images.retention import Pulls
from moorage.images.settings import unfit_settings
from moorage.images.task import Task
from moorage.images.trash import TrashedRun, read_trash
from moorage.images.waiting import Waiting, find_waiting
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus
from templates.load import shell_script, shell_scripts

_TIMEOUT = 60.0
# As the registry has them; a tag's length counts, too.
_PART = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(f"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_PACKAGE = "python3"
"""What run.sh installs if it is missing."""
_SHELL = ("common.sh", "full_disk.sh", "causes.sh", "additions.sh", "packages.sh")
"""The parts of the run script that the start of this program needs."""
_START = "import sys\n\nfrom moorage.images.{} import main\n\nsys.exit(main(sys.argv[1]))\n"

Accepts = Callable[[Store], bool]


def accepts_none(_store: Store) -> bool:
    """Refuse to connect to a store that only a server's record names."""
    return False


@dataclass(frozen=True)
class CollectPlan:
    """A collection to confirm.

    Attributes:
        read: The images it was planned from.
        collection: What can go.
        task: The task of the run.
        trash: What is in the trash.
        waiting: What nothing needs, and is too young.
    """

    read: ImagesRead
    collection: Collection
    task: Task
    trash: tuple[TrashedRun, ...] = ()
    waiting: Waiting = field(default_factory=Waiting)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do."""
        return not self.collection.is_empty or bool(self.emptied)

    @property
    def emptied(self) -> tuple[TrashedRun, ...]:
        """The part of the trash that the collection deletes."""
        if self.task.purges:
            return self.trash
        now = time.time()
        return tuple(run for run in self.trash if run.is_complete and run.kept_until < now)


@dataclass(frozen=True)
class DeletePlan:
    """A deletion to confirm.

    Attributes:
        read: The images it was planned from.
        task: The task of the run.
        manifests: The number of manifests that can no longer be pulled.
        size: Bytes that the next collection can free because of it.
    """

    read: ImagesRead
    task: Task
    manifests: int
    size: int

    @property
    def tags(self) -> tuple[tuple[str, str, str], ...]:
        """The tags: repository, tag and digest."""
        return self.task.tags

    @property
    def repositories(self) -> tuple[str, ...]:
        """The repositories that go entirely."""
        return self.task.repositories


@dataclass(frozen=True)
class RestorePlan:
    """A restoration to confirm.

    Attributes:
        read: The images that are stored now.
        task: The task of the run.
        pushed_again: The tags, as repository and tag, that exist again. They stay as they are.
    """

    read: ImagesRead
    task: Task
    pushed_again: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class ImagesChange:
    """The result of a run.

    Attributes:
        ended: How the run ended.
        numbers: What it did: repositories, tags, links, blobs and bytes moved, files restored, tags
            that were not restored because they were pushed again (kept_tags), bytes purged, and for
            how many milliseconds writes were held at most (held_ms).
    """

    ended: RunEnded
    numbers: dict[str, int] = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        """Whether it succeeded."""
        return self.ended.status is RunStatus.DONE

    @property
    def is_complete(self) -> bool:
        """Whether it succeeded, and all of the tags that were to be restored were."""
        return self.is_good and not self.numbers.get("kept_tags")


def plan_collect(
    deployment: Deployment,
    *,
    grace: float | None = None,
    young: float | None = None,
    takes_untagged: bool = False,
    purges: bool = False,
    accepts: Accepts = accepts_none,
) -> CollectPlan:
    """Return what a collection would move to the trash. Changes nothing.

    Args:
        deployment: The deployment.
        grace: Seconds between listing what goes and moving it; None for those of the answers.
        young: Seconds during which whatever was written stays; None for those of the answers.
        takes_untagged: Whether manifests without a tag can go.
        purges: Whether the trash is emptied at once.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: The images cannot be read, or must not be collected there.
    """
    read = read_to_move(deployment, accepts)
    pulls = read_activity(deployment).pulls
    settings = answers_for_images(deployment.answers, read.facts).collect
    untagged = seconds(settings.untagged)
    grace = seconds(settings.grace) if grace is None else grace
    young = seconds(settings.young) if young is None else young
    limits = Limits(read.server_time, young, untagged, pulls.known_since, takes_untagged)
    trash = read_trash_of(deployment, read)
    try:
        collection = collection_of(read, limits, pulls, trash)
    except NothingAliveError as error:
        raise MoorageError(
            "no image is in use there, so nothing is removed: that is more likely a store that is "
            "not complete.",
            advice="Delete repositories by name with 'moorage images delete' if it is meant.",
            server=read.server,
            code="images_nothing_alive",
        ) from error
    task = task_of(
        deployment, read, "collect", grace=grace, young=young, untagged=untagged,
        takes_untagged=takes_untagged, purges=purges,
    )  # fmt: skip
    entries = [*collection.entries, *(entry for run in trash for entry in run.entries)]
    planned = {entry.digest for entry in entries if entry.is_content}
    waiting = find_waiting(read.stored, limits, pulls.last, planned)
    return CollectPlan(read, collection, task, trash, waiting)


def collection_of(
    read: ImagesRead, limits: Limits, pulls: Pulls, trash: Sequence[TrashedRun]
) -> Collection:
    """Return what can go and is not in the trash.

    Args:
        read: The images.
        limits: Until when something counts as alive without a tag.
        pulls: The pulls that are known.
        trash: What is in the trash.

    Raises:
        NothingAliveError: See :func:`moorage.images.collection.plan_collection`.
    """
    entries = [entry for run in trash for entry in run.entries]
    found = plan_collection(read.stored, limits, pulls.last, entries)
    if read.bucket is None:
        return found
    # In a bucket, what the trash lists stays in its place until it is emptied.
    return without_condemned(found, {entry.path for entry in entries if entry.is_content})


def answers_for_images(answers: Answers, facts: Facts) -> Answers:
    """Return the answers; without a file, those that were applied last.

    Args:
        answers: The deployment's answers.
        facts: The facts of the server that stores the images.
    """
    if answers.registry.domain != UNKNOWN_NAME:
        return answers
    applied = as_applied(facts)
    assert applied is not None  # or its images could not have been read
    return applied.answers_here


def kept_for(deployment: Deployment, read: ImagesRead) -> float:
    """Return for how many seconds the trash can be restored.

    Args:
        deployment: The deployment.
        read: Its images.
    """
    return seconds(answers_for_images(deployment.answers, read.facts).collect.trash)


def plan_delete(
    deployment: Deployment, names: Sequence[str], accepts: Accepts = accepts_none
) -> DeletePlan:
    """Return what deleting tags and repositories means. Changes nothing.

    Args:
        deployment: The deployment.
        names: ``REPOSITORY:TAG`` or ``REPOSITORY``.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: One of them does not exist, or the images cannot be read.
    """
    read = read_to_move(deployment, accepts)
    stored, tags, repositories = read.stored, [], []
    for name in names:
        repository, tag = _repository_and_tag(name, read)
        there = stored.tree.repositories.get(repository)
        if there is None or (tag and tag not in there.tags) or _lacks_tag(name):
            reason = _why_invalid(name, repository, tag)
            trees = stored.tree.repositories
            known = [f"{repository}:{each}" for each in there.tags] if there and tag else [
                f"{each}:{tag}" if tag else each for each in trees
            ]  # fmt: skip
            raise MoorageError(
                f"{name} {reason or 'does not exist'}.", server=read.server, code="no_such_image",
                advice="" if reason else _advice(repository, tag, known, "list"),
            )  # fmt: skip
        if tag:
            tags.append((repository, tag, there.tags[tag].digest))
        else:
            repositories.append(repository)
    pairs = [(repository, tag) for repository, tag, _ in tags]
    entries = plan_deletion(stored, read.server_time, pairs, repositories)
    manifests = sum(entry.is_manifest for entry in entries)
    manifests += sum(len(stored.tree.repositories[each].manifests) for each in repositories)
    size = tagged_size(stored) - tagged_size(stored, pairs, repositories)
    task = task_of(
        deployment, read, "delete", tags=tuple(dict.fromkeys(tags)),
        repositories=tuple(repositories), looks=(1.0,),
    )  # fmt: skip
    return DeletePlan(read, task, manifests, size)


def plan_restore(
    deployment: Deployment, names: Sequence[str], accepts: Accepts = accepts_none
) -> RestorePlan:
    """Return what brings images back from the trash. Changes nothing.

    Args:
        deployment: The deployment.
        names: ``REPOSITORY:TAG`` or ``REPOSITORY``; everything in the trash if there are none.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: The trash is empty, or one of the names is not in it.
    """
    read = read_images(deployment, accepts=accepts)
    if read.bucket is not None:
        check_all_servers(read)
    trash = read_trash_of(deployment, read)
    if not trash:
        raise MoorageError("the trash is empty.", server=read.server, code="images_not_in_trash")
    tags, repositories = [], []
    for name in names:
        repository, tag = _repository_and_tag(name, read)
        if not any(each.has(repository, tag) for each in trash) or _lacks_tag(name):
            reason = _why_invalid(name, repository, tag)
            known = [f"{name}:{tag}" for run in trash for name, tag in run.tags] if tag else [
                each.repository for run in trash for each in run.entries if each.repository
            ]  # fmt: skip
            raise MoorageError(
                f"{name} {reason or 'is not in the trash'}.", server=read.server,
                code="images_not_in_trash",
                advice="" if reason else _advice(repository, tag, known, "trash"),
            )  # fmt: skip
        if tag:
            tags.append((repository, tag, ""))
        else:
            repositories.append(repository)
    again = (
        (repository, tag)
        for repository, tag in dict.fromkeys(each for run in trash for each in run.tags)
        if not names or (repository, tag, "") in tags or repository in repositories
    )
    task = task_of(deployment, read, "restore", tags=tuple(tags), repositories=tuple(repositories))
    return RestorePlan(read, task, tuple(each for each in again if exists(read.stored, *each)))


def _advice(repository: str, tag: str, known: Iterable[str], command: str) -> str:
    """Return what to do about a name that is not there."""
    name = f"{repository}:{tag}" if tag else repository
    near = nearest_image(name, known)
    suggestion = f"Did you mean {one_line(near)}? " if near else ""
    return f"{suggestion}'moorage images {command}' shows what is there."


def exists(stored: Stored, repository: str, tag: str) -> bool:
    """Return whether there is a tag.

    Args:
        stored: The content of the registry's storage.
        repository: The repository's name.
        tag: The tag.
    """
    there = stored.tree.repositories.get(repository)
    return there is not None and tag in there.tags


def _repository_and_tag(name: str, read: ImagesRead) -> tuple[str, str]:
    """Split ``REPOSITORY:TAG`` or ``REPOSITORY``, with or without the registry's name."""
    repository, _, tag = without_registry(name, read.domain).partition(":")
    return repository, tag


def _lacks_tag(name: str) -> bool:
    """Return whether a tag was to follow, as in app:$TAG in a script without TAG."""
    return name.endswith(":")


def _why_invalid(name: str, repository: str, tag: str) -> str:
    """Return why nothing can have such a name; empty if something can."""
    if "*" in name or "?" in name or "[" in name:
        return "is a pattern, and this command takes none: name each repository or tag"
    if "@" in name:
        return "is a digest, and this command takes only repositories and tags"
    if _lacks_tag(name):
        return "ends with a colon, and no tag follows: leave it out to name the whole repository"
    if not _REPOSITORY.fullmatch(repository) or (tag and not _TAG.fullmatch(tag)):
        return "is not a valid name: expected REPOSITORY or REPOSITORY:TAG, in lower case"
    return ""


def read_trash_of(deployment: Deployment, read: ImagesRead) -> tuple[TrashedRun, ...]:
    """Return what is in the trash, oldest first.

    Args:
        deployment: The deployment.
        read: Its images.

    Raises:
        MoorageError: The trash cannot be read.
    """
    if read.bucket is not None:
        return trash_in_bucket(read, kept_for(deployment, read))
    answer = deployment.on_server(
        read.server,
        lambda transport: transport.run(
            shell_script("trash.sh"), payload=f"{read.store.folder}\n".encode(),
            timeout=_TIMEOUT, deadline=10 * _TIMEOUT, cancel=deployment.cancel,
        ),
    )  # fmt: skip
    try:
        return read_trash(answer.stdout, kept_for(deployment, read))
    except (ValueError, IndexError, TypeError, RecursionError) as error:
        raise MoorageError(
            "the trash cannot be read.", server=read.server, code="images_unreadable"
        ) from error


def change_images(deployment: Deployment, read: ImagesRead, task: Task) -> ImagesChange:
    """Run a task where the images are stored, and follow it. Blocks.

    Args:
        deployment: The deployment; :meth:`Deployment.abort` cancels the run.
        read: The images it was planned from.
        task: The task.
    """
    if read.bucket is not None:
        return ImagesChange(*change_in_bucket(deployment, read, task, payload_of))
    run_id = new_run_id()
    run = deployment.new_run(read.facts.server, run_id, deployment.on_event)
    deployment.watch_runs([run])
    run.start([payload_of(run_id, task)])
    return ImagesChange(run.end, dict(run.numbers))


def payload_of(run_id: str, task: Task, whole: Task | None = None) -> bytes:
    """Return the input of ``start.sh``: the run's ID, the size of a tar archive, the archive.

    Args:
        run_id: The run's ID.
        task: The task.
        whole: The task that it is a part of, if any.
    """
    return run_input(run_id, program(task, whole))


def program(task: Task, whole: Task | None = None) -> dict[str, bytes]:
    """Return the files of a run's folder: the program that is sent along, and its task.

    Args:
        task: The task.
        whole: The task that it is a part of, if any.
    """
    source = Path(moorage.__file__).parent
    modules = [
        *(source / name for name in ("__init__.py", "units.py")),
        *sorted((source / "images").glob("*.py")),
    ]
    scripts = shell_scripts("run")
    return {
        "run.sh": shell_scripts("images")["run.sh"].encode(),
        **{name: scripts[name].encode() for name in _SHELL},
        "images.sh": shell_script("images.sh").encode(),
        "task.json": json.dumps(asdict(task)).encode(),
        "summary.json": summary_of(whole or task),
        "plan/packages": f"{_PACKAGE}\n".encode(),
        "code/__main__.py": _START.format(
            "gate" if task.action == "hold" else "collector"
        ).encode(),
        **{f"code/moorage/{each.relative_to(source)}": each.read_bytes() for each in modules},
        "unsaid.abort": b"",
    }


def packages_for(facts: Facts) -> tuple[str, ...]:
    """Return the packages that a run installs before it begins.

    Args:
        facts: The server's facts.
    """
    # nginx's log is read with python3-minimal, which lacks modules that a run needs.
    return () if _PACKAGE in facts.packages else (_PACKAGE,)


def check_can_move(facts: Facts) -> None:
    """Check that images can be moved on a server while its registry serves.

    Args:
        facts: The server's facts.

    Raises:
        MoorageError: They cannot; it says why.
    """
    applied = as_applied(facts)
    assert applied is not None  # or its images could not have been read
    if mode_of(applied.answers_here).is_cache:
        raise MoorageError(
            "this registry is a pull-through cache, which removes images itself.",
            server=facts.server,
            code="images_cache",
        )
    config = facts.files.get(layout.config_path(active_slot(facts) or "blue"))
    secrets = facts.files.get(layout.REGISTRY_ENV)
    text = config.content.decode("utf-8", "replace") if config is not None else ""
    site = facts.files.get(layout.NGINX_SITE)
    if site is None or b"$moorage_is_held" not in site.content:
        raise MoorageError(
            "an earlier version deployed this registry, and its nginx cannot hold writes while "
            "images are moved.",
            advice="Apply its answers once more: moorage apply FILE.",
            server=facts.server,
            code="images_needs_apply",
        )
    for name in unfit_settings(
        text, secrets.content.decode("utf-8", "replace") if secrets is not None else ""
    ):
        raise MoorageError(
            f"the registry's own settings ({name}) do not allow to move images.",
            advice="Remove the setting if the answers have it, and apply: with it, the registry "
            "would report images that were moved.",
            server=facts.server,
            code="images_settings",
        )


def read_to_move(deployment: Deployment, accepts: Accepts = accepts_none) -> ImagesRead:
    """Read the images, and check that they can be moved while the registry serves.

    Args:
        deployment: The deployment.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: They cannot be read, or not be moved.
    """
    read = read_images(deployment, accepts=accepts)
    if read.bucket is not None:
        check_all_servers(read)
    for facts in read.servers or (read.facts,):
        check_can_move(facts)
    return read


def task_of(deployment: Deployment, read: ImagesRead, action: str, **more: object) -> Task:
    """Return a task for the store that images were read from.

    Args:
        deployment: The deployment.
        read: Its images.
        action: See :class:`Task`.
        **more: Its other attributes.
    """
    store = read.facts.store.marker if read.facts.store is not None else None
    more["trash"] = kept_for(deployment, read)
    return Task(action, str(read.store.folder), store or "", **more)  # type: ignore[arg-type]
