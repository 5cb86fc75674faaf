"""Run a task on images in a bucket, with all servers that use it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from moorage.deploy.deployment import Deployment
from moorage.deploy.events import RunEnded
from moorage.deploy.images.activity import read_activity
from moorage.deploy.images.bucket import BucketCollector
from moorage.deploy.images.bucket_gates import GateLostError, ServerGates
from moorage.deploy.images.read import ImagesRead
from moorage.deploy.record.deployment_json import recorded_on
from moorage.deploy.record.left_servers import check_none_left
from moorage.deploy.run.payload import new_run_id
from moorage.errors import MoorageError
from moorage.images.collector import StopError
from moorage.images.task import Task
from moorage.images.trash import TrashedRun


@dataclass(frozen=True)
class _Result:
    status: str = "done"
    code: str = ""
    values: tuple[str, ...] = ()


def check_all_servers(read: ImagesRead) -> None:
    """Check that all servers that use a bucket can take part.

    Args:
        read: The images in it.

    Raises:
        MoorageError: One cannot be reached, is not among those that were named, or has left the
            deployment and was not uninstalled.
    """
    if read.unreached:
        error = read.unreached[0]
        raise MoorageError(
            f"It uses the same bucket, but cannot be reached: {error.message.rstrip('.')}. Nothing "
            "is deleted there while it is not known what its clients push.",
            advice=error.advice,
            server=error.server,
            code="images_server_missing",
        )
    records = [recorded_on(facts) for facts in read.servers]
    reached = {each.label for each in records}
    for record, facts in zip(records, read.servers, strict=True):
        hosts = {server.host for server in record.servers}
        if missing := sorted(hosts - reached):
            raise MoorageError(
                f"{len(hosts)} servers use this bucket ({', '.join(sorted(hosts))}), and all of "
                f"them must take part: {', '.join(missing)} is missing.",
                advice="Use the answers file, or name all servers with --server. If one is no "
                "longer in the answers, uninstall it and apply these first.",
                server=record.server,
                code="images_server_missing",
            )
        check_none_left(record, facts, reached)


def trash_in_bucket(read: ImagesRead, kept_for: float) -> tuple[TrashedRun, ...]:
    """Return what is in a bucket's trash, oldest first.

    Args:
        read: The images in it.
        kept_for: Seconds for which everything can be restored.
    """
    from moorage.cloud.s3_images_write import Objects, bucket_sweeps

    assert read.bucket is not None
    sweeps = bucket_sweeps(Objects(read.bucket))
    return tuple(
        sweep.as_trash(kept_for) for sweep in sweeps if sweep.pieces and not sweep.is_purge
    )


def change_in_bucket(
    deployment: Deployment,
    read: ImagesRead,
    task: Task,
    payload: Callable[[str, Task, Task], bytes],
) -> tuple[RunEnded, dict[str, int]]:
    """Run a task. Blocks.

    Args:
        deployment: The deployment; :meth:`Deployment.abort` cancels the run.
        read: The images it was planned from.
        task: The task.
        payload: Returns the input of a server's run, from its ID, its task and the whole task.

    Returns:
        How it ended, and what it did.
    """
    from moorage.cloud.s3_images_write import BucketLock, Objects

    assert read.bucket is not None
    run_id = new_run_id()
    servers = sorted(facts.server for facts in read.servers)
    part = Task("hold", read.store.folder, read.store.bucket)
    gates = ServerGates(
        deployment, servers, part, lambda run, part: payload(run, part, task), run_id
    )
    objects = Objects(read.bucket)
    lock = BucketLock(objects, json.dumps({"run": run_id, "servers": servers}))

    def pulls() -> tuple[float | None, dict[tuple[str, str], float]]:
        found = read_activity(deployment).pulls
        return found.known_since, dict(found.last)

    collector = BucketCollector(
        read.bucket, objects, gates, lock, task, run_id, pulls, dict(read.stored.manifests)
    )
    result = _run(collector, gates, lock, servers)
    gates.finish(result.status, result.code, result.values, collector.numbers)
    return gates.ended(), collector.numbers


def _run(
    collector: BucketCollector, gates: ServerGates, lock: object, servers: list[str]
) -> _Result:
    from moorage.cloud.s3_images_write import BucketLock

    assert isinstance(lock, BucketLock)
    try:
        gates.open()
        if holder := lock.take(lambda each: _is_of_ours(each, servers)):
            return _Result("locked", "images_bucket_locked", (_described(holder),))
        try:
            collector.work()
        finally:
            lock.give_back()
    except StopError as stop:
        return _Result(stop.status, stop.code, stop.values)
    except GateLostError:
        return _Result("failed", "images_stopped")
    except MoorageError as error:
        return _Result("failed", "images_bucket_failed", (error.message.rstrip("."),))
    return _Result()


def _is_of_ours(holder: str, servers: list[str]) -> bool:
    """Return whether a lock's run has ended: its servers' own locks are all held by this run."""
    try:
        return set(json.loads(holder)["servers"]) <= set(servers)
    except (ValueError, KeyError, TypeError):
        return False


def _described(holder: str) -> str:
    try:
        values = json.loads(holder)
        return f"run {values['run']} of {', '.join(values['servers'])}"
    except (ValueError, KeyError, TypeError):
        return "another run"
