"""Environment variables that the registry's process reads besides ``REGISTRY_*``."""

from __future__ import annotations

import re

from moorage.answers.fields import PROCESS_VARIABLE
from moorage.errors import Problem
from moorage.registry_keys.tree import Path, Version
from moorage.registry_keys.words import DOES_NOT_START, IN_PLAIN_TEXT, has_login, is_secret_name


def is_process_variable(name: str) -> bool:
    """Return whether a variable is for the process, not for the registry's configuration."""
    return bool(re.fullmatch(PROCESS_VARIABLE, name))


def check_process_variable(
    name: str, value: object, version: Version, where: Path
) -> list[Problem]:
    """Return the problems in a variable for the process.

    Args:
        name: Its name.
        value: Its value, or a reference to a secret.
        version: The registry's version.
        where: Its path in the answers.
    """
    if name.startswith("OTEL_") and version == "2.8":
        message = "has no effect: registry 2.8 does not trace requests"
        return [Problem(where, message, code="no_effect")]
    if name == "AWS_CA_BUNDLE" and version == "2.8":
        message = (
            "keeps registry 2.8 from starting; add the CA to the server's certificates instead, "
            "with update-ca-certificates"
        )
        return [Problem(where, message, code=DOES_NOT_START)]
    if isinstance(value, str) and value and _is_secret(name, value):
        return [Problem(where, f"contains a secret, which {IN_PLAIN_TEXT}", code="plain_secret")]
    return []


def _is_secret(name: str, value: str) -> bool:
    # A key ID is not a secret by itself; files and addresses of credentials are not secrets.
    if name == "AWS_ACCESS_KEY_ID" or name.endswith(("_FILE", "_URI", "_URL")):
        return has_login(value)
    return is_secret_name(name) or name.endswith("_HEADERS") or has_login(value)
