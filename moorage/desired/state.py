"""Desired state: packages, accounts, folders and files of one server, in order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from moorage.answers.secrets import Secret
from moorage.desired import layout
from moorage.desired.layout import Slot
from moorage.desired.masking import SecretKind, kind_of_secret
from moorage.desired.users import RegistryUser
from moorage.registry_keys.tree import Version

Reason = str | tuple[str, ...]
"""Why something is on a server: in words, or the fields of the answers it comes from."""


@dataclass(frozen=True)
class Listen:
    """One of nginx's listen addresses.

    Attributes:
        address: ``*`` or ``[::]`` for all addresses of a family, or one address.
        has_proxy_protocol: Whether a load balancer sends the PROXY protocol there.
    """

    address: str
    port: int
    tls: bool = False
    has_proxy_protocol: bool = False

    def __str__(self) -> str:
        """Return the arguments of nginx's ``listen``."""
        where = str(self.port) if self.address == "*" else f"{self.address}:{self.port}"
        words = (where, "ssl" * self.tls, "proxy_protocol" * self.has_proxy_protocol)
        return " ".join(word for word in words if word)


@dataclass(frozen=True)
class Platform:
    """The properties of a server that its desired state depends on.

    Attributes:
        os_id: The ID in os-release: debian, ubuntu.
        os_version: The version in os-release: 12, 13, 24.04.
        ipv6: Whether the server has IPv6.
        has_njs: Whether nginx has njs, which the login cache needs.
        peers: The other servers behind the name, each with all its addresses.
        store_id: The content of the marker file in the images folder.
        memory: Memory in bytes, as reported by the kernel.
        addresses: The listen addresses by port, if other sites of the same nginx restrict them.
        web_group: The group of nginx's workers.
        http_directives: The directives that nginx.conf sets for all sites.
    """

    os_id: str = "debian"
    os_version: str = "12"
    ipv6: bool = True
    has_njs: bool = True
    peers: tuple[tuple[str, ...], ...] = ()
    store_id: str = ""
    memory: int = 2 * 1024**3
    addresses: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    web_group: str = layout.WEB_GROUP
    http_directives: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Materials:
    """The inputs of desired state besides the answers: secrets, hashes and certificates.

    Attributes:
        http_secret: Signs upload states; the same on all servers.
        auth_key: The key of the login cache, in hexadecimal.
        secrets: Resolved secrets by their path in the answers.
        users: The users as they should be on every server, in order.
        kept_users: Names of users who are only on the servers, and are kept.
        users_revision: The number of changes of users so far.
        certificate: PEM, the certificate and its chain; None without TLS.
        certificate_key: PEM; None without TLS.
        ca_certificate: PEM of the private CA, if there is one.
        creates_ca: Whether the private CA was created for these materials.
        generated: Passwords generated in this session, by user; shown once.
        weak_passwords: The users whose new password is easy to guess.
        hooks: The operator's scripts, by hook name.
        acme_ca: PEM of the CA that the ACME directory's certificate comes from, if it is private.
        addresses: The addresses at which servers reach each other, by label, if they need to.
        new_store_id: The marker for an images folder that has none yet.
        image_archive_digest: The SHA-256 of registry.image_archive, if there is one.
        image_archive_names: The names of its images; None if only the container engine can tell.
        keep: Saves what was created for these materials on this machine; called before a run.
    """

    http_secret: Secret
    auth_key: Secret
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    users: tuple[RegistryUser, ...] = ()
    kept_users: tuple[str, ...] = ()
    users_revision: int = 1
    certificate: bytes | None = None
    certificate_key: Secret | None = None
    ca_certificate: bytes | None = None
    creates_ca: bool = False
    generated: Mapping[str, Secret] = field(default_factory=dict)
    weak_passwords: tuple[str, ...] = ()
    hooks: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    acme_ca: bytes | None = None
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    new_store_id: str = ""
    image_archive_digest: str | None = None
    image_archive_names: tuple[str, ...] | None = None
    keep: Callable[[], None] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Package:
    """A package of the distribution.

    Attributes:
        name: The package.
        reason: Why it is there.
        satisfied_by: Other packages that serve the same purpose if already installed.
    """

    name: str
    reason: Reason
    satisfied_by: tuple[str, ...] = ()


class Effect(StrEnum):
    """The action that puts a changed file into effect."""

    REGISTRY = "registry"
    """Switch slots."""
    NGINX = "nginx"
    """Reload nginx."""
    NOTHING = "nothing"
    """Nothing: it takes effect immediately."""
    CERTIFICATE = "certificate"
    """Request a certificate if the current one no longer fits."""
    SCHEDULE = "schedule"
    """Start the timer that collects images anew."""
    RENEWAL = "renewal"
    """Nothing now: it takes effect with the next renewal."""


@dataclass(frozen=True)
class DesiredFile:
    """A desired file.

    Attributes:
        path: Its path on the server.
        content: Its content.
        effect: What has to happen for a change to take effect.
        reason: Why it is there.
    """

    path: str
    content: bytes = field(repr=False)
    effect: Effect
    reason: Reason
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"

    @property
    def digest(self) -> str:
        """The content's SHA-256, in hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def secret(self) -> SecretKind | None:
        """Its format if it has secrets, which decides what is shown of it."""
        return kind_of_secret(self.path)


@dataclass(frozen=True)
class DesiredFolder:
    """A desired folder."""

    path: str
    reason: Reason
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"


@dataclass(frozen=True)
class Image:
    """The container image the registry runs from.

    Attributes:
        engine: docker or podman.
        name: The image's name and tag or digest.
        archive: A local archive to upload to the server, or None to pull.
        archive_digest: The archive's SHA-256, or None.
        archive_names: The names of the images in the archive; None if only the engine can tell.
        login: The engine's configuration file with a login for the image's registry, or None.
    """

    engine: Literal["docker", "podman"]
    name: str
    archive: str | None = None
    archive_digest: str | None = None
    archive_names: tuple[str, ...] | None = None
    login: bytes | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class CertificateOrder:
    """A certificate that certbot obtains on the server.

    Attributes:
        directory: The authority's directory URL.
        challenge: The ACME challenge.
        authenticator: certbot's plugin for the challenge.
        key_type: ecdsa or rsa.
        peers: The other servers the authority can connect to, each with all its addresses.
    """

    directory: str
    challenge: Literal["http-01", "dns-01"]
    authenticator: str
    key_type: Literal["ecdsa", "rsa"]
    peers: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class DesiredState:
    """The desired state of one server, in the order of installation.

    Attributes:
        slot: The registry slot the files were rendered for.
        version: The registry's version the configuration is written for.
        storage_folder: The folder that images are stored in; None if they are stored elsewhere.
        store_id: The content of that folder's marker file; empty without a folder.
        bucket: The S3 bucket that images are stored in; empty if they are stored elsewhere.
        has_debug_listener: Whether the registry has a debug server on a loopback port.
        listens: nginx's listen addresses; those on the registry's port come first.
        files: The files, in an order in which each refers only to earlier ones.
        remembers_logins: Whether nginx caches logins.
        order: The certificate that certbot obtains, or None if it comes from elsewhere.
        calendar: When a timer collects images; empty if none does.
        has_check: Whether the site serves a run's check files; sites of older versions do not.
    """

    slot: Slot
    version: Version
    domain: str
    listens: tuple[Listen, ...]
    tls: bool
    account: str
    storage_folder: str | None
    store_id: str
    packages: tuple[Package, ...]
    folders: tuple[DesiredFolder, ...]
    files: tuple[DesiredFile, ...]
    image: Image | None
    has_debug_listener: bool = False
    remembers_logins: bool = True
    order: CertificateOrder | None = None
    calendar: str = ""
    has_check: bool = True
    bucket: str = ""

    @property
    def ports(self) -> tuple[int, ...]:
        """The public ports nginx listens on."""
        return tuple(dict.fromkeys(each.port for each in self.listens))
