"""The trash as text and as JSON values."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from moorage.cli.plan_view import Line
from moorage.deploy.images.run import exists
from moorage.deploy.images.summary import DATA_IN_STORE, trashed_text
from moorage.deploy.users.last_seen import utc
from moorage.escape import one_line
from moorage.images.read import Stored
from moorage.images.trash import TrashedRun
from moorage.units import age_text, date_text, size_text

_MOST_DIGESTS = 3
_SHORT = 19


def trash_lines(trash: Sequence[TrashedRun], stored: Stored) -> Iterator[Line]:
    """Yield the content of the trash, run by run, and its size.

    Args:
        trash: The trash.
        stored: What the registry stores now.
    """
    if not trash:
        yield ("The trash is empty.",)
        return
    now = time.time()
    for run in trash:
        end = f"kept until {date_text(run.kept_until)}"
        if not run.is_complete:
            end = "interrupted: the next run puts it back"
        size = f", {size_text(run.size)}" if run.blobs else ""
        yield (f"{age_text(run.at, now)}: {trashed_text(run)}{size}, {end}",)
        for repository in run.repositories:
            there = stored.tree.repositories.get(repository)
            is_again = there is not None and bool(there.tags)
            yield _line(f"{repository}  the whole repository", is_again)
            for name, tag in run.inside:
                if name == repository:
                    yield _line(f"   {name}:{tag}", exists(stored, name, tag))
        for repository, tag in run.named_tags:
            yield _line(f"{repository}:{tag}", exists(stored, repository, tag))
        for repository, digests in _by_repository(run).items():
            shown = ", ".join(digest[:_SHORT] for digest in digests[:_MOST_DIGESTS])
            more = len(digests) - _MOST_DIGESTS
            yield (f"   {one_line(f'{repository}@{shown}')}{f' and {more} more' * (more > 0)}",)
    yield ("",)
    if any(not run.blobs for run in trash):
        yield (DATA_IN_STORE,)
    yield (
        f"{size_text(sum(run.size for run in trash))} in all. The first collection after its date "
        "deletes each; 'moorage images collect --purge' deletes all at once.",
    )


def _line(name: str, is_again: bool) -> Line:
    note = "  pushed again: its deleted image comes back without a tag" if is_again else ""
    indent = len(name) - len(name.lstrip())
    return (f"   {' ' * indent}{one_line(name)}", (note, "yellow"))


def _by_repository(run: TrashedRun) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for repository, digest in run.manifests:
        found.setdefault(repository, []).append(digest)
    return found


def trash_as_json(trash: Sequence[TrashedRun], stored: Stored) -> dict[str, object]:
    """Return the trash as JSON values; see :func:`trash_lines`."""
    return {
        "bytes": sum(run.size for run in trash),
        "runs": [
            {
                "run": run.run,
                "at": utc(int(run.at)),
                "kept_until": utc(int(run.kept_until)),
                "is_complete": run.is_complete,
                "bytes": run.size,
                "blobs": run.blobs,
                "tags": [
                    {
                        "repository": name,
                        "tag": tag,
                        "is_pushed_again": exists(stored, name, tag),
                    }
                    for name, tag in run.tags
                ],
                "manifests": [
                    {"repository": name, "digest": digest} for name, digest in run.manifests
                ],
                "repositories": list(run.repositories),
            }
            for run in trash
        ],
    }
