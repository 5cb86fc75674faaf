"""The users of a deployment: read from all servers, changed on all servers as one act."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

from moorage.answers.secrets import Secret
from moorage.deploy.deployment import Deployment
from moorage.deploy.deployment_json import active_slot, deployment_record, other_domain
from moorage.deploy.events import RunEnded
from moorage.deploy.hooks import users_hooks_seconds
from moorage.deploy.managed_files import misplaced_files
from moorage.deploy.payload import KEEP_SECONDS, Timing, new_run_id, payload
from moorage.deploy.plan import ServerPlan
from moorage.deploy.planning import plan_users
from moorage.deploy.platform import scheme_for
from moorage.deploy.record import record_of_undone_users, record_of_users
from moorage.deploy.report import ApplyReport, ServerReport
from moorage.deploy.revisions import (
    NO_CHANGE,
    UNRECORDED,
    Change,
    Revision,
    as_record,
    latest,
    users_changed,
)
from moorage.deploy.rollout import PATIENCE, AllOrNothing
from moorage.desired.users import RegistryUser
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus
from moorage.users.on_servers import UserList, UsersStatus, latest_users, read_user_list, statuses
from moorage.users.passwords import Scheme

GATE_SECONDS = 60
"""How long a server that has staged a change of its users waits for the others."""


@dataclass(frozen=True)
class UsersRead:
    """The users as they were read.

    Attributes:
        user_lists: The users as each reached server has them, in the answers' order.
        unreached: Why the other servers could not be read.
        facts: What the probe read, in the same order.
    """

    user_lists: tuple[UserList, ...]
    unreached: tuple[MoorageError, ...]
    facts: tuple[Facts, ...] = field(repr=False)

    @property
    def latest(self) -> UserList:
        """The latest user list, which counts where servers differ."""
        found = latest_users(self.user_lists)
        assert found is not None
        return found

    @property
    def users(self) -> tuple[RegistryUser, ...]:
        """The users that count, as they are."""
        return self.latest.users

    @property
    def statuses(self) -> dict[str, UsersStatus]:
        """How each reached server's users compare with those that count."""
        return statuses(self.user_lists)

    @property
    def revision(self) -> int:
        """How many changes any server's users have seen."""
        return max(user_list.revision for user_list in self.user_lists)

    @property
    def scheme(self) -> Scheme:
        """How new passwords are to be hashed: all servers get the same hash."""
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
        users: The users as they will be.
        servers: What happens on each server that is reached; those without changes included.
        left_out: The servers that miss the change, by label.
        revision: How many changes the users will have seen.
        before: The deployment's revision.
        revised: What changes, with the number it gives the deployment.
    """

    users: tuple[RegistryUser, ...]
    servers: tuple[ServerPlan, ...]
    left_out: tuple[str, ...]
    revision: int
    before: Revision = UNRECORDED
    revised: Change = NO_CHANGE

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to do anywhere."""
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
        left_out: Why other servers of it are not connected to; they count as not reached.
        known: What was just read of some of the servers.

    Raises:
        ServersFailed: No server could be reached.
        MoorageError: Nothing is deployed on a reached server, or the registry of another name.
    """
    read = deployment.probe_each(known)
    facts = tuple(each for each in read if isinstance(each, Facts))
    unreached = tuple(each for each in read if isinstance(each, MoorageError))
    if not facts:
        raise ServersFailed(unreached)
    domain = deployment.answers.registry.domain
    user_lists = tuple(read_user_list(each, deployment_record(each)) for each in facts)
    for each, user_list in zip(facts, user_lists, strict=True):
        for problem in misplaced_files(each):
            raise problem
        if active_slot(each) is None:
            raise MoorageError(
                "no registry of Moorage's is here.",
                advice="Apply the answers to this server first: moorage apply FILE.",
                server=user_list.server,
                code="not_deployed",
            )
        if there := other_domain(each, domain):
            raise MoorageError(
                f"it serves {there}, and these answers are for {domain}.",
                advice=f"Open the answers of {there}, or apply these first, which takes it over.",
                server=user_list.server,
                code="other_registry",
            )
    return UsersRead(user_lists, (*unreached, *left_out), facts)


def plan_change(
    read: UsersRead, users: Sequence[RegistryUser], *, without_unreached: bool = False
) -> UsersPlan:
    """Return what changing the users does to every server; repairs servers that are behind.

    Args:
        read: What :func:`read_users` returned.
        users: The users as they should be.
        without_unreached: Whether servers that cannot be reached may miss the change.

    Raises:
        ServersFailed: Some servers cannot be reached, and the change was not to go on without them;
            or something keeps a server from taking it.
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
    """Change the users on all servers as one act.

    All servers stage and validate the change; then all reload nginx. When one of them fails, those
    that had reloaded undo it. A server that is lost in between counts as failed.

    Args:
        deployment: The deployment.
        plan: What :func:`plan_change` returned.
    """
    changed = [server for server in plan.servers if server.has_changes]
    run_id = new_run_id()
    # The servers' hooks run side by side; those that are done first wait for the others.
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
