"""The facts that the probe reads from a server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.servers.nginx_facts import NginxFacts
from moorage.servers.run_results import RunResult, RunStatus


@dataclass(frozen=True)
class ManagedFile:
    """One of Moorage's files on a server.

    Attributes:
        links_to: The target if it is a symbolic link; ``content`` is the target then, too.
    """

    path: str
    content: bytes = field(repr=False)
    mode: int
    owner: str
    group: str
    links_to: str = ""

    @property
    def digest(self) -> str:
        """The content's SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class ManagedFolder:
    """One of Moorage's folders on a server."""

    path: str
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Service:
    """A systemd service: ``active`` as in ActiveState, ``enabled`` as in UnitFileState."""

    name: str
    active: str
    enabled: str


@dataclass(frozen=True)
class Listener:
    """A listening TCP socket and the program that owns it (empty when unknown)."""

    address: str
    port: int
    program: str


@dataclass(frozen=True)
class Disk:
    """A mounted file system, with sizes in bytes.

    Attributes:
        inodes: Total inodes; None if the file system has no fixed number.
        free_inodes: Free inodes, likewise.
    """

    mount: str
    total: int
    free: int
    inodes: int | None = None
    free_inodes: int | None = None


@dataclass(frozen=True)
class ImagesFolder:
    """A folder that a slot of the registry stores images in.

    Attributes:
        has_images: Whether it holds images, and not just repository names.
        marker: The content of its marker file; empty if there is none.
    """

    has_images: bool
    marker: str = ""


@dataclass(frozen=True)
class Store:
    """The folder that images are stored in.

    Attributes:
        folder: The folder.
        marker: The content of its marker file; empty if there is none.
        mount: The mount point of the file system it is on, or would be created on.
        source: The mounted source, such as a device.
        has_images: Whether it holds repositories.
    """

    folder: str
    marker: str
    mount: str
    source: str
    has_images: bool


@dataclass(frozen=True)
class Draining:
    """A slot that receives no new requests but still has transfers to finish.

    Attributes:
        slot: The slot.
        since: When draining began, in seconds since 1970.
        transfers: The transfers left.
    """

    slot: str
    since: float
    transfers: int

    @property
    def count(self) -> str:
        """The number of transfers left, as text."""
        return "1 transfer" if self.transfers == 1 else f"{self.transfers} transfers"


@dataclass(frozen=True)
class RunRecord:
    """A finished or active run on a server.

    Attributes:
        run_id: The run's ID; sorts by time.
        running: Whether it is running now.
        changed: When its folder last changed, in seconds since 1970.
        step: The last step it started.
        result: What it said about its end; None while it runs, or if it died.
        is_uninstall: Whether it removes the registry.
    """

    run_id: str
    running: bool
    changed: float
    step: str
    result: RunResult | None = None
    is_uninstall: bool = False

    @property
    def status(self) -> RunStatus:
        """The run's status: its result, or that it is running."""
        if self.running:
            return RunStatus.RUNNING
        # Without a result it died: power, kill -9, a full disk.
        return self.result.status if self.result is not None else RunStatus.INTERRUPTED

    @property
    def code(self) -> str:
        """Why it did not succeed, as a code; may be empty."""
        return self.result.code if self.result is not None else ""

    @property
    def message(self) -> str:
        """Why it did not succeed; may be empty."""
        return self.result.message if self.result is not None else ""


_WAITS = "grace"
"""The step in which a run that collects images waits and changes nothing."""


@dataclass(frozen=True)
class Candidate:
    """The version of a package that apt would install.

    Attributes:
        version: The version.
        is_security: Whether it is in the distribution's security updates.
    """

    version: str
    is_security: bool = False


@dataclass(frozen=True)
class Facts:
    """The facts that the probe read from a server.

    Attributes:
        server: The server's label.
        clock: The server's clock, in seconds since 1970.
        clock_skew: Seconds by which it is ahead of the operator's clock.
        os: The fields of os-release.
        ipv6: Whether the kernel supports IPv6; ``addresses6`` are the global addresses.
        packages: Installed packages and their versions.
        held: Packages on hold.
        half_installed: Packages whose installation was interrupted, with dpkg's abbreviation of
            their state; none while apt runs.
        read_only: Folders that a run writes to but that are mounted read-only.
        apt_runs: Whether apt or dpkg is running.
        tools: The programs used by Moorage that are installed.
        failures: Why nginx or a slot's service does not start, by service, if a start failed;
            an empty reason if none was found.
        accounts: System accounts and their numeric user and group IDs.
        files: Managed files by path; ``folders`` likewise.
        store: The folder that images are stored in; None if they are stored elsewhere.
        unfinished_uploads: Bytes of unfinished uploads on the images' disk; 0 unless that disk is
            nearly full.
        memory: Bytes of memory as reported by the kernel; 0 if unknown.
        image: The container image's ID, or None if it is not present.
        programs: What is left of the slots' programs, by slot: ``whole``, ``missing`` or
            ``damaged``; none for slots from before programs were kept.
        images: The folders that the registry's slots store images in, by path.
        candidates: The versions that apt would install, by package; none if it was not asked. It is
            asked as well where the registry's package is not installed but needed.
        lists_at: When apt fetched its lists, in seconds since 1970; None if it was not asked.
        offers_njs: Whether the package lists have nginx's njs module; None if it is installed, or
            if no lists have been fetched yet.
        certbot_log: The lines about renewals in certbot's log, in order.
        certbot_next: When certbot's timer fires next, in seconds since 1970; None if it is not
            active.
        collect_next: When the timer that collects images fires next, likewise.
        collection: The lines about the last run that it started, as fields.
        nginx: nginx's facts; None if it is not installed or was not read.
        zone: The server's UTC offset as ``+0100``, because the log has local times.
        draining: The slots that stop by themselves once their transfers have finished.
    """

    server: str
    clock: float = 0.0
    clock_skew: float = 0.0
    os: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""
    hostname: str = ""
    systemd: bool = False
    ipv6: bool = False
    addresses6: tuple[str, ...] = ()
    packages: Mapping[str, str] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    half_installed: Mapping[str, str] = field(default_factory=dict)
    read_only: frozenset[str] = frozenset()
    apt_runs: bool = False
    tools: frozenset[str] = frozenset()
    services: Mapping[str, Service] = field(default_factory=dict)
    failures: Mapping[str, str] = field(default_factory=dict)
    listeners: tuple[Listener, ...] = ()
    accounts: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    disks: tuple[Disk, ...] = ()
    unfinished_uploads: int = 0
    files: Mapping[str, ManagedFile] = field(default_factory=dict)
    folders: Mapping[str, ManagedFolder] = field(default_factory=dict)
    store: Store | None = None
    memory: int = 0
    image: str | None = None
    programs: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, ImagesFolder] = field(default_factory=dict)
    candidates: Mapping[str, Candidate] = field(default_factory=dict)
    lists_at: float | None = None
    offers_njs: bool | None = None
    certbot_log: tuple[str, ...] = ()
    certbot_next: float | None = None
    collect_next: float | None = None
    collection: tuple[tuple[str, ...], ...] = ()
    nginx: NginxFacts | None = None
    zone: str = "+0000"
    runs: tuple[RunRecord, ...] = ()
    draining: tuple[Draining, ...] = ()

    @property
    def os_name(self) -> str:
        """The operating system's name: ``Debian GNU/Linux 12 (bookworm)``."""
        return self.os.get("PRETTY_NAME", "unknown")

    def is_active(self, service: str) -> bool:
        """Whether a service is active."""
        return service in self.services and self.services[service].active == "active"

    @property
    def runs_nginx(self) -> bool:
        """Whether nginx runs, started by systemd or not."""
        return self.is_active("nginx") or self.has_nginx_by_hand

    @property
    def has_nginx_by_hand(self) -> bool:
        """Whether nginx runs, but was not started by systemd."""
        return not self.is_active("nginx") and any(
            each.program == "nginx" for each in self.listeners
        )

    def listens(self, port: int) -> Listener | None:
        """The first listener on a port, or None."""
        return next((each for each in self.listeners if each.port == port), None)

    @property
    def active_run(self) -> RunRecord | None:
        """The run that is active now, or None; not one that lets others go first."""
        return next((run for run in self.runs if run.running and run.step != _WAITS), None)

    @property
    def last_run(self) -> RunRecord | None:
        """The last run that did anything, or None: one refused because of another did not."""
        began = (run for run in self.runs if run.status is not RunStatus.LOCKED)
        return max(began, key=lambda run: run.run_id, default=None)
