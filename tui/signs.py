"""Signs and colours of what the engine reports; each says the same without the other."""

from __future__ import annotations

from textual.content import Content

from moorage.deploy.status.overview import Health
from moorage.errors import MoorageError
from moorage.escape import printable
from moorage.rows import Action, Level, Row
from tui.labels import explain

HEALTH_SIGNS = {
    Health.HEALTHY: ("✓", "$text-success"),
    Health.DRIFTED: ("~", "$text-warning"),
    Health.ATTENTION: ("!", "$text-warning"),
    Health.NOT_DEPLOYED: ("○", "$text-muted"),
    Health.UNREACHABLE: ("✗", "$text-error"),
    Health.UNKNOWN: ("?", "$text-muted"),
}
"""The sign and colour of each state of a deployment."""

COLOURS = {
    Level.GOOD: "$text-success",
    Level.INFO: "$text-muted",
    Level.PENDING: "$accent",
    Level.WARNING: "$text-warning",
    Level.BAD: "$text-error",
    Level.SKIPPED: "$text-muted",
}
"""The colour of each level."""

ACTION_COLOURS = {
    Action.ADD: "$text-success",
    Action.CHANGE: "$text-warning",
    Action.REMOVE: "$text-error",
}
"""The colour of each action."""


def row_line(row: Row, width: int = 0) -> Content:
    """Return a row as a line: sign, name and text.

    Args:
        row: The row.
        width: The width of the names, in characters.
    """
    colour = COLOURS[row.level]
    text_colour = "$text-muted" if row.level is Level.GOOD else colour
    return (
        Content.styled(f"{row.sign} ", colour)
        + Content.styled(f"{printable(row.label):<{width}}", "bold")
        + Content.styled(f"  {printable(row.text)}", text_colour)
    )


def error_line(error: MoorageError) -> Content:
    """Return the line of a server that cannot be reached, with the reason."""
    text = f"unreachable: {explain(error)}"
    return row_line(Row("unreachable", error.server or "", text, Level.BAD))
