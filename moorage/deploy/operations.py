"""What can be done with a deployment, each thing once: what the command line and the wizard call.

They present what comes of it, ask, and show progress; order, conditions and endings are in here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from moorage.answers.model import Answers, Server
from moorage.answers.redact import Redactor
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import Secret, SecretReference
from moorage.deploy.acceptance import NOTHING
from moorage.deploy.connections import close_aside
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import OnEvent
from moorage.deploy.name import (
    NameOutcome,
    NamePlan,
    handover_of,
    look_up,
    plan_name,
    update_records,
)
from moorage.errors import ExitCode, MoorageError
from moorage.servers.run_results import RunStatus
from moorage.servers.transport import Asker, Cancel, Transport

if TYPE_CHECKING:
    from moorage.answers.model import S3Storage
    from moorage.background import Background
    from moorage.cloud.s3 import BucketCheck
    from moorage.deploy.certificate import Replacement
    from moorage.deploy.events import RunEnded
    from moorage.deploy.handover import Handover
    from moorage.deploy.last_seen import SeenRead
    from moorage.deploy.plan import Plan
    from moorage.deploy.report import ApplyReport
    from moorage.deploy.users_change import UsersPlan, UsersRead
    from moorage.deploy.verify import Verification
    from moorage.servers.facts import Facts

OpenTransport = Callable[..., Transport]


class OperatorAsker(Asker, Protocol):
    """Who is asked for host keys and secrets, and may remember what was typed."""

    def forget_refused(self, *errors: MoorageError) -> None:
        """Forget the secrets that servers did not take, and no others."""

    def give_up(self) -> None:
        """Settle every open question with a refusal."""


@dataclass(frozen=True)
class Outcome:
    """How an apply and the checks after it ended.

    Attributes:
        report: How the apply ended; None when runs that went on already were followed.
        verification: The checks, or None when there was nothing to check.
        ended: How the followed runs ended.
        name: How the registry's name is; None when it was not looked at.
        was_stopped: Whether the operator stopped it.
        ran_before: Whether something was deployed before.
    """

    report: ApplyReport | None = None
    verification: Verification | None = None
    ended: tuple[RunEnded, ...] = ()
    name: NameOutcome | None = None
    was_stopped: bool = False
    ran_before: bool = False

    @property
    def is_rolled_back(self) -> bool:
        """Whether it was stopped, and nothing else kept it from being done."""
        servers = self.report.servers if self.report else ()
        left = [each for each in servers if not each.is_good]
        return (
            self.was_stopped
            and bool(left)
            and all(each.status is RunStatus.CANCELLED for each in left)
        )

    @property
    def exit_code(self) -> ExitCode:
        """What a process ends with that did this and nothing else."""
        code = self.report.exit_code if self.report is not None else ExitCode.DONE
        if code != ExitCode.DONE or self.is_good:
            return code
        return ExitCode.FAILED

    @property
    def is_good(self) -> bool:
        """Whether everything is as it should be."""
        return (
            (self.report is None or self.report.is_good)
            and (self.verification is None or self.verification.is_good)
            and all(run.status is RunStatus.DONE for run in self.ended)
            and (self.name is None or self.name.is_good)
        )


class Operations:
    """What can be done with one deployment at a time. The methods block, in whatever thread.

    Attributes:
        asker: Who is asked.
        redactor: Takes the secrets of this deployment out of text.
        plan: The plan that was made last, None before.
        name: What it would do at the registry's name.
        facts: What the last probe read, by server.
        outcome: How the last apply ended.
        accepted: What the operator has accepted of the plan.

    Args:
        asker: Who is asked for host keys and secrets.
        on_event: Takes events, from several threads.
        open_transport: Opens a connection; replaced where no SSH is wanted.
    """

    def __init__(
        self,
        asker: OperatorAsker,
        on_event: OnEvent,
        open_transport: OpenTransport | None = None,
    ) -> None:
        self.asker = asker
        self.redactor = Redactor()
        self.plan: Plan | None = None
        self.name = NamePlan()
        self.facts: dict[str, Facts] = {}
        self.outcome: Outcome | None = None
        self.accepted = NOTHING
        self._on_event = on_event
        self._open_transport = open_transport
        self._deployment: Deployment | None = None
        self._limit: tuple[str, ...] = ()
        self._looked_up: Background[tuple[str, ...]] | None = None
        self._tests: list[tuple[Cancel, Transport]] = []
        self._storage_test = Cancel()
        self._was_stopped = False
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a deployment is open."""
        return self._deployment is not None

    @property
    def deployment(self) -> Deployment:
        """The deployment that is open.

        Raises:
            AssertionError: None is.
        """
        assert self._deployment is not None
        return self._deployment

    def open(self, answers: Answers, limit: Sequence[str] = ()) -> Deployment:
        """Take up a deployment; its servers are connected to when they are needed.

        Args:
            answers: What the operator decided.
            limit: The servers to work on; all when empty.

        Raises:
            MoorageError: The limit names a server that is not in the answers.
        """
        self.stop()
        deployment = self._new(answers, limit)
        with self._lock:
            self._deployment = deployment
            self._limit = tuple(limit)
            self.redactor = deployment.redactor
            self.plan, self.name, self._looked_up = None, NamePlan(), None
        return deployment

    def go_on_with(self, answers: Answers) -> None:
        """Work on other answers from now on, over the connections that are open.

        Args:
            answers: What was found out about the deployment.
        """
        with self._lock:
            before, self._deployment = self.deployment, self.deployment.with_answers(answers)
        before.close()

    def look_up_name(self) -> None:
        """Begin to look the registry's name up: name servers may take their time."""
        self._looked_up = look_up(self.deployment)

    def make_plan(self) -> Plan:
        """Read the servers of the open deployment and plan, their name included.

        Raises:
            MoorageError: A server cannot be reached, or a secret or certificate cannot be used.
        """
        deployment = self.deployment
        self.accepted = NOTHING
        try:
            facts = deployment.probe()
            self.facts |= {each.server: each for each in facts}
            plan = deployment.plan_from(facts)
            # Servers that are left out would be missing at the name.
            name = NamePlan() if self._limit else plan_name(deployment)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        with self._lock:
            if self._deployment is deployment:
                self.plan, self.name = plan, name
        return plan

    def run(self) -> Outcome:
        """Apply the plan that was made; whoever calls this has shown it.

        Raises:
            ServersFailed: Something in the plan keeps it from starting, or was not accepted;
                nothing was done.
        """
        assert self.plan is not None
        deployment, plan = self.deployment, self.plan
        self._was_stopped = False
        if self._looked_up is None:
            self.look_up_name()
        self.outcome = self._ended(deployment.apply(plan, self.accepted), plan)
        return self.outcome

    def finish(self, *, verifies: bool = True, large_upload: bool = True) -> Outcome:
        """Check the registry from outside after a run that went well, then lead its name to it.

        Records of somebody else's are replaced: they are a part of the plan that was shown.

        Args:
            verifies: Whether it is checked.
            large_upload: Whether the checks send over 100 MB to each server.

        Returns:
            How all of it ended; nothing more is done after a run that did not go well.
        """
        outcome = self.outcome
        assert outcome is not None
        if not outcome.is_good:
            return outcome
        deployment = self.deployment
        if verifies:
            checks = deployment.verify(self.plan, large_upload=large_upload)
            self.outcome = outcome = replace(outcome, verification=checks)
        if outcome.is_good:
            looked_up, self._looked_up = self._looked_up, None
            self.outcome = outcome = replace(
                outcome, name=update_records(deployment, self.name, looked_up)
            )
        return outcome

    def handover(self) -> Handover:
        """Return what people need to know, however far all of this came."""
        if self.outcome is not None and self.outcome.name is not None:
            return self.outcome.name.handover
        return handover_of(self.deployment, self._looked_up)

    def apply(self, *, large_upload: bool = True) -> Outcome:
        """Apply the plan that was made, check the registry and lead its name to it.

        Args:
            large_upload: Whether the checks send over 100 MB to each server.
        """
        self.run()
        return self.finish(large_upload=large_upload)

    def _ended(self, report: ApplyReport, plan: Plan) -> Outcome:
        from moorage.deploy.deployment_json import deployment_record

        ran_before = any(deployment_record(each.facts) for each in plan.servers)
        return Outcome(report, was_stopped=self._was_stopped, ran_before=ran_before)

    def retry(self, servers: Sequence[str], *, large_upload: bool = True) -> Outcome:
        """Plan and apply once more on the servers it failed on, then check all servers.

        Args:
            servers: Their labels.
            large_upload: Whether the checks send over 100 MB to each server.
        """
        before, name, answers = self.outcome, self.name, self.deployment.answers
        assert before is not None
        assert before.report is not None
        accepted = self.accepted
        self.open(answers, servers)
        try:
            self.make_plan()
        finally:
            self.name, self.accepted = name, accepted
        self.run()
        assert self.plan is not None
        assert self.outcome is not None
        assert self.outcome.report is not None
        report = before.report.followed_by(self.outcome.report)
        outcome = replace(self.outcome, report=report)
        materials = replace(self.plan.materials, generated=report.generated)
        plan = replace(self.plan, materials=materials)
        if report.is_good:
            self.open(answers)
            self.name = name
        with self._lock:
            self.plan, self.outcome = plan, outcome
        return self.finish(large_upload=large_upload)

    def plan_replacement(self) -> Plan:
        """Plan to replace a certificate of the operator's own, which the open answers name.

        Raises:
            MoorageError: A server cannot be reached, or something else would change, too.
        """
        from moorage.deploy.certificate import check_nothing_else

        try:
            self.plan = plan = self.deployment.plan()
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        check_nothing_else(plan)
        return plan

    def replace_certificate(self) -> Replacement:
        """Apply that plan, then look at the certificate each server shows."""
        from moorage.deploy.certificate import replace_on

        assert self.plan is not None
        return replace_on(self.deployment, self.plan)

    def read_users(
        self, left_out: Sequence[MoorageError] = (), known: Sequence[Facts | MoorageError] = ()
    ) -> UsersRead:
        """Read the users of all servers; see :func:`moorage.deploy.users_change.read_users`."""
        from moorage.deploy.users_change import read_users

        try:
            read = read_users(self.deployment, left_out, known)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        self.asker.forget_refused(*read.unreached)
        return read

    def read_last_seen(self) -> SeenRead:
        """Read when each user was last here, on any server, as far back as the logs go."""
        from moorage.deploy.last_seen import read_last_seen

        return read_last_seen(self.deployment)

    def change_users(self, plan: UsersPlan) -> ApplyReport:
        """Change the users on all servers, or on none; :meth:`abort` stops it."""
        from moorage.deploy.users_change import change_users

        return change_users(self.deployment, plan)

    def attach(self) -> Outcome:
        """Follow the runs that go on until they end, then check if all went well."""
        deployment = self.deployment
        ended = deployment.attach(tuple(self.facts.values()))
        self.outcome = Outcome(ended=ended)
        if ended and all(run.status is RunStatus.DONE for run in ended):
            # The plan from before knows nothing of what the run made.
            self.plan = deployment.plan()
            checks = deployment.verify(self.plan, large_upload=False)
            self.outcome = Outcome(verification=checks, ended=ended)
        return self.outcome

    def test_server(self, server: Server) -> Facts:
        """Connect to one server and read it.

        Raises:
            CannotConnect: It cannot be reached, or refuses.
        """
        from moorage.desired import layout
        from moorage.servers.connect import open_transport as open_over_ssh
        from moorage.servers.probe import probe

        open_transport = self._open_transport or open_over_ssh
        resolver = Resolver(self.asker.secret)

        def resolve(reference: SecretReference | None, what: str) -> Secret | None:
            if reference is None:
                return None
            secret = resolver.resolve(reference, f"{what} of {server.host}")
            self.redactor.add(secret)
            return secret

        cancel = Cancel()
        transport = open_transport(server, self.asker, resolve)
        entry = (cancel, transport)
        self._tests.append(entry)
        try:
            transport.connect()
            facts = probe(transport, layout.MANAGED, cancel=cancel)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        finally:
            transport.close()
            self._tests.remove(entry)
        self.facts[server.host] = facts
        return facts

    def test_storage(
        self, storage: S3Storage, tell: Callable[[BucketCheck], object]
    ) -> Sequence[BucketCheck]:
        """Try a bucket with what the registry does; see :func:`moorage.cloud.s3.try_bucket`.

        Args:
            storage: The bucket.
            tell: Takes every result as it comes, in this thread.

        Raises:
            MoorageError: A key cannot be found, or the test was stopped.
        """
        from moorage.cloud.s3 import Keys, try_bucket

        resolver = Resolver(self.asker.secret)
        keys = None
        if storage.accesskey is not None and storage.secretkey is not None:
            keys = Keys(
                resolver.resolve(storage.accesskey, "storage.s3.accesskey"),
                resolver.resolve(storage.secretkey, "storage.s3.secretkey"),
            )
            self.redactor.add(keys.access)
            self.redactor.add(keys.secret)
        self._storage_test.set()
        self._storage_test = cancel = Cancel()
        return try_bucket(storage, keys, tell, cancel)

    def stop_tests(self) -> None:
        """Give up on the tests that go on."""
        self._storage_test.set()
        for cancel, transport in list(self._tests):
            cancel.set()
            close_aside(transport.close)

    def abort(self) -> None:
        """Make the runs that go on stop before their next step and roll back."""
        if self._deployment is not None:
            self._was_stopped = True
            self._deployment.abort()

    def skip_checks(self) -> None:
        """Leave the checks out that were not made yet."""
        if self._deployment is not None:
            self._deployment.cancel.set()

    def _new(self, answers: Answers, limit: Sequence[str]) -> Deployment:
        return Deployment(
            answers, self.asker, self._on_event, limit=limit, open_transport=self._open_transport
        )

    def stop(self) -> None:
        """Close all connections. Runs that go on are left to themselves on their servers."""
        with self._lock:
            deployment, self._deployment = self._deployment, None
            self.plan = None
        if deployment is not None:
            deployment.cancel.set()
            close_aside(deployment.close)
        self.asker.give_up()
