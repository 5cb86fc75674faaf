"""The registry's settings with which files must not be moved."""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEYS = {"REGISTRY_STORAGE_S3_ACCESSKEY", "REGISTRY_STORAGE_S3_SECRETKEY"}


def unfit_settings(config: str, environment: str) -> Iterator[str]:
    """Yield what in a slot's settings makes it unsafe to move files.

    Args:
        config: config.yml, as Moorage writes it.
        environment: registry.env.
    """
    if re.search(r"^\s+cache:", config, re.MULTILINE):
        yield "storage.cache"
    if re.search(r"^proxy:", config, re.MULTILINE):
        yield "proxy"
    if not re.search(r"^  (?:filesystem|s3):$", config, re.MULTILINE):
        yield "storage"
    for line in environment.splitlines():
        name = line.partition("=")[0]
        if name.startswith(("REGISTRY_STORAGE", "REGISTRY_PROXY")) and name not in _KEYS:
            yield name
