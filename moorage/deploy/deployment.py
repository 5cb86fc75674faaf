"""A deployment: all its servers, from connecting to the report."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType, TracebackType
from typing import TYPE_CHECKING, Self, TypeVar

from moorage.answers.model import Answers, Server
from moorage.answers.redact import Redactor
from moorage.answers.resolve import Resolver
from moorage.answers.secrets import Secret, SecretReference
from moorage.deploy.connections import Connections, begin_on_each, on_all, on_each
from moorage.deploy.events import OnEvent, RunEnded, StepBegan
from moorage.deploy.name import RegistryName
from moorage.deploy.plan.acceptance import NOTHING, Accepted
from moorage.deploy.verify.password_checks import PasswordChecks
from moorage.desired import layout
from moorage.errors import AnswersError, MoorageError, ServersFailed
from moorage.registry_keys import check_registry
from moorage.servers import connect
from moorage.servers.run_results import RunStatus
from moorage.servers.transport import Asker, Cancel, Resolve, Transport

if TYPE_CHECKING:
    from moorage.cloud.s3 import Keys
    from moorage.deploy.plan.plan import Plan
    from moorage.deploy.plan.programs import Target
    from moorage.deploy.run.payload import Gate, Login
    from moorage.deploy.run.report import ApplyReport
    from moorage.deploy.run.run import ServerRun
    from moorage.deploy.verify.verify import Verification
    from moorage.servers.facts import Facts

_Result = TypeVar("_Result")


class Deployment:
    """The servers of one deployment. Use it as a context manager: it closes the connections.

    Args:
        answers: The operator's answers.
        asker: Asks for host keys and secrets.
        on_event: Called with events, from several threads.
        limit: The servers to work on, by label; all when empty.
        open_transport: Opens a connection; over SSH by default.
    """

    def __init__(
        self,
        answers: Answers,
        asker: Asker,
        on_event: OnEvent = lambda event: None,
        *,
        limit: Sequence[str] = (),
        open_transport: Callable[..., Transport] | None = None,
    ) -> None:
        self._open = open_transport or connect.open_transport
        self._asker = asker
        self._limit = tuple(limit)
        self.answers = answers
        self.redactor = Redactor()
        self.cancel = Cancel()
        self._on_event = on_event
        self._resolver = Resolver(asker.secret)
        self._checks = PasswordChecks(answers.credentials.users, self._resolve)
        self._runs: list[ServerRun] = []
        self._is_aborted = False
        self._others: Callable[[], dict[str, Facts | MoorageError]] | None = None
        self._connections = Connections(
            answers.servers,
            limit,
            lambda server: self._open(server, asker, self._resolve_for(server)),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; runs on the servers continue by themselves."""
        self._connections.close()

    def with_answers(self, answers: Answers) -> Deployment:
        """Return a deployment of other answers that takes over this one's connections.

        Args:
            answers: The answers; servers with the same label are the same.
        """

        def open_or_take(server: Server, asker: Asker, resolve: Resolve) -> Transport:
            return self._connections.hand_over(server.host) or self._open(server, asker, resolve)

        other = Deployment(
            answers, self._asker, self._on_event, limit=self._limit, open_transport=open_or_take
        )
        other.redactor = self.redactor
        return other

    @property
    def addresses(self) -> dict[str, str]:
        """The addresses at which clients reach the servers, by label."""
        return self._connections.addresses

    @property
    def all_addresses(self) -> dict[str, str]:
        """The addresses at which clients reach all servers, including those outside the limit."""
        return self._connections.all_addresses

    @property
    def chosen_servers(self) -> tuple[Server, ...]:
        """The servers to work on."""
        servers = self.answers.servers
        return tuple(each for each in servers if not self._limit or each.host in self._limit)

    @property
    def other_servers(self) -> tuple[str, ...]:
        """The labels of the servers outside the limit."""
        chosen = self.chosen_servers
        return tuple(each.host for each in self.answers.servers if each not in chosen)

    def connection_to(self, server: Server) -> Transport:
        """Return a connection to a server or another machine; closed with the others.

        Args:
            server: A server of the answers, or another machine.
        """
        return self._connections.to_guest(server)

    def release(self, connection: Transport) -> None:
        """Close a connection that :meth:`connection_to` returned."""
        self._connections.release_guest(connection)

    @property
    def name(self) -> RegistryName:
        """The registry's DNS name and its records."""
        return RegistryName(self.answers, self.all_addresses, self._resolve, self.cancel)

    def probe(self, *, for_plan: bool = False) -> tuple[Facts, ...]:
        """Connect to all servers and read their facts, in parallel.

        Args:
            for_plan: Whether :meth:`plan_from` follows, which reads the servers outside the limit,
                too: they are read in the meantime.

        Raises:
            ServersFailed: Some servers could not be reached or read.
        """
        self._others = self._begin_others() if for_plan else None
        read = partial(self._probe, checks=self._checks if self._checks.is_needed else None)
        return on_all(self._connections.chosen, read, _load_what_a_plan_needs)

    def probe_each(
        self,
        known: Sequence[Facts | MoorageError] = (),
        *,
        updates: bool = False,
        for_plan: bool = False,
    ) -> tuple[Facts | MoorageError, ...]:
        """Return the facts of all servers, or an error for each that cannot be read.

        Args:
            known: Facts that were just read from some of them.
            updates: Whether to ask apt for updates.
            for_plan: Whether :meth:`plan_from` follows; see :meth:`probe`.
        """
        self._others = self._begin_others() if for_plan else None
        fresh = {each.server: each for each in known}

        def read(transport: Transport) -> Facts | MoorageError:
            return fresh.get(transport.server) or self._probe(transport, updates=updates)

        return tuple(self.on_each(read).values())

    def on_each(self, work: Callable[[Transport], _Result]) -> dict[str, _Result | MoorageError]:
        """Run something on all servers in parallel; a failure on one does not stop the others.

        Args:
            work: Called with the connection to each server.

        Returns:
            Its results or errors, by server label in the answers' order.
        """
        return on_each(self._connections.chosen, work)

    def on_server(self, server: str, work: Callable[[Transport], _Result]) -> _Result:
        """Run something on one server.

        Args:
            server: Its label.
            work: Called with the connection to it.

        Raises:
            MoorageError: It failed.
        """
        try:
            return work(self._connections.to(server))
        except MoorageError as error:
            error.server = error.server or server
            raise

    def plan(self) -> Plan:
        """Probe all servers and return what an apply would do.

        Raises:
            ServersFailed: Some servers could not be reached or read.
            AnswersError: A secret, certificate or image archive cannot be used.
        """
        return self.plan_from(self.probe(for_plan=True))

    def plan_from(
        self,
        facts: Sequence[Facts],
        *,
        reads_images: bool = True,
        targets: Mapping[str, Target] = MappingProxyType({}),
        gone: Collection[str] = (),
    ) -> Plan:
        """Return what an apply would do, from known facts.

        Args:
            facts: The facts of the servers.
            reads_images: Whether to find out what new retention rules remove, and whether a new
                schedule is valid.
            targets: The programs that an upgrade gives the servers, by label.
            gone: The servers that left and were uninstalled, or no longer exist, by label.

        Raises:
            AnswersError: The answers cannot be used.
            MoorageError: A server that is said to be gone has not left.
        """
        wrong = check_registry(self.answers)
        if wrong:
            raise AnswersError(wrong)
        from moorage.deploy import materials
        from moorage.deploy.images.retention_preview import find_removals
        from moorage.deploy.images.schedule import with_checked_schedule
        from moorage.deploy.plan import timings
        from moorage.deploy.plan.consequences import change_of_apply, find_consequences
        from moorage.deploy.plan.expectations import expect
        from moorage.deploy.plan.plan import Plan
        from moorage.deploy.plan.planning import others_unread, plan_server, with_record
        from moorage.deploy.plan.programs import NO_TARGET
        from moorage.deploy.record.left_servers import find_left, members
        from moorage.deploy.record.revisions import latest

        others, unread = self._read_others(facts)
        shared = [*facts, *others]
        inside = {each.server for each in members(shared)}
        # What servers share is taken from those that are part of the deployment.
        shared.sort(key=lambda each: each.server not in inside)
        gathered = materials.gather(self.answers, shared, self._resolve, self._checks.verify)
        self._learn(gathered.http_secret, gathered.auth_key, *gathered.secrets.values())
        self._learn(*gathered.generated.values())
        if gathered.certificate_key:
            self._learn(gathered.certificate_key)
        gathered = replace(gathered, addresses=self._peers())
        left = find_left(self.answers, shared, gone)
        servers = tuple(
            with_record(
                plan_server(self.answers, gathered, each, targets.get(each.server, NO_TARGET)),
                self.answers,
                left,
                joins=each.server not in inside,
            )
            for each in facts
        )
        if unread:
            servers = tuple(
                replace(each, notes=(*each.notes, others_unread(unread, each.server)))
                for each in servers
            )
        if reads_images:
            servers = tuple(with_checked_schedule(self, each) for each in servers)
        revision = latest(shared)
        change = change_of_apply(self.answers, gathered, shared)
        return Plan(
            servers,
            gathered,
            find_consequences(
                self.answers,
                gathered,
                facts,
                find_removals(self, facts) if reads_images else (),
                left=left,
                outside=others,
            ),
            revision,
            self.answers.based_on,
            revision.following(self.answers.based_on, change),
            expect(servers, self.answers.rollout, timings.recorded(), self.other_servers),
            left,
            others,
        )

    def _peers(self) -> dict[str, tuple[str, ...]]:
        """Return the addresses servers use to forward ACME challenges to each other, by label."""
        from moorage.dns.local_resolver import is_usable_remotely, resolve_locally

        acme = self.answers.ssl.acme
        if self.answers.ssl.mode != "acme" or acme.challenge != "http-01":
            return {}
        names = self.all_addresses
        if len(names) < 2:
            return {}
        found = {}
        for label, name in names.items():
            addresses = resolve_locally(name)
            found[label] = tuple(filter(is_usable_remotely, addresses))
            if not found[label]:
                why = "is this machine's own name" if addresses else "does not resolve"
                raise MoorageError(
                    f"{name} {why}, but the other servers need its address.",
                    advice="Give the server an address that the others can reach.",
                    fields=("servers[].address",),
                    server=label,
                    code="no_address",
                )
        return found

    def _begin_others(self) -> Callable[[], dict[str, Facts | MoorageError]]:
        """Begin to read the servers outside the limit; the function waits for their facts."""
        others = self._connections.others
        return begin_on_each(others, self._probe) if others else dict

    def _read_others(
        self, facts: Sequence[Facts]
    ) -> tuple[tuple[Facts, ...], tuple[MoorageError, ...]]:
        """Return the facts of servers outside the limit, and why others of them cannot be read.

        They have the values that all servers share, and tell whether one inside the limit is part
        of the deployment.

        Raises:
            ServersFailed: Some cannot be read, and a new server needs the shared values: these
                would be generated again.
        """
        self._others = self._others or self._begin_others()
        read = self._others().values()
        unread = tuple(each for each in read if isinstance(each, MoorageError))
        if unread and not all(layout.REGISTRY_ENV in each.files for each in facts):
            raise ServersFailed(unread)
        return tuple(each for each in read if not isinstance(each, MoorageError)), unread

    def apply(self, plan: Plan, accepted: Accepted = NOTHING) -> ApplyReport:
        """Apply a plan: stage all servers, then switch them one after the other, or together.

        Runs continue by themselves when the connection is lost. A failure before the switch rolls
        back all servers; a later failure stops the rollout.

        Args:
            plan: The plan.
            accepted: The consequences that the operator accepted.

        Raises:
            ServersFailed: The plan has problems, or consequences that were not accepted; nothing
                was changed.
        """
        from moorage.deploy.plan.consequences import refusals
        from moorage.deploy.plan.timings import StepTimer
        from moorage.deploy.record.record import record_of_apply
        from moorage.deploy.record.revisions import now
        from moorage.deploy.run.hooks import gate_seconds
        from moorage.deploy.run.payload import Timing, new_run_id, payload
        from moorage.deploy.run.report import ApplyReport, ServerReport
        from moorage.deploy.run.rollout import Rollout

        if obstacles := (*plan.problems, *refusals(plan.consequences, accepted)):
            raise ServersFailed(obstacles)
        if plan.materials.keep is not None:
            plan.materials.keep()
        changed = [
            replace(server, ends_transfers=accepted.end_transfers)
            for server in plan.servers
            if server.has_changes
        ]
        reports = {
            server.server: ServerReport(server.server, RunStatus.UNCHANGED)
            for server in plan.servers
        }
        rollout = Rollout(self.answers.rollout, StepTimer(self._on_event).on_event)
        gate: Gate = "wait" if len(changed) > 1 else "go"
        run_id = new_run_id()
        login = self._known_login(plan)
        # The plan may have waited for a confirmation.
        revised = replace(plan.revised, at=now())
        threads = []
        for server in changed:
            run = self.new_run(server.server, run_id, rollout.on_event)
            rollout.runs.append(run)
            record = record_of_apply(
                self.answers, server, run_id, plan.revision, revised, left=plan.left
            )
            stream = payload(server, run_id, record, Timing(gate, gate_seconds(changed)), login)
            threads.append(threading.Thread(target=run.start, args=(stream,), daemon=True))
        self.watch_runs(rollout.runs)
        for thread in threads:
            thread.start()
        if gate == "wait":
            rollout.conduct()
        for thread in threads:
            thread.join()
        for run in rollout.runs:
            ended = run.end
            message, code = ended.message, ended.code
            if ended.status is RunStatus.CANCELLED and run.server in rollout.aborted:
                message, code = rollout.aborted[run.server], "run_cancelled"
            reports[run.server] = ServerReport(
                run.server, ended.status, message, ended.step, run_id, code, ended.warnings
            )
        report = ApplyReport(
            tuple(reports[server.server] for server in plan.servers),
            dict(plan.materials.generated),
            plan.materials.ca_certificate,
        )
        if any(each.status is RunStatus.DONE for each in report.servers):
            return replace(report, revision=plan.revised.revision)
        return replace(report, revision=plan.revision.number) if report.is_good else report

    def _known_login(self, plan: Plan) -> Login | None:
        """Return a login for the check after the switch, if one is known."""
        from moorage.deploy.verify.login import login_for_verify

        try:
            return login_for_verify(self.answers, plan.materials.generated, self._resolve)
        except MoorageError:  # verify reports what is wrong with it
            return None

    @property
    def on_event(self) -> OnEvent:
        """The callback for events."""
        return self._on_event

    def new_run(self, server: str, run_id: str, on_event: OnEvent) -> ServerRun:
        """Return a new run on a server, by label."""
        from moorage.deploy.run.run import ServerRun

        return ServerRun(self._connections.to(server), run_id, on_event, self.redactor.redact)

    def watch_runs(self, runs: list[ServerRun]) -> None:
        """Let :meth:`abort` stop these runs; at once if it was called before."""
        self._runs = runs
        if self._is_aborted:
            self.abort()

    def attach(self, facts: Sequence[Facts]) -> tuple[RunEnded, ...]:
        """Follow the runs in progress on all servers until they end."""
        from moorage.deploy.run.run import ServerRun

        busy = {each.server: each.active_run for each in facts if each.active_run}
        transports = [each for each in self._connections.chosen if each.server in busy]

        def follow(transport: Transport) -> RunEnded:
            record = busy[transport.server]
            assert record is not None
            run = ServerRun(transport, record.run_id, self._on_event, self.redactor.redact)
            self._runs.append(run)
            run.attach()
            return run.end

        return on_all(transports, follow)

    def abort(self) -> None:
        """Stop all runs, including those about to start, before their next step.

        They roll back, unless everything is already switched and recorded.
        """
        self._is_aborted = True
        for run in self._runs:
            run.abort()

    def verify(self, plan: Plan | None = None, *, large_upload: bool = True) -> Verification:
        """Check the registry from outside, on each server separately, bypassing DNS.

        Args:
            plan: The plan that was applied; its generated passwords and CA are used.
            large_upload: Whether to send over 100 MB to each server.

        Raises:
            ServersFailed: The private CA is not on this machine, and no server can be read.
        """
        from moorage.deploy.verify.login import login_for_verify
        from moorage.deploy.verify.targets import targets_of
        from moorage.deploy.verify.verify import verify

        generated = plan.materials.generated if plan else {}
        try:
            login = login_for_verify(self.answers, generated, self._resolve)
        except MoorageError:
            if plan is None:
                raise
            login = None  # a rollback does not need the passwords
        user, password = login or (None, None)
        authority = plan.materials.ca_certificate if plan else None
        authority = authority or self.authority()
        targets = targets_of(self.answers, self.addresses)
        return verify(
            self.answers,
            targets,
            user=user,
            password=password,
            ca_certificate=authority,
            on_event=self._on_event,
            large_upload=large_upload,
            cancel=self.cancel,
        )

    def authority(self) -> bytes | None:
        """Return the CA certificate clients trust besides the public ones, as PEM, or None.

        Raises:
            ServersFailed: The private CA is not on this machine, and no server can be read.
        """
        from moorage.deploy.certificates.trust import authority_for

        return authority_for(self.answers, self.probe_each)

    def _probe(
        self,
        transport: Transport,
        checks: PasswordChecks | None = None,
        *,
        updates: bool = False,
    ) -> Facts:
        from moorage.servers.probe import probe

        self._on_event(StepBegan(transport.server, "connect"))
        transport.connect()
        self._on_event(StepBegan(transport.server, "probe"))
        answers = self.answers.for_server(transport.server)
        registry, storage = answers.registry, answers.storage
        return probe(
            transport,
            layout.MANAGED,
            engine=None if registry.runtime == "package" else registry.runtime,
            image=None if registry.runtime == "package" else registry.image,
            storage=storage.filesystem.path if storage.driver == "filesystem" else None,
            nginx=True,
            updates=updates,
            first=(layout.HTPASSWD, checks.begin) if checks is not None else None,
            cancel=self.cancel,
        )

    def s3_keys(self) -> Keys | None:
        """Return the access key of the bucket; None if the answers have none.

        Raises:
            SecretUnavailable: It cannot be found on this machine.
        """
        from moorage.cloud.s3 import Keys

        storage = self.answers.storage.s3
        if storage is None or storage.accesskey is None or storage.secretkey is None:
            return None
        return Keys(
            self._resolve(storage.accesskey, "storage.s3.accesskey"),
            self._resolve(storage.secretkey, "storage.s3.secretkey"),
        )

    def _resolve(self, reference: SecretReference, where: str) -> Secret:
        secret = self._resolver.resolve(reference, where)
        self._learn(secret)
        return secret

    def _resolve_for(self, server: Server) -> Resolve:
        known = self.answers.servers
        place = f"servers[{known.index(server)}]" if server in known else server.host

        def resolve(
            reference: SecretReference | None, what: str, rejected: Secret | None = None
        ) -> Secret | None:
            if reference is None:
                return None
            where = f"{place}.{what}"
            secret = self._resolver.resolve_unless(rejected, reference, where, server=server.host)
            if secret is not None:
                self._learn(secret)
            return secret

        return resolve

    def _learn(self, *secrets: Secret) -> None:
        for secret in secrets:
            self.redactor.add(secret)


def _load_what_a_plan_needs() -> None:
    """Import slow modules while waiting for the servers."""
    from moorage.deploy.plan import consequences, planning  # noqa: F401
    from moorage.deploy.record import revisions  # noqa: F401
    from moorage.desired.render import load_templates

    load_templates()
