"""Takes what others changed on the servers over into answers that were written before.

What a server says is never more than a value here: references to secrets, files of this machine,
the servers and how they are reached stay as the operator has them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moorage.answers.model import Answers, Credentials, User
from moorage.answers.record import without_secrets
from moorage.answers.recorded import holds_operators_own
from moorage.answers.secrets import Hash
from moorage.deploy.deployment_json import deployment_record, recorded_on
from moorage.deploy.plan import Plan
from moorage.deploy.revisions import revision_of
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.users.answers_sync import KEPT
from moorage.users.on_servers import reference, roster_of

_LEFT = {"dns", "ssl.private_ca"}
"""A section and an answer that go with what this machine has, besides what is marked."""
_REFERENCES = {"env", "file", "command", "keyring", "prompt"}


@dataclass(frozen=True)
class CaughtUp:
    """Answers that know what others changed.

    Attributes:
        answers: The answers, based on the deployment's revision.
        users: The users that were taken over, by name.
        places: The other answers that were, as dotted places.
        left: Those that are the operator's to change, as dotted places.
    """

    answers: Answers
    users: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether anything was taken over."""
        return bool(self.users or self.places)


def catch_up(answers: Answers, plan: Plan) -> CaughtUp:
    """Take over what was changed since the revision that answers are based on.

    Args:
        answers: What the operator decided.
        plan: What they would do now.
    """
    every = [server.facts for server in plan.servers]
    rosters = [roster_of(facts, deployment_record(facts)) for facts in every]
    counts = reference(rosters)
    there = {user.name: user for user in counts.users} if counts else {}
    touched = {name for each in plan.missed
               for name in (*each.added, *each.removed, *each.changed)}  # fmt: skip
    listed, names = _users(answers, there, touched)
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
        theirs = _value(recorded.said.values, place)
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
    return bool({section, place} & _LEFT) or field is None or holds_operators_own(field)


def _users(
    answers: Answers, there: Mapping[str, RegistryUser], touched: set[str]
) -> tuple[tuple[User, ...], tuple[str, ...]]:
    """Return the users to list, and those of them that were taken over."""
    users, names = [], []
    for user in answers.credentials.users:
        if user.name not in touched:
            users.append(user)
            continue
        now = there.get(user.name)
        if now is None:
            names.append(user.name)
            continue
        followed = _followed(user, now)
        users.append(followed)
        if followed != user:
            names.append(user.name)
    listed = {user.name.lower() for user in answers.credentials.users}
    for name in sorted(touched & there.keys()):
        if name.lower() not in listed and (new := _listed(there[name])) is not None:
            users.append(new)
            names.append(name)
    # Answers list at least one user.
    return (tuple(users), tuple(names)) if users else (answers.credentials.users, ())


def _listed(user: RegistryUser) -> User | None:
    """Return a user for the answers; None where nginx knows a name that those do not take."""
    try:
        return _followed(User(name=user.name, password=KEPT), user)
    except ValueError:
        return None


def _followed(user: User, now: RegistryUser) -> User:
    update: dict[str, object] = {
        "access": now.access or "pull",
        "repositories": now.repositories,
        "disabled": now.disabled,
    }
    if isinstance(user.password, Hash) and user.password.hash != now.hash:
        update["password"] = KEPT
    return user.model_copy(update=update)


def _value(answers: Mapping[str, Any], place: str) -> Any:
    value: Any = answers
    for part in place.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _refers(value: Any) -> bool:
    """Whether there is a reference to a secret in a value."""
    if isinstance(value, Mapping):
        return (len(value) == 1 and not _REFERENCES.isdisjoint(value)) or any(
            map(_refers, value.values())
        )
    return isinstance(value, list) and any(map(_refers, value))
