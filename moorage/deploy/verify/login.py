"""The login for verify: a user with a known password who can push to any repository."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moorage.answers.model import Answers
from moorage.answers.secrets import FromPrompt, Generated, Hash, Secret, SecretReference

Resolve = Callable[[SecretReference, str], Secret]
"""Resolves a secret reference; the second argument is its path in the answers."""


def login_for_verify(
    answers: Answers, generated: Mapping[str, Secret], resolve: Resolve
) -> tuple[str, Secret] | None:
    """Return the first user who can push everything, with the password, if known without asking.

    Args:
        answers: The operator's answers.
        generated: The passwords that were just generated, by user.
        resolve: Resolves a secret reference.
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
