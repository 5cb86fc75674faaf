"""Who verifies a registry: a user whose password is known and who may push what verify pushes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moorage.answers.model import Answers
from moorage.answers.secrets import FromPrompt, Generated, Hash, Secret, SecretReference

Resolve = Callable[[SecretReference, str], Secret]
"""Finds a secret; the second argument says where the answers refer to it."""


def login_for_verify(
    answers: Answers, generated: Mapping[str, Secret], resolve: Resolve
) -> tuple[str, Secret] | None:
    """Return the first user who may push everything, and the password, if it is known unasked.

    Args:
        answers: What the operator decided.
        generated: The passwords that were just made, by user.
        resolve: Finds a secret.
    """
    for position, user in enumerate(answers.credentials.users):
        if user.access != "push" or user.repositories or user.disabled:
            continue
        if user.name in generated:
            return user.name, generated[user.name]
        if isinstance(user.password, (Hash, Generated, FromPrompt)):
            continue
        return user.name, resolve(user.password, f"credentials.users[{position}].password")
    return None
