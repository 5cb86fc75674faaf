"""The images of a deployment, read from where the registry stores them. No password is needed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from moorage.answers.model import Storage
from moorage.cloud.s3 import Keys
from moorage.deploy.deployment import Deployment
from moorage.deploy.images.manifest_cache import keep_manifests, load_manifests
from moorage.deploy.plan.store import Store, missing_images
from moorage.deploy.record.deployment_json import (
    UNKNOWN_NAME,
    other_registries,
    recorded_on,
)
from moorage.desired import layout
from moorage.desired.registry import read_s3_keys
from moorage.errors import MoorageError, ServersFailed
from moorage.escape import one_line
from moorage.images.details import (
    ImageDetails,
    NoSuchImageError,
    configs_of,
    find_digest,
    image_details,
)
from moorage.images.read import Stored, StoredReader, read_blobs
from moorage.images.usage import Usage
from moorage.servers.facts import Facts
from moorage.servers.transport import Completed
from templates.load import shell_script

if TYPE_CHECKING:
    from moorage.cloud.s3_images import Bucket

TIMEOUT = 120.0
"""Seconds without output after which a server counts as not responding."""
DEADLINE = 3600.0
"""Seconds a server can take to read its images."""
_NO_REGISTRY = 3


@dataclass(frozen=True)
class ImagesRead:
    """The images of a deployment.

    Attributes:
        domain: The registry's name.
        store: Where they were read from.
        stored: What is stored there.
        at: When reading began, in seconds since 1970, by this machine's clock.
        facts: The facts of the server that stores them, or of one that uses the bucket.
        unreached: Why other servers that use the bucket could not be read.
        bucket: The open bucket; None for a folder.
        servers: The facts of all servers that were reached.
    """

    domain: str
    store: Store
    stored: Stored = field(repr=False)
    at: float
    facts: Facts = field(repr=False)
    unreached: tuple[MoorageError, ...] = ()
    bucket: Bucket | None = field(default=None, repr=False)
    servers: tuple[Facts, ...] = field(default=(), repr=False)

    @property
    def server(self) -> str:
        """The server that stores them, by label."""
        return self.facts.server

    @property
    def server_time(self) -> float:
        """The server's time when reading began, in seconds since 1970."""
        return self.at + self.facts.clock_skew

    @property
    def free(self) -> int | None:
        """Bytes that are free on the disk; None for a bucket, or if not known."""
        disks = self.facts.disks if self.bucket is None else ()
        return disks[0].free if disks else None


def read_images(
    deployment: Deployment,
    known: Sequence[Facts | MoorageError] = (),
    *,
    accepts: Callable[[Store], bool] = lambda store: False,
) -> ImagesRead:
    """Read what the registry stores, without changing anything. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.
        known: Facts that were just read from some of the servers.
        accepts: Returns whether to connect to a store that only a server's record names.

    Raises:
        MoorageError: A server cannot be reached, nothing is deployed there, its image disk is
            missing, the bucket's keys are not known, or not everything could be read. Nothing is
            returned then: what is not known would look like free space.
    """
    servers, storage, unreached = _find_store(deployment, known)
    facts = servers[0]
    domain = recorded_on(facts).answers.registry.domain
    if storage.driver == "s3" and storage.s3 is not None:
        read = _read_bucket(deployment, domain, facts, storage, accepts)
        return replace(read, unreached=unreached, servers=servers)
    if reason := missing_images(facts):
        raise MoorageError(reason, server=facts.server, code="store_missing")
    return _read_disk(deployment, domain, facts, _store(facts, storage))


def read_image(
    deployment: Deployment, read: ImagesRead, usage: Usage, repository: str, reference: str
) -> ImageDetails:
    """Read everything about one image: also its configurations, which name labels and history.

    Args:
        deployment: The deployment.
        read: Its images.
        usage: Their sizes.
        repository: The repository's name.
        reference: A tag, a digest, or the first digits of one.

    Raises:
        MoorageError: There is no such image (``no_such_image``), or the server cannot be reached.
    """
    try:
        digest = find_digest(read.stored, repository, reference)
    except NoSuchImageError as error:
        raise no_such_image(str(error), read.stored, repository) from error
    digests = configs_of(read.stored, digest)
    configs = {}
    if digests and read.bucket is not None:
        configs = read.bucket.blobs(digests)
    elif digests:
        completed = _run(deployment, read.store, "blobs.sh", digests)
        try:
            configs = read_blobs(completed.stdout)
        except (ValueError, IndexError) as error:
            raise _unreadable(read.store, str(error)) from error
    return image_details(read.stored, usage, repository, reference, configs)


def no_such_image(message: str, stored: Stored, repository: str) -> MoorageError:
    """Return the error for an image that is not there; it names a similar repository.

    Args:
        message: What is not there.
        stored: The content of the registry's storage.
        repository: The repository that was asked for.
    """
    known = stored.tree.repositories
    near = nearest_image(repository, known) if repository not in known else ""
    advice = f"Did you mean {one_line(near)}?" if near else ""
    return MoorageError(message, advice=advice, code="no_such_image")


def nearest_image(name: str, known: Iterable[str]) -> str:
    """Return the most similar of the known names; empty if none is similar.

    Args:
        name: ``REPOSITORY`` or ``REPOSITORY:TAG``.
        known: Names of the same form.
    """
    names = sorted(set(known))
    # The folders before the name are easily left out.
    below = [each for each in names if each.endswith(f"/{name}")]
    return next(iter(below or get_close_matches(name, names, n=1)), "")


def _find_store(
    deployment: Deployment, known: Sequence[Facts | MoorageError]
) -> tuple[tuple[Facts, ...], Storage, tuple[MoorageError, ...]]:
    """Return the facts of the servers that were reached, their storage, and why others were not."""
    read = deployment.probe_each(known)
    reached = [each for each in read if isinstance(each, Facts)]
    unreached = tuple(each for each in read if isinstance(each, MoorageError))
    if not reached:
        raise ServersFailed(unreached)
    stores = [(facts, recorded_on(facts).answers.storage) for facts in reached]
    for problem in other_registries(reached, deployment.answers.registry.domain):
        raise problem
    storage = stores[0][1]
    places = {_store(facts, storage): facts.server for facts, storage in stores}
    if len(places) > 1:
        where = ", ".join(f"{server} in {store}" for store, server in places.items())
        raise MoorageError(
            f"The servers store their images in different places: {where}.",
            advice="Apply the answers to all servers, or name one server with --server.",
            code="different_stores",
        )
    return tuple(reached), storage, unreached


def _store(facts: Facts, storage: Storage) -> Store:
    if storage.driver == "filesystem" or storage.s3 is None:
        return Store(facts.server, storage.filesystem.path)
    bucket = storage.s3
    prefix = (bucket.rootdirectory or "").strip("/")
    return Store("", prefix, bucket.bucket, bucket.regionendpoint or "")


def _read_bucket(
    deployment: Deployment,
    domain: str,
    facts: Facts,
    recorded: Storage,
    accepts: Callable[[Store], bool],
) -> ImagesRead:
    """Read the images in a bucket from this machine, with the keys of the answers.

    Without an answers file, the server's own keys are used. What a server's record names is never
    used with the keys of the answers, nor with this machine's: root there can write anything to it.
    """
    from moorage.cloud.s3_images import Bucket

    store, at = _store(facts, recorded), time.time()
    answers = deployment.answers
    if answers.registry.domain == UNKNOWN_NAME:
        assert recorded.s3 is not None
        storage = recorded.s3
        keys: Keys | None = _keys_on_server(facts, store)
        if store.endpoint and not accepts(store):
            raise MoorageError(
                f"the record on it names the store {store.endpoint}, and you did not agree to "
                "connect to it.",
                advice="Use the answers file, or a terminal, where Moorage asks.",
                server=facts.server,
                code="store_not_named",
            )
    else:
        if answers.storage.s3 is None or _store(facts, answers.storage) != store:
            raise MoorageError(
                f"it stores images in {store}, and the answers name another place.",
                advice="Apply the answers first.",
                server=facts.server,
                code="different_stores",
            )
        storage = answers.storage.s3
        keys = deployment.s3_keys()
    bucket = Bucket(storage, keys, deployment.cancel)
    known = load_manifests(store)
    stored = bucket.read(known)
    keep_manifests(store, stored.manifests, known)
    return ImagesRead(domain, store, stored, at, facts, bucket=bucket)


def _keys_on_server(facts: Facts, store: Store) -> Keys:
    file = facts.files.get(layout.REGISTRY_ENV)
    found = read_s3_keys(file.content) if file is not None else None
    if found is None:
        raise MoorageError(
            f"the images are in {store}, and the server has no key for it: it uses its own role.",
            advice="Use the answers file, with AWS credentials on this machine.",
            server=facts.server,
            code="storage_no_keys",
        )
    return Keys(*found)


def _read_disk(deployment: Deployment, domain: str, facts: Facts, store: Store) -> ImagesRead:
    at = time.time()
    known = load_manifests(store)
    reader = StoredReader(known)
    try:
        completed = _run(deployment, store, "images.sh", known, reader.feed)
        if completed.exit_status == _NO_REGISTRY:
            # A registry creates its folders with the first push.
            return ImagesRead(domain, store, Stored(), at, facts)
        if completed.exit_status != 0:
            reason = completed.stderr.decode("utf-8", "replace").strip().splitlines()
            raise _unreadable(store, reason[-1] if reason else f"status {completed.exit_status}")
        stored = reader.result()
    except (ValueError, IndexError) as error:
        raise _unreadable(store, str(error)) from error
    keep_manifests(store, stored.manifests, known)
    return ImagesRead(domain, store, stored, at, facts)


def _run(
    deployment: Deployment,
    store: Store,
    script: str,
    digests: Iterable[str],
    on_stdout: Callable[[bytes], None] | None = None,
) -> Completed:
    """Run a script on the server that stores the images; it gets the folder and digests."""
    values = sorted(digest.partition(":")[2] for digest in digests)
    lines = (str(PurePosixPath(store.folder)), *values)
    payload = "".join(f"{line}\n" for line in lines).encode()
    return deployment.on_server(
        store.server,
        lambda transport: transport.run(
            shell_script(script),
            payload=payload,
            on_stdout=on_stdout,
            timeout=TIMEOUT,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        ),
    )


def _unreadable(store: Store, why: str) -> MoorageError:
    return MoorageError(
        f"The images could not be read: {why}.", server=store.server, code="images_unreadable"
    )
