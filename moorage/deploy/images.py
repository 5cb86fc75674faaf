"""The images of a deployment, read from where the registry stores them. No password is needed."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from moorage.deploy.deployment import Deployment
from moorage.deploy.deployment_json import as_applied
from moorage.deploy.store import missing_store
from moorage.errors import MoorageError
from moorage.images.manifests import Manifest
from moorage.images.read import Stored, read_stored
from moorage.servers.facts import Facts
from templates.load import shell_script

TIMEOUT = 120.0
"""Seconds without output after which a server counts as not responding."""
DEADLINE = 3600.0
"""Seconds a server can take to read its images."""
_NO_REGISTRY, _CANNOT_READ = 3, 4


@dataclass(frozen=True)
class ImagesRead:
    """The images of a deployment.

    Attributes:
        where: The server or bucket they were read from.
        stored: What is stored there.
        at: When reading began, in seconds since 1970, by this machine's clock.
        facts: The facts of the server that stores them.
    """

    where: str
    stored: Stored
    at: float
    facts: Facts = field(repr=False)


def read_images(deployment: Deployment) -> ImagesRead:
    """Read what the registry stores, without changing anything. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.

    Raises:
        MoorageError: A server cannot be reached, nothing is deployed there, its image disk is
            missing, or not everything could be read. Nothing is returned then: what is not known
            would look like free space.
    """
    [facts, *_] = deployment.probe()
    applied = as_applied(facts)
    if applied is None:
        raise MoorageError(
            "no registry is deployed here.", server=facts.server, code="not_deployed",
            advice="Deploy one with 'moorage apply'.",
        )  # fmt: skip
    storage = applied.answers_here.storage
    if storage.driver != "filesystem":
        raise MoorageError("images in S3 cannot be listed yet.", code="images_in_s3")
    if reason := missing_store(facts):
        raise MoorageError(reason, server=facts.server, code="store_missing")
    return _read_disk(deployment, facts, storage.filesystem.path)


def _read_disk(deployment: Deployment, facts: Facts, folder: str) -> ImagesRead:
    at = time.time()
    known: dict[str, Manifest] = {}
    read = deployment.on_each(
        lambda transport: transport.run(
            shell_script("images.sh"),
            payload=_request(folder, known),
            timeout=TIMEOUT,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        )
    )
    completed = read[facts.server]
    if isinstance(completed, MoorageError):
        raise completed
    if completed.exit_status == _NO_REGISTRY:
        # A registry creates its folders with the first push.
        return ImagesRead(facts.server, Stored(), at, facts)
    reason = completed.stderr.decode("utf-8", "replace").strip().splitlines()
    if completed.exit_status != 0:
        detail = reason[-1] if reason else f"status {completed.exit_status}"
        raise MoorageError(
            f"the images could not be read: {detail}", server=facts.server, code="images_unreadable"
        )
    try:
        return ImagesRead(facts.server, read_stored(completed.stdout, known), at, facts)
    except (ValueError, IndexError) as error:
        raise MoorageError(
            f"the images could not be read: {error}", server=facts.server, code="images_unreadable"
        ) from error


def _request(folder: str, known: Iterable[str]) -> bytes:
    digests = sorted(digest.partition(":")[2] for digest in known)
    return "".join(f"{line}\n" for line in (str(PurePosixPath(folder)), *digests)).encode()
