"""What was found about the registry's name, as the DNS step says it."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from moorage.escape import printable
from screens.dns.check import NameLook
from tui.labels import describe_error
from tui.signs import row_line


def record_lines(found: NameLook) -> Iterator[Content]:
    """The records as a diff of what is and what is wanted."""
    changed = {line[2:] for change in found.changes for line in change.diff}
    for change in found.changes:
        for line in change.diff:
            style = {"+": "$text-success", "-": "$text-error"}.get(line[0], "")
            yield Content.styled(printable(line), style)
    for wanted in found.check.desired:
        for line in wanted.lines():
            if line not in changed:
                yield Content(f"  {printable(line)}")


def verdict_lines(found: NameLook, *, is_asked_by_name: bool) -> Iterator[Content]:
    """What was found about the name.

    Args:
        found: What was found.
        is_asked_by_name: Whether the certificate's authority comes to the servers by the name.
    """
    check = found.check
    if found.problem:
        yield Content.styled(printable(f"✗ {describe_error(found.problem)}"), "$text-error")
    if check.problem:
        yield Content.styled(printable(f"○ {describe_error(check.problem)}"), "$text-warning")
        here = ", ".join(check.local_addresses)
        says = f"resolves to {here} on this machine" if here else "does not resolve yet"
        yield Content.styled(f"○ {check.name} {says}", "$text-warning")
    if check.replies:
        width = max(len(row.label) for row in check.rows)
        yield from (row_line(row, width) for row in check.rows)
    for finding in found.findings:
        yield Content.styled(printable(f"! {finding}"), "$text-warning")
    if found.changes and found.plan is None and not found.problem:
        if found.answers.dns.provider != "manual":
            yield Content("ctrl+t asks the provider what it would change.")
            return
        yield Content("Make these records where the domain is managed; ctrl+t looks again.")
        yield Content.styled(
            "Enter goes on without them, but Apply gets no certificate before they are there."
            if is_asked_by_name
            else "Enter goes on without them: Apply works, but clients do not find the registry "
            "by its name until they are there.",
            "$text-muted",
        )
