"""Packages, accounts and folders that runs added to a server, recorded for uninstalling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from moorage.deploy.plan.plan import ServerPlan
from moorage.deploy.record.deployment_json import deployment_record
from moorage.desired import layout
from moorage.servers.facts import Facts

ADDED_BY_RUNS = "@ADDED@"
"""A placeholder in the record, which the run replaces with what it really added."""


@dataclass(frozen=True)
class Additions:
    """The state of a server before Moorage, and Moorage's additions.

    Attributes:
        found: Packages, services, accounts and folders from before the first run; None
            when that run did not record them.
        added: Packages, accounts and folders that runs added.
    """

    found: Mapping[str, object] | None
    added: Mapping[str, object]


def recorded_additions(facts: Facts) -> Additions | None:
    """Return what deployment.json records as found and added; None where nothing is deployed.

    Args:
        facts: What the probe read.
    """
    record = deployment_record(facts)
    if not record:
        return None
    found, added = record.get("found"), record.get("added")
    return Additions(
        found if isinstance(found, dict) else None, added if isinstance(added, dict) else {}
    )


def found_record(plan: ServerPlan) -> Mapping[str, object] | None:
    """Return what deployment.json will record as found by the first run; None if unknown.

    Args:
        plan: The server's plan.
    """
    recorded = recorded_additions(plan.facts)
    if recorded is not None:
        return recorded.found
    return _found(plan) if plan.is_new else None


def lines_of_additions(facts: Facts) -> Iterator[str]:
    """Yield what deployment.json records as added, in the run script's line format.

    Args:
        facts: What the probe read.
    """
    recorded = recorded_additions(facts)
    if recorded is None:
        return
    lines: list[tuple[object, ...]] = []
    packages = recorded.added.get("packages")
    if isinstance(packages, dict):
        lines += [("package", name, version) for name, version in packages.items()]
    for kind, key in (("account", "accounts"), ("folder", "folders")):
        values = recorded.added.get(key)
        lines += [(kind, value) for value in values] if isinstance(values, list) else []
    for line in lines:
        # This comes from a server: accept only what a run could have written.
        words = [word for word in line if isinstance(word, str) and word and word.isprintable()]
        if len(words) == len(line):
            yield "\t".join(words)


def _found(plan: ServerPlan) -> dict[str, object]:
    facts, wanted = plan.facts, plan.desired
    recorded = _recorded_lines(facts)
    added = {(line[0], line[1]) for line in recorded if len(line) > 1}
    names = [name for each in wanted.packages for name in (each.name, *each.satisfied_by)]
    units: dict[str, object] = {}
    for name, service in sorted(facts.services.items()):
        if name.startswith("moorage-registry@"):
            continue
        unit = name if name.endswith(".timer") else f"{name}.service"
        units[unit] = {"enabled": service.enabled, "active": service.active}
    # An earlier run that failed or died can have changed them since.
    for line in recorded:
        if line[0] == "unit" and len(line) == 4:
            units[line[1]] = {"enabled": line[2].strip("-"), "active": line[3]}
    return {
        "packages": {
            name: facts.packages[name]
            for name in names
            if name in facts.packages and ("package", name) not in added
        },
        "units": units,
        "accounts": [
            account
            for account in (wanted.account,)
            if account in facts.accounts and ("account", account) not in added
        ],
        "folders": [
            folder.path
            for folder in wanted.folders
            if folder.path in facts.folders and ("folder", folder.path) not in added
        ],
    }


def _recorded_lines(facts: Facts) -> list[list[str]]:
    """Return the lines left by runs before the first successful one."""
    file = facts.files.get(layout.ADDITIONS)
    if file is None:
        return []
    return [line.split("\t") for line in file.content.decode("utf-8", "replace").splitlines()]
