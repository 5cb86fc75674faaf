"""Merge changes that other operators applied into older answers.

Only plain values are taken from a server: secret references, local files, the servers and how they
are reached stay as the operator has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.answers.model import Answers, Credentials, User
from moorage.answers.record import without_secrets
from moorage.answers.recorded import has_operator_only_part
from moorage.answers.secrets import Hash
from moorage.deploy.deployment_json import deployment_record, recorded_on
from moorage.deploy.plan import Plan
from moorage.deploy.revisions import revision_of
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.users.answers_sync import KEEP_PASSWORD
from moorage.users.on_servers import latest_users, read_user_list

_LOCAL = {"dns", "ssl.private_ca"}
"""What depends on this machine, besides the fields marked as the operator's own."""
_REFERENCES = {"env", "file", "command", "keyring", "prompt"}


@dataclass(frozen=True)
class CaughtUp:
    """Answers with the changes of other operators.

    Attributes:
        answers: The answers, now based on the deployment's revision.
        users: The merged users, by name.
        places: The other merged answers, as dotted paths.
        left: Changed answers that the operator has to edit, as dotted paths.
    """

    answers: Answers
    users: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether anything was merged."""
        return bool(self.users or self.places)


def catch_up(answers: Answers, plan: Plan) -> CaughtUp:
    """Merge the changes since the revision that answers are based on.

    Args:
        answers: What the operator decided.
        plan: Their current plan.
    """
    every = [server.facts for server in plan.servers]
    user_lists = [read_user_list(facts, deployment_record(facts)) for facts in every]
    current = latest_users(user_lists)
    existing = {user.name: user for user in current.users} if current else {}
    touched = {name for each in plan.missed
               for name in (*each.added, *each.removed, *each.changed)}  # fmt: skip
    listed, names = _users(answers, existing, touched)
    caught = answers.model_copy(
        update={"credentials": Credentials(users=listed), "based_on": plan.revision.number}
    )
    try:
        recorded = recorded_on(max(every, key=lambda each: revision_of(each).number))
    except MoorageError:
        return CaughtUp(caught, names)
    taken, left = [], []
    for place in dict.fromkeys(place for each in plan.missed for place in each.answers):
        mine = _value(without_secrets(answers), place)
        theirs = _value(recorded.recorded.values, place)
        if mine == theirs:
            continue
        section, _, name = place.partition(".")
        if _is_operators(place) or _refers(theirs):
            left.append(place)
            continue
        value = getattr(getattr(recorded.answers, section), name)
        changed = getattr(caught, section).model_copy(update={name: value})
        caught = caught.model_copy(update={section: changed})
        taken.append(place)
    return CaughtUp(caught, names, tuple(taken), tuple(left))


def _is_operators(place: str) -> bool:
    section, _, name = place.partition(".")
    model = Answers.model_fields[section].annotation
    field = getattr(model, "model_fields", {}).get(name)
    return bool({section, place} & _LOCAL) or field is None or has_operator_only_part(field)


def _users(
    answers: Answers, existing: Mapping[str, RegistryUser], touched: set[str]
) -> tuple[tuple[User, ...], tuple[str, ...]]:
    """Return the users to list, and the names of the merged ones."""
    users, names = [], []
    for user in answers.credentials.users:
        if user.name not in touched:
            users.append(user)
            continue
        now = existing.get(user.name)
        if now is None:
            names.append(user.name)
            continue
        followed = _followed(user, now)
        users.append(followed)
        if followed != user:
            names.append(user.name)
    listed = {user.name.lower() for user in answers.credentials.users}
    for name in sorted(touched & existing.keys()):
        if name.lower() not in listed and (new := _listed(existing[name])) is not None:
            users.append(new)
            names.append(name)
    # Answers list at least one user.
    return (tuple(users), tuple(names)) if users else (answers.credentials.users, ())


def _listed(user: RegistryUser) -> User | None:
    """Return a user for the answers; None if nginx has a name that is invalid in answers."""
    try:
        return _followed(User(name=user.name, password=KEEP_PASSWORD), user)
    except ValueError:
        return None


def _followed(user: User, now: RegistryUser) -> User:
    update: dict[str, object] = {
        "access": now.access or "pull",
        "repositories": now.repositories,
        "disabled": now.disabled,
    }
    if isinstance(user.password, Hash) and user.password.hash != now.hash:
        update["password"] = KEEP_PASSWORD
    return user.model_copy(update=update)


def _value(answers: Mapping[str, Any], place: str) -> Any:
    value: Any = answers
    for part in place.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _refers(value: Any) -> bool:
    """Whether a value contains a secret reference."""
    if isinstance(value, Mapping):
        return (len(value) == 1 and not _REFERENCES.isdisjoint(value)) or any(
            map(_refers, value.values())
        )
    return isinstance(value, list) and any(map(_refers, value))
