"""Merge changes that other operators applied into older answers.

Only plain values are taken from a server: secret references, local files, the servers and how they
are reached stay as the operator has them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from moorage.answers.model import Answers, Credentials, User
from moorage.answers.record import without_secrets
from moorage.answers.recorded import has_operator_only_part, is_operator_only
from moorage.answers.secrets import Hash, is_reference
from moorage.deploy.plan.plan import Plan
from moorage.deploy.record.deployment_json import Recorded, recorded_on
from moorage.deploy.record.left_servers import members, read_user_lists
from moorage.deploy.record.revisions import changed_paths, revision_of
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError
from moorage.users.answers_sync import KEEP_PASSWORD
from moorage.users.on_servers import latest_users

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
    every = plan.facts
    with_users = catch_up_users(answers, plan)
    caught, names = with_users.answers, with_users.users
    try:
        recorded = recorded_on(max(members(every), key=lambda each: revision_of(each).number))
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


def catch_up_users(answers: Answers, plan: Plan) -> CaughtUp:
    """Merge the changes of the users since the revision that answers are based on.

    Args:
        answers: What the operator decided.
        plan: A current plan.
    """
    current = latest_users(read_user_lists(plan.facts))
    existing = {user.name: user for user in current.users} if current else {}
    touched = {name for each in plan.missed
               for name in (*each.added, *each.removed, *each.changed)}  # fmt: skip
    listed, names = _users(answers, existing, touched)
    caught = answers.model_copy(
        update={"credentials": Credentials(users=listed), "based_on": plan.revision.number}
    )
    return CaughtUp(caught, names)


def answers_gone_back(answers: Answers, recorded: Recorded) -> CaughtUp:
    """Return answers with the values of an earlier deployment.

    Users, servers, DNS, the private CA, secret references and local files stay as the operator has
    them. Where the answers have none, a reference becomes a prompt.

    Args:
        answers: What the operator decided.
        recorded: The answers of that deployment, from a server.

    Raises:
        MoorageError: The result is not valid.
    """
    left: list[str] = []
    own = {each.host: {"runtime": each.runtime, "image": each.image} for each in recorded.servers}
    hooks = {hook.name: hook for hook in answers.hooks}
    merged: dict[str, Any] = {}
    for name in type(answers).model_fields:
        theirs, mine = getattr(recorded.answers, name), getattr(answers, name)
        if name in {"credentials", "dns", "ask", "based_on", "version"}:
            merged[name] = mine
        elif name == "servers":
            merged[name] = tuple(each.model_copy(update=own.get(each.host, {})) for each in mine)
        elif name == "hooks":
            left += [f"hooks: {hook.name}" for hook in theirs if hook.name not in hooks]
            merged[name] = tuple(
                hook.model_copy(update={"script": hooks[hook.name].script})
                for hook in theirs
                if hook.name in hooks
            )
        else:
            merged[name] = _gone_back(theirs, mine, name, left)
    gone_back = answers.model_copy(update=merged)
    try:
        Answers.model_validate(gone_back.model_dump(mode="json"))
    except ValueError as error:
        raise MoorageError(
            "The answers of that deployment lack what only you can set: "
            f"{', '.join(left) or 'see the answers reference'}.",
            advice="Add it to FILE, or set the old values there and apply it.",
            server=recorded.server,
            code="answers_incomplete",
        ) from error
    return CaughtUp(gone_back, left=tuple(left))


def answers_of_some(
    answers: Answers, gone_back: Answers, chosen: Collection[str]
) -> tuple[Answers, tuple[str, ...]]:
    """Return answers after some of the servers went back: with their runtime and image.

    What all servers share stays.

    Args:
        answers: What the operator decided.
        gone_back: The answers of the earlier deployment.
        chosen: The servers that went back, by label.

    Returns:
        The answers, and those that differ from the earlier deployment's, as dotted paths.
    """
    registry = answers.registry
    servers = []
    for each in answers.servers:
        there = gone_back.for_server(each.host).registry
        if each.host in chosen:
            own = {
                "runtime": there.runtime if there.runtime != registry.runtime else None,
                "image": there.image
                if there.runtime != "package" and there.image != registry.image
                else None,
            }
            servers.append(each.model_copy(update=own))
        else:
            servers.append(each)
    after = answers.model_copy(update={"servers": tuple(servers)})
    differ = changed_paths(without_secrets(gone_back), after)
    own_paths = {"servers", "registry.image", "registry.image_archive", "registry.version"}
    return after, tuple(each for each in differ if each not in own_paths)


def replaced_edits(answers: Answers, applied: Mapping[str, Any], after: Answers) -> tuple[str, ...]:
    """Return the settings that were not applied yet and that other answers replace.

    Args:
        answers: What the operator decided.
        applied: The answers applied last, as recorded.
        after: The answers that replace them.

    Returns:
        Dotted paths of at most two parts.
    """
    replaced = changed_paths(without_secrets(answers), after)
    edited = changed_paths(applied, answers)
    return tuple(
        each
        for each in edited
        if each in replaced
        and (each != "servers" or _programs(applied) != _programs(without_secrets(answers)))
    )


def _programs(values: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """Return what a rollback can change of the servers."""
    return [(each.get("runtime"), each.get("image")) for each in values.get("servers", ())]


def _gone_back(theirs: Any, mine: Any, place: str, left: list[str]) -> Any:
    """Return a recorded value with the operator's own references and paths in it."""
    if place in _LOCAL or (is_reference(theirs) and is_reference(mine)):
        return mine
    if is_reference(theirs):
        left.append(place)
        return theirs
    if isinstance(theirs, BaseModel):
        same = mine if type(mine) is type(theirs) else None
        update = {}
        for name, field in type(theirs).model_fields.items():
            value, own = getattr(theirs, name), getattr(same, name, None)
            inner = f"{place}.{name}"
            if not is_operator_only(field):
                update[name] = _gone_back(value, own, inner, left)
            elif same is not None:
                update[name] = own
            elif field.is_required():
                left.append(inner)
        return theirs.model_copy(update=update)
    if isinstance(theirs, dict):
        own_values = mine if isinstance(mine, dict) else {}
        return {key: _gone_back(value, own_values.get(key), f"{place}.{key}", left)
                for key, value in theirs.items()}  # fmt: skip
    return theirs


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
