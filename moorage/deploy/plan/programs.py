"""The registry's program: the one that a slot runs, and the one that is there to take."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from moorage.deploy.record.deployment_json import active_slot, line_of, recorded_part
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.desired.state import DesiredState, Image
from moorage.servers.facts import Facts

_FILE = re.compile(rf"{re.escape(layout.PROGRAMS)}/[0-9a-f]{{64}}")
_IMAGE = re.compile(r"sha256:[0-9a-f]{64}")
_TEXT = re.compile(r"[A-Za-z0-9._:/@+~-]{0,400}")
PACKAGE = "docker-registry"
"""The distribution's package with the registry, and the name of its service."""


@dataclass(frozen=True)
class Program:
    """The program that a slot runs.

    Attributes:
        runtime: package, docker or podman.
        file: The path of its file; empty for an image.
        image: The image's ID; empty for a file.
        image_name: The name that the image had when it was deployed.
        version: The registry's version.
        package_version: The version of the package it came from; empty for an image.
    """

    runtime: str
    file: str = ""
    image: str = ""
    image_name: str = ""
    version: str = ""
    package_version: str = ""


@dataclass(frozen=True)
class Target:
    """The program that an upgrade gives a server.

    Attributes:
        version: The version of the package; empty for an image.
        image: The ID of the image, if its name stays and it was pulled; empty otherwise.
    """

    version: str = ""
    image: str = ""


NO_TARGET = Target()
"""Without an upgrade."""


def program_of(facts: Facts, slot: Slot | None) -> Program | None:
    """Return the program of a slot; None if none is kept for it.

    Args:
        facts: The server's facts.
        slot: The slot.
    """
    there = facts.files.get(layout.program_path(slot)) if slot is not None else None
    return read_program(there.content) if there is not None else None


def read_program(content: bytes) -> Program | None:
    """Return the program that a program.env names; None if it names none.

    Args:
        content: The file from a server.
    """
    lines = content.decode("utf-8", "replace").splitlines()
    values = {name: line_of(rest.strip('"')) for name, _, rest in (x.partition("=") for x in lines)}
    found = Program(
        runtime=values.get("MOORAGE_RUNTIME", ""),
        file=values.get("MOORAGE_PROGRAM", ""),
        image=values.get("MOORAGE_IMAGE", ""),
        image_name=values.get("MOORAGE_IMAGE_NAME", ""),
        version=values.get("MOORAGE_PROGRAM_VERSION", ""),
        package_version=values.get("MOORAGE_PACKAGE_VERSION", ""),
    )
    return found if found.file or found.image else None


def why_take(wanted: DesiredState, facts: Facts, recorded: Mapping[str, str]) -> str:
    """Return why the new slot needs another program than the active one; empty if it keeps it.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
        recorded: The digests in the server's record.
    """
    slot = active_slot(facts)
    image = wanted.image
    if slot is None:
        return "the first run"
    program = program_of(facts, slot) or _in_unit(facts)
    if program.runtime != (image.engine if image is not None else "package"):
        return "the runtime changes"
    return _why_take_image(image, program, facts, recorded) if image is not None else ""


def _why_take_image(
    image: Image, program: Program, facts: Facts, recorded: Mapping[str, str]
) -> str:
    if program.image_name != image.name:
        return "the image changes"
    if image.archive_digest not in (None, recorded.get("image_archive")):
        return "the image's archive changes"
    return "its image is gone" if facts.programs.get(active_slot(facts) or "") == "missing" else ""


def _in_unit(facts: Facts) -> Program:
    """Return what the unit runs: before programs were kept, it named an image or the package."""
    unit = facts.files.get(layout.UNIT)
    text = unit.content.decode("utf-8", "replace") if unit is not None else ""
    engine = re.search(r"/usr/bin/(docker|podman) run ", text)
    image = re.search(r"^ +(\S+) serve ", text, re.MULTILINE)
    return Program(
        engine[1] if engine is not None else "package",
        image_name=image[1] if engine is not None and image is not None else "",
    )


def why_restore(program: Program, facts: Facts) -> str:
    """Return why the new slot gets a kept program; empty if the active one runs it.

    Args:
        program: The kept program.
        facts: The server's facts.
    """
    now = program_of(facts, active_slot(facts))
    if now is not None and (now.file, now.image) == (program.file, program.image):
        return ""
    if now is None:
        return "its program changes"
    before, after = now.version, program.version
    if before == after:
        before, after = name_of(now), name_of(program)
    return f"its program changes from {before} to {after}"


def version_ahead(
    wanted: DesiredState, facts: Facts, *, takes: str, target: Target = NO_TARGET
) -> str:
    """Return the version of the program that the new slot will run; empty if it is not known.

    It is the package's version where the program comes from one. An image shows none in advance.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
        takes: Why the slot takes another program than the active one; empty if it does not.
        target: What an upgrade gives the server.
    """
    if not takes:
        program = program_of(facts, active_slot(facts))
        return program.version if program is not None else ""
    if wanted.image is not None:
        return ""
    candidate = facts.candidates.get(PACKAGE)
    offered = line_of(candidate.version) if candidate is not None else ""
    return target.version or facts.packages.get(PACKAGE, "") or offered


def is_valid(program: Program) -> bool:
    """Return whether a program from a server's files looks like what a run writes."""
    texts = (program.image_name, program.version, program.package_version)
    where = _FILE if program.runtime == "package" else _IMAGE
    return (
        program.runtime in {"package", "docker", "podman"}
        and bool(where.fullmatch(program.file or program.image))
        and not (program.file and program.image)
        and all(_TEXT.fullmatch(text) for text in texts)
    )


def why_repair(facts: Facts) -> str:
    """Return what is wrong with the active slot's program; empty if nothing is.

    Args:
        facts: The server's facts.
    """
    slot = active_slot(facts)
    program = program_of(facts, slot)
    condition = facts.programs.get(slot or "", "")
    if program is None or condition not in {"missing", "damaged"}:
        return ""
    return f"its program {program.file or program.image} is {condition}"


def name_of(program: Program) -> str:
    """Return a program's name for display: the package with its version, or the image."""
    if program.runtime != "package":
        return program.image_name
    return f"{PACKAGE} {program.package_version or program.version}".strip()


def runs_now(facts: Facts) -> str:
    """Return the program that a server's active slot runs, with its version; may be empty.

    Args:
        facts: The server's facts.
    """
    program = program_of(facts, active_slot(facts)) or _in_unit(facts)
    if program.runtime != "package":
        return program.image_name
    return f"{PACKAGE} {_package_version(program, facts)}".strip()


def _package_version(program: Program, facts: Facts) -> str:
    recorded = line_of(recorded_part(facts, "registry_program").get("package"))
    return program.package_version or recorded or program.version


def why_upgrade(wanted: DesiredState, facts: Facts, target: Target) -> str:
    """Return how an upgrade changes the program of a server; empty if it runs it already.

    Args:
        wanted: The server's desired state.
        facts: The server's facts.
        target: What the upgrade gives it.
    """
    program = program_of(facts, active_slot(facts)) or _in_unit(facts)
    if wanted.image is not None:
        is_same = not target.image or target.image == program.image
        return "" if is_same else f"{wanted.image.name} is another image now"
    before = _package_version(program, facts)
    if not target.version or target.version == before:
        return ""
    return f"upgrade from {before or 'an unknown version'} to {target.version}"


def update_there(facts: Facts) -> str:
    """Return what a server has that its registry does not run yet; empty if there is nothing.

    A newer package, or another image under the image's name, waits until it is asked for.

    Args:
        facts: The server's facts.
    """
    program = program_of(facts, active_slot(facts))
    if program is None:
        return ""
    installed = facts.packages.get(PACKAGE)
    if program.runtime == "package":
        if installed is None or installed == program.package_version:
            return ""
        runs = program.package_version or program.version
        return f"{PACKAGE} {installed} is installed; the registry still runs {runs}"
    if facts.image is None or facts.image == program.image:
        return ""
    return f"{program.image_name} now refers to another image; the registry still runs the old one"
