"""Status: what is deployed on a server, and its problems; :func:`status_of` is pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import PurePosixPath
from typing import Any

from moorage.answers.model import Answers
from moorage.answers.record import without_secrets
from moorage.answers.recorded import RecordedServer
from moorage.deploy.certificates.acme import Renewal, is_late, renewal_of
from moorage.deploy.certificates.ca import RENEW_DAYS
from moorage.deploy.deployment import Deployment
from moorage.deploy.events import ending_in_words
from moorage.deploy.images.schedule import Schedule, schedule_of, schedule_problems
from moorage.deploy.plan.listen_addresses import listens_as_deployed
from moorage.deploy.plan.managed_files import USER_FOLDERS, misplaced_files, unreadable_record
from moorage.deploy.plan.other_sites import taken_names
from moorage.deploy.plan.packaged_registry import is_held_back
from moorage.deploy.plan.problem import problem_on
from moorage.deploy.plan.programs import runs_now, why_repair
from moorage.deploy.plan.store import missing_images
from moorage.deploy.plan.web_server import BY_HAND, missing_nginx, nginx_problems
from moorage.deploy.record.additions import Additions, recorded_additions
from moorage.deploy.record.deployment_json import (
    UNKNOWN_NAME,
    active_slot,
    as_applied,
    deployment_record,
    draining,
    drifted,
    line_of,
    other_domain,
    recorded_digests,
    recorded_part,
    runs_package,
)
from moorage.deploy.record.left_servers import LeftServer, remembered_left
from moorage.deploy.record.revisions import revision_of
from moorage.deploy.status.discovery import other_servers
from moorage.deploy.status.software import Software, software_of
from moorage.desired import layout
from moorage.desired.build import is_asked_on_80
from moorage.desired.certificates import CertificateFacts, describe
from moorage.desired.layout import Slot
from moorage.errors import ExitCode, MoorageError
from moorage.servers.facts import Disk, Draining, Facts, RunRecord
from moorage.servers.run_results import RunStatus

LEAST_FREE = 512 * 1024**2
"""Bytes of free disk space below which pushes are about to fail."""
LEAST_INODES = 5000
"""Free inodes below which, likewise: a push creates about ten files for each layer."""


_FAILED = {RunStatus.FAILED, RunStatus.INTERRUPTED}
_REMOVES_NOTHING = {"", "recheck", "back-up"}
"""The steps of an uninstall before it removes anything."""
_RUN_PROBLEMS = {f"run_{status}" for status in _FAILED}


@dataclass(frozen=True)
class ServerStatus:
    """The status of one server.

    Attributes:
        server: The server's label.
        os_name: Its operating system.
        domain: The registry's name as recorded; empty when nothing is deployed.
        deployed_at: When the last successful run recorded it, as ISO 8601 in UTC.
        revision: The deployment's revision on it; 0 where none was recorded.
        by: The operator of the last change.
        moorage: The version of Moorage that made it.
        registry_version: The registry's version.
        program: The package's version or the image that runs it.
        slot: The slot that gets the traffic, or None.
        is_serving: Whether that slot's service runs.
        draining: The open transfers of the other slot; None when it is stopped.
        has_nginx: Whether nginx runs.
        run: The last run, or the one in progress; None when there was none.
        is_fixed_since: Whether that run failed, but the server now matches what was applied last:
            there is nothing left to fix.
        drifted: Managed files that were modified or removed since Moorage wrote them.
        is_partly_removed: Whether an uninstall has removed only a part of it.
        certificate: The certificate nginx has, or None without TLS.
        renewal: The last attempt to renew it by ACME; None when ACME is not used.
        schedule: The schedule on which it removes images; None without one.
        disk: The disk with the images, or None when it is not known.
        software: The versions on it; None when nothing is deployed.
        additions: What the first run found and what runs added; None when nothing is deployed.
        problems: The server's problems; empty when it is healthy.
    """

    server: str
    os_name: str = ""
    domain: str = ""
    deployed_at: str = ""
    revision: int = 0
    by: str = ""
    moorage: str = ""
    registry_version: str = ""
    program: str = ""
    slot: Slot | None = None
    is_serving: bool = False
    draining: Draining | None = None
    has_nginx: bool = False
    run: RunRecord | None = None
    is_fixed_since: bool = False
    drifted: tuple[str, ...] = ()
    is_partly_removed: bool = False
    certificate: CertificateFacts | None = None
    renewal: Renewal | None = None
    schedule: Schedule | None = None
    disk: Disk | None = None
    software: Software | None = None
    additions: Additions | None = None
    problems: tuple[MoorageError, ...] = ()

    @property
    def is_deployed(self) -> bool:
        """Whether Moorage has finished a run on the server."""
        return bool(self.domain)

    @property
    def is_healthy(self) -> bool:
        """Whether there are no problems."""
        return not self.problems


def status_of(facts: Facts, now: datetime.datetime | None = None) -> ServerStatus:
    """Return a server's status.

    Args:
        facts: The server's facts.
        now: The time from which a certificate's days are counted; now if None.
    """
    record = deployment_record(facts)
    slot = active_slot(facts)
    run = facts.active_run or facts.last_run
    certificate = _certificate(facts, now)
    unfinished = _unfinished_uninstall(facts)
    if unfinished is not None:
        problems = _problems_of_uninstall(facts, unfinished)
    else:
        problems = _problems(facts, bool(record), slot, run, certificate)
    return ServerStatus(
        server=facts.server,
        os_name=facts.os_name,
        domain=line_of(record.get("domain")),
        deployed_at=line_of(record.get("deployed_at")),
        revision=revision_of(facts).number,
        by=revision_of(facts).by,
        moorage=line_of(record.get("moorage")),
        registry_version=line_of(record.get("registry_version")),
        program=runs_now(facts) if record else "",
        slot=slot,
        is_serving=slot is not None and facts.is_active(layout.unit_name(slot)),
        draining=draining(facts, layout.other(slot)) if slot is not None else None,
        has_nginx=facts.runs_nginx,
        run=run,
        drifted=drifted(facts) if unfinished is None else (),
        is_partly_removed=unfinished is not None,
        certificate=certificate,
        renewal=renewal_of(facts),
        schedule=schedule_of(facts),
        disk=facts.disks[0] if facts.disks else None,
        software=software_of(facts) if record else None,
        additions=recorded_additions(facts),
        problems=tuple(problems),
    )


def how_it_ended(run: RunRecord) -> RunStatus:
    """Return a run's status: how it ended, or that it is running."""
    # When its last step began, everything was in effect and recorded.
    if run.status is RunStatus.INTERRUPTED and run.step == "drain":
        return RunStatus.DONE
    return run.status


def _unfinished_uninstall(facts: Facts) -> RunRecord | None:
    """Return the last uninstall if it, or one before it, has removed only a part; else None.

    Args:
        facts: The server's facts.
    """
    began = (each for each in facts.runs if each.status is not RunStatus.LOCKED)
    latest_first = sorted(began, key=lambda each: each.run_id, reverse=True)
    last = takewhile(lambda each: each.is_uninstall and not each.running, latest_first)
    begun = (each for each in last if each.status in _FAILED and each.step not in _REMOVES_NOTHING)
    return next(begun, None)


def _problems(
    facts: Facts,
    is_deployed: bool,
    slot: Slot | None,
    run: RunRecord | None,
    certificate: CertificateFacts | None,
) -> Iterator[MoorageError]:
    if run is not None and (ended := how_it_ended(run)) in _FAILED:
        word = "was interrupted" if ended is RunStatus.INTERRUPTED else ended
        how = ending_in_words(word, run.step, run.message)
        what = "uninstall" if run.is_uninstall else "run"
        text = f"The last {what}, {run.run_id}, {how}" + ("" if run.message else ".")
        yield problem_on(facts, f"run_{ended}", text)
    if not is_deployed:
        if message := unreadable_record(facts):
            yield problem_on(facts, "record_unreadable", message)
        elif run is None or not run.running:
            yield problem_on(facts, "not_deployed", "Nothing is deployed here.")
        else:
            text = "Nothing is deployed here yet: the first run is still in progress."
            yield problem_on(facts, "not_deployed", text)
        return
    yield from misplaced_files(facts, folders=_folders(facts))
    if why := missing_images(facts):
        yield problem_on(facts, "store_missing", f"{why[0].upper()}{why[1:]}")
    yield from _registry_problems(facts, slot)
    yield from _nginx_problems(facts)
    activity = facts.services.get("moorage-activity")
    if activity is not None and activity.active == "failed":
        text = "moorage-activity.service failed, so pushes and pulls are no longer noted."
        advice = "See 'journalctl -u moorage-activity' on the server."
        yield problem_on(facts, "activity_failed", text, advice)
    yield from schedule_problems(facts)
    for path in drifted(facts):
        if path in facts.files:
            yield problem_on(facts, "file_modified", f"{path} was modified since Moorage wrote it.")
        else:
            yield problem_on(facts, "file_missing", f"{path} is missing.")
    yield from _certificate_problems(facts, certificate)
    for disk in facts.disks:
        unfinished = facts.unfinished_uploads if disk is facts.disks[0] else 0
        yield from _disk_problems(facts, disk, unfinished)


def _problems_of_uninstall(facts: Facts, run: RunRecord) -> Iterator[MoorageError]:
    """Yield the problems after an uninstall; what else is missing was removed on purpose."""
    is_cut = run.status is RunStatus.INTERRUPTED
    how = ending_in_words("was interrupted" if is_cut else run.status, run.step, run.message)
    text = f"Uninstall {run.run_id} {how}" + ("" if run.message else ".")
    advice = "A part of the registry is removed. Uninstall again to complete it."
    yield problem_on(facts, f"uninstall_{run.status}", text, advice)
    for disk in facts.disks:
        yield from _disk_problems(facts, disk, 0)


def _registry_problems(facts: Facts, slot: Slot | None) -> Iterator[MoorageError]:
    if slot is None:
        text = f"nginx's upstream {layout.UPSTREAM} is missing or names no slot."
        yield problem_on(facts, "upstream_missing", text)
    elif not facts.is_active(unit := layout.unit_name(slot)):
        text = (
            f"The registry is not running: {facts.failures.get(unit) or f'{unit} is not active'}."
        )
        yield problem_on(facts, "registry_down", text)
    elif broken := why_repair(facts):
        text = f"The registry could not be started again: {broken}."
        yield problem_on(facts, "program_broken", text, "Apply again.")
    if runs_package(facts) and not is_held_back(facts):
        yield problem_on(
            facts,
            "package_service_enabled",
            "docker-registry.service, which the package installs, is not masked: it can start "
            "alongside the registry and listen on all addresses.",
            "Apply again.",
        )


def _folders(facts: Facts) -> Iterable[str]:
    """Return the folders of the files that were deployed."""
    parents = {str(PurePosixPath(path).parent) for path in recorded_digests(facts)}
    return dict.fromkeys((*USER_FOLDERS, *sorted(parents)))


def _nginx_problems(facts: Facts) -> Iterator[MoorageError]:
    """Yield why nginx is not running, or would not restart."""
    applied = as_applied(facts)
    asks = applied is not None and is_asked_on_80(applied.answers)
    listens = listens_as_deployed(facts)
    problems = [
        *missing_nginx(facts),
        *nginx_problems(facts, listens, is_asked_on_80=asks),
        *taken_names(facts, listens, line_of(deployment_record(facts).get("domain"))),
    ]
    if facts.has_nginx_by_hand:
        yield problem_on(facts, "nginx_by_hand", BY_HAND)
    for each in problems:
        text = f"{each.message[0].upper()}{each.message[1:]}"
        if not facts.runs_nginx:
            text = f"nginx is not running: {each.message}"
        yield problem_on(facts, each.code, text, each.advice, each.fields)
    if facts.runs_nginx or problems:
        return
    start = "tart it: systemctl start nginx."
    if why := facts.failures.get("nginx"):
        text = f"nginx is not running: {why}."
        yield problem_on(facts, "nginx_down", text, f"Fix that, then s{start}")
    else:
        yield problem_on(facts, "nginx_down", "nginx is not running.", f"S{start}")


def _disk_problems(facts: Facts, disk: Disk, unfinished_uploads: int) -> Iterator[MoorageError]:
    if disk.free < LEAST_FREE:
        total = f"{disk.total / 1024**3:.1f} GiB"
        text = f"Only {disk.free // 1024**2} MiB of {total} are free on {disk.mount}."
        if unfinished_uploads >= 1024**2:
            text += (
                f" Unfinished uploads take {unfinished_uploads / 1024**2:.0f} MiB; abandoned "
                "ones are removed within 20 minutes."
            )
        yield problem_on(facts, "disk_full", text)
    if disk.free_inodes is not None and disk.free_inodes < LEAST_INODES:
        text = (
            f"{disk.mount} has room for only {disk.free_inodes} of {disk.inodes} files (inodes), "
            "regardless of its free space."
        )
        yield problem_on(facts, "inodes_used_up", text)


def _certificate_problems(
    facts: Facts, certificate: CertificateFacts | None
) -> Iterator[MoorageError]:
    recorded = recorded_digests(facts)
    renewal = renewal_of(facts)
    if certificate is not None and certificate.days_left < 0:
        text = f"The certificate expired on {certificate.not_after:%Y-%m-%d}."
        yield problem_on(facts, "certificate_expired", text)
    elif certificate is not None and is_late(certificate):
        text = f"The certificate expires in {certificate.days_left} days."
        yield problem_on(facts, "certificate_expires", text)
    elif (
        certificate is not None
        and layout.TLS_CERTIFICATE in recorded
        and is_issued_here(certificate.chain, facts)
        and certificate.days_left < RENEW_DAYS
    ):
        text = f"The certificate has {certificate.days_left} days left; apply again to renew it."
        yield problem_on(facts, "certificate_expires", text)
    if renewal is None or layout.CERTBOT_CONFIG not in recorded:
        return
    if renewal.outcome == "failed":
        when = f", on {renewal.tried_at:%Y-%m-%d %H:%M} UTC," if renewal.tried_at else ""
        text = f"The last renewal of the certificate{when} failed: {renewal.message}."
        yield problem_on(facts, "renewal_failed", text)
    if not facts.is_active("certbot.timer"):
        text = "certbot.timer is not running, so the certificate is not renewed."
        yield problem_on(facts, "renewal_off", text)


def is_issued_here(chain: tuple[str, ...], facts: Facts) -> bool:
    """Return whether the private CA issued a certificate, according to the server's record."""
    ssl = recorded_part(facts, "answers").get("ssl", {})
    mode = ssl.get("mode", "private_ca") if isinstance(ssl, dict) else ""
    return mode == "private_ca" and len(chain) > 1


def _certificate(facts: Facts, now: datetime.datetime | None) -> CertificateFacts | None:
    file = facts.files.get(layout.TLS_CERTIFICATE)
    if file is None:
        return None
    try:
        return describe(file.content, now)
    except ValueError:
        return None


@dataclass(frozen=True)
class Status:
    """The status of a deployment.

    Attributes:
        servers: The servers that could be read.
        unreached: The errors of the others.
        has_changes: Whether the answers differ from the servers; None when unknown.
        unknown_because: Why that is unknown; empty otherwise.
        others: Further servers named in the records, which were not connected to.
        has_answers: Whether all servers record these answers as applied.
        left: The servers that left earlier and were not uninstalled.
    """

    servers: tuple[ServerStatus, ...]
    unreached: tuple[MoorageError, ...] = ()
    has_changes: bool | None = None
    unknown_because: str = ""
    others: tuple[RecordedServer, ...] = ()
    has_answers: bool = False
    left: tuple[LeftServer, ...] = ()

    @property
    def versions(self) -> dict[str, tuple[str, ...]]:
        """The servers by what runs there, if their versions or programs differ; else empty."""
        deployed = [server for server in self.servers if server.is_deployed]
        for name in ("registry_version", "program"):
            found: dict[str, tuple[str, ...]] = {}
            for server in deployed:
                version = getattr(server, name) or "unknown"
                found[version] = (*found.get(version, ()), server.server)
            if len(found) > 1:
                return found
        return {}

    @property
    def versions_text(self) -> str:
        """The difference of the versions, for display; empty without one."""
        parts = [f"{version} on {', '.join(names)}" for version, names in self.versions.items()]
        return f"The servers run different versions: {'; '.join(parts)}." if parts else ""

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        if self.unreached:
            return self.unreached[0].exit_code
        healthy = all(server.is_healthy for server in self.servers)
        return ExitCode.DONE if healthy else ExitCode.FAILED


def read_status(deployment: Deployment, *, with_plan: bool = False, follow: bool = False) -> Status:
    """Read all servers of a deployment. Blocks.

    Args:
        deployment: The deployment.
        with_plan: Whether to compare the servers with the answers as well. Without a plan, they are
            compared with their records.
        follow: Whether to follow runs in progress first, until they end.
    """
    read = deployment.probe_each(updates=True, for_plan=with_plan)
    facts = [each for each in read if isinstance(each, Facts)]
    if follow and any(each.active_run for each in facts):
        deployment.attach(facts)
        read = deployment.probe_each(updates=True, for_plan=with_plan)
    return _status_from(deployment, read, with_plan=with_plan)


def _status_from(
    deployment: Deployment, read: Sequence[Facts | MoorageError], *, with_plan: bool
) -> Status:
    facts = [each for each in read if isinstance(each, Facts)]
    answers = deployment.answers
    servers = tuple(_status_as(each, answers.registry.domain) for each in facts)
    unreached = tuple(each for each in read if isinstance(each, MoorageError))
    has_changes, why = None, ""
    if any(each.is_partly_removed for each in servers):
        # An apply would install it again.
        with_plan = False
    if with_plan and all(server.is_deployed for server in servers) and facts:
        try:
            plan = deployment.plan_from(facts, reads_images=False)
            has_changes = plan.has_changes
            if not has_changes and not plan.problems:
                servers = tuple(map(_without_failed_run, servers))
            if not has_changes and unreached:
                has_changes = None
                names = ", ".join(each.server or "" for each in unreached)
                why = f"{names} cannot be reached."
        except MoorageError as error:
            why = str(error)
    elif with_plan and facts:
        # Planning would create a private CA and passwords for nothing.
        has_changes = True
    else:
        servers = tuple(
            _without_failed_run(server) if _is_as_recorded(server, each, answers) else server
            for server, each in zip(servers, facts, strict=True)
        )
    others = other_servers(answers.servers, facts)
    has_answers = bool(facts) and not unreached and all(_records(each, answers) for each in facts)
    left = remembered_left(answers, facts)
    return Status(servers, unreached, has_changes, why, others, has_answers, left)


def _records(facts: Facts, answers: Answers) -> bool:
    recorded, expected = deployment_record(facts).get("answers"), without_secrets(answers)
    if not isinstance(recorded, Mapping):
        return False
    if {**recorded, "ask": None} == {**expected, "ask": None}:
        return True
    # The other servers can have another image since.
    try:
        applied = Answers.model_validate(recorded)
    except (ValueError, RecursionError):
        return False
    return _on_server(applied, facts.server) == _on_server(answers, facts.server)


def _on_server(answers: Answers, label: str) -> dict[str, Any]:
    servers = tuple(each.model_copy(update={"image": None}) for each in answers.servers)
    here = answers.for_server(label).model_copy(update={"servers": servers, "ask": ()})
    return without_secrets(here)


def _is_as_recorded(server: ServerStatus, facts: Facts, answers: Answers) -> bool:
    """Return whether a server matches its record, and that the answers, if there are any."""
    is_asked_by_address = answers.registry.domain == UNKNOWN_NAME
    return (
        server.is_deployed
        and all(each.code in _RUN_PROBLEMS for each in server.problems)
        and (is_asked_by_address or _records(facts, answers))
    )


def _without_failed_run(server: ServerStatus) -> ServerStatus:
    """Return a status without the problem that the last run failed: the server was fixed since."""
    rest = tuple(each for each in server.problems if each.code not in _RUN_PROBLEMS)
    return replace(server, problems=rest, is_fixed_since=rest != server.problems)


def _status_as(facts: Facts, domain: str) -> ServerStatus:
    """Return a server's status, with a problem if it serves a registry of another name."""
    server, other = status_of(facts), other_domain(facts, domain)
    if not other:
        return server
    problem = problem_on(facts, "other_registry", f"It serves {other} now, not {domain}.")
    return replace(server, problems=(problem, *server.problems))
