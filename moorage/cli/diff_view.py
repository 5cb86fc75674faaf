"""The difference between two deployments as text and as JSON values."""

from __future__ import annotations

from collections.abc import Iterator

from moorage.cli.plan_view import Line, diff_lines
from moorage.cli.tables import aligned
from moorage.deploy.lifecycle.diff import DeploymentDiff, ServerDiff
from moorage.escape import one_line


def diff_text(diff: DeploymentDiff) -> Iterator[Line]:
    """Yield the difference as text; what is the same on several servers once.

    Args:
        diff: The difference.
    """
    yield ((f"Revision {diff.before} to {diff.after}", "bold"),)
    for change in diff.changes:
        yield (one_line(f"  {change}"),)
    if not diff.has_differences:
        yield ("The deployments are the same.",)
    if diff.answers:
        yield ("",)
        yield from aligned(
            [(one_line(each.path), one_line(f"{each}")) for each in diff.answers],
            "  ",
        )
    groups: dict[ServerDiff, list[str]] = {}
    for server in diff.servers:
        groups.setdefault(_nameless(server), []).append(server.server)
    for same, names in groups.items():
        if same.reason or same.files or same.before != same.after:
            yield ("",)
            yield ((", ".join(names), "bold"),)
            yield from _server_lines(same)


def _nameless(server: ServerDiff) -> ServerDiff:
    return ServerDiff("", server.files, server.before, server.after, server.reason)


def _server_lines(server: ServerDiff) -> Iterator[Line]:
    if server.before != server.after:
        yield (f"  registry {server.before or '?'} → {server.after or '?'}",)
    if server.reason:
        yield (("  ! ", "yellow"), one_line(server.reason))
    for change in server.files:
        yield ("",)
        yield from diff_lines(change.diff)


def diff_as_json(diff: DeploymentDiff) -> dict[str, object]:
    """Return the difference as JSON values; see :func:`diff_text`."""
    return {
        "from": diff.before,
        "to": diff.after,
        "changes": [
            {"revision": each.revision, "by": each.by, "at": each.at, "what": each.what}
            for each in diff.changes
        ],
        "answers": [
            {"path": each.path, "before": each.before, "after": each.after} for each in diff.answers
        ],
        "servers": [
            {
                "server": each.server,
                "version_before": each.before or None,
                "version_after": each.after or None,
                "files": [
                    {"path": file.subject, "action": file.action, "diff": file.diff}
                    for file in each.files
                ],
                "reason": each.reason or None,
            }
            for each in diff.servers
        ],
    }
