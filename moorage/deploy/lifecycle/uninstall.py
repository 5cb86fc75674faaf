"""Remove the registry from servers, and give these back as the record of the first run says."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from moorage.answers.recorded import RecordedServer
from moorage.deploy.events import LogLine
from moorage.deploy.plan.store import missing_images
from moorage.deploy.record.additions import lines_of_additions, recorded_additions
from moorage.deploy.record.deployment_json import (
    UNKNOWN_NAME,
    as_applied,
    drifted,
    other_registries,
    recorded_digests,
    served_domain,
)
from moorage.deploy.record.left_servers import left_by_label, uninstall_command
from moorage.deploy.record.revisions import now, operator
from moorage.deploy.run.payload import new_run_id, run_input
from moorage.deploy.run.report import ServerReport
from moorage.desired import layout
from moorage.errors import ExitCode, MoorageError, ServersFailed
from moorage.images.sweep import TRASH
from moorage.rows import Level, Row
from moorage.servers.facts import Facts
from moorage.servers.run_results import RunStatus
from moorage.units import count_text
from moorage.users.on_servers import read_user_list
from templates.load import shell_script, shell_scripts

if TYPE_CHECKING:
    from moorage.answers.model import Answers, Storage
    from moorage.deploy.deployment import Deployment
    from moorage.deploy.run.run import ServerRun
    from moorage.servers.transport import Completed, Transport

DEADLINE = 60.0
"""Seconds a server can take to remove what the run has left."""
_SHELL = (
    "common.sh", "full_disk.sh", "causes.sh", "additions.sh", "packages.sh", "nginx.sh",
    "storage.sh", "clear-sockets.sh",
)  # fmt: skip
"""What the run shares with that of an apply."""
_PATHS = (
    layout.NGINX_SITE, layout.NGINX_HTTP, layout.NGINX_ETC,
    layout.NGINX_DROP_IN, layout.CERTBOT_DROP_IN, layout.UNIT,
    layout.UPLOADS_SERVICE, layout.UPLOADS_TIMER, layout.ACTIVITY_SERVICE, layout.ACTIVITY_TIMER,
    layout.RECOVER_SERVICE, layout.COLLECT_SERVICE, layout.COLLECT_TIMER, layout.COLLECT_WANTED,
    layout.COLLECT_STAMP, layout.NEEDRESTART_CONFIG, layout.NEEDRESTART_NGINX,
    layout.PROGRAMS,
    layout.SOCKETS, layout.WEB_SOCKETS, "/run/moorage-cache", "/run/moorage-guessers",
)  # fmt: skip
"""Moorage's files and folders, except for the record, which goes last."""
_NOT_RECORDED = {
    layout.DEPLOYMENT, layout.HTPASSWD, layout.HTPASSWD_DISABLED, layout.AUTH_KEY,
}  # fmt: skip
_WRITTEN_BY_RUNS = (
    f"{layout.REGISTRY_ETC}/blue/", f"{layout.REGISTRY_ETC}/green/", f"{layout.ACME_ETC}/",
    f"{layout.HOOKS_ETC}/", f"{layout.TLS_ETC}/",
)  # fmt: skip
"""Files and folders of Moorage that its record may not name."""
_CERTIFICATE = tuple(
    f"/etc/letsencrypt/{folder}" for folder in
    (f"renewal/{layout.LINEAGE}.conf", f"live/{layout.LINEAGE}", f"archive/{layout.LINEAGE}")
)  # fmt: skip
ADVICE = {
    "run_locked": "Follow it with 'moorage status FILE --follow', then uninstall again.",
    "run_lost": "The run may still be in progress: uninstall again in a minute.",
    "run_interrupted": "Uninstall again: it completes what was interrupted.",
}
"""What to do after an uninstall, by code."""
LEGEND = "- is removed, = stays. DNS records stay as they are."
"""What the signs of a plan's rows mean."""
NOTHING = "Nothing to remove: no registry of Moorage is there."
_WARNINGS = (Level.BAD, Level.WARNING)
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*")


@dataclass(frozen=True)
class Wish:
    """The operator's choice of what goes besides the registry.

    Attributes:
        images: Whether the images go.
        packages: Whether the packages go that runs installed.
    """

    images: bool = False
    packages: bool = False


@dataclass(frozen=True)
class ServerUninstall:
    """The effect of an uninstall on one server.

    Attributes:
        server: The server.
        facts: Its facts.
        removes: What goes.
        stays: What stays, and why.
        copied: The files that others changed or added, of which a copy is kept.
        backup: The folder for these copies.
        storage: The folder of the images; empty if they are in a bucket, or if it is not known.
        marker: The content of the folder's marker file; empty if it has none.
        wish: What goes besides the registry.
        problem: Why it cannot be done; None if it can.
    """

    server: str
    facts: Facts = field(repr=False)
    removes: tuple[Row, ...] = ()
    stays: tuple[Row, ...] = ()
    copied: tuple[str, ...] = ()
    backup: str = ""
    storage: str = ""
    marker: str = ""
    wish: Wish = Wish()
    problem: MoorageError | None = None

    @property
    def rows(self) -> tuple[tuple[str, Row], ...]:
        """The rows of what goes (``-``) and of what stays (``=``), warnings first."""
        signed = [*(("-", row) for row in self.removes), *(("=", row) for row in self.stays)]
        return tuple(sorted(signed, key=lambda each: each[1].level not in _WARNINGS))


@dataclass(frozen=True)
class UninstallPlan:
    """The effect of an uninstall.

    Attributes:
        domain: The registry's name; empty if not known.
        servers: The plan of each server.
        unreached: Why other servers cannot be read.
        empty: The servers on which there is nothing to remove.
        wish: What goes besides the registry.
        others: The other servers of the registry, which may still serve it, by label.
    """

    domain: str
    servers: tuple[ServerUninstall, ...]
    unreached: tuple[MoorageError, ...] = ()
    empty: tuple[str, ...] = ()
    wish: Wish = Wish()
    others: tuple[str, ...] = ()

    @property
    def problems(self) -> tuple[MoorageError, ...]:
        """Why it cannot be done."""
        return tuple(each.problem for each in self.servers if each.problem is not None)

    @property
    def remembered(self) -> tuple[str, ...]:
        """The servers that the records of others may still have after it, by label."""
        records = (as_applied(each.facts) for each in self.servers)
        return tuple(each.label for each in records if each is not None and self.others)

    @property
    def has_changes(self) -> bool:
        """Whether there is anything to remove."""
        return any(each.removes for each in self.servers)


@dataclass(frozen=True)
class UninstallReport:
    """The result of an uninstall.

    Attributes:
        servers: One report per server.
        unreached: Why other servers were left out.
        remembered: The servers that the records of others may still have, by label.
        others: These others, by label.
    """

    servers: tuple[ServerReport, ...]
    unreached: tuple[MoorageError, ...] = ()
    remembered: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """The command after which others no longer remember the servers; empty if none do."""
        if not self.remembered or self.exit_code != ExitCode.DONE:
            return ""
        gone = " ".join(f"--gone {shlex.quote(label)}" for label in self.remembered)
        return (
            f"If the registry is still served by {', '.join(self.others)}, its record has "
            f"{', '.join(self.remembered)}. When the answers file no longer has this: "
            f"moorage apply FILE {gone}"
        )

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the command."""
        done = [each.is_good for each in self.servers]
        if all(done) and not self.unreached:
            return ExitCode.DONE
        return ExitCode.PARTLY_DONE if any(done) else ExitCode.FAILED

    @property
    def summary(self) -> str:
        """The result in a sentence; empty if the servers' own results say it."""
        if self.exit_code == ExitCode.DONE:
            return "The registry was removed."
        if not self.unreached:
            return ""
        names = ", ".join(each.server or "" for each in self.unreached)
        return f"Uninstall again when these can be reached: {names}."


def plan_uninstall(deployment: Deployment, wish: Wish) -> UninstallPlan:
    """Read the servers and return what removing the registry means. Changes nothing; blocks.

    Args:
        deployment: The deployment.
        wish: What goes besides the registry.

    Raises:
        ServersFailed: No server can be read.
    """
    read = deployment.probe_each()
    unreached = tuple(each for each in read if isinstance(each, MoorageError))
    facts = [each for each in read if isinstance(each, Facts)]
    if not facts:
        raise ServersFailed(unreached)
    there = [each for each in facts if _is_there(each)]
    answers = deployment.answers
    wrong = _other_registries(answers, there)
    served = filter(None, map(served_domain, there))
    domain = answers.registry.domain
    domain = next(served, "") if domain == UNKNOWN_NAME else domain
    others = _others(answers, facts)
    left = {label for label, each in left_by_label(there).items() if each.bucket}
    sharing = tuple(sorted({*others} | left - _labels(facts)))
    return UninstallPlan(
        domain,
        tuple(_plan_server(answers, each, wish, wrong.get(each.server), sharing) for each in there),
        unreached,
        tuple(each.server for each in facts if each not in there),
        wish,
        others,
    )


def uninstall(deployment: Deployment, plan: UninstallPlan) -> UninstallReport:
    """Remove the registry from all servers of a plan at the same time. Blocks.

    The runs continue by themselves when the connection is lost. :meth:`Deployment.abort` stops
    those that have not begun to remove anything.

    Args:
        deployment: The deployment.
        plan: The plan, which the operator has confirmed.

    Raises:
        ServersFailed: The plan has problems; nothing was changed.
    """
    if plan.problems:
        raise ServersFailed(plan.problems)
    run_id = new_run_id()
    runs = [deployment.new_run(each.server, run_id, deployment.on_event) for each in plan.servers]
    deployment.watch_runs(runs)
    threads = [
        threading.Thread(target=run.start, args=([_payload(run_id, server)],), daemon=True)
        for run, server in zip(runs, plan.servers, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = tuple(_end(deployment, run) for run in runs)
    return UninstallReport(ended, plan.unreached, plan.remembered, plan.others)


def _is_there(facts: Facts) -> bool:
    # After an uninstall whose result was not read, only its run is left.
    return bool(facts.runs) or any(
        path in facts.files for path in (layout.DEPLOYMENT, layout.UNIT, layout.ADDITIONS)
    )


def _others(answers: Answers, read: Sequence[Facts]) -> tuple[str, ...]:
    """Return the registry's servers that were not read: those of the answers, and on record."""
    records = [each for each in map(as_applied, read) if each is not None]
    hosts = {server.host for each in records for server in each.servers}
    hosts |= {each.host for each in answers.servers}
    return tuple(sorted(hosts - _labels(read)))


def _labels(every: Sequence[Facts]) -> set[str]:
    """Return the labels by which servers were reached, and those on their records."""
    records = (as_applied(each) for each in every)
    return {each.server for each in every} | {each.label for each in records if each is not None}


def _other_registries(answers: Answers, every: Sequence[Facts]) -> dict[str, MoorageError]:
    """Return the errors of servers that have another registry than the answers, by label."""
    found = {}
    for error in other_registries(every, answers.registry.domain):
        error.advice = "Uninstall the registries one after the other."
        if answers.registry.domain != UNKNOWN_NAME:
            error.advice = "Correct the name, or set it back if its change was not applied."
            [server] = (each for each in answers.servers if each.host == error.server)
            if server.connection == "ssh":
                command = uninstall_command(RecordedServer.of(server), server.key)
                error.advice += f" '{command}' removes what is there."
        found[error.server or ""] = error
    return found


def _plan_server(
    answers: Answers,
    facts: Facts,
    wish: Wish,
    wrong: MoorageError | None,
    sharing: Sequence[str],
) -> ServerUninstall:
    if wrong is not None:
        return ServerUninstall(facts.server, facts, problem=wrong)
    applied = as_applied(facts)
    storage = (applied.answers if applied is not None else answers).storage
    folder = storage.filesystem.path if storage.driver == "filesystem" else ""
    there = facts.images.get(folder)
    marker = facts.store.marker if facts.store and facts.store.folder == folder else ""
    marker = there.marker if there is not None else marker
    problem = _problem(facts, storage, wish, sharing)
    if facts.active_run is not None:
        # What is there can change.
        return ServerUninstall(facts.server, facts, problem=problem)
    # A folder without Moorage's marker is left alone, unless a slot uses it.
    wish = replace(wish, images=wish.images and bool(marker or there))
    modified = tuple(path for path in drifted(facts) if path in facts.files)
    foreign = tuple(_foreign_files(facts))
    backup = time.strftime("/var/backups/moorage-%Y%m%dT%H%M%S", time.gmtime())
    removes = (
        *_removals(facts, wish, folder),
        *(_copied("modified", path, facts, backup) for path in modified),
        *(_copied("foreign", path, facts, backup) for path in foreign),
    )
    return ServerUninstall(
        facts.server,
        facts,
        removes,
        tuple(_remains(facts, storage, folder, wish, has_marker=bool(marker))),
        modified + foreign,
        backup,
        folder,
        marker,
        wish,
        problem,
    )


def _copied(key: str, path: str, facts: Facts, backup: str) -> Row:
    is_unfinished = any(run.status is RunStatus.INTERRUPTED for run in facts.runs)
    unless = " unless the unfinished run wrote it" if is_unfinished else ""
    return Row(key, key, f"{path}; a copy is kept in {backup}{unless}", Level.WARNING)


def _foreign_files(facts: Facts) -> Iterator[str]:
    """Yield files in Moorage's folders that it did not write."""
    known = set(recorded_digests(facts)) | _NOT_RECORDED
    for path in sorted(facts.files):
        is_inside = path.startswith((f"{layout.ETC}/", f"{layout.NGINX_ETC}/"))
        is_of_runs = path.startswith(_WRITTEN_BY_RUNS) or "/.moorage." in path
        if is_inside and path not in known and not is_of_runs:
            yield path


def _problem(
    facts: Facts, storage: Storage, wish: Wish, sharing: Sequence[str]
) -> MoorageError | None:
    """Return why a server cannot be uninstalled.

    Args:
        facts: The server's facts.
        storage: Where its images are.
        wish: What goes besides the registry.
        sharing: The other servers that may use the same bucket.
    """
    if facts.active_run is not None:
        return MoorageError(
            f"run {facts.active_run.run_id} is in progress.",
            advice="Wait until it has ended: 'moorage status FILE --follow' shows it.",
            server=facts.server,
            code="run_locked",
        )
    if not wish.images:
        return None
    if storage.driver == "s3" and storage.s3 is not None:
        then = (
            f"Then delete the objects below '{_prefix(storage.s3.rootdirectory)}' with the store's "
            "own tools, unless another registry uses them."
        )
        if sharing:
            then = f"Delete nothing there before these are uninstalled, too: {', '.join(sharing)}."
        return MoorageError(
            f"the images are in the bucket {storage.s3.bucket}, which Moorage does not empty.",
            advice=f"Uninstall without the images. {then}",
            server=facts.server,
            code="images_in_bucket",
        )
    if reason := missing_images(facts):
        return MoorageError(
            reason,
            advice="Mount the disk with the images, or uninstall without the images.",
            server=facts.server,
            code="storage_changed",
        )
    return None


def _prefix(root: str | None) -> str:
    return "/".join(filter(None, ((root or "").strip("/"), "docker/registry/")))


def _removals(facts: Facts, wish: Wish, folder: str) -> Iterator[Row]:
    if name := served_domain(facts):
        yield Row("registry", "registry", f"{name} is no longer served", Level.BAD)
    users = read_user_list(facts, {}).users
    if users:
        yield Row(
            "users", "users", f"{count_text(len(users), 'user')} with their passwords", Level.BAD
        )
    if wish.images:
        yield Row("images", "images", f"all images in {folder}, and the trash", Level.BAD)
    if layout.RENEWAL in facts.files:
        yield Row("certificate", "certificate", "the certificate from certbot, and its key")
    files = [path for path in facts.files if path != layout.ADDITIONS]
    if files:
        yield Row("files", "files", f"{count_text(len(files), 'file')}, units and runs of Moorage")
    elif facts.runs:
        yield Row("files", "files", "the logs of runs")
    packages = [each for each in _added_packages(facts) if each in facts.packages]
    packages += [
        f"those of run {each}, which was interrupted" for each in _cut_off_installing(facts)
    ]
    if wish.packages and packages:
        text = f"{', '.join(packages)}, unless something else uses them"
        yield Row("packages", "packages", text)


def _remains(
    facts: Facts, storage: Storage, folder: str, wish: Wish, *, has_marker: bool
) -> Iterator[Row]:
    if storage.driver == "s3" and storage.s3 is not None:
        yield Row("images", "images", f"in the bucket {storage.s3.bucket}")
    elif folder and has_marker and not wish.images:
        yield Row("images", "images", f"in {folder}; a later install serves them again")
    packages = [each for each in _added_packages(facts) if each in facts.packages]
    if packages and not wish.packages:
        yield Row("packages", "packages", f"{', '.join(packages)}; they can be removed, too")
    recorded = recorded_additions(facts)
    if layout.ADDITIONS not in facts.files and (recorded is None or recorded.found is None):
        yield Row(
            "unknown", "services",
            "as they are now: this server has no record of how they were before Moorage",
            Level.WARNING,
        )  # fmt: skip


def _cut_off_installing(facts: Facts) -> list[str]:
    """Return the runs that were interrupted while they installed packages, which are not noted."""
    return [
        each.run_id
        for each in facts.runs
        if each.status is RunStatus.INTERRUPTED and each.step == "packages"
    ]


def _added_packages(facts: Facts) -> list[str]:
    """Return the packages that runs installed, as the server has noted them."""
    there = facts.files.get(layout.ADDITIONS)
    lines = (
        there.content.decode("utf-8", "replace").splitlines()
        if there is not None
        else lines_of_additions(facts)
    )
    words = (line.split("\t") for line in lines)
    found = (each[1] for each in words if len(each) > 1 and each[0] == "package")
    return sorted({name for name in found if _NAME.fullmatch(name)})


def _payload(run_id: str, server: ServerUninstall) -> bytes:
    shared = shell_scripts("run")
    paths = _PATHS + (_CERTIFICATE if layout.RENEWAL in server.facts.files else ())
    entries = {
        **{name: script.encode() for name, script in shell_scripts("uninstall").items()},
        **{name: shared[name].encode() for name in _SHELL},
        "plan/settings": _lines(f"{name}\t{value}" for name, value in _settings(server).items()),
        "plan/paths": _lines(paths),
        "plan/copied": _lines(each for each in server.copied if "\n" not in each),
        "plan/uninstall.json": json.dumps({"by": operator(), "at": now()}).encode(),
        "plan/added": _lines(lines_of_additions(server.facts)),
        "unsaid.abort": b"",
    }
    return run_input(run_id, entries, works_without_disk=True)


def _settings(server: ServerUninstall) -> Mapping[str, str]:
    return {
        "account": layout.ACCOUNT,
        "backup": server.backup,
        "engine": "-",
        "images": "delete" if server.wish.images else "keep",
        "packages": "remove" if server.wish.packages else "keep",
        "restart_nginx": "no",
        "storage_folder": server.storage or "-",
        "store_now": server.marker or "-",
        "trash": TRASH,
    }


def _lines(lines: Iterator[str] | Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


def _end(deployment: Deployment, run: ServerRun) -> ServerReport:
    """Return how a run has ended; if all is removed, remove the run as well."""
    ended = run.end
    report = ServerReport(
        run.server, ended.status, ended.message, ended.step, run.run_id, ended.code, ended.warnings
    )
    if ended.status is not RunStatus.DONE:
        return report

    def remove(transport: Transport) -> Completed:
        return transport.run(
            shell_script("uninstalled.sh"),
            payload=f"{run.run_id}\n".encode(),
            timeout=DEADLINE, deadline=DEADLINE,
        )  # fmt: skip

    try:
        is_removed = deployment.on_server(run.server, remove).exit_status == 0
    except MoorageError as error:
        deployment.on_event(LogLine(run.server, error.message))
        is_removed = False
    if is_removed:
        return report
    left = f"{layout.STATE} is still there; uninstall again to remove it"
    return replace(report, warnings=(*report.warnings, left))
