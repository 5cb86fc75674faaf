"""The plan: the changes a run will make on every server, each with its reason."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from moorage.answers.model import Hook, Moment
from moorage.deploy.certificates.acme import Ask
from moorage.deploy.plan.consequences import Consequence
from moorage.deploy.plan.programs import Program
from moorage.deploy.record.left_servers import LeftServer
from moorage.deploy.record.revisions import NO_CHANGE, UNRECORDED, Revision
from moorage.deploy.record.revisions import Change as Revised
from moorage.desired.layout import Slot
from moorage.desired.state import (
    DesiredFile,
    DesiredFolder,
    DesiredState,
    Materials,
    Package,
    Reason,
)
from moorage.errors import FieldName, MoorageError, Note
from moorage.rows import Action, Row
from moorage.servers.facts import Facts

WAIT_SECONDS = 300
"""How long a run waits for open transfers of the slot that it has to start, before it fails."""


class Kind(StrEnum):
    """The kinds of things that change."""

    PACKAGE = "package"
    ACCOUNT = "account"
    FOLDER = "folder"
    IMAGE = "image"
    FILE = "file"
    SERVICE = "service"
    HOOK = "hook"
    RECORD = "record"


@dataclass(frozen=True)
class Change:
    """One thing a run will do to a server.

    Attributes:
        kind: The kind of thing that changes.
        action: What is done; run for actions such as a reload.
        subject: The package, path, service, image or hook.
        reason: The answer or fact it comes from.
        before: The current text, secrets masked; None when there is none.
        after: The new text, secrets masked; None when there is none.
        drift: Whether the current text is not what Moorage last wrote.
    """

    kind: Kind
    action: Action
    subject: str
    reason: Reason
    before: str | None = None
    after: str | None = None
    drift: bool = False

    def why(self, name_of: FieldName = str) -> str:
        """Return the reason for display.

        Args:
            name_of: Returns how the face calls a field of the answers.
        """
        if isinstance(self.reason, str):
            return self.reason
        return ", ".join(filter(None, map(name_of, self.reason)))

    @property
    def diff(self) -> str:
        """The unified diff; empty if this is not a file."""
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

    @cached_property
    def line_counts(self) -> tuple[int, int]:
        """The numbers of lines added and removed, as shown; both 0 if this is not a file."""
        lines = self.diff.splitlines()[2:]
        added = sum(line.startswith("+") for line in lines)
        return added, sum(line.startswith("-") for line in lines)

    @property
    def size(self) -> str:
        """The lines added and removed: ``+12 -3``; empty if this is not a file."""
        counts = zip("+-", self.line_counts, strict=True)
        return " ".join(f"{sign}{count}" for sign, count in counts if count)

    @property
    def script(self) -> str | None:
        """The script of a hook; None for everything else."""
        return self.after if self.kind is Kind.HOOK else None


@dataclass(frozen=True)
class PlannedHook:
    """An operator's script that a run executes at a certain moment.

    Attributes:
        hook: The hook in the answers.
        moment: When in the run.
        content: The script.
    """

    hook: Hook
    moment: Moment
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class ServerPlan:
    """The changes a run will make on one server.

    Attributes:
        server: The server's label.
        changes: The changes, in order.
        problems: The problems that prevent the run.
        notes: Notes for the operator.
        writes: The files to write, including those of the switch.
        removals: Obsolete files of Moorage's.
        packages: The packages to install.
        folders: The folders to create or fix.
        hooks: The operator's scripts to execute, in order.
        slot_from: The slot that gets the traffic now, None before the first run.
        slot_to: The slot that will get it; ``slot_from`` if there is no switch.
        takes_program: Whether the new slot runs another program than the old one: the installed
            package, or the image of the answers.
        restores: The kept program that the slot gets back; None if it keeps or takes one.
        proves_program: Whether another program has to read images that are stored before the
            switch: there is an active slot, and both use the same store.
        package_version: The version of the registry's package to install over another one; empty
            for none.
        reload_nginx: Whether nginx has to be reloaded or started.
        restart_nginx: Whether a reload is not enough.
        drops_default_site: Whether to remove the default site of nginx's package.
        users_revision: The users' revision after the run.
        masks_packaged_registry: Whether the service of the registry's package is stopped for good.
        takes_over_packaged_registry: Whether that is because its images are served from now on.
        transfers_in_the_way: How many transfers the slot still sends that is to be started.
        ends_transfers: Whether they are cut off.
        stays: Files that the run leaves as they are, and whose digests stay in the record.
        ask: Why certbot is asked for a certificate, or None when it is not.
        changes_schedule: Whether the timer that collects images is started anew, or stopped.
    """

    server: str
    facts: Facts
    desired: DesiredState
    changes: tuple[Change, ...]
    problems: tuple[MoorageError, ...] = ()
    notes: tuple[Note, ...] = ()
    writes: tuple[DesiredFile, ...] = ()
    removals: tuple[str, ...] = ()
    packages: tuple[Package, ...] = ()
    folders: tuple[DesiredFolder, ...] = ()
    hooks: tuple[PlannedHook, ...] = ()
    slot_from: Slot | None = None
    slot_to: Slot = "blue"
    takes_program: bool = False
    restores: Program | None = None
    proves_program: bool = False
    package_version: str = ""
    load_image: bool = False
    reload_nginx: bool = False
    restart_nginx: bool = False
    drops_default_site: bool = False
    users_revision: int = 1
    stays: tuple[str, ...] = ()
    masks_packaged_registry: bool = False
    takes_over_packaged_registry: bool = False
    transfers_in_the_way: int = 0
    ends_transfers: bool = False
    ask: Ask | None = None
    changes_schedule: bool = False

    @property
    def touches_registry(self) -> bool:
        """Whether the registry itself is installed, switched or started."""
        return self.switches or self.load_image or bool(self.packages)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.changes)

    @property
    def unchanged_files(self) -> int:
        """The number of files that are already as desired."""
        return len(self.desired.files) - sum(
            change.kind is Kind.FILE and change.action is not Action.REMOVE
            for change in self.changes
        )

    @property
    def switches(self) -> bool:
        """Whether the registry moves to the other slot."""
        return self.slot_from != self.slot_to

    @property
    def is_new(self) -> bool:
        """Whether Moorage has never deployed to this server."""
        return self.slot_from is None


@dataclass(frozen=True)
class Plan:
    """The changes an apply will make on all servers.

    Attributes:
        servers: The plan of each server.
        consequences: Its consequences for users and clients, destructive ones first.
        revision: The deployment's revision, as its servers recorded it.
        based_on: The revision the answers are based on; None when they have none.
        revised: The change this apply records, with its new revision.
        expectations: What to expect of the apply: its duration, interruptions and failures.
        left: The servers that it records as left.
        outside: The facts of servers that it leaves as they are.
    """

    servers: tuple[ServerPlan, ...]
    materials: Materials = field(repr=False)
    consequences: tuple[Consequence, ...] = ()
    revision: Revision = UNRECORDED
    based_on: int | None = None
    revised: Revised = NO_CHANGE
    expectations: tuple[Row, ...] = ()
    left: tuple[LeftServer, ...] = ()
    outside: tuple[Facts, ...] = field(default=(), repr=False)

    @property
    def has_changes(self) -> bool:
        """Whether any server has changes."""
        return any(server.has_changes for server in self.servers)

    @property
    def facts(self) -> tuple[Facts, ...]:
        """The facts of all servers that were read."""
        return (*(server.facts for server in self.servers), *self.outside)

    @property
    def problems(self) -> tuple[MoorageError, ...]:
        """The problems that prevent the run, on all servers."""
        return tuple(problem for server in self.servers for problem in server.problems)

    @property
    def destructive(self) -> tuple[Consequence, ...]:
        """The consequences that break something for a client, or cannot be undone."""
        return tuple(each for each in self.consequences if each.is_destructive)

    @property
    def missed(self) -> tuple[Revised, ...]:
        """The recorded changes since the revision the answers are based on."""
        return self.revision.since(self.based_on) if self.based_on is not None else ()

    @property
    def summary(self) -> str:
        """The plan in one line: ``2 servers: 9 files new, 2 packages, no files removed``."""
        return summarize(self)


def summarize(plan: Plan) -> str:
    """Return the plan in one line."""
    count = len(plan.servers)
    head = f"{count} server" + ("s" if count != 1 else "")
    if not plan.has_changes:
        return f"{head}: nothing to change"
    totals: dict[tuple[Kind, Action], int] = {}
    for server in plan.servers:
        for change in server.changes:
            key = (change.kind, change.action)
            totals[key] = totals.get(key, 0) + 1

    def number(kind: Kind, action: Action, one: str, many: str) -> str | None:
        total = totals.get((kind, action), 0)
        return f"{total} {one if total == 1 else many}" if total else None

    parts = [
        number(Kind.PACKAGE, Action.ADD, "package", "packages"),
        number(Kind.PACKAGE, Action.CHANGE, "package upgraded", "packages upgraded"),
        number(Kind.IMAGE, Action.ADD, "image", "images"),
        number(Kind.FILE, Action.ADD, "file new", "files new"),
        number(Kind.FILE, Action.CHANGE, "file changed", "files changed"),
        number(Kind.FILE, Action.REMOVE, "file removed", "files removed") or "no files removed",
        number(Kind.SERVICE, Action.RUN, "service action", "service actions"),
        number(Kind.HOOK, Action.RUN, "hook run", "hooks run"),
        number(Kind.RECORD, Action.CHANGE, "record updated", "records updated"),
    ]
    return f"{head}: " + ", ".join(part for part in parts if part)
