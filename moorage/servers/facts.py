"""Facts: what the probe read on a server."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from moorage.servers.nginx_facts import NginxFacts


@dataclass(frozen=True)
class ManagedFile:
    """A file of Moorage's as it stands on a server.

    Attributes:
        links_to: What it leads to where it is a symbolic link, which is its content, too.
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
    """A folder of Moorage's as it stands on a server."""

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
    """A mounted file system: sizes in bytes.

    Attributes:
        inodes: How many files it has room for; None where nothing but its size limits that.
        free_inodes: How many more it has room for, likewise.
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
        has_images: Whether an image is in it, not only names of repositories.
        marker: What the marker in it says; empty without one.
    """

    has_images: bool
    marker: str = ""


@dataclass(frozen=True)
class Store:
    """The folder images are kept in.

    Attributes:
        folder: The folder.
        marker: What the marker in it says; empty without one.
        mount: Where the file system it is on, or would be made on, is mounted.
        source: What is mounted there, such as a device.
        has_images: Whether there are repositories in it.
    """

    folder: str
    marker: str
    mount: str
    source: str
    has_images: bool


@dataclass(frozen=True)
class Draining:
    """What a slot that gets no new requests still has to send.

    Attributes:
        slot: The slot.
        since: Since when it gets none, seconds since 1970.
        transfers: How many transfers are left.
    """

    slot: str
    since: float
    transfers: int

    @property
    def count(self) -> str:
        """How many transfers are left, for people."""
        return "1 transfer" if self.transfers == 1 else f"{self.transfers} transfers"


@dataclass(frozen=True)
class RunRecord:
    """A run that happened, or is happening, on a server.

    Attributes:
        run_id: The run's id; sorts by time.
        running: Whether it goes on right now.
        changed: When its folder last changed, seconds since 1970.
        step: The last step it began.
        status: done, failed, cancelled, locked or interrupted; empty while it runs.
        message: Why it failed.
    """

    run_id: str
    running: bool
    changed: float
    step: str
    status: str
    message: str


@dataclass(frozen=True)
class Facts:
    """What the probe read on a server.

    Attributes:
        server: The server's label.
        clock: The server's clock, seconds since 1970.
        clock_skew: How far it is ahead of the operator's, in seconds.
        os: The fields of os-release.
        ipv6: Whether the kernel has IPv6; ``addresses6`` are the global addresses.
        packages: Installed packages and their versions.
        held: Packages on hold.
        half_installed: Packages that an installation has left half done, with dpkg's abbreviation
            of their state; none while apt runs.
        apt_runs: Whether apt or dpkg is at work.
        outdated: Slots' services whose program was replaced while they run.
        tools: Which of the programs Moorage uses are there.
        failures: Why nginx or a slot's service does not start, by service, where it has been tried;
            empty where it did not say.
        accounts: System accounts and their numeric user and group ids.
        files: Managed files by path; ``folders`` likewise.
        store: The folder images are kept in; None when they are kept elsewhere.
        unfinished_uploads: The bytes of uploads that have not ended, on the disk of the images; 0
            unless that is nearly full.
        memory: Bytes of memory, as the kernel counts them; 0 when that is not known.
        image: The container image's id, or None when it is not there.
        images: The folders that the registry's slots store images in, by path.
        offers_njs: Whether its package lists have nginx's njs; None where it is installed, or
            where no lists were fetched yet.
        certbot_log: The lines of certbot's log about renewals, in their order.
        certbot_next: When certbot's timer runs next, seconds since 1970; None when it does not.
        nginx: What its nginx says; None where there is none, or where it was not read.
        zone: The server's offset from UTC as ``+0100``: the log has local times.
        draining: The slots that stop by themselves when their transfers have ended.
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
    apt_runs: bool = False
    outdated: frozenset[str] = frozenset()
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
    images: Mapping[str, ImagesFolder] = field(default_factory=dict)
    offers_njs: bool | None = None
    certbot_log: tuple[str, ...] = ()
    certbot_next: float | None = None
    nginx: NginxFacts | None = None
    zone: str = "+0000"
    runs: tuple[RunRecord, ...] = ()
    draining: tuple[Draining, ...] = ()

    @property
    def os_name(self) -> str:
        """The operating system for people: ``Debian GNU/Linux 12 (bookworm)``."""
        return self.os.get("PRETTY_NAME", "unknown")

    def is_active(self, service: str) -> bool:
        """Whether a service runs."""
        return service in self.services and self.services[service].active == "active"

    @property
    def runs_nginx(self) -> bool:
        """Whether nginx runs, whoever has started it."""
        return self.is_active("nginx") or self.has_nginx_by_hand

    @property
    def has_nginx_by_hand(self) -> bool:
        """Whether nginx runs, and systemd has not started it."""
        return not self.is_active("nginx") and any(
            each.program == "nginx" for each in self.listeners
        )

    def listens(self, port: int) -> Listener | None:
        """The first listener on a port, or None."""
        return next((each for each in self.listeners if each.port == port), None)

    @property
    def active_run(self) -> RunRecord | None:
        """The run that goes on right now, or None."""
        return next((run for run in self.runs if run.running), None)
