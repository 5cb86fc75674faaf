"""The instance that Debian's docker-registry package starts by itself, next to Moorage's."""

from __future__ import annotations

from moorage.deploy.plan.programs import PACKAGE
from moorage.deploy.record.additions import recorded_additions
from moorage.desired.state import DesiredState
from moorage.servers.facts import Facts

_BESIDE = "the package's own instance would listen on all addresses, next to this registry"


def why_mask(wanted: DesiredState, facts: Facts) -> str:
    """Return why to mask the package's own service; empty when it stays.

    An instance that is in use stays, unless this registry takes over its images.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    if takes_over(wanted, facts):
        return f"this registry will serve its images in {wanted.storage_folder}"
    needs_it = any(package.name == PACKAGE for package in wanted.packages)
    return _BESIDE if needs_it and not is_held_back(facts) else ""


def takes_over(wanted: DesiredState, facts: Facts) -> bool:
    """Whether the package's own service runs on the image folder that this registry will use.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
    """
    there = facts.folders.get(wanted.storage_folder or "")
    is_its_own = there is not None and there.owner == PACKAGE
    return is_its_own and facts.is_active(PACKAGE)


def is_held_back(facts: Facts) -> bool:
    """Whether the package's own service is masked, or in use by the server's owner.

    Args:
        facts: The server's facts.
    """
    service = facts.services.get(PACKAGE)
    if service is None or PACKAGE not in facts.packages:
        return False
    if service.enabled.startswith("masked"):
        return True
    is_unused = service.active != "active" and service.enabled != "enabled"
    return not is_unused and not _came_with_moorage(facts)


def _came_with_moorage(facts: Facts) -> bool:
    recorded = recorded_additions(facts)
    packages = recorded.added.get("packages") if recorded is not None else None
    return isinstance(packages, dict) and PACKAGE in packages
