"""Changes to the users, as pure functions from the current users to the new ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches

from pydantic import ValidationError

from moorage.answers.model import User
from moorage.answers.secrets import Generated
from moorage.desired.users import Access, RegistryUser
from moorage.errors import ExitCode, MoorageError

Users = tuple[RegistryUser, ...]


class WrongUserError(MoorageError):
    """A user does not exist, already exists, or has an invalid name or access.

    Attributes:
        reason: A shorter message, for a form that shows it beside the value; may be empty.
    """

    exit_code = ExitCode.USAGE
    code = "wrong_user"
    reason = ""


def add(users: Sequence[RegistryUser], user: RegistryUser) -> Users:
    """Return the users with a new one.

    Raises:
        WrongUserError: The name is taken or invalid, or the repositories are invalid.
    """
    for each in users:
        if each.name.lower() == user.name.lower():
            if each.name == user.name:
                raise WrongUserError(
                    f"A user {user.name} already exists.",
                    advice="To change it, use 'moorage users passwd' or 'moorage users access'.",
                    code="user_exists",
                )
            raise WrongUserError(
                f"A user {each.name} already exists.",
                advice="Names must differ in more than case; choose another one.",
                code="user_exists",
            )
    check(user)
    return (*users, user)


def set_password(users: Sequence[RegistryUser], name: str, value: str) -> Users:
    """Return the users with one user's password hash replaced; see :func:`find`."""
    return _with(users, replace(find(users, name), hash=value))


def set_access(
    users: Sequence[RegistryUser], name: str, access: Access, repositories: Iterable[str]
) -> Users:
    """Return the users with one user's access replaced; see :func:`find` and :func:`add`."""
    changed = replace(find(users, name), access=access, repositories=tuple(repositories))
    check(changed)
    return _with(users, changed)


def set_disabled(users: Sequence[RegistryUser], names: Iterable[str], disabled: bool) -> Users:
    """Return the users with some of them disabled or re-enabled; see :func:`find`.

    Raises:
        WrongUserError: Nobody could log in any more.
    """
    chosen = _find_all(users, names)
    changed = tuple(
        replace(user, disabled=disabled) if user.name in chosen else user for user in users
    )
    _check_a_user_can_log_in(changed, chosen)
    return changed


def remove(users: Sequence[RegistryUser], names: Iterable[str]) -> Users:
    """Return the users without some of them; see :func:`find`.

    Raises:
        WrongUserError: Nobody could log in any more.
    """
    chosen = _find_all(users, names)
    left = tuple(user for user in users if user.name not in chosen)
    _check_a_user_can_log_in(left, chosen)
    return left


def _find_all(users: Sequence[RegistryUser], names: Iterable[str]) -> dict[str, RegistryUser]:
    """Return users by name, in the order of the names; see :func:`find`."""
    known = {user.name: user for user in users}
    return {name: known[name] if name in known else find(users, name) for name in names}


def find(users: Sequence[RegistryUser], name: str) -> RegistryUser:
    """Return a user by name.

    Raises:
        WrongUserError: No user has that name.
    """
    for user in users:
        if user.name == name:
            return user
    by_lower = {user.name.lower(): user.name for user in users}
    near = get_close_matches(name.lower(), by_lower, n=1)
    names = ", ".join(user.name for user in users[:10]) + (", …" if len(users) > 10 else "")
    advice = f"Did you mean {by_lower[near[0]]}?" if near else f"Existing users: {names}."
    if "," in name:
        advice = f"Separate names with spaces. Existing users: {names}."
    raise WrongUserError(
        f"There is no user {name}.",
        advice=advice,
        code="unknown_user",
    )


def check(user: RegistryUser) -> None:
    """Raise WrongUserError if a user's name or repositories are invalid."""
    try:
        User(
            name=user.name,
            access=user.access or "pull",
            repositories=user.repositories,
            password=Generated(generate=True),
        )
    except ValidationError as error:
        first = error.errors()[0]
        # Only the total length of the repositories is not about a single field.
        where = str(first["loc"][0]) if first["loc"] else "repositories"
        what = user.name if where == "name" else " ".join(user.repositories)
        wrong = WrongUserError(f"{where} {what[:80]!r}: {first['msg']}.")
        wrong.reason = f"{first['msg']}."
        raise wrong from error


def _check_a_user_can_log_in(
    users: Sequence[RegistryUser], changed: Mapping[str, RegistryUser]
) -> None:
    if not all(user.disabled for user in users):
        return
    last = [user.name for user in changed.values() if not user.disabled] or list(changed)
    message = f"{last[-1]} is the last user who can log in."
    raise WrongUserError(message, advice="Add another user first.", code="last_user")


def _with(users: Sequence[RegistryUser], changed: RegistryUser) -> Users:
    return tuple(changed if user.name == changed.name else user for user in users)
