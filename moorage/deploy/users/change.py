"""The users of a deployment: read from all servers, changed on all servers or none."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import RunEnded
from moorage.deploy.plan.managed_files import misplaced_files
from moorage.deploy.plan.plan import ServerPlan
from moorage.deploy.plan.planning import plan_users
from moorage.deploy.plan.platform import scheme_for
from moorage.deploy.record.deployment_json import active_slot, other_registries
from moorage.deploy.record.left_servers import read_user_lists
from moorage.deploy.record.record import record_of_undone_users, record_of_users
from moorage.deploy.record.revisions import (
    NO_CHANGE,
    UNRECORDED,
    Change,
    Revision,
    as_record,
    latest,
    users_changed,
)
from moorage.deploy.run.hooks import users_hooks_seconds
from moorage.deploy.run.payload import KEEP_SECONDS, Timing, new_run_id, payload
from moorage.deploy.run.report import ApplyReport, ServerReport
from moorage.deploy.run.rollout import PATIENCE, AllOrNothing
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus
from moorage.users.on_servers import UserList, UsersStatus, latest_users, statuses
from moorage.users.passwords import Scheme

GATE_SECONDS = 60
"""Seconds a server that has staged a change of its users waits for the others."""


@dataclass(frozen=True)
class UsersRead:
    """The users as they were read.

    Attributes:
        user_lists: The users as each reached server has them, in the answers' order.
        unreached: The errors of the other servers.
        facts: The servers' facts, in the same order.
    """

    user_lists: tuple[UserList, ...]
    unreached: tuple[MoorageError, ...]
    facts: tuple[Facts, ...] = field(repr=False)

    @property
    def latest(self) -> UserList:
        """The latest user list, which is authoritative where servers differ."""
        found = latest_users(self.user_lists)
        assert found is not None
        return found

    @property
    def users(self) -> tuple[RegistryUser, ...]:
        """The users of the latest list."""
        return self.latest.users

    @property
    def statuses(self) -> dict[str, UsersStatus]:
        """The status of each reached server's users, compared with the latest list."""
        return statuses(self.user_lists)

    @property
    def revision(self) -> int:
        """The highest revision of any server's users."""
        return max(user_list.revision for user_list in self.user_lists)

    @property
    def scheme(self) -> Scheme:
        """The scheme for new password hashes, the same on all servers."""
        return scheme_for(self.facts)

    @property
    def places(self) -> dict[str, tuple[str, ...]]:
        """The reached servers that have each user, by name, as labels in the answers' order."""
        found: dict[str, list[str]] = {}
        for user_list in self.user_lists:
            for user in user_list.users:
                found.setdefault(user.name, []).append(user_list.server)
        return {name: tuple(servers) for name, servers in found.items()}


@dataclass(frozen=True)
class UsersPlan:
    """A change of the users.

    Attributes:
        users: The users after the change.
        servers: The plan of each reached server, including those without changes.
        left_out: The servers that miss the change, by label.
        revision: The users' revision after the change.
        before: The deployment's revision before it.
        revised: The change, with its new revision.
    """

    users: tuple[RegistryUser, ...]
    servers: tuple[ServerPlan, ...]
    left_out: tuple[str, ...]
    revision: int
    before: Revision = UNRECORDED
    revised: Change = NO_CHANGE

    @property
    def has_changes(self) -> bool:
        """Whether any server has changes."""
        return any(server.has_changes for server in self.servers)

    @property
    def revisions(self) -> tuple[int, int] | None:
        """The deployment's revision before and after; None where no server changes."""
        return (self.before.number, self.revised.revision) if self.has_changes else None


def read_users(
    deployment: Deployment,
    left_out: Sequence[MoorageError] = (),
    known: Sequence[Facts | MoorageError] = (),
) -> UsersRead:
    """Read the users of all servers in parallel.

    Args:
        deployment: The deployment.
        left_out: Errors for servers that must not be connected to; they count as unreached.
        known: Facts that were just read from some of the servers.

    Raises:
        ServersFailed: No server could be reached.
        MoorageError: A reached server has no registry, or one of another name.
    """
    read = deployment.probe_each(known)
    facts = tuple(each for each in read if isinstance(each, Facts))
    unreached = tuple(each for each in read if isinstance(each, MoorageError))
    if not facts:
        raise ServersFailed(unreached)
    domain = deployment.answers.registry.domain
    user_lists = read_user_lists(facts)
    for each, user_list in zip(facts, user_lists, strict=True):
        for problem in misplaced_files(each):
            raise problem
        if active_slot(each) is None or not (user_list.is_deployed or user_list.users):
            advice = "Apply the answers to this server first: moorage apply FILE."
            if user_list.run:
                advice = (
                    f"Wait for the run in progress, {user_list.run}, or follow it with: "
                    "moorage status FILE --follow"
                )
            raise MoorageError(
                "Moorage has not deployed a registry on this server.",
                advice=advice,
                server=user_list.server,
                code="not_deployed",
            )
        for problem in other_registries([each], domain):
            raise problem
    return UsersRead(user_lists, (*unreached, *left_out), facts)


def plan_change(
    read: UsersRead, users: Sequence[RegistryUser], *, without_unreached: bool = False
) -> UsersPlan:
    """Return the plan of a change of the users; it also fixes outdated servers.

    Args:
        read: The result of :func:`read_users`.
        users: The desired users.
        without_unreached: Whether to proceed without the servers that cannot be reached.

    Raises:
        ServersFailed: Some servers cannot be reached and may not be left out, or have problems.
    """
    if read.unreached and not without_unreached:
        raise ServersFailed(read.unreached)
    key = Secret(secrets.token_hex(32))
    revision = read.revision + 1
    servers = tuple(plan_users(each, users, key, revision) for each in read.facts)
    problems = [problem for server in servers for problem in server.problems]
    if problems and any(server.has_changes for server in servers):
        raise ServersFailed(problems)
    left_out = tuple(error.server or "" for error in read.unreached)
    before = latest(read.facts)
    revised = before.following(None, users_changed(read.users, users))
    return UsersPlan(tuple(users), servers, left_out, revision, before, revised)


def change_users(deployment: Deployment, plan: UsersPlan) -> ApplyReport:
    """Change the users on all servers or none.

    All servers stage and validate the change; then all reload nginx. When one of them fails, the
    others undo it. A server whose connection is lost counts as failed.

    Args:
        deployment: The deployment.
        plan: The result of :func:`plan_change`.
    """
    changed = [server for server in plan.servers if server.has_changes]
    run_id = new_run_id()
    # The servers run their hooks in parallel; the fastest wait for the slowest.
    hooks = users_hooks_seconds(changed)
    timing = partial(Timing, "wait", GATE_SECONDS, KEEP_SECONDS + hooks)
    together = AllOrNothing(deployment.on_event, PATIENCE + hooks)
    threads = []
    for server in changed:
        deployment_revision = as_record(plan.before, plan.revised)
        record = record_of_users(server, run_id, plan.revision, plan.left_out, deployment_revision)
        undone = record_of_undone_users(server, run_id, plan.revision, plan.left_out)
        stream = payload(server, run_id, record, timing(undone))
        run = deployment.new_run(server.server, run_id, together.on_event)
        together.runs.append(run)
        threads.append(threading.Thread(target=run.start, args=(stream,), daemon=True))
    deployment.watch_runs(together.runs)
    for thread in threads:
        thread.start()
    together.conduct()
    for thread in threads:
        thread.join()
    ended = {run.server: run.ended for run in together.runs}
    return ApplyReport(
        tuple(
            _report(server.server, ended.get(server.server), run_id, together)
            for server in plan.servers
        ),
        {},
    )


def _report(
    server: str, ended: RunEnded | None, run_id: str, together: AllOrNothing
) -> ServerReport:
    if ended is None:
        return ServerReport(server, RunStatus.UNCHANGED)
    message, failed = ended.message, together.failed
    if ended.status is RunStatus.UNDONE and failed == server:
        message = f"not changed, because it took longer than {together.patience:g} s"
    elif ended.status.is_rolled_back and failed is not None:
        message = f"not changed, because {failed} failed"
    return ServerReport(
        server, ended.status, message, ended.step, run_id, ended.code, ended.warnings
    )
