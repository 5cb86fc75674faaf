"""Determine the registry's version from the answers."""

from __future__ import annotations

import re

from moorage.answers.model import Answers
from moorage.registry_keys.tree import VERSIONS, Version


def registry_version(answers: Answers) -> Version:
    """Return the version to write the configuration for.

    The answers take precedence over the image's tag. Debian's and Ubuntu's package is version 2.8.
    """
    named = answers.registry.version
    if named is not None:
        return VERSIONS[-1] if named == "3" else named
    if answers.registry.runtime == "package":
        return "2.8"
    tag = answers.registry.image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    if re.match(r"v?2(\.|$)", tag):
        return "2.8"
    return "3.0" if re.match(r"v?3\.0(\.|-|$)", tag) else VERSIONS[-1]


def version_of(program: str) -> str:
    """Return the version to write a program's configuration for; empty if it cannot be told.

    It can be one that is not supported.

    Args:
        program: The program's own version, or that of its package, such as ``1:3.0.0+ds1-2``.
    """
    found = re.match(r"(?:\d+:)?v?(\d+)\.(\d+)(?!\d)", program)
    if found is None:
        return ""
    is_later = found[1] == "3" and found[2] != "0"
    return VERSIONS[-1] if is_later else f"{found[1]}.{found[2]}"


def registry_versions(answers: Answers) -> tuple[Version, ...]:
    """Return the versions that run on the servers, which differ if their runtimes do."""
    used = {registry_version(answers.for_server(server.host)) for server in answers.servers}
    return tuple(version for version in VERSIONS if version in used)
