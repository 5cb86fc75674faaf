"""A plan as text and as JSON values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moorage.cli.errors import as_json, explain
from moorage.cli.output import Piece
from moorage.cli.tables import ACTION_STYLES, row_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from moorage.deploy.plan.consequences import Consequence
    from moorage.deploy.plan.plan import Change, Plan, ServerPlan
    from moorage.deploy.record.revisions import Change as Revised

Line = tuple[Piece, ...]
"""A line to print, as pieces of text with and without a style."""

FLAGS = {
    "removals": "--accept-removals",
    "regained": "--accept-regained",
    "begin_empty": "--begin-empty",
    "retention": "--accept-retention",
}
"""The options that accept consequences, by what they accept."""
_MOST_NAMES = 10
_DRIFT = "drift: modified since Moorage last wrote it"


def plan_lines(plan: Plan, *, with_diff: bool) -> Iterator[Line]:
    """Yield a plan as text.

    Args:
        plan: The plan.
        with_diff: Whether to include the files' diffs and the hooks' scripts.
    """
    yield from missed_lines(plan)
    yield from consequence_lines(plan, plan.consequences)
    if plan.consequences or plan.missed:
        yield ("",)
    for server in plan.servers:
        yield from _server_lines(server, with_diff)
        yield ("",)
    if plan.materials.kept_users:
        yield (_unlisted_users(plan.materials.kept_users),)
    if plan.expectations:
        yield from row_lines(plan.expectations)
    yield ((plan.summary, "bold"),)


def consequence_lines(plan: Plan, consequences: Sequence[Consequence]) -> Iterator[Line]:
    """Yield consequences, one per line.

    Args:
        plan: The plan.
        consequences: The consequences, in order.
    """
    for each in consequences:
        sign, style = ("! ", "bold red") if each.is_destructive else ("  ", "")
        yield ((sign, style), (each.sentence(len(plan.servers)), style))


def missed_lines(plan: Plan) -> Iterator[Line]:
    """Yield the changes since the revision that the answers are based on."""
    if plan.missed:
        head = f"Changed since revision {plan.based_on}, which the answers are based on:"
        yield ((head, "bold"),)
        for change in plan.missed:
            yield (f"  {change}",)
        yield ("",)


def plan_as_json(plan: Plan, *, with_diff: bool) -> dict[str, object]:
    """Return a plan as JSON values.

    Args:
        plan: The plan.
        with_diff: Whether to include the files' diffs and the hooks' scripts.
    """
    return {
        "has_changes": plan.has_changes,
        "summary": plan.summary,
        "consequences": [consequence_as_json(each) for each in plan.consequences],
        "expectations": [
            {"key": row.key, "text": row.text, "level": row.level} for row in plan.expectations
        ],
        "revision": {
            "number": plan.revision.number,
            "by": plan.revision.by,
            "at": plan.revision.at,
        },
        "based_on": plan.based_on,
        "missed": [_change_as_json(each) for each in plan.missed],
        "generated": list(plan.materials.generated),
        "kept_users": list(plan.materials.kept_users),
        "servers": [_server_as_json(server, with_diff) for server in plan.servers],
    }


def consequence_as_json(each: Consequence) -> dict[str, object]:
    """Return a consequence as JSON values."""
    return {
        "code": each.code.value,
        "severity": "destructive" if each.is_destructive else "notice",
        "text": each.text,
        "users": list(each.users),
        "servers": list(each.servers),
        "before": each.before,
        "after": each.after,
        "note": each.note,
        "needs": FLAGS[each.needs] if each.needs else None,
        "unknown": list(each.unknown),
    }


def _change_as_json(each: Revised) -> dict[str, object]:
    return {
        "revision": each.revision,
        "by": each.by,
        "at": each.at,
        "added": list(each.added),
        "removed": list(each.removed),
        "changed": list(each.changed),
        "answers": list(each.answers),
    }


def _unlisted_users(names: Sequence[str]) -> str:
    some = ", ".join(names[:_MOST_NAMES]) + (", …" if len(names) > _MOST_NAMES else "")
    if len(names) == 1:
        return f"The user {some} is not in the answers and is kept. Manage it with 'moorage users'."
    return (
        f"{len(names)} users are not in the answers and are kept: {some}. Manage them with "
        "'moorage users'."
    )


def _server_lines(server: ServerPlan, with_diff: bool) -> Iterator[Line]:
    state = "new" if server.is_new else f"slot {server.slot_from} in use"
    yield ((server.server, "bold"), (f"  {server.facts.os_name}, {state}", "dim"))
    if not server.changes:
        yield ("  nothing to change",)
    wide = min(48, max((len(change.subject) for change in server.changes), default=0))
    room = max((len(change.size) for change in server.changes), default=0)
    for change in server.changes:
        yield _change_line(change, wide, room)
    for problem in server.problems:
        yield (("  problem: ", "bold red"), explain(problem))
    for note in server.notes:
        yield (("  note: ", "bold yellow"), explain(note))
    if with_diff:
        for change in server.changes:
            if change.diff.strip():
                yield ("",)
                yield from diff_lines(change.diff)
            elif change.script is not None:
                yield ("",)
                yield ((f"hook {change.subject}: {change.why()}", "bold"),)
                yield from ((f"  {line}",) for line in change.script.splitlines())


def _change_line(change: Change, wide: int, room: int) -> Line:
    size = f"{change.size:<{room}}  " if room else ""
    return (
        (f"  {change.action.sign} ", ACTION_STYLES[change.action]),
        f"{change.kind:<8} {change.subject:<{wide}}  {size}",
        (change.why(), "dim"),
        *(((f"  ({_DRIFT})", "bold yellow"),) if change.drift else ()),
    )


def diff_lines(diff: str) -> Iterator[Line]:
    """Yield a unified diff in colour.

    Args:
        diff: The diff.
    """
    for number, line in enumerate(diff.splitlines()):
        if number < 2:
            yield ((line, "bold"),)
        elif line.startswith("@@"):
            yield ((line, "cyan"),)
        elif line.startswith("+"):
            yield ((line, "green"),)
        elif line.startswith("-"):
            yield ((line, "red"),)
        else:
            yield (line,)


def _server_as_json(server: ServerPlan, with_diff: bool) -> dict[str, object]:
    return {
        "server": server.server,
        "os": server.facts.os_name,
        "is_new": server.is_new,
        "has_changes": server.has_changes,
        "slot_from": server.slot_from,
        "slot_to": server.slot_to,
        "changes": [
            {
                "kind": str(change.kind),
                "action": change.action,
                "subject": change.subject,
                "reason": change.why(),
                "lines_added": change.line_counts[0],
                "lines_removed": change.line_counts[1],
                "drift": change.drift,
            }
            | ({"diff": change.diff} if with_diff and change.diff else {})
            | ({"script": change.script} if with_diff and change.script is not None else {})
            for change in server.changes
        ],
        "problems": [as_json(problem) for problem in server.problems],
        "notes": [
            {"code": note.code, "text": note.text, "fields": list(note.fields)}
            for note in server.notes
        ],
        "transfers_in_the_way": server.transfers_in_the_way,
    }
