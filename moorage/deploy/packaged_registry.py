"""The registry that Debian's package starts by itself, beside the one that Moorage runs."""

from __future__ import annotations

from moorage.deploy.additions import recorded_additions
from moorage.desired.state import DesiredState
from moorage.servers.facts import Facts

PACKAGE = "docker-registry"
"""The package, and the name of its service."""

_BESIDE = "the package's own instance would listen on every address, beside this registry"


def why_mask(wanted: DesiredState, facts: Facts) -> str:
    """Return why the package's own service is to be masked; empty when it is not.

    Somebody else's instance stays as it is, unless its images are taken over.

    Args:
        wanted: What the answers mean for the server.
        facts: What the probe read.
    """
    if takes_over(wanted, facts):
        return f"its images in {wanted.storage_folder} are served by this registry from now on"
    needs_it = any(package.name == PACKAGE for package in wanted.packages)
    return _BESIDE if needs_it and not is_held_back(facts) else ""


def takes_over(wanted: DesiredState, facts: Facts) -> bool:
    """Whether the package's own service runs on the folder of images that this registry gets.

    Args:
        wanted: What the answers mean for the server.
        facts: What the probe read.
    """
    there = facts.folders.get(wanted.storage_folder or "")
    is_its_own = there is not None and there.owner == PACKAGE
    return is_its_own and facts.is_active(PACKAGE)


def is_held_back(facts: Facts) -> bool:
    """Whether the package's own service is masked, or is its owner's to run.

    Args:
        facts: What the probe read.
    """
    service = facts.services.get(PACKAGE)
    if service is None or PACKAGE not in facts.packages:
        return False
    if service.enabled.startswith("masked"):
        return True
    is_at_rest = service.active != "active" and service.enabled != "enabled"
    return not is_at_rest and not _came_with_moorage(facts)


def _came_with_moorage(facts: Facts) -> bool:
    recorded = recorded_additions(facts)
    packages = recorded.added.get("packages") if recorded is not None else None
    return isinstance(packages, dict) and PACKAGE in packages
