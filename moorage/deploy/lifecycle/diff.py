"""The difference between two deployments: answers, files, the registry's program."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from moorage.deploy.lifecycle.kept import (
    KeptDeployment,
    ServerDeployments,
    deployment_not_kept,
    no_deployment_before,
)
from moorage.deploy.lifecycle.rollback import for_slot, revisions_kept
from moorage.deploy.plan.plan import Change, Kind
from moorage.deploy.plan.planning import masked_pair
from moorage.deploy.record.deployment_json import other_registries
from moorage.deploy.record.revisions import Change as Revised
from moorage.deploy.record.revisions import revision_of
from moorage.desired import layout
from moorage.desired.masking import kind_of_secret
from moorage.errors import MoorageError, ServersFailed
from moorage.rows import Action
from moorage.servers.facts import ManagedFile

_NAMES = ("name", "host", "repositories")
"""What identifies an entry of a list in the answers."""


@dataclass(frozen=True)
class AnswerChange:
    """An answer that differs.

    Attributes:
        path: Its dotted path.
        before: Its value before, as JSON or text; None if it had none.
        after: Its value after, likewise.
    """

    path: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        before, after = (
            "-" if each is None else each or '""' for each in (self.before, self.after)
        )
        return f"{before} → {after}"


@dataclass(frozen=True)
class ServerDiff:
    """The difference on one server.

    Attributes:
        server: Its label.
        files: The files that differ, secrets masked.
        before: The registry's version before, or its program if the version is the same; empty if
            not known.
        after: The same after.
        reason: Why files are not compared; empty if they are.
    """

    server: str
    files: tuple[Change, ...] = ()
    before: str = ""
    after: str = ""
    reason: str = ""


@dataclass(frozen=True)
class DeploymentDiff:
    """The difference between two deployments.

    Attributes:
        before: The revision of the first.
        after: The revision of the second.
        changes: The recorded changes between them, oldest first.
        answers: The answers that differ.
        servers: What differs on each server.
    """

    before: int
    after: int
    changes: tuple[Revised, ...]
    answers: tuple[AnswerChange, ...]
    servers: tuple[ServerDiff, ...]

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(self.answers) or any(
            each.files or each.before != each.after for each in self.servers
        )


def compare(
    every: Sequence[ServerDeployments], before: int | None = None, after: int | None = None
) -> DeploymentDiff:
    """Return what differs between two deployments.

    Args:
        every: The deployments of all servers.
        before: The revision of the first; None for the deployment before the second.
        after: The revision of the second; None for the current one.

    Raises:
        MoorageError: There are no two deployments.
        ServersFailed: A server does not keep one of them, or serves another registry.
    """
    if others := other_registries(each.current.facts for each in every):
        raise ServersFailed(others)
    currents = {each.current.revision for each in every}
    latest = max(revision_of(each.current.facts).number for each in every)
    kept = sorted({*revisions_kept(every), *currents}, reverse=True)
    for revision in (before, after):
        if revision is not None and not kept[-1] <= revision <= latest:
            raise deployment_not_kept(revision, kept)
    after = max(currents) if after is None else after
    if before is None:
        earlier = [each for each in revisions_kept(every) if each < after]
        if not earlier:
            raise no_deployment_before(after)
        before = earlier[0]
    pairs = [(each.at(before), each.at(after)) for each in every]
    missing = [
        MoorageError(
            f"it does not keep the deployment of revision {before if first is None else after}.",
            advice=f"It keeps: {', '.join(str(one.revision) for one in each.kept) or 'none'}.",
            server=each.server,
            code="deployment_not_kept",
        )
        for each, (first, second) in zip(every, pairs, strict=True)
        if first is None or second is None
    ]
    if missing:
        raise ServersFailed(missing)
    known = [(first, second) for first, second in pairs if first and second]
    changed = max(known, key=lambda pair: pair[1].revision - pair[0].revision)
    answers = tuple(_answers(*(each.recorded.recorded.values for each in changed)))
    return DeploymentDiff(
        before,
        after,
        _changes(every, before, after),
        answers,
        tuple(_server(*pair) for pair in known),
    )


def _changes(every: Sequence[ServerDeployments], before: int, after: int) -> tuple[Revised, ...]:
    first, last = sorted((before, after))
    revision = max((revision_of(each.current.facts) for each in every), key=lambda one: one.number)
    return tuple(each for each in revision.history if first < each.revision <= last)


def _server(before: KeptDeployment, after: KeptDeployment) -> ServerDiff:
    versions = before.version, after.version
    if before.version == after.version and before.program and after.program:
        versions = before.program_name, after.program_name
    if before.run_id == after.run_id:
        return ServerDiff(after.server, (), *versions)
    for each in (before, after):
        if not each.is_kept or each.fault:
            why = f"the kept files of revision {each.revision} are "
            reason = why + (f"damaged: {each.fault}" if each.fault else "missing")
            return ServerDiff(after.server, (), *versions, reason)
    return ServerDiff(after.server, tuple(_files(before, after)), *versions)


def _files(before: KeptDeployment, after: KeptDeployment) -> Iterator[Change]:
    """Yield the files that differ. That a slot is another one does not count."""
    was = {_name(each.path, before): _text(each, before, after) for each in before.files}
    now = {_name(each.path, after): _text(each, after, after) for each in after.files}
    for path in sorted({*was, *now}):
        first, second = was.get(path), now.get(path)
        if first == second:
            continue
        action = Action.ADD if first is None else Action.REMOVE if second is None else Action.CHANGE
        shown, masked = masked_pair(
            kind_of_secret(path),
            first,
            second or "",
            (f"revision {before.revision}", f"revision {after.revision}"),
        )
        yield Change(Kind.FILE, action, path, "", shown, None if second is None else masked)


def _name(path: str, kept: KeptDeployment) -> str:
    """Return a path without the slot."""
    return path.replace(f"{layout.REGISTRY_ETC}/{kept.slot}/", f"{layout.REGISTRY_ETC}/")


def _text(file: ManagedFile, kept: KeptDeployment, other: KeptDeployment) -> str:
    return for_slot(file.content, kept.slot, other.slot).decode("utf-8", "replace")


def _answers(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[AnswerChange]:
    was, now = (dict(_leaves(_without_passwords(each), "")) for each in (before, after))
    for path in sorted({*was, *now}):
        if was.get(path) != now.get(path) and path not in {"version", "ask"}:
            yield AnswerChange(path, was.get(path), now.get(path))


def _without_passwords(answers: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return recorded answers without the sources of passwords, which belong to no deployment."""
    credentials = answers.get("credentials")
    if not isinstance(credentials, Mapping):
        return answers
    kept = [
        {name: value for name, value in user.items() if name != "password"}
        for user in credentials.get("users", ())
    ]
    return {**answers, "credentials": {**credentials, "users": kept}}


def _leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the values in answers by their path; entries of lists have their name in it."""
    if isinstance(value, Mapping) and value:
        for key, each in value.items():
            yield from _leaves(each, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list) and value and all(isinstance(each, Mapping) for each in value):
        for number, each in enumerate(value):
            key = next((key for key in _NAMES if key in each), None)
            place = f"{path}[{number if key is None else _name_of(each[key])}]"
            rest = {name: inner for name, inner in each.items() if name != key}
            yield from _leaves(rest or "present", place)
    else:
        yield path, _shown(value)


def _name_of(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
