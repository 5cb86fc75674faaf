"""Answers as they are recorded on servers."""

from __future__ import annotations

from typing import Any

from moorage.answers.model import Answers


def without_secrets(answers: Answers) -> dict[str, Any]:
    """Return the answers as JSON values, with defaults left out and without password hashes.

    A user's hash becomes ``{"generate": true}``: on a server that has the user, that keeps the
    password.
    """
    dumped: dict[str, Any] = answers.model_dump(mode="json", exclude_defaults=True)
    dumped["version"] = answers.version
    # What they were based on is the file's; the record has a revision of its own.
    dumped.pop("based_on", None)
    for user in dumped.get("credentials", {}).get("users", []):
        if "hash" in user["password"]:
            user["password"] = {"generate": True}
    return dumped
