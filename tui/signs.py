"""Signs and colours, which say the same, for what the engine reports."""

from __future__ import annotations

from moorage.deploy.overview import Health

HEALTH_SIGNS = {
    Health.HEALTHY: ("✓", "$text-success"),
    Health.DRIFTED: ("~", "$text-warning"),
    Health.ATTENTION: ("!", "$text-warning"),
    Health.UNREACHABLE: ("✗", "$text-error"),
    Health.UNKNOWN: ("?", "$text-muted"),
}
"""The sign and colour of each state of a deployment."""
