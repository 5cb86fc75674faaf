"""The plan: desired state minus facts, a list of changes with a reason each. Pure functions."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from moorage.answers.model import Answers
from moorage.answers.secrets import MASK
from moorage.deploy.preflight import find_notes, find_problems
from moorage.desired import layout
from moorage.desired.build import desired
from moorage.desired.layout import Slot
from moorage.desired.state import (
    DesiredFile,
    DesiredFolder,
    DesiredState,
    Effect,
    Materials,
    Package,
    Platform,
)
from moorage.errors import MoorageError
from moorage.servers.facts import Facts


class Kind(StrEnum):
    """What a change is about."""

    PACKAGE = "package"
    ACCOUNT = "account"
    FOLDER = "folder"
    IMAGE = "image"
    FILE = "file"
    SERVICE = "service"


@dataclass(frozen=True)
class Change:
    """One thing a run will do to a server.

    Attributes:
        kind: What it is about.
        action: add, change, remove, or run for what is done rather than made.
        subject: The package, path, service or image.
        reason: Which answer or fact it comes from.
        before: The text that is there now; None when there is none. Masked for secrets.
        after: The text that will be there; None when there will be none. Masked for secrets.
        drift: Whether what is there now is not what Moorage last wrote.
    """

    kind: Kind
    action: Literal["add", "change", "remove", "run"]
    subject: str
    reason: str
    before: str | None = None
    after: str | None = None
    drift: bool = False

    @property
    def diff(self) -> str:
        """The unified diff, or empty for what is no file."""
        if self.kind is not Kind.FILE:
            return ""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(),
            (self.after or "").splitlines(),
            "/dev/null" if self.before is None else f"a{self.subject}",
            "/dev/null" if self.after is None else f"b{self.subject}",
            lineterm="",
        )
        return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class ServerPlan:
    """What a run will do to one server.

    Attributes:
        server: The server's label.
        changes: In the order they are made.
        problems: What keeps the run from starting.
        notes: What the operator should know.
        writes: The files to place, those of the switch included.
        removals: Files of Moorage's that are no longer wanted.
        packages: The packages to install.
        folders: The folders to make or mend.
        slot_from: The slot that gets the traffic now, None before the first run.
        slot_to: The slot that will get it; equal to ``slot_from`` when the registry stays.
        reload_nginx: Whether nginx has to be reloaded or started.
    """

    server: str
    facts: Facts
    desired: DesiredState
    changes: tuple[Change, ...]
    problems: tuple[MoorageError, ...] = ()
    notes: tuple[str, ...] = ()
    writes: tuple[DesiredFile, ...] = ()
    removals: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    folders: tuple[DesiredFolder, ...] = ()
    slot_from: Slot | None = None
    slot_to: Slot = "blue"
    load_image: bool = False
    reload_nginx: bool = False

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.changes)

    @property
    def switches(self) -> bool:
        """Whether the registry moves to the other slot."""
        return self.slot_from != self.slot_to

    @property
    def is_new(self) -> bool:
        """Whether Moorage has not been on this server yet."""
        return self.slot_from is None


@dataclass(frozen=True)
class Plan:
    """What a run will do to every server."""

    servers: tuple[ServerPlan, ...]
    materials: Materials = field(repr=False)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do anywhere."""
        return any(server.has_changes for server in self.servers)

    @property
    def problems(self) -> tuple[MoorageError, ...]:
        """What keeps the run from starting, on all servers."""
        return tuple(problem for server in self.servers for problem in server.problems)

    @property
    def summary(self) -> str:
        """The plan in plain words: ``2 servers: 9 files new, 2 packages, nothing removed``."""
        return summarize(self)


def plan_server(answers: Answers, materials: Materials, facts: Facts) -> ServerPlan:
    """Compare one server with what the answers mean for it.

    Args:
        answers: What the operator decided.
        materials: Secrets, hashes and certificates.
        facts: What the probe read.
    """
    answers = answers.for_server(facts.server)
    platform = platform_of(facts)
    slot_from = active_slot(facts)
    slot_now: Slot = slot_from or "blue"
    wanted = desired(answers, materials, platform, slot_now)
    recorded = recorded_digests(facts)

    packages = tuple(each for each in wanted.packages if not _is_installed(each, facts))
    changes = [
        Change(Kind.PACKAGE, "add", package.name, package.reason) for package in packages
    ]
    if any(package.name == "docker-registry" for package in packages):
        changes.append(
            Change(
                Kind.SERVICE,
                "run",
                "docker-registry: mask",
                "the package's own instance would listen on every address, without a password",
            )
        )
    if wanted.account not in facts.accounts:
        changes.append(Change(Kind.ACCOUNT, "add", wanted.account, "runs the registry"))
    load_image = wanted.image is not None and (
        facts.image is None or wanted.image.archive_digest != recorded.get("image_archive")
    )
    if load_image and wanted.image is not None:
        source = "carried to the server" if wanted.image.archive else "pulled"
        changes.append(
            Change(Kind.IMAGE, "add", wanted.image.name, f"registry.image, {source}")
        )
    folders = tuple(folder for folder in wanted.folders if not _folder_stands(folder, facts))
    changes += [
        Change(
            Kind.FOLDER,
            "change" if folder.path in facts.folders else "add",
            folder.path,
            folder.reason,
        )
        for folder in folders
    ]
    files = tuple(each for each in wanted.files if not _file_stands(each, facts))
    changes += [_file_change(each, facts, recorded) for each in files]
    # Files that stand but were never recorded: the run that placed them did not finish, so what
    # runs may still be what was there before.
    unfinished = {
        each.effect
        for each in wanted.files
        if slot_from is not None and each not in files and recorded.get(each.path) != each.digest
    }
    removals = tuple(_no_longer_wanted(wanted, facts))
    changes += [_removal(path, facts, recorded) for path in removals]

    registry_effect = (
        any(each.effect is Effect.REGISTRY for each in files) or Effect.REGISTRY in unfinished
    )
    runtime_effect = load_image or any(package.name in _RUNTIMES for package in packages)
    is_down = slot_from is not None and not facts.is_active(layout.unit_name(slot_now))
    slot_to: Slot = slot_now
    if slot_from is not None and (registry_effect or runtime_effect or is_down):
        slot_to = layout.other(slot_now)
    writes = files
    if slot_to != slot_now:
        writes = _for_other_slot(files, desired(answers, materials, platform, slot_to), slot_to)
        why = "the registry's configuration changes"
        if is_down:
            why = "it is not running"
        elif not any(each.effect is Effect.REGISTRY for each in files):
            why = "the last run did not finish" if unfinished else "the runtime changes"
        changes.append(
            Change(Kind.SERVICE, "run", f"registry: switch {slot_now} to {slot_to}", why)
        )
    elif slot_from is None:
        changes.append(
            Change(Kind.SERVICE, "run", f"registry: start {slot_to}", "the first run")
        )
    elif facts.is_active(layout.unit_name(layout.other(slot_now))):
        left_over = layout.other(slot_now)
        changes.append(
            Change(Kind.SERVICE, "run", f"registry: stop {left_over}", "it gets no traffic")
        )
    nginx_effect = (
        any(each.effect is Effect.NGINX for each in writes)
        or bool(removals)
        or Effect.NGINX in unfinished
    )
    reload_nginx = nginx_effect or not facts.is_active("nginx")
    if reload_nginx:
        verb = "reload" if facts.is_active("nginx") else "start"
        why = "its files change" if writes or removals else "the last run did not finish"
        if verb == "start":
            why = "it is not running"
        changes.append(Change(Kind.SERVICE, "run", f"nginx: {verb}", why))

    return ServerPlan(
        server=facts.server,
        facts=facts,
        desired=wanted,
        changes=tuple(changes),
        problems=tuple(find_problems(answers, wanted, facts)),
        notes=tuple(find_notes(answers, wanted, facts)),
        writes=writes,
        removals=removals,
        packages=packages,
        folders=folders,
        slot_from=slot_from,
        slot_to=slot_to,
        load_image=load_image,
        reload_nginx=reload_nginx,
    )


_RUNTIMES = {"docker-registry", "docker.io", "podman"}


def platform_of(facts: Facts) -> Platform:
    """Return what desired state needs to know about the server."""
    return Platform(facts.os.get("ID", ""), facts.os.get("VERSION_ID", ""), facts.ipv6)


def active_slot(facts: Facts) -> Slot | None:
    """Return the slot that gets the traffic, as nginx's upstream says, or None."""
    upstream = facts.files.get(layout.UPSTREAM)
    if upstream is None:
        return None
    for slot, port in layout.PORTS.items():
        if f"127.0.0.1:{port};" in upstream.content.decode("utf-8", "replace"):
            return slot
    return None


def deployment_record(facts: Facts) -> Mapping[str, object]:
    """Return what the last run recorded in deployment.json; empty when there is nothing usable."""
    record = facts.files.get(layout.DEPLOYMENT)
    if record is None:
        return {}
    try:
        parsed = json.loads(record.content)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def recorded_digests(facts: Facts) -> Mapping[str, str]:
    """Return the SHA-256 of every file as Moorage last wrote it, by path."""
    digests = deployment_record(facts).get("digests")
    return digests if isinstance(digests, dict) else {}


def drifted(facts: Facts) -> tuple[str, ...]:
    """Return the managed files that are not as Moorage last wrote them, or gone."""
    return tuple(
        path
        for path, digest in sorted(recorded_digests(facts).items())
        if path.startswith("/") and (path not in facts.files or facts.files[path].digest != digest)
    )


def _is_installed(package: Package, facts: Facts) -> bool:
    return any(name in facts.packages for name in (package.name, *package.satisfied_by))


def _folder_stands(folder: DesiredFolder, facts: Facts) -> bool:
    there = facts.folders.get(folder.path)
    return there is not None and (there.mode, there.owner, there.group) == (
        folder.mode,
        folder.owner,
        folder.group,
    )


def _file_stands(file: DesiredFile, facts: Facts) -> bool:
    there = facts.files.get(file.path)
    return there is not None and (there.content, there.mode, there.owner, there.group) == (
        file.content,
        file.mode,
        file.owner,
        file.group,
    )


def _file_change(file: DesiredFile, facts: Facts, recorded: Mapping[str, str]) -> Change:
    there = facts.files.get(file.path)
    before = None if there is None else there.content.decode("utf-8", "replace")
    after = file.content.decode("utf-8", "replace")
    if file.secret:
        before, after = _masked(before, "now"), _masked(after, "new") or ""
    elif there is not None and there.content == file.content:
        # Only the owner or the mode differ; the diff shows those.
        before = f"{there.owner}:{there.group} {there.mode:04o}\n"
        after = f"{file.owner}:{file.group} {file.mode:04o}\n"
    was = recorded.get(file.path)
    drift = was is not None and (there is None or there.digest != was)
    action: Literal["add", "change"] = "add" if there is None else "change"
    return Change(Kind.FILE, action, file.path, file.reason, before, after, drift)


def _masked(text: str | None, label: str) -> str | None:
    """Show the shape of a secret file: its comments, names and number of lines."""
    if text is None:
        return None
    lines = []
    for line in text.splitlines():
        if line.startswith("#") or not line.strip():
            lines.append(line)
            continue
        name, separator, _ = line.partition("=" if "=" in line.partition(":")[0] else ":")
        is_named = separator and name.replace("_", "").replace("-", "").isalnum()
        lines.append(f"{name}{separator}{MASK} ({label})" if is_named else f"{MASK} ({label})")
    return "\n".join(lines) + "\n"


def _removal(path: str, facts: Facts, recorded: Mapping[str, str]) -> Change:
    there = facts.files[path]
    secret = path in {layout.TLS_KEY, layout.REGISTRY_ENV, layout.HTPASSWD, layout.AUTH_KEY}
    text = there.content.decode("utf-8", "replace")
    before = _masked(text, "now") if secret else text
    drift = path in recorded and recorded[path] != there.digest
    return Change(Kind.FILE, "remove", path, "no longer wanted", before, None, drift)


def _no_longer_wanted(wanted: DesiredState, facts: Facts) -> Iterator[str]:
    """Files in nginx's folder of ours that desired state does not have (the old certificate)."""
    kept = {file.path for file in wanted.files}
    for path in sorted(facts.files):
        if path.startswith(layout.NGINX_ETC + "/") and path not in kept:
            yield path


def _for_other_slot(
    files: tuple[DesiredFile, ...], other: DesiredState, slot: Slot
) -> tuple[DesiredFile, ...]:
    """The same files for the other slot, and what moves the traffic there."""
    paths = {file.path for file in files if not file.path.startswith(layout.REGISTRY_ETC + "/")}
    paths |= {layout.REGISTRY_ENV} & {file.path for file in files}
    paths |= {layout.config_path(slot), layout.UPSTREAM}
    return tuple(file for file in other.files if file.path in paths)


def summarize(plan: Plan) -> str:
    """Return the plan in plain words."""
    count = len(plan.servers)
    head = f"{count} server" + ("s" if count != 1 else "")
    if not plan.has_changes:
        return f"{head}: nothing to change"
    totals: dict[tuple[Kind, str], int] = {}
    for server in plan.servers:
        for change in server.changes:
            key = (change.kind, change.action)
            totals[key] = totals.get(key, 0) + 1

    def number(kind: Kind, action: str, one: str, many: str) -> str | None:
        total = totals.get((kind, action), 0)
        return f"{total} {one if total == 1 else many}" if total else None

    parts = [
        number(Kind.PACKAGE, "add", "package", "packages"),
        number(Kind.IMAGE, "add", "image", "images"),
        number(Kind.FILE, "add", "file new", "files new"),
        number(Kind.FILE, "change", "file changed", "files changed"),
        number(Kind.FILE, "remove", "file removed", "files removed") or "nothing removed",
        number(Kind.SERVICE, "run", "service action", "service actions"),
    ]
    return f"{head}: " + ", ".join(part for part in parts if part)
