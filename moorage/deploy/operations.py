"""The use cases of a deployment, each once: the command line and the wizard call them.

Both interfaces ask questions, show progress and present results; order and conditions are here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from moorage.answers.model import Answers, Server
from moorage.answers.redact import Redactor
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import Secret, SecretReference
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
from moorage.deploy.plan.acceptance import NOTHING
from moorage.errors import ExitCode, MoorageError, ServersFailed
from moorage.servers.run_results import RunStatus
from moorage.servers.transport import Asker, Cancel, Transport
from moorage.unseen_passwords import forget_unseen, keep_unseen

if TYPE_CHECKING:
    from moorage.answers.model import S3Storage
    from moorage.background import Background
    from moorage.cloud.s3 import BucketCheck
    from moorage.deploy.certificates.certificate import Replacement
    from moorage.deploy.clients import Access
    from moorage.deploy.events import RunEnded
    from moorage.deploy.handover import Handover
    from moorage.deploy.images.activity import Activity
    from moorage.deploy.images.read import ImagesRead
    from moorage.deploy.images.retain import Judgement
    from moorage.deploy.lifecycle.diff import DeploymentDiff
    from moorage.deploy.lifecycle.history import History
    from moorage.deploy.lifecycle.kept import ServerDeployments
    from moorage.deploy.lifecycle.leaving import LeavingOutcome
    from moorage.deploy.lifecycle.rollback import Rollback
    from moorage.deploy.lifecycle.upgrade import Wish
    from moorage.deploy.plan.plan import Plan
    from moorage.deploy.plan.store import Store
    from moorage.deploy.record.left_servers import LeftServer
    from moorage.deploy.run.report import ApplyReport
    from moorage.deploy.users.change import UsersPlan, UsersRead
    from moorage.deploy.users.last_seen import SeenRead
    from moorage.deploy.verify.verify import Verification
    from moorage.images.details import ImageDetails
    from moorage.images.usage import Usage
    from moorage.servers.facts import Facts

OpenTransport = Callable[..., Transport]


class OperatorAsker(Asker, Protocol):
    """Asks the operator for host keys and secrets, and can remember secrets for retries."""

    def forget_refused(self, *errors: MoorageError) -> None:
        """Forget the secrets that servers rejected, and only those."""

    def give_up(self) -> None:
        """Answer every open question with a refusal."""


@dataclass(frozen=True)
class Outcome:
    """The result of an apply and the checks after it.

    Attributes:
        report: The result of the apply; None when runs in progress were followed instead.
        verification: The checks, or None when there was nothing to check.
        ended: The results of followed runs.
        name: The result for the registry's DNS name; None when it was not looked up.
        was_stopped: Whether the operator stopped it.
        ran_before: Whether something was deployed before.
        answers: The operator's answers after it, which an upgrade and a rollback change; None if
            there was no run.
        done_text: What an upgrade or a rollback did; empty for an apply.
        leaving: The result for servers that left; None if they were not to be uninstalled.
        replaced: The operator's answers that were not applied and that a rollback replaces, as
            dotted paths.
    """

    report: ApplyReport | None = None
    verification: Verification | None = None
    ended: tuple[RunEnded, ...] = ()
    name: NameOutcome | None = None
    was_stopped: bool = False
    ran_before: bool = False
    answers: Answers | None = None
    done_text: str = ""
    leaving: LeavingOutcome | None = None
    replaced: tuple[str, ...] = ()

    @property
    def revision(self) -> int:
        """The deployment's revision after it; 0 where it is not known."""
        after = self.leaving.revision if self.leaving is not None else 0
        return after or (self.report.revision if self.report is not None else 0)

    @property
    def is_rolled_back(self) -> bool:
        """Whether the operator stopped it and nothing else failed."""
        servers = self.report.servers if self.report else ()
        left = [each for each in servers if not each.is_good]
        return (
            self.was_stopped
            and bool(left)
            and all(each.status is RunStatus.CANCELLED for each in left)
        )

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of a process that did only this."""
        code = self.report.exit_code if self.report is not None else ExitCode.DONE
        if self.is_good and self.leaving is not None and not self.leaving.is_good:
            return ExitCode.PARTLY_DONE
        if code != ExitCode.DONE or self.is_good:
            return code
        return ExitCode.FAILED

    @property
    def is_good(self) -> bool:
        """Whether everything succeeded."""
        return (
            (self.report is None or self.report.is_good)
            and (self.verification is None or self.verification.is_good)
            and all(run.status is RunStatus.DONE for run in self.ended)
            and (self.name is None or self.name.is_good)
        )


class Operations:
    """The use cases, with one open deployment at a time. The methods block.

    Attributes:
        asker: Asks the operator.
        redactor: Removes the secrets of this deployment from text.
        plan: The latest plan, or None.
        name: The DNS changes of that plan.
        facts: The facts from the last probe, by server.
        outcome: The result of the last apply.
        accepted: The consequences of the plan that the operator accepted.
        gone: The servers that left and are gone, by label, as the operator says; :meth:`open`
            forgets it.
        uninstalls_left: Whether an apply uninstalls the servers that left; likewise.

    Args:
        asker: Asks the operator for host keys and secrets.
        on_event: Called with events, from several threads.
        open_transport: Opens a connection; over SSH by default.
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
        self.gone: frozenset[str] = frozenset()
        self.uninstalls_left = False
        self._on_event = on_event
        self._open_transport = open_transport
        self._deployment: Deployment | None = None
        self._limit: tuple[str, ...] = ()
        self._looked_up: Background[tuple[str, ...]] | None = None
        self._tests: list[tuple[Cancel, Callable[[], None]]] = []
        self._storage_test = Cancel()
        self._rollback: Rollback | None = None
        self._was_stopped = False
        self._wish: Wish | None = None
        self._lock = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a deployment is open."""
        return self._deployment is not None

    @property
    def deployment(self) -> Deployment:
        """The open deployment.

        Raises:
            AssertionError: None is.
        """
        assert self._deployment is not None
        return self._deployment

    def open(self, answers: Answers, limit: Sequence[str] = ()) -> Deployment:
        """Open a deployment; it connects to its servers when needed.

        Args:
            answers: The operator's answers.
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
            self._wish = self._rollback = None
            self.gone, self.uninstalls_left = frozenset(), False
        return deployment

    def continue_with(self, answers: Answers) -> None:
        """Continue with other answers, over the open connections.

        Args:
            answers: The new answers.
        """
        with self._lock:
            before, self._deployment = self.deployment, self.deployment.with_answers(answers)
        before.close()

    def look_up_name(self) -> None:
        """Start looking up the registry's name in the background."""
        self._looked_up = look_up(self.deployment)

    def make_plan(self) -> Plan:
        """Read the servers of the open deployment and plan, including DNS.

        Raises:
            MoorageError: A server cannot be reached, or a secret or certificate cannot be used.
        """
        deployment = self.deployment
        self.accepted = NOTHING
        try:
            facts = deployment.probe(for_plan=True)
            self.facts |= {each.server: each for each in facts}
            plan = deployment.plan_from(facts, gone=self.gone)
            # With a limit, the records would lack the other servers.
            name = NamePlan() if self._limit else plan_name(deployment)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        with self._lock:
            if self._deployment is deployment:
                self.plan, self.name, self._rollback = plan, name, None
        return plan

    def choose_rollback(self, to: int | None = None) -> Rollback:
        """Read the deployments that the servers keep, and choose the one to go back to.

        The operator then continues with its answers (:meth:`continue_with`), and plans.

        Args:
            to: Its revision; None for the deployment before the current one.

        Raises:
            MoorageError: A server cannot be reached, or does not keep it.
        """
        from moorage.deploy.lifecycle.rollback import choose

        return choose(self._read_deployments(), self.deployment.answers, to)

    def compare_deployments(
        self, before: int | None = None, after: int | None = None
    ) -> DeploymentDiff:
        """Return what differs between two deployments that the servers keep.

        Args:
            before: The revision of the first; None for the deployment before the second.
            after: The revision of the second; None for the current one.

        Raises:
            MoorageError: A server cannot be reached, or does not keep one of them.
        """
        from moorage.deploy.lifecycle.diff import compare

        return compare(self._read_deployments(), before, after)

    def _read_deployments(self) -> tuple[ServerDeployments, ...]:
        from moorage.deploy.lifecycle.kept import read_deployments

        try:
            return read_deployments(self.deployment)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise

    def plan_rollback(self, rollback: Rollback) -> Plan:
        """Read the servers and plan a rollback, including DNS; :meth:`run` then applies it.

        Args:
            rollback: The deployment to go back to; its answers are those of the open deployment.

        Raises:
            MoorageError: A server cannot be reached.
        """
        from moorage.deploy.lifecycle.rollback import plan_rollback

        deployment = self.deployment
        self.accepted = NOTHING
        servers = {each.host for each in deployment.chosen_servers}
        kept = tuple(each for each in rollback.kept if each.server in servers)
        rollback = replace(rollback, kept=kept)
        read = deployment.probe_each()
        if failed := [each for each in read if isinstance(each, MoorageError)]:
            self.asker.forget_refused(*failed)
            raise ServersFailed(failed)
        facts = tuple(each for each in read if not isinstance(each, MoorageError))
        self.facts |= {each.server: each for each in facts}
        plan = plan_rollback(deployment, rollback, facts)
        name = NamePlan() if self._limit else plan_name(deployment)
        with self._lock:
            if self._deployment is deployment:
                self.plan, self.name, self._rollback = plan, name, rollback
        return plan

    def plan_upgrade(self, wish: Wish) -> Plan:
        """Read the servers, ask them what they can get, and plan an upgrade; :meth:`run` does it.

        Args:
            wish: What to upgrade to; the open answers are those of the upgrade.

        Raises:
            MoorageError: See :func:`moorage.deploy.lifecycle.upgrade.plan_upgrade`.
        """
        from moorage.deploy.lifecycle.upgrade import plan_upgrade

        deployment = self.deployment
        self.accepted = NOTHING
        self._wish = wish
        try:
            facts = deployment.probe(for_plan=True)
            self.facts |= {each.server: each for each in facts}
            plan = plan_upgrade(deployment, facts, wish)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        with self._lock:
            if self._deployment is deployment:
                self.plan, self.name = plan, NamePlan()
        return plan

    def run(self) -> Outcome:
        """Apply the plan, which the operator has confirmed.

        Raises:
            ServersFailed: The plan has problems, or consequences that were not accepted; nothing
                was changed.
        """
        assert self.plan is not None
        deployment, plan = self.deployment, self.plan
        self._was_stopped = False
        if self._looked_up is None:
            self.look_up_name()
        domain, generated = deployment.answers.registry.domain, tuple(plan.materials.generated)
        keep_unseen(domain, generated)
        try:
            report = deployment.apply(plan, self.accepted)
        except ServersFailed:  # nothing was changed
            forget_unseen(domain, generated)
            raise
        if not any(server.may_have_changed for server in report.servers):
            forget_unseen(domain, generated)
        self.outcome = self._ended(report, plan)
        return self.outcome

    def note_shown(self, names: Iterable[str]) -> None:
        """Note that the operator has seen, or replaced, the generated passwords of users."""
        forget_unseen(self.deployment.answers.registry.domain, names)

    def finish(self, *, verifies: bool = True, large_upload: bool = True) -> Outcome:
        """After a successful run, verify the registry from outside, then update its DNS records.

        Records of others are replaced: they are part of the confirmed plan. Then uninstall the
        servers that left, if the operator wants it.

        Args:
            verifies: Whether to verify it.
            large_upload: Whether the checks send over 100 MB to each server.

        Returns:
            The overall result; after a failed run, nothing more is done.
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
                outcome,
                name=update_records(deployment, self.name, looked_up, self._known_authority),
            )
        if outcome.is_good and self.leaving:
            from moorage.deploy.lifecycle.leaving import uninstall_left

            leaving = uninstall_left(
                deployment,
                self.leaving,
                self.name,
                lambda answers: self._new(answers, ()),
                self.accepted,
            )
            self.outcome = outcome = replace(outcome, leaving=leaving)
        return outcome

    @property
    def leaving(self) -> tuple[LeftServer, ...]:
        """The servers that the apply uninstalls after it has changed the others."""
        return self.plan.left if self.plan is not None and self.uninstalls_left else ()

    def handover(self) -> Handover:
        """Return the handover, however far the apply got."""
        if self.outcome is not None and self.outcome.name is not None:
            return self.outcome.name.handover
        return handover_of(self.deployment, self._looked_up, self._known_authority)

    @property
    def _known_authority(self) -> bytes | None:
        """The CA certificate of the last apply, if clients have to trust one."""
        report = self.outcome.report if self.outcome is not None else None
        return report.ca_certificate if report is not None else None

    def client_access(self, user: str | None = None) -> Access:
        """Return what clients need; reads the servers only if the CA is not known here.

        Args:
            user: The user to log in as; None for one that can push.

        Raises:
            ServersFailed: The private CA is not on this machine, and no server can be read.
        """
        from moorage.deploy.certificates.trust import authority_for
        from moorage.deploy.clients import access_of

        answers, facts = self.deployment.answers, tuple(self.facts.values())
        authority = self._known_authority or authority_for(
            answers, lambda: facts or self.deployment.probe_each()
        )
        return access_of(answers, authority, self.handover().for_hosts, user)

    def apply(self, *, large_upload: bool = True) -> Outcome:
        """Apply the plan, verify the registry and update its DNS records.

        Args:
            large_upload: Whether the checks send over 100 MB to each server.
        """
        self.run()
        return self.finish(large_upload=large_upload)

    def _ended(self, report: ApplyReport, plan: Plan) -> Outcome:
        from moorage.deploy.record.deployment_json import deployment_record

        answers, done_text = self.deployment.answers, ""
        if (rollback := self._rollback) is not None:
            from moorage.deploy.lifecycle.rollback import with_users_of

            answers, done_text = with_users_of(rollback.answers_after, plan), rollback.done_text
        elif self._wish is not None:
            from moorage.deploy.lifecycle.upgrade import done_text_of

            done_text = done_text_of(plan)
        return Outcome(
            report,
            was_stopped=self._was_stopped,
            ran_before=any(deployment_record(each.facts) for each in plan.servers),
            answers=answers,
            done_text=done_text,
            replaced=rollback.replaced if rollback is not None else (),
        )

    def retry(self, servers: Sequence[str], *, large_upload: bool = True) -> Outcome:
        """Plan and apply again on the failed servers, then verify all servers.

        Args:
            servers: Their labels.
            large_upload: Whether the checks send over 100 MB to each server.
        """
        before, name, answers = self.outcome, self.name, self.deployment.answers
        rollback = self._rollback
        assert before is not None
        assert before.report is not None
        accepted, wish = self.accepted, self._wish
        gone, uninstalls_left = self.gone, self.uninstalls_left
        self.open(answers, servers)
        self.gone, self.uninstalls_left = gone, uninstalls_left
        try:
            if rollback is not None:
                self.plan_rollback(rollback)
            elif wish is not None:
                self.plan_upgrade(wish)
            else:
                self.make_plan()
        finally:
            # Transfers that began since were not among those the operator agreed to end.
            self.name, self.accepted = name, replace(accepted, end_transfers=False)
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
            self.gone, self.uninstalls_left = gone, uninstalls_left
        return self.finish(large_upload=large_upload)

    def plan_replacement(self) -> Plan:
        """Plan to replace the operator's own certificate with the one the open answers name.

        Raises:
            MoorageError: A server cannot be reached, or something else would change as well.
        """
        from moorage.deploy.certificates.certificate import check_nothing_else

        try:
            self.plan = plan = self.deployment.plan()
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        check_nothing_else(plan)
        return plan

    def replace_certificate(self) -> Replacement:
        """Apply that plan, then check the certificate each server presents."""
        from moorage.deploy.certificates.certificate import replace_on

        assert self.plan is not None
        return replace_on(self.deployment, self.plan)

    def read_users(
        self, left_out: Sequence[MoorageError] = (), known: Sequence[Facts | MoorageError] = ()
    ) -> UsersRead:
        """Read the users of all servers; see :func:`moorage.deploy.users.change.read_users`."""
        from moorage.deploy.users.change import read_users

        try:
            read = read_users(self.deployment, left_out, known)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        self.asker.forget_refused(*read.unreached)
        return read

    def read_activity(self) -> Activity:
        """Read who pushed and pulled what, on any server."""
        from moorage.deploy.images.activity import read_activity

        activity = read_activity(self.deployment)
        self.asker.forget_refused(*activity.left_out)
        return activity

    def read_history(self) -> History:
        """Read the runs that the servers keep; see :mod:`moorage.deploy.lifecycle.history`."""
        from moorage.deploy.lifecycle.history import read_history

        history = read_history(self.deployment)
        self.asker.forget_refused(*history.left_out)
        return history

    def read_last_seen(self) -> SeenRead:
        """Read each user's last login and push on any server."""
        from moorage.deploy.users.last_seen import read_last_seen

        return read_last_seen(self.deployment)

    def change_users(self, plan: UsersPlan) -> ApplyReport:
        """Change the users on all servers, or on none; :meth:`abort` stops it."""
        from moorage.deploy.users.change import change_users
        from moorage.users.on_servers import read_user_list

        report = change_users(self.deployment, plan)
        if report.is_good:
            now = {user.name: user.hash for user in plan.users}
            lists = [read_user_list(each.facts, {}) for each in plan.servers]
            before = [user for each in lists for user in each.users]
            self.note_shown(user.name for user in before if now.get(user.name) != user.hash)
        return report

    def read_images_and_activity(
        self, accepts: Callable[[Store], bool] = lambda store: False
    ) -> tuple[ImagesRead, Activity]:
        """Read the images, and at the same time who pushed and pulled what."""
        from moorage.background import Background
        from moorage.deploy.images.activity import DEADLINE, Activity

        # Whatever has to be asked is asked before there are two threads.
        facts = self.deployment.probe_each()
        activity = Background(self.read_activity)
        read = self.read_images(facts, accepts)
        return read, activity.result(DEADLINE) or Activity()

    def read_images(
        self,
        known: Sequence[Facts | MoorageError] = (),
        accepts: Callable[[Store], bool] = lambda store: False,
    ) -> ImagesRead:
        """Read the images; see :func:`moorage.deploy.images.read.read_images`."""
        from moorage.deploy.images.read import read_images

        try:
            return read_images(self.deployment, known, accepts=accepts)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise

    def read_image(
        self, read: ImagesRead, usage: Usage, repository: str, reference: str
    ) -> ImageDetails:
        """Read everything about one image; see :func:`moorage.deploy.images.read.read_image`."""
        from moorage.deploy.images.read import read_image

        return read_image(self.deployment, read, usage, repository, reference)

    def attach(self, answers: Answers) -> Outcome:
        """Follow the runs in progress until they end; verify if all of them succeeded.

        Args:
            answers: The operator's answers, if no deployment is open.
        """
        deployment = self.deployment if self.is_open else self.open(answers)
        ended = deployment.attach(deployment.probe())
        self.outcome = Outcome(ended=ended)
        if all(run.status is RunStatus.DONE for run in ended):
            # The earlier plan does not know what the run created.
            self.plan = deployment.plan()
            checks = deployment.verify(self.plan, large_upload=False)
            self.outcome = Outcome(verification=checks, ended=ended)
        return self.outcome

    def test_server(self, server: Server) -> Facts:
        """Connect to one server and read it.

        Raises:
            CannotConnect: It cannot be reached, or refuses the login.
            MoorageError: Moorage cannot install on its system.
        """
        from moorage.deploy.plan.preflight import unsupported_system
        from moorage.desired import layout
        from moorage.servers.connect import open_transport as open_over_ssh
        from moorage.servers.probe import probe

        open_transport = self._open_transport or open_over_ssh
        resolver = Resolver(self.asker.secret)

        def resolve(
            reference: SecretReference | None, what: str, rejected: Secret | None = None
        ) -> Secret | None:
            if reference is None:
                return None
            secret = resolver.resolve_unless(rejected, reference, f"{what} of {server.host}")
            if secret is not None:
                self.redactor.add(secret)
            return secret

        cancel = Cancel()
        transport = open_transport(server, self.asker, resolve)
        entry = (cancel, transport.close)
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
        if unsupported := unsupported_system(facts):
            raise unsupported
        return facts

    def test_storage(
        self, storage: S3Storage, on_check: Callable[[BucketCheck], object]
    ) -> Sequence[BucketCheck]:
        """Test a bucket with the registry's operations; see :func:`moorage.cloud.s3.try_bucket`.

        Args:
            storage: The bucket.
            on_check: Called with each result, in this thread.

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
        return try_bucket(storage, keys, on_check, cancel)

    def judge_images(self, answers: Answers) -> Judgement:
        """Return what the retention rules of answers would remove; reads over new connections.

        Args:
            answers: The answers; nothing has to be open.

        Raises:
            MoorageError: The images cannot be read, or :meth:`stop_tests` was called.
        """
        from moorage.deploy.images.activity import read_activity
        from moorage.deploy.images.read import read_images
        from moorage.deploy.images.retain import judge

        deployment = self._new(answers, ())
        entry = (deployment.cancel, deployment.close)
        self._tests.append(entry)
        try:
            read = read_images(deployment)
            return judge(read, read_activity(deployment), answers.retention)
        except MoorageError as error:
            self.asker.forget_refused(error)
            raise
        finally:
            self._tests.remove(entry)
            deployment.close()

    def stop_tests(self) -> None:
        """Cancel the tests in progress."""
        self._storage_test.set()
        for cancel, close in list(self._tests):
            cancel.set()
            close_aside(close)

    def abort(self) -> None:
        """Make the runs in progress stop before their next step and roll back."""
        if self._deployment is not None:
            self._was_stopped = True
            self._deployment.abort()

    def skip_checks(self) -> None:
        """Skip the remaining checks."""
        if self._deployment is not None:
            self._deployment.cancel.set()

    def _new(self, answers: Answers, limit: Sequence[str]) -> Deployment:
        return Deployment(
            answers, self.asker, self._on_event, limit=limit, open_transport=self._open_transport
        )

    def stop(self) -> None:
        """Close all connections. Runs in progress continue on their servers."""
        with self._lock:
            deployment, self._deployment = self._deployment, None
            self.plan = None
        if deployment is not None:
            deployment.cancel.set()
            close_aside(deployment.close)
        self.asker.give_up()
