"""Determine the registry's version from the answers."""

from __future__ import annotations

import re

from moorage.answers.model import Answers
from moorage.registry_keys.tree import Version


def registry_version(answers: Answers) -> Version:
    """Return the version to write the configuration for.

    The answers take precedence over the image's tag. Debian's and Ubuntu's package is version 2.8.
    """
    if answers.registry.version is not None:
        return answers.registry.version
    if answers.registry.runtime == "package":
        return "2.8"
    tag = answers.registry.image.rpartition("/")[2].partition("@")[0].partition(":")[2]
    return "2.8" if re.match(r"v?2(\.|$)", tag) else "3"


def only_version(answers: Answers) -> Version | None:
    """Return the version that runs on all servers, or None when they differ."""
    versions = {registry_version(answers.for_server(server.host)) for server in answers.servers}
    return versions.pop() if len(versions) == 1 else None
