"""The deployments that servers keep, for rollbacks and to compare them.

A run keeps what it deployed in a folder: its record, its files, and the program of the active slot.
The users are not part of it.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from moorage.deploy.deployment import Deployment
from moorage.deploy.plan.programs import Program, is_valid, name_of, read_program
from moorage.deploy.record.deployment_json import (
    Recorded,
    active_slot,
    deployment_record,
    line_of,
    recorded_digests,
    recorded_on,
)
from moorage.deploy.record.revisions import Change, revision_of
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.errors import MoorageError, ServersFailed
from moorage.servers.facts import Facts, ManagedFile
from moorage.servers.probe import members_of
from moorage.servers.transport import Completed, Transport
from moorage.users.on_servers import USER_FILES
from templates.load import shell_script

STAYING = (*USER_FILES, layout.AUTH_KEY)
"""The files that are not part of a deployment: the users."""
CERTIFICATE = (layout.TLS_KEY, layout.TLS_CERTIFICATE)
DEADLINE = 120.0
"""Seconds a server can take."""
_MOST = 128 * 1024**2
_MOST_KEPT = 16
_RUN_ID = re.compile(r"\d{8}T\d{9}-[0-9a-f]{4}")
_PATH = re.compile(r"/[A-Za-z0-9._/@-]+")
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NOT_DEPLOYED = {layout.DEPLOYMENT, layout.RENEWAL, layout.ADDITIONS, layout.CHALLENGES, *STAYING}


@dataclass(frozen=True)
class KeptDeployment:
    """A deployment that a server keeps, or the current one as its record describes it.

    Attributes:
        server: The server's label.
        run_id: The run that deployed it.
        facts: Its record and its files, as if they were the server's facts.
        program: The program it ran; None if it is not known.
        fault: Why it cannot be restored; empty if it can.
        is_kept: Whether its files are kept.
    """

    server: str
    run_id: str
    facts: Facts = field(repr=False)
    program: Program | None = None
    fault: str = ""
    is_kept: bool = True

    @cached_property
    def revision(self) -> int:
        """The revision that deployed it. Changes of the users since have raised the record's."""
        return self.change.revision

    @cached_property
    def change(self) -> Change:
        """The change that deployed it."""
        revision = revision_of(self.facts)
        record = deployment_record(self.facts)
        number, then = record.get("deployed_revision"), line_of(record.get("deployed_at"))
        same = [each for each in revision.history if each.revision == number]
        # Earlier versions recorded only when.
        same = same or [each for each in revision.history if each.at == then]
        return same[0] if same else Change(revision.number, revision.by, revision.at)

    @cached_property
    def recorded(self) -> Recorded:
        """Its answers, as recorded.

        Raises:
            MoorageError: The record has none that can be read.
        """
        return recorded_on(self.facts)

    @property
    def slot(self) -> Slot:
        """The slot its files are for."""
        return "green" if deployment_record(self.facts).get("slot") == "green" else "blue"

    @property
    def is_too_old(self) -> bool:
        """Whether its slots had no programs of their own, so that it can only be compared."""
        unit = self.facts.files.get(layout.UNIT)
        return unit is not None and b"/program.env" not in unit.content

    @property
    def version(self) -> str:
        """The registry's version, for display; empty if not known."""
        recorded = line_of(deployment_record(self.facts).get("registry_version"))
        return self.program.version if self.program is not None else recorded

    @property
    def program_name(self) -> str:
        """The package with its version, or the image; empty if not known."""
        return name_of(self.program) if self.program is not None else ""

    @property
    def files(self) -> Sequence[ManagedFile]:
        """Its files, in the order in which each refers only to earlier ones."""
        there = {path: each for path, each in self.facts.files.items()
                 if path != layout.DEPLOYMENT}  # fmt: skip
        order = {path: place for place, path in enumerate(recorded_digests(self.facts))}
        return sorted(there.values(), key=lambda each: order.get(each.path, 0))


@dataclass(frozen=True)
class ServerDeployments:
    """The deployments of one server.

    Attributes:
        server: Its label.
        current: The current one; its files are not read.
        kept: Those whose files are kept, latest first; the current one can be among them.
    """

    server: str
    current: KeptDeployment
    kept: tuple[KeptDeployment, ...]

    def at(self, revision: int) -> KeptDeployment | None:
        """Return the deployment that was in effect at a revision; None if it is not kept."""
        if self.current.revision <= revision:
            return next((each for each in self.kept if each.run_id == self.current.run_id),
                        self.current)  # fmt: skip
        return next((each for each in self.kept if each.revision <= revision), None)


def deployed_run(facts: Facts) -> str:
    """Return the run that deployed what a server has, if its files can be kept; else empty."""
    run = deployment_record(facts).get("run")
    return run if isinstance(run, str) and _RUN_ID.fullmatch(run) and deployed_files(facts) else ""


def deployed_files(facts: Facts) -> tuple[str, ...]:
    """Return the files of a server's current deployment; none if they were modified since."""
    slot = active_slot(facts)
    if slot is None:
        return ()
    other = layout.slot_files(layout.other(slot))
    found = []
    for path, digest in recorded_digests(facts).items():
        if not _is_deployed(path) or path in other:
            continue
        there = facts.files.get(path)
        if there is None or there.digest != digest or there.links_to:
            return ()
        found.append(path)
    return tuple(found)


def deployment_not_kept(revision: int, kept: Sequence[int]) -> MoorageError:
    """Return the error that no server keeps the deployment of a revision.

    Args:
        revision: The revision.
        kept: Those that are kept.
    """
    return MoorageError(
        f"No server keeps a deployment of revision {revision}.",
        advice=f"These are kept: {', '.join(map(str, kept)) or 'none'}. 'moorage history FILE' "
        "shows what each changed; a change of the users alone is not a deployment.",
        code="deployment_not_kept",
    )


def no_deployment_before(revision: int) -> MoorageError:
    """Return the error that no server keeps a deployment before a revision."""
    if revision <= 1:
        return MoorageError(
            "This is the first deployment, and nothing was deployed before it.",
            code="no_deployment_before",
        )
    return MoorageError(
        f"The servers keep no deployment before revision {revision}.",
        advice="A deployment is kept once this version of Moorage has applied or replaced it. "
        "'moorage history FILE' shows what each revision changed.",
        code="no_deployment_before",
    )


def read_deployments(deployment: Deployment) -> tuple[ServerDeployments, ...]:
    """Read the deployments that all servers keep. Blocks.

    Args:
        deployment: The deployment. Its ``cancel`` stops waiting.

    Raises:
        ServersFailed: A server cannot be reached or read, or nothing is deployed there.
    """

    def read(transport: Transport) -> ServerDeployments:
        transport.connect()
        completed = transport.run(
            shell_script("deployments.sh"),
            timeout=DEADLINE,
            deadline=DEADLINE,
            cancel=deployment.cancel,
        )
        return parse(transport.server, completed)

    found = deployment.on_each(read).values()
    if failed := [each for each in found if isinstance(each, MoorageError)]:
        raise ServersFailed(failed)
    return tuple(each for each in found if isinstance(each, ServerDeployments))


def parse(server: str, completed: Completed) -> ServerDeployments:
    """Return the deployments that a server printed. root there can have written anything.

    Args:
        server: Its label.
        completed: The output of ``deployments.sh``.

    Raises:
        MoorageError: It cannot be read, or nothing is deployed there.
    """
    folders: dict[str, list[tuple[str, tarfile.TarInfo, bytes]]] = {}
    try:
        archive = completed.unpacked(_MOST)
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            for member in members_of(tar, len(archive)):
                folder, _, name = member.name.removeprefix("./").partition("/")
                if member.isdir() or not folder:
                    continue
                reader = tar.extractfile(member) if member.isfile() else None
                content = reader.read() if reader is not None else b""
                folders.setdefault(folder, []).append((name, member, content))
    # Python's tarfile follows chains of headers recursively.
    except (ValueError, tarfile.TarError, RecursionError, EOFError) as error:
        raise MoorageError(
            f"its kept deployments could not be read: {error}",
            server=server,
            code="deployments_unreadable",
        ) from error
    record = next((content for _, _, content in folders.get("deployment.json", ())), b"")
    facts = Facts(server, files={layout.DEPLOYMENT: _record(record)} if record else {})
    recorded_on(facts)
    run = line_of(deployment_record(facts).get("run"))
    kept = [
        _kept(server, run_id, entries)
        for run_id, entries in sorted(folders.items())[-_MOST_KEPT:]
        if _RUN_ID.fullmatch(run_id)
    ]
    kept.sort(key=lambda each: (each.revision, each.run_id), reverse=True)
    return ServerDeployments(server, KeptDeployment(server, run, facts, is_kept=False), tuple(kept))


def _record(content: bytes) -> ManagedFile:
    return ManagedFile(layout.DEPLOYMENT, content, 0o600, "root", "root")


def _kept(
    server: str, run_id: str, entries: Sequence[tuple[str, tarfile.TarInfo, bytes]]
) -> KeptDeployment:
    files: dict[str, ManagedFile] = {}
    program, faults = None, []
    for name, member, content in entries:
        if name == "deployment.json":
            files[layout.DEPLOYMENT] = _record(content)
        elif name == "program.env":
            program = read_program(content)
            if program is None or not is_valid(program):
                faults.append("program.env names no program that Moorage keeps")
        elif name.startswith("files/") and (path := name.removeprefix("files")):
            if fault := _fault(path, member):
                faults.append(f"{path} {fault}")
            else:
                files[path] = ManagedFile(
                    path, content, member.mode & 0o777, member.uname, member.gname
                )
    facts = Facts(server, files=files)
    faults += _wrong_files(facts, run_id)
    return KeptDeployment(server, run_id, facts, program, faults[0] if faults else "")


def _fault(path: str, member: tarfile.TarInfo) -> str:
    if not member.isfile():
        return "is not a regular file"
    if not _is_deployed(path):
        return "is not a file that Moorage deploys"
    if member.uname != "root" or not _NAME.fullmatch(member.gname):
        return f"belongs to {member.uname}"
    return ""


def _wrong_files(facts: Facts, run_id: str) -> Iterator[str]:
    """Yield what shows that files are missing, or not as they were deployed."""
    record, digests = deployment_record(facts), recorded_digests(facts)
    if record.get("run") != run_id:
        yield "its record is missing or of another run"
        return
    slot: Slot = "green" if record.get("slot") == "green" else "blue"
    # Early versions had no slot.env.
    own = (layout.config_path(slot), *({*layout.slot_files(slot)} & digests.keys()))
    for path in (*own, layout.UNIT, layout.NGINX_SITE, layout.UPSTREAM):
        if path not in facts.files:
            yield f"{path} is missing"
    for path, each in facts.files.items():
        if path != layout.DEPLOYMENT and digests.get(path) != each.digest:
            yield f"{path} is not as it was deployed"


def _is_deployed(path: str) -> bool:
    """Whether a path is one of those that belong to deployments."""
    if _PATH.fullmatch(path) is None or ".." in path.split("/") or path in _NOT_DEPLOYED:
        return False
    return any(path == each or path.startswith(f"{each}/") for each in _FOLDERS_AND_FILES)


_FOLDERS_AND_FILES = tuple(each for each in layout.MANAGED if each not in _NOT_DEPLOYED)
