"""The versions on a server: what runs, what is installed, and what apt has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from moorage.deploy.plan.programs import PACKAGE, program_of
from moorage.deploy.record.deployment_json import active_slot, line_of, recorded_part
from moorage.rows import Level, Row
from moorage.servers.facts import Facts

_OLD_LISTS = 7
"""Days after which apt's lists say little."""


@dataclass(frozen=True)
class PackageVersions:
    """The versions of a package.

    Attributes:
        name: The package.
        installed: The installed version.
        running: The version of the package that the active slot's program is from; empty for
            other packages, and if unknown.
        available: The version that apt would install; the installed one without an update.
        is_security: Whether that is in the distribution's security updates.
    """

    name: str
    installed: str
    running: str = ""
    available: str = ""
    is_security: bool = False

    @property
    def has_update(self) -> bool:
        """Whether there is a version that is not installed, or does not run yet."""
        now = self.running or self.installed
        return now not in {self.available or self.installed, ""}


@dataclass(frozen=True)
class Software:
    """The versions on a server.

    Attributes:
        packages: The registry's package, unless it runs in containers, and nginx.
        image: The name of the active slot's image; empty for the package.
        image_id: Its ID.
        lists_age: Days since apt fetched its lists; None if unknown.
    """

    packages: tuple[PackageVersions, ...] = ()
    image: str = ""
    image_id: str = ""
    lists_age: int | None = None


def software_of(facts: Facts) -> Software:
    """Return the versions on a server.

    Args:
        facts: The server's facts.
    """
    program = program_of(facts, active_slot(facts))
    registry, running = PACKAGE, ""
    if program is not None:
        running = program.package_version
        registry = PACKAGE if program.runtime == "package" else ""
    else:
        running = line_of(recorded_part(facts, "registry_program").get("package"))
    return Software(
        tuple(_packages(facts, {registry: running, "nginx": ""})),
        program.image_name if program is not None else "",
        program.image if program is not None else "",
        None if facts.lists_at is None else max(int(facts.clock - facts.lists_at) // 86400, 0),
    )


def _packages(facts: Facts, running: dict[str, str]) -> Iterator[PackageVersions]:
    for name, version in running.items():
        if installed := facts.packages.get(name):
            candidate = facts.candidates.get(name)
            available = line_of(candidate.version) if candidate is not None else ""
            is_security = candidate is not None and candidate.is_security
            yield PackageVersions(name, line_of(installed), version, available, is_security)


def software_rows(software: Software) -> Iterator[Row]:
    """Yield the versions as rows.

    The keys are ``image``, ``installed``, ``registry_update`` and ``nginx_update``.

    Args:
        software: The versions.
    """
    if software.image:
        yield Row("image", "Image", f"{software.image} ({software.image_id[:19]})")
    if software.packages:
        text = ", ".join(f"{each.name} {each.installed}" for each in software.packages)
        yield Row("installed", "Installed", text)
    for each in software.packages:
        if each.has_update:
            yield _update_row(each, software.lists_age)


def _update_row(package: PackageVersions, lists_age: int | None) -> Row:
    new = package.available or package.installed
    state = "is installed" if new == package.installed else "is available"
    details = ["a security update"] * package.is_security
    details.append(
        f"runs {package.running}" if package.running else f"{package.installed} is installed"
    )
    if state == "is available" and lists_age is not None and lists_age >= _OLD_LISTS:
        details.append(f"apt's lists are {lists_age} days old")
    key = "registry_update" if package.name == PACKAGE else "nginx_update"
    level = Level.WARNING if package.is_security else Level.PENDING
    return Row(key, "Update", f"{package.name} {new} {state} ({', '.join(details)})", level)


def software_as_json(software: Software | None) -> dict[str, object] | None:
    """Return the versions as JSON values.

    Args:
        software: The versions.
    """
    if software is None:
        return None
    return {
        "image": software.image or None,
        "image_id": software.image_id or None,
        "packages": [
            {
                "name": each.name,
                "installed": each.installed,
                "running": each.running or None,
                "available": each.available or None,
                "update": each.has_update,
                "security": each.has_update and each.is_security,
            }
            for each in software.packages
        ],
        "lists_age_days": software.lists_age,
    }
