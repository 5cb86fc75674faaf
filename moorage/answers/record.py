"""The answers as recorded on servers."""

from __future__ import annotations

from typing import Any

from moorage.answers.model import Answers


def without_secrets(answers: Answers) -> dict[str, Any]:
    """Return the answers as JSON values, without defaults and password hashes.

    A user's hash becomes ``{"generate": true}``, which keeps the password on servers that have the
    user.
    """
    dumped: dict[str, Any] = answers.model_dump(mode="json", exclude_defaults=True)
    dumped["version"] = answers.version
    # based_on belongs to the file; the record has its own revision.
    dumped.pop("based_on", None)
    for user in dumped.get("credentials", {}).get("users", []):
        if "hash" in user["password"]:
            user["password"] = {"generate": True}
    return dumped
