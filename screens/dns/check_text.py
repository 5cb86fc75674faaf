"""The result of a DNS check as lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from moorage.escape import printable
from screens.dns.check import NameCheck
from tui.document.steps import Step
from tui.labels import describe_error
from tui.signs import row_line


def record_lines(found: NameCheck) -> Iterator[Content]:
    """Return the records as a diff of the current and the desired ones."""
    changed = {line[2:] for change in found.changes for line in change.diff}
    for change in found.changes:
        for line in change.diff:
            style = {"+": "$text-success", "-": "$text-error"}.get(line[0], "")
            yield Content.styled(printable(line), style)
    for record in found.check.desired:
        for line in record.lines():
            if line not in changed:
                yield Content(f"  {printable(line)}")


def result_lines(found: NameCheck, *, needs_name: bool) -> Iterator[Content]:
    """Return what the check found.

    Args:
        found: The check.
        needs_name: Whether the certificate authority connects to the servers by this name.
    """
    check = found.check
    if found.problem:
        yield Content.styled(
            printable(f"✗ {describe_error(found.problem, Step.DNS)}"), "$text-error"
        )
    if check.problem:
        yield Content.styled(
            printable(f"○ {describe_error(check.problem, Step.DNS)}"), "$text-warning"
        )
        here = ", ".join(check.local_addresses)
        state = f"resolves to {here} on this machine" if here else "does not resolve yet"
        yield Content.styled(f"○ {check.name} {state}", "$text-warning")
    if check.replies:
        width = max(len(row.label) for row in check.rows)
        yield from (row_line(row, width) for row in check.rows)
    for finding in found.findings:
        yield Content.styled(printable(f"! {finding}"), "$text-warning")
    if found.changes and found.plan is None and not found.problem:
        if found.answers.dns.provider != "manual":
            yield Content("Press Ctrl+T to ask the provider what would change.")
            return
        yield Content("Create these records where the domain is managed; Ctrl+T checks again.")
        yield Content.styled(
            "Enter continues without them, but an apply gets no certificate until they exist."
            if needs_name
            else "Enter continues without them. An apply works, but clients cannot find the "
            "registry by its name until they exist.",
            "$text-muted",
        )
